"""Walks an answer against the package's classes: every field there, none that no class names, every value of its type."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, ForwardRef, Literal, get_args, get_origin

from stripe._list_object import ListObject
from stripe._object_classes import get_object_class
from stripe._stripe_object import StripeObject, UntypedStripeObject

from stripe_sandbox.shapes import OMITTED, PAYMENT_METHOD_FIELDS, SPARSE, annotations_of, classes_in

# Fields that Stripe sends and that the package's classes do not name.
EXTRA: dict[str, str] = {}
# Values beyond those that the package's classes list.
OPEN: dict[str, str] = {}
LISTS = ("list", "search_result")


def faults(answer: Any) -> Iterator[str]:
    """What is wrong with the objects in an answer, wherever in it they stand; nothing when all is right."""
    if isinstance(answer, list):
        for each in answer:
            yield from faults(each)
    elif isinstance(answer, dict) and is_resource(answer):
        yield from _resource_faults(answer)
    elif isinstance(answer, dict):
        for each in answer.values():
            yield from faults(each)


def is_resource(value: dict[str, Any]) -> bool:
    return isinstance(value.get("object"), str) and value["object"] not in LISTS


def _resource_faults(body: dict[str, Any]) -> Iterator[str]:
    kind = body["object"]
    if body.get("deleted"):
        if set(body) - {"id", "object", "deleted", "currency"}:
            yield f"{kind} is deleted and has more fields"
        return
    yield from _object_faults(body, get_object_class("V1", kind), kind)


def _object_faults(body: dict[str, Any], holder: Any, path: str) -> Iterator[str]:
    hints = annotations_of(holder)
    for name in set(body) - set(hints):
        if f"{path}.{name}" not in EXTRA:
            yield f"{path}.{name} is not of the class"
    for name, hint in hints.items():
        if name in body:
            yield from _value_faults(body[name], hint, f"{path}.{name}")
        elif not _may_be_absent(hint, path, name):
            yield f"{path}.{name} is missing"


def _may_be_absent(hint: Any, path: str, name: str) -> bool:
    if path == "payment_method":
        return name not in PAYMENT_METHOD_FIELDS  # the keys of the other types
    return name in OMITTED.get(path, ()) or (path in SPARSE and type(None) in get_args(hint))


def _value_faults(value: Any, hint: Any, path: str) -> Iterator[str]:
    if hint is Any:
        yield from faults(value)
    elif isinstance(value, dict):
        yield from _mapping_faults(value, hint, path)
    elif isinstance(value, list):
        items = [get_args(each)[0] for each in _alternatives(hint) if get_origin(each) is list]
        if not items:
            yield f"{path} is a list"
        for each in value if items else ():
            yield from _value_faults(each, items[0], path)
    elif not _fits(value, hint, path):
        yield f"{path} is {value!r}"


def _mapping_faults(value: dict[str, Any], hint: Any, path: str) -> Iterator[str]:
    alternatives = _alternatives(hint)
    mappings = [each for each in alternatives if get_origin(each) in (dict, UntypedStripeObject)]
    nested = [each for each in classes_in(hint) if not hasattr(each, "OBJECT_NAME")]
    if is_resource(value) and any(
        isinstance(each, ForwardRef) or hasattr(each, "OBJECT_NAME") for each in alternatives
    ):
        yield from _resource_faults(value)
    elif value.get("object") in LISTS and any(get_origin(each) is ListObject for each in alternatives):
        yield from faults(value["data"])
    elif mappings:
        for name, each in value.items():
            yield from _value_faults(each, get_args(mappings[0])[-1], f"{path}.{name}")
    elif nested:
        yield from _object_faults(value, nested[0], path)
    elif value or not any(isinstance(each, type) and issubclass(each, StripeObject) for each in alternatives):
        yield f"{path} is a hash"


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return (hint,) if isinstance(hint, (type, ForwardRef)) or get_origin(hint) in _HOLDERS else get_args(hint)


_HOLDERS = (list, dict, Literal, ListObject, UntypedStripeObject)


def _fits(value: Any, hint: Any, path: str) -> bool:
    """Whether null, a number, a switch or a text is what the annotation names; a list of values is complete."""
    alternatives = _alternatives(hint)
    if isinstance(value, str):
        listed = [word for each in alternatives if get_origin(each) is Literal for word in get_args(each)]
        if listed:
            return value in listed or path in OPEN
        return str in alternatives or Decimal in alternatives
    if isinstance(value, float):
        return float in alternatives
    return type(value) in alternatives or (type(value) is int and float in alternatives)
