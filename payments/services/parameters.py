"""What Stripe is asked for when a payment begins: a page to hold or to save, or a hold on a card saved before.

The marks in an object's metadata lead back to the payment, and to the operation that asked for it.
"""

import uuid
from datetime import datetime, timedelta
from typing import Any

from payments import settlement
from payments.consent import consent_words
from payments.gateway import EXPAND_INTENT
from payments.models import Operation, Payment

# We close the page ourselves at its end; Stripe's own end comes later, and at least 30 minutes after creation.
PAGE_LIFE = timedelta(minutes=30)
STRIPE_PAGE_LIFE = timedelta(minutes=40)


def page_params(
    *,
    payment: Payment,
    operation_id: uuid.UUID,
    metadata: dict[str, str],
    return_url: str,
    cancel_url: str,
    now: datetime,
) -> dict[str, Any]:
    marks = _marks(payment, operation_id, metadata)
    opening = Payment.Opening(payment.opening)
    purpose = _to_save(marks) if opening == Payment.Opening.SAVE else _to_hold(payment, marks)
    return {
        "customer": payment.payer.stripe_customer.stripe_customer_id,
        "client_reference_id": payment.reference,
        # Only cards can be held.
        "payment_method_types": ["card"],
        "custom_text": {"submit": {"message": consent_words(opening, payment.money)}},
        "success_url": return_url,
        "cancel_url": cancel_url,
        "expires_at": int((now + STRIPE_PAGE_LIFE).timestamp()),
        "metadata": marks,
        **purpose,
    }


def hold_params(*, payment: Payment, operation_id: uuid.UUID) -> dict[str, Any]:
    """For a payment with a saved card. Its marks are those of the page that began it all."""
    if payment.card is None:
        raise ValueError(f"{payment} has no card to hold on.")
    return {
        "amount": payment.amount,
        "currency": payment.currency,
        "customer": payment.payer.stripe_customer.stripe_customer_id,
        "payment_method": payment.card.stripe_payment_method_id,
        "payment_method_types": ["card"],
        "off_session": True,
        "confirm": True,
        "expand": list(EXPAND_INTENT),
        **_intent_params(payment, _marks(payment, operation_id, _first_metadata(payment))),
    }


def _to_hold(payment: Payment, marks: dict[str, str]) -> dict[str, Any]:
    price = {
        "currency": payment.currency,
        "unit_amount": payment.amount,
        "product_data": {"name": payment.description},
    }
    return {
        "mode": "payment",
        "line_items": [{"price_data": price, "quantity": 1}],
        # Only the price's own currency is what we hold.
        "adaptive_pricing": {"enabled": False},
        "payment_intent_data": {"setup_future_usage": "off_session", **_intent_params(payment, marks)},
    }


def _to_save(marks: dict[str, str]) -> dict[str, Any]:
    return {"mode": "setup", "setup_intent_data": {"metadata": marks}}


def _intent_params(payment: Payment, marks: dict[str, str]) -> dict[str, Any]:
    return {
        "capture_method": "manual",
        "description": payment.description,
        "metadata": marks,
        **settlement.of(payment).intent_params(payment),
    }


def _marks(payment: Payment, operation_id: uuid.UUID, metadata: dict[str, str]) -> dict[str, str]:
    return {
        **metadata,
        "payment_id": str(payment.pk),
        "operation_id": str(operation_id),
        "session_type": "LIVE_SESSION",
    }


def _first_metadata(payment: Payment) -> dict[str, str]:
    pages = Operation.objects.filter(kind=Operation.Kind.CHECKOUT, payment__reference=payment.reference)
    return dict(pages.earliest("created_at").params["metadata"])
