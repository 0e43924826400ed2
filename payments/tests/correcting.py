"""What the tests of corrections share: two people of finance, money on suspense, and proposals about it."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import Group
from django.db import transaction

from marketplace import clock
from marketplace.lib.money import Money
from marketplace.models import User
from marketplace.tests.factories import UserFactory
from marketplace.tests.sandbox import Sandbox
from payments import ledger
from payments.models import Correction, LedgerTransaction, Payment, Reconciliation
from payments.reconcile import reconcile
from payments.services import corrections
from payments.services.corrections import Wish

LOSSES, REVENUE, COACH = "platform_losses", "platform_revenue", "coach_payable"


def of_finance(name: str) -> User:
    person: User = UserFactory.create(name=name, email=f"{name.lower()}@example.com", is_staff=True)
    person.groups.add(Group.objects.get(name="finance"))
    return person


def unknown_at_stripe(sandbox: Sandbox, amount: int, currency: str = "usd") -> LedgerTransaction:
    """Stripe has moved our balance for something that nobody knows, and a comparison has found it."""
    body = {"amount": amount, "type": "climate_order_purchase", "currency": currency}
    moved = sandbox.post("/_sandbox/balance_transactions", body)["id"]
    compare()
    return LedgerTransaction.objects.get(reference=moved)


def on_suspense(
    amount: int, reference: str = "txn_1", currency: str = "usd", payment: Payment | None = None
) -> LedgerTransaction:
    """Put there past Stripe."""
    lines = [
        ledger.Line(ledger.STRIPE_BALANCE, Money(-amount, currency), reference),
        ledger.Line("suspense", Money(amount, currency)),
    ]
    with transaction.atomic():
        ledger.post(kind="unknown", reference=reference, lines=lines, payment=payment, now=clock.now())
    return LedgerTransaction.objects.get(reference=reference)


def compare() -> None:
    done = reconcile(scope=Reconciliation.Scope.FULL, now=clock.now() + timedelta(hours=1))
    assert done.failure == ""


def propose(actor: User, *, now: datetime | None = None, token: uuid.UUID | None = None, **facts: Any) -> Correction:
    amount = facts.pop("amount")
    reason = facts.pop("reason", "Stripe's letter of Monday.")
    clears: LedgerTransaction | None = facts.get("clears")
    wish = Wish(
        from_account=facts.pop("from_account", "suspense" if clears else LOSSES),
        to_account=facts.pop("to_account", LOSSES),
        money=Money(amount, facts.pop("currency", "usd")),
        **facts,
    )
    return corrections.propose(
        wish=wish, token=token or uuid.uuid4(), reason=reason, actor=actor, now=now or clock.now()
    )


def approve(correction: Correction, actor: User, *, now: datetime | None = None) -> Correction:
    return corrections.approve(correction=correction, actor=actor, reason="As the letter says.", now=now or clock.now())


def lines_of(fact: LedgerTransaction | None) -> dict[str, int]:
    assert fact is not None
    return dict(fact.entries.values_list("account__code", "amount"))
