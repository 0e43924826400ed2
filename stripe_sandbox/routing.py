"""The table of endpoints. A resource module adds its own with `@route`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .errors import Json, validation
from .world import Resource, World


@dataclass(slots=True)
class Call:
    """One API call, checked: who calls, as which account, with which parameters."""

    world: World
    account: str
    params: Json
    path: dict[str, str]
    expand: list[str] = field(default_factory=list)
    api_key: str = ""
    stripe_version: str | None = None

    def now(self) -> int:
        return self.world.now()

    @property
    def on_platform(self) -> bool:
        return self.world.is_platform(self.account)

    def require(self, kind: str, name: str, *, param: str, label: str | None = None) -> Resource:
        """The object that the URL names, or a 404."""
        return self.world.require(kind, self.path[name], self.account, param=param, status=404, label=label)


Handler = Callable[[Call], Any]


@dataclass(slots=True)
class Route:
    handler: Handler
    params_type: str | None
    path: str


_EXACT: dict[tuple[str, str], Route] = {}
_PATTERNS: dict[tuple[str, int], list[tuple[list[str], Route]]] = {}


def route(method: str, path: str, params_type: str | None) -> Callable[[Handler], Handler]:
    """Registers a handler. `params_type` is the `stripe.params` class that its parameters are checked against."""

    def register(handler: Handler) -> Handler:
        parts = path.strip("/").split("/")
        entry = Route(handler, params_type, path)
        if "{" in path:
            _PATTERNS.setdefault((method, len(parts)), []).append((parts, entry))
        else:
            _EXACT[(method, path)] = entry
        return handler

    return register


def match(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    found = _EXACT.get((method, path))
    if found:
        return found, {}
    parts = path.strip("/").split("/")
    for pattern, entry in _PATTERNS.get((method, len(parts)), ()):
        values: dict[str, str] = {}
        for expected, given in zip(pattern, parts, strict=True):
            if expected.startswith("{"):
                values[expected[1:-1]] = given
            elif expected != given:
                break
        else:
            return entry, values
    return None


def endpoints() -> list[str]:
    """`METHOD /path` of everything that is built, sorted."""
    patterns = [f"{method} /{'/'.join(parts)}" for (method, _), group in _PATTERNS.items() for parts, _ in group]
    return sorted([f"{method} {path}" for method, path in _EXACT] + patterns, key=lambda each: each.split()[1] + each)


def metadata(current: Json, changes: Any) -> Json:
    """The metadata after an update: given keys replace, an empty value deletes its key, an empty string clears all."""
    if changes is None:
        return current
    if changes == "":
        return {}
    for key, value in changes.items():
        if "[" in key or "]" in key:
            raise validation("Metadata keys cannot contain square brackets.", "metadata")
        if len(key) > 40:
            raise validation(
                f"Metadata keys can only be up to 40 characters long. You passed a key of {len(key)} characters.",
                "metadata",
            )
        if len(value) > 500:
            raise validation(
                f"Metadata values can have up to 500 characters, but you passed in a value that is {len(value)} characters. "
                f"Invalid value: {value[:20]}",
                f"metadata[{key}]",
            )
    merged = {key: value for key, value in {**current, **changes}.items() if value != ""}
    if len(merged) > 50:
        raise validation("Metadata can have up to 50 keys.", "metadata")
    return merged
