"""What the tests of holds on a saved card share."""

from typing import Any

import requests
from django.conf import settings

from marketplace import clock
from marketplace.tests.sandbox import Sandbox
from payments import gateway, operations
from payments.facts import Fact
from payments.models import Operation, Payment, SavedCard
from payments.tests import stage

INTENTS = "/v1/payment_intents"
BANK_WANTS_THE_STUDENT = "pm_card_authenticationRequired"


def asked(payment: Payment) -> Payment:
    """Asked for, and carried out as far as Stripe lets us."""
    stage.request_hold(payment, clock.now())
    operations.sweep(now=clock.now())
    payment.refresh_from_db()
    return payment


def holds_at_stripe(sandbox: Sandbox) -> list[str]:
    rows = stage.at_stripe(sandbox, f"{INTENTS}?limit=100")["data"]
    return [row["id"] for row in rows if row["status"] == "requires_capture"]


def the_one_hold(sandbox: Sandbox, payment: Payment, heard: list[tuple[Fact, int]]) -> None:
    """However it came about: one hold at Stripe, ours, told once, and nothing asked for any more."""
    payment.refresh_from_db()
    assert holds_at_stripe(sandbox) == [payment.payment_intent_id]
    assert payment.status == Payment.Status.HELD
    assert heard == [(Fact.HOLD_RECORDED, payment.pk)]
    assert not Operation.objects.filter(kind=Operation.Kind.HOLD, state__in=Operation.OPEN_STATES).exists()


def detach(card: SavedCard) -> None:
    """Someone at Stripe's dashboard."""
    gateway.detach_payment_method(card.stripe_payment_method_id, key="dashboard")


def cancel(intent_id: str) -> None:
    """Someone at Stripe's dashboard."""
    gateway.cancel_payment_intent(intent_id, params={}, key="dashboard")


def begun_at_stripe(sandbox: Sandbox, payment: Payment, status: str) -> dict[str, Any]:
    """What Stripe would answer, had it not come to a hold."""
    made = requests.post(
        sandbox.url + INTENTS,
        auth=(settings.STRIPE_SECRET_KEY, ""),
        data={"amount": payment.amount, "currency": payment.currency},
        timeout=30,
    )
    return dict(made.json()) | {"status": status}
