"""Form bodies and query strings as Stripe reads them: `a[b]=1`, `a[0]=1`, `a[]=1`, nested in any way."""

from typing import Any
from urllib.parse import unquote_plus

from .errors import Json, validation

MAX_DEPTH = 12
MAX_PAIRS = 5000
MAX_INDEX_DIGITS = 9


def decode(raw: bytes) -> Json:
    """The nested parameters of an urlencoded string. Lists come out as lists, every leaf as a string.

    Raises StripeError (400) for bytes that are not UTF-8, for keys nested too deeply or that contradict each other.
    """
    pairs = raw.split(b"&") if raw else []
    if len(pairs) > MAX_PAIRS:
        raise validation("Invalid request: too many parameters.")
    split = (pair.partition(b"=") for pair in pairs if pair)
    return decode_pairs([(_text(key), _text(value)) for key, _, value in split])


def decode_pairs(pairs: list[tuple[str, str]]) -> Json:
    """The nested parameters of keys such as `a[b]` with their values."""
    root: Json = {}
    for key, value in pairs:
        _put(root, _path(key), value)
    return {key: _settle(value) for key, value in root.items()}


def _text(raw: bytes) -> str:
    try:
        return unquote_plus(raw.decode("ascii"), errors="strict")
    except UnicodeDecodeError as error:
        raise validation("Invalid request: the body is not valid form-encoded UTF-8.") from error


def _path(key: str) -> list[str]:
    if not key.endswith("]"):
        return [key]
    head, _, rest = key.partition("[")
    parts = [head, *rest[:-1].split("][")]
    if len(parts) > MAX_DEPTH:
        raise validation(f"Invalid request: the parameter {key[:60]} is nested too deeply.")
    return parts


class Numbered(list[Any]):
    """A list given with its indexes; `keys` has them as they were written, for where they turn out to be names."""

    def __init__(self, items: list[Any], keys: list[str]) -> None:
        super().__init__(items)
        self.keys = keys

    def __eq__(self, other: object) -> bool:
        """Other names are other parameters for an idempotency key."""
        return super().__eq__(other) and getattr(other, "keys", self.keys) == self.keys

    __hash__ = None


class _Appended(list[Any]):
    """A list that is being built from `k[]=...` pairs."""


def _put(container: Json, path: list[str], value: str) -> None:
    here: Any = container
    for index, part in enumerate(path[:-1]):
        child = _child(here, part, path[index + 1])
        if not isinstance(child, (dict, _Appended)):
            raise validation("Invalid object", path[0])
        here = child
    last = path[-1]
    if isinstance(here, _Appended):
        here.append(value)
    elif isinstance(here.get(last), (dict, _Appended)):
        raise validation("Invalid object", path[0])
    else:
        here[last] = value


def _child(here: Any, part: str, following: str) -> Any:
    if isinstance(here, _Appended):
        # `items[][price]=a&items[][quantity]=1&items[][price]=b`: a repeated key begins the next element.
        if not here or not isinstance(here[-1], dict) or following in here[-1]:
            here.append({})
        return here[-1]
    if part not in here:
        here[part] = _Appended() if following == "" else {}
    return here[part]


def _settle(value: Any) -> Any:
    if isinstance(value, _Appended):
        return [_settle(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value and all(_is_index(key) for key in value):
        keys = sorted(value, key=int)
        return Numbered([_settle(value[key]) for key in keys], keys)
    return {key: _settle(item) for key, item in value.items()}


def _is_index(key: str) -> bool:
    return key.isdecimal() and key.isascii() and len(key) <= MAX_INDEX_DIGITS
