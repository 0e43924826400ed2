"""Stripe's search query language: `status:'succeeded' AND metadata['order']:'7'`, compiled to a test of objects.

Real search lags behind writes by up to a minute; this one finds what was written just before. The words of its refusals
are not documented, so they are the sandbox's own.
"""

import re
from collections.abc import Callable
from typing import Any

from .errors import StripeError, validation
from .world import Resource

Test = Callable[[Resource], bool]
MOST_CLAUSES = 10
_CLAUSE = re.compile(
    r"""\s*(?P<negated>-)?(?P<field>[a-z0-9_.]+)(\[\s*(?P<quote>["'])(?P<key>(?:\\.|(?!(?P=quote)).)*)(?P=quote)\s*\])?\s*"""
    r"""(?P<operator>:|~|>=|<=|>|<|=)\s*("(?P<double>(?:\\.|[^"\\])*)"|'(?P<single>(?:\\.|[^'\\])*)'|(?P<bare>null|-?[0-9]+|true|false))\s*""",
    re.IGNORECASE,
)
_JOINT = re.compile(r"(AND|OR)(?=[\s\-a-z])", re.IGNORECASE)
NUMBERS = frozenset({"amount", "created"})


def compiled(query: str, fields: frozenset[str]) -> Test:
    """What the query asks of an object. Raises StripeError 400 for one that cannot be read or names an unknown field."""
    tests: list[Test] = []
    joints: set[str] = set()
    position = 0
    while True:
        found = _CLAUSE.match(query, position)
        if found is None:
            raise _unreadable(query)
        tests.append(_clause(found, fields))
        position = found.end()
        if position == len(query):
            break
        joint = _JOINT.match(query, position)
        joints.add(joint.group(1).upper() if joint else "AND")
        position = joint.end() if joint else position
    if len(joints) > 1:
        raise validation("You cannot mix AND and OR in one search query.", "query")
    if len(tests) > MOST_CLAUSES:
        raise validation(f"A search query can have at most {MOST_CLAUSES} clauses.", "query")
    combine = any if "OR" in joints else all
    return lambda each: combine(test(each) for test in tests)


def _clause(found: re.Match[str], fields: frozenset[str]) -> Test:
    field, key, operator = found["field"].lower(), found["key"], found["operator"]
    if field not in fields or (key is not None) != (field == "metadata"):
        raise validation(f"Field `{field}` is an unsupported search field for this resource.", "query")
    quoted = found["double"] if found["double"] is not None else found["single"]
    wanted = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else found["bare"]
    absent = found["bare"] is not None and found["bare"].lower() == "null"
    test = _comparison(field, key, operator, wanted, absent)
    return (lambda each: not test(each)) if found["negated"] else test


def _comparison(field: str, key: str | None, operator: str, wanted: str, absent: bool) -> Test:
    path = ["metadata", key] if key is not None else field.split(".")
    if absent:
        return lambda each: _read(each, path) is None
    if operator == "~":
        if field in NUMBERS or len(wanted) < 3:
            raise validation("A substring search needs a text field and at least three characters.", "query")
        return lambda each: wanted.lower() in (_text(_read(each, path)) or "")
    if operator in (":", "="):
        return lambda each: wanted.lower() == _text(_read(each, path))
    if field not in NUMBERS or not wanted.lstrip("-").isdecimal():
        raise validation(f"The operator {operator} compares numbers; `{field}` cannot be compared so.", "query")
    limit = int(wanted)
    compare: dict[str, Callable[[int], bool]] = {
        ">": lambda value: value > limit,
        ">=": lambda value: value >= limit,
        "<": lambda value: value < limit,
        "<=": lambda value: value <= limit,
    }
    return lambda each: compare[operator](_read(each, path))


def _read(each: Any, path: list[str]) -> Any:
    value = each
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _text(value: Any) -> str | None:
    return None if value is None else str(value).lower()


def _unreadable(query: str) -> StripeError:
    return validation(
        f'We were unable to parse your search query: {query[:100]}. Try using the format `metadata["key"]:"value"` to query for '
        'metadata or key:"value" to query for other fields.',
        "query",
    )
