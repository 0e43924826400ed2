"""What the tests of disputes share: a student's bank that disputes, decides and warns, and how we hear of it."""

from datetime import timedelta
from typing import Any

from marketplace import clock
from marketplace.lib.money import Money
from marketplace.tests.sandbox import Sandbox
from payments import pollers, services
from payments.models import Dispute, Operation, Payment
from payments.tests import stage
from payments.tests.money_back import sweep

PRICES = {"usd": Money(10_000, "usd"), "jpy": Money(50_000, "jpy"), "kwd": Money(100_000, "kwd")}


def open_at_stripe(sandbox: Sandbox, payment: Payment, **facts: Any) -> str:
    """We have heard nothing of it."""
    body = {"payment_intent": payment.payment_intent_id, **facts}
    return str(sandbox.post("/_sandbox/disputes", body)["id"])


def disputed(sandbox: Sandbox, payment: Payment, **facts: Any) -> Dispute:
    """We have heard of it, and done what follows from it."""
    dispute_id = open_at_stripe(sandbox, payment, **facts)
    hear()
    return Dispute.objects.select_related("payment").get(stripe_dispute_id=dispute_id)


def hear() -> None:
    """Without any event: what the timers ask, as if their time had come."""
    pollers.find_disputes_at_stripe(now=clock.now())
    pollers.find_fraud_warnings_at_stripe(now=clock.now())
    Dispute.objects.update(polled_at=None)
    pollers.poll_disputes(now=clock.now())
    sweep()


def decide(sandbox: Sandbox, dispute: Dispute, outcome: str) -> None:
    sandbox.post(f"/_sandbox/disputes/{dispute.stripe_dispute_id}/resolve", {"outcome": outcome})
    hear()
    dispute.refresh_from_db()


def escalate(sandbox: Sandbox, dispute: Dispute) -> None:
    sandbox.post(f"/_sandbox/disputes/{dispute.stripe_dispute_id}/escalate")
    hear()
    dispute.refresh_from_db()


def warned(sandbox: Sandbox, payment: Payment) -> str:
    body = {"payment_intent": payment.payment_intent_id}
    return str(sandbox.post("/_sandbox/early_fraud_warnings", body)["id"])


def at_stripe(sandbox: Sandbox, dispute: Dispute) -> dict[str, Any]:
    return stage.at_stripe(sandbox, f"/v1/disputes/{dispute.stripe_dispute_id}")


def answer(dispute: Dispute, actor: Any, *, submit: bool, **facts: Any) -> Operation:
    """With the version as it is now, unless another is named."""
    facts = {"version": dispute.version, "now": clock.now(), "fields": dict(dispute.evidence), **facts}
    act = services.submit_evidence if submit else services.stage_evidence
    return act(dispute=dispute, actor=actor, **facts)


def answered(dispute: Dispute, actor: Any, *, submit: bool, **facts: Any) -> Operation:
    """Asked of Stripe, and what we hear of it."""
    operation = answer(dispute, actor, submit=submit, **facts)
    sweep()
    sweep_again()
    hear()
    operation.refresh_from_db()
    dispute.refresh_from_db()
    return operation


def sweep_again() -> None:
    """What had to wait after a lost answer."""
    sweep(timedelta(minutes=30))


def days_later(sandbox: Sandbox, days: int) -> None:
    sandbox.advance(int(timedelta(days=days).total_seconds()))
