"""What goes out: expansion, list pages, and JSON."""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from typing import Any

from . import shapes
from .errors import Json, StripeError, no_such, validation
from .routing import Call
from .world import Resource, World

MAX_EXPANSION = 4
# Fields that exist only when expanded: (object type, field) -> how to make them.
Included = Callable[[World, Resource], Any]
included: dict[tuple[str, str], Included] = {}


def to_json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def answer(body: Any) -> str:
    """What goes out to the client: complete, as JSON."""
    return to_json(shapes.complete(body))


def expand(world: World, body: Any, paths: Iterable[str]) -> Any:
    """The body with the named ids replaced by their objects; the stored objects stay as they are."""
    for path in paths:
        body = _expand(world, body, path.split("."), path, first=True)
    return body


def check_depth(paths: Iterable[str]) -> None:
    """Refuses paths that go too deep; known before anything is done, unlike what an object can expand."""
    for path in paths:
        if path.count(".") >= MAX_EXPANSION:
            raise StripeError(
                f"You cannot expand more than 4 levels of a property. Property: {path}",
                code="property_expansion_max_depth",
            )


def _expand(world: World, body: Any, parts: list[str], whole: str, *, first: bool) -> Any:
    if not isinstance(body, dict):
        return body
    if body.get("object") == "list" and parts[0] == "data":
        return {
            **body,
            "data": [
                _expand(world, item, parts[1:], whole, first=first) if parts[1:] else item for item in body["data"]
            ],
        }
    name, kind = parts[0], str(body.get("object"))
    if first and name not in shapes.expandable(kind) and not isinstance(body.get(name), dict):
        raise validation(f"This property cannot be expanded ({whole}).", "expand[0]")
    if first and name == "metadata":
        raise validation(f"This property cannot be expanded ({whole}).", "expand[0]")
    if not first and name not in body and (kind, name) not in included:
        return body  # Stripe checks the first part of a path alone
    value = _opened(world, body, kind, name)
    if len(parts) > 1:
        value = (
            [_expand(world, each, parts[1:], whole, first=False) for each in value]
            if isinstance(value, list)
            else _expand(world, value, parts[1:], whole, first=False)
        )
    return {**body, name: value}


def _opened(world: World, body: Json, kind: str, name: str) -> Any:
    make = included.get((kind, name))
    if make is not None:
        return make(world, world.get(str(body["id"])))
    value = body.get(name)
    if isinstance(value, list):
        return [world.state.objects.get(item, item) if isinstance(item, str) else item for item in value]
    return world.state.objects.get(value, value) if isinstance(value, str) else value


def list_of(items: list[Any], url: str, *, has_more: bool = False) -> Json:
    return {"object": "list", "data": items, "has_more": has_more, "url": url}


def page(
    call: Call,
    kind: str,
    url: str,
    filters: dict[str, Callable[[Resource], Any]] | None = None,
    *,
    only: Callable[[Resource], bool] | None = None,
    within: list[Resource] | None = None,
) -> Json:
    """One page of the account's objects, newest first, with Stripe's cursors and filters.

    `filters` maps a parameter to how its value is read from an object; `created` works everywhere. `within` is the oldest-first
    list to page through when it is not all objects of the type.
    """
    params, world = call.params, call.world
    source = world.all(kind, call.account) if within is None else within
    tests: list[Callable[[Resource], bool]] = [only] if only else []
    for name, read in (filters or {}).items():
        if name in params:
            tests.append(_equals(read, params[name]))
    if "created" in params:
        tests.append(in_range("created", params["created"]))
    limit = min(max(params.get("limit", 10), 1), 100)
    after, before = params.get("starting_after"), params.get("ending_before")
    if after and before:
        raise validation(
            "Received both starting_after and ending_before parameters. Please pass in only one.", "starting_after"
        )
    if before:
        cursor = _cursor(call, source, kind, before, "ending_before")
        chosen = _take(source[bisect_right(source, cursor, key=_sequence) :], tests, limit + 1)
        return list_of(chosen[:limit][::-1], url, has_more=len(chosen) > limit)
    newest_first: Iterable[Resource] = reversed(source)
    if after:
        cursor = _cursor(call, source, kind, after, "starting_after")
        newest_first = reversed(source[: bisect_left(source, cursor, key=_sequence)])
    chosen = _take(newest_first, tests, limit + 1)
    return list_of(chosen[:limit], url, has_more=len(chosen) > limit)


def _take(source: Iterable[Resource], tests: list[Callable[[Resource], bool]], count: int) -> list[Resource]:
    chosen: list[Resource] = []
    for each in source:
        if all(test(each) for test in tests):
            chosen.append(each)
            if len(chosen) == count:
                break
    return chosen


def _sequence(each: Resource) -> int:
    return each.sequence


def _cursor(call: Call, source: list[Resource], kind: str, id: str, param: str) -> int:
    """The place of an object in the list; a deleted one of the caller's own still has its place."""
    found = call.world.state.objects.get(id)
    if found is None or found["object"] != kind or (found.account != call.account and found not in source):
        raise no_such(kind, id, param=param)
    return found.sequence


def _equals(read: Callable[[Resource], Any], wanted: Any) -> Callable[[Resource], bool]:
    return lambda each: bool(read(each) == wanted)


def in_range(field: str, wanted: Any) -> Callable[[Resource], bool]:
    """A test for `created=5` or `created[gte]=5`."""
    if not isinstance(wanted, dict):
        return lambda each: bool(each[field] == wanted)
    low = max(wanted.get("gte", 0), wanted.get("gt", -1) + 1)
    high = min(wanted.get("lte", 2**62), wanted.get("lt", 2**62) - 1)
    return lambda each: bool(low <= each[field] <= high)


def by(field: str) -> Callable[[Resource], Any]:
    """Reads a field for `page`'s filters."""
    return lambda each: each[field]
