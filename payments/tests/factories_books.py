"""Rows for the tests of the books: payments, and what is owed to coaches, without Stripe's part in it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import factory
from django.db import transaction
from factory.django import DjangoModelFactory

from coaches.models import Coach
from marketplace.lib.money import Money
from marketplace.tests.factories import CoachFactory, UserFactory
from payments import ledger
from payments.models import Earning, Payment

NOW = datetime(2026, 10, 20, 12, 0, tzinfo=UTC)


class PaymentFactory(DjangoModelFactory[Payment]):
    class Meta:
        model = Payment

    reference = factory.Sequence(lambda n: f"booking:{n}")
    description = "A session"
    payer = factory.SubFactory(UserFactory)
    coach = factory.SubFactory(CoachFactory)
    amount = 10_000
    currency = "usd"
    fee_bps = 2000
    platform_fee = 2000
    settlement_mode = "monthly"
    service_ends_at = NOW - timedelta(days=8)
    created_at = NOW - timedelta(days=9)
    checkout_ends_at = NOW - timedelta(days=9)


def book_capture(payment: Payment, stripe_fee: int = 320) -> None:
    """The posting of a captured charge, as design and settlement have it."""
    currency, charge = payment.currency, payment.charge_id
    with transaction.atomic():
        ledger.post(
            kind="capture",
            reference=charge,
            payment=payment,
            now=NOW,
            lines=[
                ledger.Line("stripe_balance", Money(payment.amount - stripe_fee, currency), f"txn_{charge}"),
                ledger.Line("stripe_fees", Money(stripe_fee, currency)),
                ledger.Line(ledger.coach_payable(payment.coach_id), Money(-payment.coach_share, currency)),
                ledger.Line("platform_revenue", Money(-payment.platform_fee, currency)),
            ],
        )


def earn(coach: Coach, *, release_at: datetime = NOW, booked: bool = True, **fields: Any) -> Earning:
    """A captured payment of the coach's with its earning and, unless told otherwise, its place in the books."""
    fields = {"captured_amount": fields.get("amount", 10_000), **fields}
    payment = PaymentFactory.create(coach=coach, status=Payment.Status.CAPTURED, captured_at=NOW, **fields)
    payment.charge_id = f"ch_{payment.pk}"
    payment.save(update_fields=["charge_id"])
    if booked:
        book_capture(payment)
    return Earning.objects.create(
        payment=payment,
        coach=coach,
        amount=payment.coach_share,
        currency=payment.currency,
        release_at=release_at,
        created_at=NOW,
    )


def post_test_imbalance() -> None:
    """Double entry, but money is left on its way."""
    lines = [
        ledger.Line("transfers_in_flight", Money(7, "usd")),
        ledger.Line("bank", Money(-7, "usd")),
    ]
    with transaction.atomic():
        ledger.post(kind="test", reference="imbalance", lines=lines, now=NOW)
