"""Checkout pages, intents and saved cards."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from payments.gateway.calls import change, first_of, list_all, read
from payments.stripe_objects import (
    IntentFacts,
    Json,
    PaymentMethodFacts,
    SessionFacts,
    SetupFacts,
    read_intent,
    read_payment_method,
    read_session,
    read_setup,
)

# A charge's money, in one answer: what it brought us, and for a destination charge what went on from there.
EXPAND_INTENT = (
    "latest_charge.balance_transaction",
    "latest_charge.transfer.balance_transaction",
    "latest_charge.application_fee.balance_transaction",
)
# With `data` these are four levels deep, which is as deep as Stripe goes.
_IN_LIST_INTENT = tuple(f"data.{field}" for field in EXPAND_INTENT)
EXPAND_SETUP = ("payment_method",)


def create_checkout_session(*, params: Json, key: str) -> SessionFacts:
    return change("/v1/checkout/sessions", params, key, read_session)


def retrieve_checkout_session(session_id: str) -> SessionFacts:
    return read(f"/v1/checkout/sessions/{session_id}", {}, read_session)


def find_checkout_session(*, operation_id: str, customer: str) -> SessionFacts | None:
    """The session that this operation opened, or None where it opened none."""
    return first_of(list_all("/v1/checkout/sessions", {"customer": customer}, read_session), operation_id)


def expire_checkout_session(session_id: str, *, key: str) -> SessionFacts:
    return change(f"/v1/checkout/sessions/{session_id}/expire", {}, key, read_session)


def create_payment_intent(*, params: Json, key: str) -> IntentFacts:
    return change("/v1/payment_intents", params, key, read_intent)


def find_payment_intent(*, operation_id: str, customer: str, created_after: datetime) -> IntentFacts | None:
    """The intent that this operation made, refused or not, or None where it made none."""
    return first_of(
        list_payment_intents(customer=customer, created={"gte": int(created_after.timestamp())}), operation_id
    )


def list_payment_intents(**of: Any) -> Iterator[IntentFacts]:
    """Newest first: all, or those of a `customer`, or `created` since a time; each as complete as read by itself."""
    return list_all("/v1/payment_intents", {**of, "expand": _IN_LIST_INTENT}, read_intent)


def retrieve_payment_intent(intent_id: str) -> IntentFacts:
    return read(f"/v1/payment_intents/{intent_id}", {"expand": EXPAND_INTENT}, read_intent)


def capture_payment_intent(intent_id: str, *, params: Json, key: str) -> IntentFacts:
    return change(f"/v1/payment_intents/{intent_id}/capture", params, key, read_intent)


def cancel_payment_intent(intent_id: str, *, params: Json, key: str) -> IntentFacts:
    return change(f"/v1/payment_intents/{intent_id}/cancel", params, key, read_intent)


def retrieve_setup_intent(setup_id: str) -> SetupFacts:
    return read(f"/v1/setup_intents/{setup_id}", {"expand": EXPAND_SETUP}, read_setup)


def retrieve_payment_method(method_id: str) -> PaymentMethodFacts:
    return read(f"/v1/payment_methods/{method_id}", {}, read_payment_method)


def detach_payment_method(method_id: str, *, key: str) -> PaymentMethodFacts:
    return change(f"/v1/payment_methods/{method_id}/detach", {}, key, read_payment_method)
