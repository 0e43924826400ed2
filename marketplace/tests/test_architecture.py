"""The rules that keep each thing in its place, read from the code itself."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import pytest

from bin._servers import ROOT

APPS = ("marketplace", "coaches", "payments", "bookings")
LONGEST_FILE = 400
LONGEST_FUNCTION = 50

# Who may import whom among our own packages. `marketplace` here is its ground: models, clock, lib.
MAY_IMPORT = {
    "marketplace": set(),
    "coaches": {"marketplace"},
    "payments": {"marketplace", "coaches"},
    "bookings": {"marketplace", "coaches", "payments"},
    "stripe_sandbox": set(),
}
# The top of the project, which puts the parts together and which no part may import.
TOP = {"settings", "urls", "api_urls", "dev_urls", "health_urls", "celery", "wsgi"}
# These files of `marketplace` put the apps together; the rest of it knows none of them.
TOP_FILES = {
    "views.py",
    "context.py",
    "admin_navigation.py",
    "management",
    "dev_views.py",
    *(f"{name}.py" for name in TOP),
}
# What people, programs and time reach first. They call services and selectors; nothing calls them.
EDGES = {"views", "api", "webhooks", "tasks", "admin", "management", "urls", "forms", "demo"}
STRIPE_FILES = {
    "payments/gateway/calls.py",
    "payments/stripe_failures.py",
    "payments/intake.py",
    "payments/mirror.py",
}
STRIPE_WORDS = ("stripe", "connected account", "payment_intent")
LEDGER_MODELS = {"LedgerAccount", "LedgerTransaction", "LedgerEntry"}
WRITING_CALLS = {"create", "bulk_create", "get_or_create", "update_or_create"}


@dataclass(frozen=True)
class Source:
    """One file of ours. `path` is relative to the repository, with forward slashes."""

    path: str
    text: str

    @property
    def app(self) -> str:
        return self.path.split("/")[0]

    @property
    def inside(self) -> str:
        """Its first name inside the app: a module or a package."""
        return self.path.split("/")[1]

    @property
    def tree(self) -> ast.Module:
        return _parse(self.text)

    @property
    def is_test(self) -> bool:
        return "/tests/" in self.path or self.path.endswith("conftest.py")

    @property
    def imports(self) -> set[str]:
        """Dotted names of all that is imported, anywhere in the file: "a", and "a.b" for `from a import b`."""
        found: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {name.name for name in node.names}
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found |= {node.module} | {f"{node.module}.{name.name}" for name in node.names}
        return found

    def imports_from(self, package: str) -> bool:
        return any(name.split(".")[0] == package for name in self.imports)


@cache
def _parse(text: str) -> ast.Module:
    return ast.parse(text)


@cache
def sources() -> tuple[Source, ...]:
    """All our Python but migrations and tests."""
    paths = [path for app in (*APPS, "stripe_sandbox", "bin") for path in (ROOT / app).rglob("*.py")]
    found = (Source(path.relative_to(ROOT).as_posix(), path.read_text()) for path in sorted(paths))
    return tuple(source for source in found if "/migrations/" not in source.path and not source.is_test)


def of(app: str) -> list[Source]:
    return [source for source in sources() if source.app == app]


def names(offenders: Iterator[Source] | list[Source]) -> list[str]:
    return [source.path for source in offenders]


# --- who imports whom ---------------------------------------------------------------------------


@pytest.mark.parametrize("app", ["coaches", "payments", "bookings", "stripe_sandbox"])
def test_an_app_imports_only_what_lies_below_it(app: str) -> None:
    forbidden = {*APPS, "stripe_sandbox"} - {app} - MAY_IMPORT[app]
    assert names(source for source in of(app) if any(source.imports_from(other) for other in forbidden)) == []


def test_the_ground_imports_no_app() -> None:
    ground = (source for source in of("marketplace") if source.inside not in TOP_FILES)
    assert names(s for s in ground if any(s.imports_from(app) for app in ("coaches", "payments", "bookings"))) == []


def test_nobody_imports_the_top_of_the_project() -> None:
    apart = (source for source in sources() if source.app in {"coaches", "payments", "bookings"})
    assert names(s for s in apart if s.imports & {f"marketplace.{name}" for name in TOP}) == []


def test_the_sandbox_is_a_program_of_its_own() -> None:
    assert (
        names(
            source for source in sources() if source.app != "stripe_sandbox" and source.imports_from("stripe_sandbox")
        )
        == []
    )
    assert (
        names(source for source in of("stripe_sandbox") if source.imports_from("django") or source.imports_from("bin"))
        == []
    )


def test_only_four_files_import_stripe() -> None:
    ours = (source for source in sources() if source.app in APPS)
    assert {source.path for source in ours if source.imports_from("stripe")} <= STRIPE_FILES


def test_only_the_mirror_and_the_admin_import_djstripe() -> None:
    importing = [source for source in sources() if source.app in APPS and source.imports_from("djstripe")]
    assert names(s for s in importing if s.path != "payments/mirror.py" and not s.inside.startswith("admin")) == []


def test_coaches_know_no_word_of_stripe() -> None:
    assert names(source for source in of("coaches") if any(word in source.text.lower() for word in STRIPE_WORDS)) == []


def is_edge(inside: str) -> bool:
    """Also one of several of its kind: `calendar_views.py`."""
    return inside.removesuffix(".py").rpartition("_")[2] in EDGES


def is_edge_of(app: str, imported: str) -> bool:
    package, _, inside = imported.partition(".")
    return package == app and is_edge(inside.partition(".")[0])


@pytest.mark.parametrize("app", ["coaches", "payments", "bookings"])
def test_nothing_calls_back_up_to_the_edges(app: str) -> None:
    """Services, selectors and what they stand on know nothing of pages, endpoints, tasks and commands."""
    inner = [source for source in of(app) if not is_edge(source.inside) and source.inside != "apps.py"]
    called = {source.path: [name for name in source.imports if is_edge_of(app, name)] for source in inner}
    assert {path: edges for path, edges in called.items() if edges} == {}


def test_apps_use_each_other_through_services_and_selectors_not_edges() -> None:
    for source in sources():
        others = set(APPS) - {source.app, "marketplace"}
        if source.app in {"coaches", "payments", "bookings"}:
            assert not source.imports & {f"{app}.{edge}" for app in others for edge in EDGES - {"urls"}}, source.path


# --- who writes what ----------------------------------------------------------------------------


def test_only_transition_writes_the_status_of_a_booking() -> None:
    offenders = [
        source.path
        for source in of("bookings")
        if source.path != "bookings/transition.py" and any(_writes_status(node) for node in ast.walk(source.tree))
    ]
    assert offenders == []


def _writes_status(node: ast.AST) -> bool:
    """`x.status = ...`, `.update(status=...)`, or a name "status" among update_fields."""
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return any(isinstance(target, ast.Attribute) and target.attr == "status" for target in targets)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "update":
        return any(keyword.arg == "status" for keyword in node.keywords)
    if isinstance(node, ast.keyword) and node.arg == "update_fields":
        return "'status'" in ast.unparse(node.value)
    return False


def test_only_the_ledger_writes_the_books() -> None:
    offenders = [
        source.path
        for source in sources()
        if source.app in APPS
        and source.path != "payments/ledger.py"
        and any(_writes_books(n) for n in ast.walk(source.tree))
    ]
    assert offenders == []


def _writes_books(node: ast.AST) -> bool:
    """`LedgerEntry(...)`, or a writing call on `LedgerEntry.objects` and the like."""
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Name):
        return node.func.id in LEDGER_MODELS
    if isinstance(node.func, ast.Attribute) and node.func.attr in WRITING_CALLS | {"update", "delete"}:
        return any(isinstance(part, ast.Name) and part.id in LEDGER_MODELS for part in ast.walk(node.func))
    return False


def test_every_save_names_its_fields() -> None:
    """A save of all fields undoes what somebody else has written meanwhile."""
    offenders = [
        f"{source.path}:{node.lineno}"
        for source in sources()
        if source.app in {"coaches", "payments", "bookings"} and not source.inside.startswith("admin")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and _is_blind_save(node)
    ]
    assert offenders == []


def _is_blind_save(call: ast.Call) -> bool:
    is_save = isinstance(call.func, ast.Attribute) and call.func.attr == "save"
    return is_save and not {keyword.arg for keyword in call.keywords} & {"update_fields", "force_insert", "commit"}


# --- the clock ----------------------------------------------------------------------------------


def test_only_the_clock_reads_the_time() -> None:
    offenders = [
        f"{source.path}:{node.lineno}"
        for source in sources()
        if source.app in APPS and source.path != "marketplace/clock.py"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and _reads_time(node)
    ]
    assert offenders == []


def _reads_time(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute):
        return False
    owner = ast.unparse(call.func.value).split(".")[-1]
    return (owner, call.func.attr) in {
        ("datetime", "now"),
        ("datetime", "utcnow"),
        ("datetime", "today"),
        ("date", "today"),
        ("timezone", "now"),
        ("timezone", "localdate"),
    }


# --- sizes --------------------------------------------------------------------------------------


def _measured() -> list[Source]:
    tests = [path for app in (*APPS, "stripe_sandbox") for path in (ROOT / app).rglob("tests/**/*.py")]
    return [*sources(), *(Source(path.relative_to(ROOT).as_posix(), path.read_text()) for path in tests)]


def test_no_file_is_longer_than_a_reader_holds_in_mind() -> None:
    assert [
        s.path for s in _measured() if s.text.count("\n") > LONGEST_FILE and s.path != "marketplace/settings.py"
    ] == []


def test_no_function_is_longer_than_a_screen() -> None:
    offenders = [
        f"{source.path}:{node.name}"
        for source in _measured()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _length(node) > LONGEST_FUNCTION
    ]
    assert offenders == []


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the body: a long signature or docstring is no burden."""
    body = function.body[1:] if ast.get_docstring(function) and len(function.body) > 1 else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1


# --- templates ----------------------------------------------------------------------------------


def test_pages_load_nothing_from_elsewhere() -> None:
    """No CDN: what a page needs is served by us."""
    pages = [*(ROOT / "templates").rglob("*.html"), *(ROOT / "static").rglob("*.css")]
    offenders = [
        f"{path.relative_to(ROOT)}"
        for path in pages
        if any(
            mark in path.read_text()
            for mark in ('src="http', "src='http", 'rel="stylesheet" href="http', "url(http", "@import")
        )
    ]
    assert offenders == []


def test_the_rules_see_the_code() -> None:
    """A rule that finds nothing because it looks nowhere is no rule."""
    assert {source.app for source in sources()} == {*APPS, "stripe_sandbox", "bin"}
    assert _writes_status(ast.parse("booking.status = 'accepted'").body[0])
    assert _reads_time(ast.Call(ast.parse("datetime.datetime.now", mode="eval").body, [], []))
    assert _writes_books(ast.parse("LedgerEntry.objects.filter(pk=1).update(amount=2)", mode="eval").body)
    assert _is_blind_save(ast.Call(ast.parse("booking.save", mode="eval").body, [], []))
    assert "payments.models" in Source("bookings/x.py", "from payments.models import Payment").imports
