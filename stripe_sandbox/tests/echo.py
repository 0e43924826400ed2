"""Sends each parameter of an endpoint that an answer's field is named after, and tells which do not come back."""

from collections.abc import Iterator
from typing import Any, get_args, get_origin
from urllib.parse import urlencode

from stripe._object_classes import get_object_class

from stripe_sandbox.schema import Node, schema
from stripe_sandbox.shapes import annotations_of, classes_in

from .conftest import Sandbox

# What a parameter of this name may be, where not any text, number or switch will do.
BY_NAME: dict[str, Any] = {
    "account_holder_type": "company",
    "country": "US",
    "currency": "usd",
    "date": 1_700_000_000,
    "day": 2,
    "default_currency": "usd",
    "email": "sam@example.com",
    "interval": "weekly",
    "ip": "127.0.0.1",
    "locale": "fr",
    "mcc": "5734",
    "month": 3,
    "postal_code": "94103",
    "year": 1980,
}


def lost(sandbox: Sandbox, path: str, params_type: str, base: dict[str, Any], values: dict[str, Any]) -> dict[str, str]:
    """Parameter -> what came back instead. `values` are those that this endpoint needs, None for one to leave alone."""
    kind = post(sandbox, path, base)[1]["object"]
    node, hints = schema(params_type), annotations_of(get_object_class("V1", kind))
    found: dict[str, str] = {}
    for name, inner in (node.fields or {}).items():
        if name not in hints or (name in values and values[name] is None):
            continue
        value = values[name] if name in values else example(inner, hints[name], name)
        if value is None:
            continue
        status, body = post(sandbox, path, {**base, name: value})
        if status != 200:
            found[name] = f"{status} {body['error']['message']} for {value}"
        else:
            found |= dict(missing(value, body.get(name), name))
    return found


def example(node: Node, hint: Any, name: str) -> Any:
    """A value for the parameter of what the field can hold too; None when the two are not of one kind."""
    if BY_NAME.get(name) and str(hint) != "<class 'int'>":
        return BY_NAME[name]
    nested = next(classes_in(hint), None)
    if node.fields is not None:
        if nested is None or hasattr(nested, "OBJECT_NAME"):
            return None
        inner = annotations_of(nested)
        given = {key: example(each, inner[key], key) for key, each in node.fields.items() if key in inner}
        return {key: each for key, each in given.items() if each is not None} or None
    if node.item is not None:
        items = [each for each in (hint, *get_args(hint)) if get_origin(each) is list]
        item = example(node.item, get_args(items[0])[0], name) if items else None
        return None if item is None else [item]
    if node.values is not None:
        return {"key": "kept"} if "str" in node.values.scalars else None
    return _scalar(node, hint, name)


def _scalar(node: Node, hint: Any, name: str) -> Any:
    kinds = {getattr(each, "__name__", "") for each in (hint, *get_args(hint))}
    if node.literals:
        return node.literals[-1]
    if "int" in node.scalars:
        return 3 if "int" in kinds else None
    if "bool" in node.scalars:
        return True if "bool" in kinds else None
    if "str" in node.scalars and "str" in kinds:
        return "https://shop.test/page" if name.endswith("url") else "some words"
    return None


def missing(sent: Any, got: Any, path: str) -> Iterator[tuple[str, str]]:
    """What of a value is not in the field."""
    if isinstance(sent, dict) and isinstance(got, dict):
        for name, value in sent.items():
            yield from missing(value, got.get(name), f"{path}.{name}")
    elif isinstance(sent, list) and isinstance(got, list) and len(sent) == len(got):
        for one, other in zip(sent, got, strict=True):
            yield from missing(one, other, path)
    elif sent != got:
        yield path, repr(got)


def post(sandbox: Sandbox, path: str, params: dict[str, Any], **headers: str) -> tuple[int, Any]:
    return sandbox.raw("POST", path, urlencode(list(_pairs(params, ""))).encode(), **headers)[:2]


def _pairs(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _pairs(each, f"{name}[{key}]" if name else key)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _pairs(each, f"{name}[{index}]")
    else:
        yield name, str(value).lower() if isinstance(value, bool) else str(value)


def parameters(params_type: str) -> list[str]:
    """The names of all that an endpoint takes."""
    return list(schema(params_type).fields or {})
