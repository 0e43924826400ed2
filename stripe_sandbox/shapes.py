"""The fields of each object as the installed `stripe` package names them: the null skeleton, and what can be expanded."""

import functools
from typing import Any, ForwardRef, get_args

from stripe._list_object import ListObject
from stripe._object_classes import get_object_class

from .errors import Json

# Fields that Stripe leaves out instead of sending null: included on request only, of another kind, or of another flow.
OMITTED: dict[str, frozenset[str]] = {
    "account": frozenset({"company", "individual", "groups"}),
    "charge": frozenset({"refunds", "level3", "radar_options", "authorization_code", "presentment_details"}),
    "checkout.session": frozenset({"line_items"}),
    "customer": frozenset(
        {
            "sources",
            "subscriptions",
            "tax",
            "tax_ids",
            "cash_balance",
            "customer_account",
            "business_name",
            "individual_name",
        }
    ),
    "event": frozenset({"account", "context"}),
    "payment_intent": frozenset({"presentment_details", "hooks", "payment_details", "amount_details"}),
    "refund": frozenset(
        {
            "next_action",
            "failure_reason",
            "failure_balance_transaction",
            "instructions_email",
            "presentment_details",
            "pending_reason",
            "description",
        }
    ),
    "token": frozenset({"bank_account", "card"}),
    "webhook_endpoint": frozenset({"secret"}),
}
# A payment method carries one key for its own type; the other fifty types are absent.
_PAYMENT_METHOD_FIELDS = (
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
    found = get_object_class("V1", kind).__annotations__
    return {
        name.rstrip("_") if name.endswith("_") else name: hint
        for name, hint in found.items()
        if not name.startswith("_") and name not in ("OBJECT_NAME", "deleted")
    }


@functools.cache
def _null_fields(kind: str) -> Json:
    if kind == "payment_method":
        return dict.fromkeys(_PAYMENT_METHOD_FIELDS)
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
