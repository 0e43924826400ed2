"""Checks parameters against the TypedDicts of the installed `stripe` package, in Stripe's words.

The package's types are a little looser than the API: enums are open (`Literal[...] | str`) and mean the closed
enum here, except where the API itself is open (`OPEN_ENUMS`).
"""

import functools
import importlib
import types
import typing
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Union, get_args, get_origin

import typing_extensions as te
from stripe import StripeContext
from stripe._request_options import RequestOptions
from stripe._stripe_object import StripeObject

from . import lengths
from .errors import Json, missing_param, validation
from .forms import Numbered

# Names that the package imports for type checkers only.
_LOCALS: dict[str, Any] = {"StripeContext": StripeContext, "Mapping": typing.Mapping}
_REQUEST_OPTIONS = frozenset(RequestOptions.__annotations__)
OPEN_ENUMS = frozenset({"api_version", "mcc"})


@dataclass(slots=True)
class Node:
    """What one parameter may be. Several kinds at once stand for a union."""

    fields: dict[str, "Node"] | None = None
    required: tuple[str, ...] = ()
    item: "Node | None" = None
    values: "Node | None" = None
    literals: tuple[str, ...] = ()
    scalars: set[str] = field(default_factory=set)
    unsettable: bool = False
    anything: bool = False


def check(params_type: str, params: Json) -> Json:
    """The parameters with numbers and booleans in their own types.

    Raises StripeError: unknown parameters first, as Stripe does, then the first other fault.
    """
    node = schema(params_type)
    _refuse_unknown(node, params, "")
    return typing.cast(Json, _value(node, params, ""))


@functools.cache
def schema(params_type: str) -> Node:
    """The tree for a params class such as `PaymentIntentCreateParams` or `checkout.SessionCreateParams`."""
    package, _, name = ("stripe.params." + params_type).rpartition(".")
    return _from_typed_dict(getattr(importlib.import_module(package), name))


@functools.cache
def _from_typed_dict(params_class: Any) -> Node:
    hints = te.get_type_hints(params_class, localns=_LOCALS, include_extras=True)
    hidden = _REQUEST_OPTIONS if set(hints) >= _REQUEST_OPTIONS else frozenset()
    node = Node(fields={}, required=tuple(sorted(params_class.__required_keys__ - hidden)))
    assert node.fields is not None
    for name, hint in hints.items():
        if name not in hidden:
            node.fields[name] = _from_hint(hint, name)
    return node


def _from_hint(hint: Any, name: str) -> Node:
    node = Node()
    _absorb(node, hint, name)
    if node.literals and "str" in node.scalars and name not in OPEN_ENUMS:
        node.scalars.discard("str")
    return node


def _absorb(node: Node, hint: Any, name: str) -> None:  # noqa: C901 - one branch for each kind of annotation
    origin = get_origin(hint)
    if origin in (te.NotRequired, typing.NotRequired, te.Required, typing.Required):
        _absorb(node, get_args(hint)[0], name)
    elif origin in (Union, types.UnionType):
        for alternative in get_args(hint):
            _absorb(node, alternative, name)
    elif origin is Literal:
        node.unsettable = node.unsettable or "" in get_args(hint)
        node.literals += tuple(value for value in get_args(hint) if value != "")
    elif origin is list:
        node.item = _from_hint(get_args(hint)[0], name)
    elif origin is dict:
        node.values = _from_hint(get_args(hint)[1], name)
    elif isinstance(hint, type) and hasattr(hint, "__required_keys__"):
        inner = _from_typed_dict(hint)
        if node.fields is None:
            node.fields, node.required = dict(inner.fields or {}), inner.required
        else:  # a union of shapes, such as a bank account or a card: either may be given
            for key, other in (inner.fields or {}).items():
                node.fields[key] = _either(node.fields.get(key), other)
            node.required = tuple(set(node.required) & set(inner.required))
    elif hint is Any:
        node.anything = True
    elif isinstance(origin or hint, type) and not issubclass(origin or hint, StripeObject):
        node.scalars.add(getattr(hint, "__name__", "str"))


def _either(one: Node | None, other: Node) -> Node:
    """A field that two shapes of a union have, such as `object`, may have the values of both."""
    if one is None:
        return other
    literals = tuple(dict.fromkeys(one.literals + other.literals))
    return replace(other, literals=literals, scalars=one.scalars | other.scalars)


def _refuse_unknown(node: Node, value: Any, path: str) -> None:
    if isinstance(value, dict) and node.fields is not None and node.values is None:
        for key, item in value.items():
            here = f"{path}[{key}]" if path else key
            if key not in node.fields:
                raise validation(f"Received unknown parameter: {here}", here, "parameter_unknown")
            if isinstance(item, (dict, list)):
                _refuse_unknown(node.fields[key], item, here)
    elif isinstance(value, list) and node.item is not None:
        for index, item in enumerate(value):
            _refuse_unknown(node.item, item, f"{path}[{index}]")


def _value(node: Node, value: Any, path: str) -> Any:
    if node.anything:
        return value
    if isinstance(value, dict):
        return _mapping(node, value, path)
    if isinstance(value, list):
        if node.item is not None:
            return [_value(node.item, item, f"{path}[{index}]") for index, item in enumerate(value)]
        if node.values is not None:  # metadata whose keys happen to be numbers
            keys = value.keys if isinstance(value, Numbered) else map(str, range(len(value)))
            return _mapping(node, dict(zip(keys, value, strict=True)), path)
        raise validation("Invalid object" if node.fields is not None else f"Invalid string: {value}", path)
    return _scalar(node, value, path)


def _mapping(node: Node, value: Json, path: str) -> Json:
    if node.fields is not None:
        for name in node.required:
            if name not in value:
                raise missing_param(f"{path}[{name}]" if path else name)
        fields = node.fields
        return {key: _value(fields[key], item, f"{path}[{key}]" if path else key) for key, item in value.items()}
    if node.values is not None:
        return {key: _value(node.values, item, f"{path}[{key}]") if item != "" else "" for key, item in value.items()}
    raise validation("Invalid array" if node.item is not None else f"Invalid string: {value}", path)


def _scalar(node: Node, text: str, path: str) -> Any:
    if text == "":
        if node.unsettable:
            return ""
        raise validation(
            f"You passed an empty string for '{path}'. We assume empty values are an attempt to unset a parameter; however '{path}' "
            f"cannot be unset. You should remove '{path}' from your request or supply a non-empty value.",
            path,
            "parameter_invalid_empty",
        )
    if text in node.literals:
        return text
    scalars = node.scalars
    if "int" in scalars and _is_integer(text):
        return int(text)
    if "bool" in scalars and text in ("true", "false"):
        return text == "true"
    if "float" in scalars or "Decimal" in scalars:
        return _decimal(text, path)
    if "str" in scalars:
        lengths.check(text, path)
        return text
    raise _mistyped(node, text, path)


def _is_integer(text: str) -> bool:
    digits = text[1:] if text[0] in "+-" else text
    return digits.isascii() and digits.isdecimal() and len(digits) <= 18


def _decimal(text: str, path: str) -> str:
    try:
        float(text)
    except ValueError:
        raise validation(f"Invalid decimal: {text}", path) from None
    return text


def _mistyped(node: Node, text: str, path: str) -> Exception:
    if node.literals:
        choices = list(node.literals)
        listed = f"{', '.join(choices[:-1])}, or {choices[-1]}" if len(choices) > 2 else " or ".join(choices)
        return validation(f"Invalid {path}: must be one of {listed}", path)
    if "int" in node.scalars:
        return validation(f"Invalid integer: {text}", path, "parameter_invalid_integer")
    if "bool" in node.scalars:
        return validation(f"Invalid boolean: {text}", path)
    return validation("Invalid array" if node.item is not None else "Invalid object", path)
