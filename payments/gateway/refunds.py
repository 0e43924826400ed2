"""Refunds to students."""

from collections.abc import Iterator
from typing import Any

from payments.gateway.calls import change, first_of, list_all, read
from payments.stripe_objects import Json, RefundFacts, read_refund

EXPAND_REFUND = ("balance_transaction", "failure_balance_transaction")
_IN_LIST_REFUND = tuple(f"data.{field}" for field in EXPAND_REFUND)


def create_refund(*, params: Json, key: str) -> RefundFacts:
    return change("/v1/refunds", params, key, read_refund)


def retrieve_refund(refund_id: str) -> RefundFacts:
    return read(f"/v1/refunds/{refund_id}", {"expand": EXPAND_REFUND}, read_refund)


def each_refund(**of: Any) -> Iterator[RefundFacts]:
    """Newest first: all, or those of a `charge` or a `payment_intent`, or `created` since a time."""
    return list_all("/v1/refunds", {**of, "expand": _IN_LIST_REFUND}, read_refund)


def list_refunds(**of: Any) -> list[RefundFacts]:
    """The same, all at once."""
    return list(each_refund(**of))


def find_refund(*, operation_id: str, payment_intent: str) -> RefundFacts | None:
    """The refund that this operation made, or None where it made none."""
    return first_of(each_refund(payment_intent=payment_intent), operation_id)
