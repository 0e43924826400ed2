"""What every test may use: the database, the sandbox, the browser and the cast."""

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django
import pytest

from marketplace.tests.environment import Environment, allow_this_machine_only

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page
    from pytest_django.plugin import DjangoDbBlocker

    from coaches.models import Coach, Offering
    from marketplace.models import User
    from marketplace.tests.sandbox import Sandbox

ENVIRONMENT = pytest.StashKey[Environment]()
CI = os.environ.get("CI") == "true"
LONGEST_NAME = 100
# For what comes by itself, on a machine that does much else. What comes sooner costs nothing of it.
PATIENCE_MS = 30_000


# --- the run ------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--embedded", action="store_true", help="the tests marked so, on SQLite and the embedded Valkey")


def pytest_configure(config: pytest.Config) -> None:
    environment = Environment(embedded=config.getoption("--embedded"))
    config.stash[ENVIRONMENT] = environment
    config.add_cleanup(environment.stack.close)
    environment.prepare(os.environ.get("PYTEST_XDIST_WORKER", ""))
    if CI and environment.missing:
        pytest.exit("\n".join(environment.missing), returncode=1)
    django.setup()
    # Argon2 takes its time on purpose. The product's own processes keep to it.
    django.conf.settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    # A worker process that found this would load Django before it has its own environment.
    del os.environ["DJANGO_SETTINGS_MODULE"]
    allow_this_machine_only()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Before pytest itself chooses by `-m`."""
    _leave_to_ci(items)
    if config.getoption("--embedded"):
        left_out = [item for item in items if not item.get_closest_marker("embedded")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item.get_closest_marker("embedded")]


def pytest_make_parametrize_id(val: object) -> str | None:
    """Megabytes of hostile text make no good names: each report of a worker carries its test's."""
    if isinstance(val, str | bytes) and len(val) > LONGEST_NAME:
        return f"{val[:20]!r} and so on, {len(val)} long"
    return None


def _leave_to_ci(items: list[pytest.Item]) -> None:
    """Of a table that is marked `everyday(n)`, all but the first n cases are thorough."""
    seen: Counter[str] = Counter()
    for item in items:
        table = item.nodeid.partition("[")[0]
        seen[table] += 1
        marked = item.get_closest_marker("everyday")
        if marked and seen[table] > marked.args[0]:
            item.add_marker(pytest.mark.thorough)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash[ENVIRONMENT].missing:
        terminalreporter.write_line(f"missing: {line}", yellow=True)


# --- the database -------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None, django_db_blocker: "DjangoDbBlocker", request: pytest.FixtureRequest
) -> Iterator[None]:
    """A copy of the template, which has real migrations. After a test that commits, it is as fresh as before.

    Django would empty each table instead: slow with dj-stripe's many, and refused by those that are append-only.
    """
    from django.db import connections
    from django.test import TransactionTestCase

    from bin import _template
    from marketplace.tests import leftovers

    store, settings = _template.store(), connections["default"].settings_dict
    name = _database_name(os.environ.get("PYTEST_XDIST_WORKER", "main"))
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with django_db_blocker.unblock(), capture.global_and_fixture_disabled():
        template = store.ensure_template()
    store.copy(template, name)
    settings["NAME"] = settings["TEST"]["NAME"] = name
    settings["CONN_MAX_AGE"] = 0
    with django_db_blocker.unblock():
        before = leftovers.ground()
        connections.close_all()

    def begin_afresh(_case: TransactionTestCase) -> None:
        if before is None or not leftovers.removed(before):
            connections.close_all()
            store.copy(template, name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", begin_afresh)
        yield
    connections.close_all()
    store.drop(name)


@pytest.fixture
def subprocess_env(transactional_db: None) -> dict[str, str]:
    """The environment for a process of the product (a worker, a command) on the test's database, Redis and sandbox."""
    from django.db import connection

    if connection.vendor != "postgresql":
        pytest.skip("PostgreSQL is not installed: other processes can't be pointed at the test's SQLite file.")
    url = os.environ["DATABASE_URL"].rsplit("/", 1)[0] + f"/{connection.settings_dict['NAME']}"
    return {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "marketplace.settings"}


def _database_name(worker: str) -> str:
    from django.db import connection

    from bin import _template

    name = f"holdfast_test_{os.getpid()}_{worker}"
    if connection.vendor == "sqlite":
        return str(_template.FOLDER.parent / "tests" / f"{name}.sqlite3")
    return name


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    """Rate limits and throttles live in the cache: no test may meet another's."""
    from django.core.cache import cache

    yield
    cache.clear()


# --- Stripe -------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def sandbox_process(request: pytest.FixtureRequest) -> "Iterator[Sandbox]":
    from marketplace.tests.sandbox import Sandbox

    sandbox = Sandbox(request.config.stash[ENVIRONMENT].sandbox_port)
    yield sandbox
    sandbox.stop()


@pytest.fixture
def sandbox(sandbox_process: "Sandbox") -> "Iterator[Sandbox]":
    """A real Stripe sandbox over HTTP, empty, and in which it is always the same day."""
    sandbox_process.begin()
    yield sandbox_process
    sandbox_process.reset()


@pytest.fixture
def webhooks(sandbox: "Sandbox", live_server: Any, settings: Any) -> None:
    """The sandbox reports to the live server: platform events and connected accounts' events, by a secret each."""
    settings.STRIPE_WEBHOOK_SECRETS = [sandbox.register_webhook(f"{live_server.url}/stripe/webhooks/", connect=False)]
    settings.STRIPE_CONNECT_WEBHOOK_SECRETS = [
        sandbox.register_webhook(f"{live_server.url}/stripe/webhooks/connect/", connect=True)
    ]


# --- the browser --------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """The system's Chromium, which reaches nothing beyond this machine."""
    from playwright.sync_api import expect, sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    if not program:
        if CI:
            pytest.fail("Chromium is not installed.")
        pytest.skip("Chromium is not installed.")
    arguments = [
        "--no-sandbox",
        "--disable-dev-shm-usage",
        # Where a page is looked at while a colour is on its way to another one, axe may find too little contrast.
        "--force-prefers-reduced-motion",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    ]
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=arguments)
        yield running
        running.close()


@pytest.fixture
def page(browser: "Browser", tmp_path: Path) -> "Iterator[Page]":
    """An empty browser window, 1280 px wide; what the page logged as an error fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB", timezone_id="Europe/Berlin")
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE_MS)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    context.close()
    assert errors == []


# --- the cast -----------------------------------------------------------------------------------


@pytest.fixture
def student(db: None) -> "User":
    from marketplace.tests.factories import UserFactory

    return UserFactory.create(email="student@example.com", name="Sam Student")


@pytest.fixture
def stranger(db: None) -> "User":
    from marketplace.tests.factories import UserFactory

    return UserFactory.create(email="stranger@example.com", name="Alex Stranger")


@pytest.fixture
def staff(db: None) -> "User":
    from marketplace.tests.factories import UserFactory

    return UserFactory.create(email="staff@example.com", name="Olga Operator", is_staff=True, is_superuser=True)


@pytest.fixture
def coach(db: None) -> "Coach":
    """Open all week, with one offering (`offering`)."""
    from marketplace.tests.factories import CoachFactory, UserFactory, open_all_week

    made = CoachFactory.create(
        user=UserFactory.create(email="coach@example.com", name="Carla Coach"), slug="carla-coach"
    )
    open_all_week(made)
    return made


@pytest.fixture
def offering(coach: "Coach") -> "Offering":
    from marketplace.tests.factories import OfferingFactory

    return OfferingFactory.create(coach=coach)
