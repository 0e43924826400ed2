"""The fields of each object as the installed `stripe` package names them: what is null, and what can be expanded."""

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ForwardRef, get_args, get_origin

from stripe._list_object import ListObject
from stripe._object_classes import get_object_class
from stripe._stripe_object import StripeObject, UntypedStripeObject

from .errors import Json

# Why Stripe leaves a field out instead of sending null -> the fields, by object type and the way within it.
LEFT_OUT: dict[str, str] = {
    "comes only when asked for by `expand`": """
        account.groups charge.refunds checkout.session.line_items checkout.session.total_details.breakdown
        customer.cash_balance customer.sources customer.subscriptions customer.tax customer.tax_ids item.discounts item.taxes
        price.currency_options price.tiers""",
    "belongs to one business type, and is not shown where Stripe collects the details": "account.company account.individual",
    "there once it has a value, in a flow or with a product that has it": """
        charge.authorization_code charge.level3 charge.presentment_details charge.radar_options customer.business_name
        customer.customer_account customer.individual_name payment_intent.amount_details payment_intent.hooks
        payment_intent.payment_details payment_intent.presentment_details refund.description refund.instructions_email
        refund.next_action refund.pending_reason refund.presentment_details""",
    "only while the charge can be captured": "charge.payment_method_details.card.capture_before",
    "only of a refund that failed": "refund.failure_balance_transaction refund.failure_reason",
    "only of events of connected accounts": "event.account event.context",
    "only of events that tell of a change": "event.data.previous_attributes",
    "of a token's own kind": "token.bank_account token.card",
    "told once, when the endpoint is made": "webhook_endpoint.secret",
}


def _by_object() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for names in LEFT_OUT.values():
        for name in names.split():
            where, _, field = name.rpartition(".")
            found.setdefault(where, set()).add(field)
    return {where: frozenset(fields) for where, fields in found.items()}


OMITTED = _by_object()
_OWN_TYPE = "one key for its own type or kind"
_ERROR = "an error names what applies to it"
# Objects within others that carry only what applies to them, and nothing as null.
SPARSE: dict[str, str] = {
    "account.capabilities": "a key for each capability that was requested",
    "account.settings.payouts.schedule": "the anchors of its own interval",
    "balance.available.source_types": _OWN_TYPE,
    "balance.instant_available.net_available.source_types": _OWN_TYPE,
    "balance.instant_available.source_types": _OWN_TYPE,
    "balance.pending.source_types": _OWN_TYPE,
    "charge.fraud_details": "empty until somebody reports a fraud",
    "charge.payment_method_details": _OWN_TYPE,
    "charge.payment_method_details.card.wallet": _OWN_TYPE,
    "checkout.session.payment_method_options": _OWN_TYPE,
    "dispute.evidence.enhanced_evidence": _OWN_TYPE,
    "dispute.evidence_details.enhanced_eligibility": _OWN_TYPE,
    "dispute.payment_method_details": _OWN_TYPE,
    "payment_intent.amount_details": "the tip alone, unless more is given",
    "payment_intent.amount_details.tip": "empty without a tip",
    "payment_intent.last_payment_error": _ERROR,
    "payment_intent.next_action": _OWN_TYPE,
    "payment_intent.payment_method_options": _OWN_TYPE,
    "payment_method.card.wallet": _OWN_TYPE,
    "refund.destination_details": _OWN_TYPE,
    "setup_attempt.payment_method_details": _OWN_TYPE,
    "setup_attempt.setup_error": _ERROR,
    "setup_intent.last_setup_error": _ERROR,
    "setup_intent.next_action": _OWN_TYPE,
    "setup_intent.payment_method_options": _OWN_TYPE,
}
# A payment method carries one key for its own type; the other fifty types are absent.
PAYMENT_METHOD_FIELDS = (
    "allow_redisplay",
    "billing_details",
    "card",
    "created",
    "customer",
    "customer_account",
    "id",
    "livemode",
    "metadata",
    "object",
    "radar_options",
    "type",
)


@functools.cache
def annotations(kind: str) -> dict[str, Any]:
    """Field name -> annotation of the package's class for an object type such as `payment_intent`."""
    return annotations_of(get_object_class("V1", kind))


def annotations_of(holder: Any) -> dict[str, Any]:
    """Field name -> annotation of one of the package's classes."""
    return {
        name.rstrip("_"): hint
        for name, hint in holder.__annotations__.items()
        if not name.startswith("_") and name not in ("OBJECT_NAME", "deleted")
    }


@functools.cache
def _null_fields(kind: str) -> Json:
    if kind == "payment_method":
        return dict.fromkeys(PAYMENT_METHOD_FIELDS)
    return {name: None for name in annotations(kind) if name not in OMITTED.get(kind, ())}


def skeleton(kind: str) -> Json:
    """Every field that Stripe sends for this object, all null."""
    return _null_fields(kind).copy()


@functools.cache
def expandable(kind: str) -> frozenset[str]:
    """The fields that hold an id or, expanded, the object itself; and the lists that come only when asked for."""
    return frozenset(name for name, hint in annotations(kind).items() if _is_expandable(hint)) | OMITTED.get(
        kind, frozenset()
    )


def _is_expandable(hint: Any) -> bool:
    parts = get_args(hint)
    named = any(isinstance(part, (ForwardRef, type)) for part in parts if part not in (str, type(None)))
    return (str in parts and named) or any(getattr(part, "__origin__", part) is ListObject for part in (hint, *parts))


def kept(kind: str, params: Json, names: Iterable[str]) -> Json:
    """The named fields as their parameters say: what the classes have room for, null for an empty value, and every
    switch off that was not named."""
    return {name: _kept(params[name], annotations(kind)[name]) for name in names if name in params}


def _kept(value: Any, hint: Any) -> Any:
    nested = next(classes_in(hint), None)
    if nested is None or isinstance(value, str):
        return None if value == "" else value
    if isinstance(value, list):
        return [_kept(each, hint) for each in value]
    hints = annotations_of(nested)
    switches = {name: False for name, each in hints.items() if each is bool}
    return switches | {name: _kept(each, hints[name]) for name, each in value.items() if name in hints}


@dataclass(slots=True)
class Shape:
    """How one object is made complete: what is null unless it says otherwise, and its fields that hold objects.

    An inner shape is None where the object there is one of Stripe's own and says itself what it is.
    """

    nulls: Json
    inner: tuple[tuple[str, "Shape | None"], ...]


def complete(value: Any) -> Any:
    """A copy with every field that the package's classes name in the objects in it, null where it was absent."""
    if isinstance(value, list):
        return [complete(each) for each in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("object")
    if kind in ("list", "search_result"):
        return {**value, "data": complete(value["data"])}
    if not isinstance(kind, str):  # an error, with the objects that it is about
        return {name: complete(each) for name, each in value.items()}
    return value if value.get("deleted") else _filled(value, _shape_of(kind))


def _filled(body: Json, shape: Shape) -> Json:
    full = {**shape.nulls, **body}
    for name, inner in shape.inner:
        value = full.get(name)
        if value is None or isinstance(value, str):
            continue
        if inner is None:
            full[name] = complete(value)
        elif isinstance(value, list):
            full[name] = [_filled(each, inner) for each in value]
        else:
            full[name] = _filled(value, inner)
    return full


@functools.cache
def _shape_of(kind: str) -> Shape:
    return _shape(get_object_class("V1", kind), kind)


def _shape(holder: type[StripeObject], path: str) -> Shape:
    hints = annotations_of(holder)
    nulls = dict.fromkeys(PAYMENT_METHOD_FIELDS) if path == "payment_method" else _nulls(hints, path)
    inner = ((name, _inner(hint, f"{path}.{name}")) for name, hint in hints.items() if _holds_objects(hint))
    return Shape(nulls, tuple(inner))


def _nulls(hints: dict[str, Any], path: str) -> Json:
    if path in SPARSE:
        return {}
    left_out = OMITTED.get(path, frozenset())
    return {name: None for name, hint in hints.items() if type(None) in get_args(hint) and name not in left_out}


def _inner(hint: Any, path: str) -> Shape | None:
    nested = next((each for each in classes_in(hint) if not hasattr(each, "OBJECT_NAME")), None)
    return _shape(nested, path) if nested else None


def _holds_objects(hint: Any) -> bool:
    """Whether the annotation allows an object with fields of its own, or one of Stripe's objects."""
    if get_origin(hint) is UntypedStripeObject:
        return False
    return isinstance(hint, ForwardRef) or any(map(_holds_objects, get_args(hint))) or any(classes_in(hint))


def classes_in(hint: Any) -> Iterator[type[StripeObject]]:
    """The package's classes with fields of their own in an annotation, whatever lists and alternatives are around them."""
    if get_origin(hint) is UntypedStripeObject:
        return  # a mapping, by currency or of the caller's own
    if isinstance(hint, type) and not get_args(hint):
        if issubclass(hint, StripeObject) and annotations_of(hint):
            yield hint
        return
    for part in get_args(hint):
        yield from classes_in(part)
