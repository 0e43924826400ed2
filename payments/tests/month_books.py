"""What the tests of statements share: a month's facts put straight into the books, in the shapes in which services post
them.
"""

from datetime import UTC, datetime
from itertools import count
from typing import Any

from django.db import transaction

from coaches.models import Coach
from marketplace.lib.money import Money
from payments import ledger
from payments.ledger import Line
from payments.models import Payment
from payments.tests.factories_books import PaymentFactory

OCTOBER = "2026-10"
IN_OCTOBER = datetime(2026, 10, 20, 12, 0, tzinfo=UTC)
IN_NOVEMBER = datetime(2026, 11, 10, 12, 0, tzinfo=UTC)
OCTOBER_ENDS = datetime(2026, 11, 1, tzinfo=UTC)
# October can be closed, and November can't.
CLOSING_TIME = datetime(2026, 11, 2, 0, 0, tzinfo=UTC)
_numbers = count(1)


def post(kind: str, lines: dict[str, int], at: datetime, payment: Payment | None = None, currency: str = "usd") -> str:
    """Accounts and what is booked on each; what is missing to zero is Stripe's balance. Returns the reference."""
    reference = f"{kind}_{next(_numbers)}"
    rest = -sum(lines.values())
    posted = [Line(account, Money(amount, currency)) for account, amount in lines.items() if amount]
    if rest:
        posted.append(Line(ledger.STRIPE_BALANCE, Money(rest, currency), f"txn_{reference}", at))
    with transaction.atomic():
        assert ledger.post(kind=kind, reference=reference, lines=posted, payment=payment, now=at)
    return reference


def session(
    coach: Coach, at: datetime = IN_OCTOBER, *, amount: int = 10_000, fee: int = 2_000, **fields: Any
) -> Payment:
    """Captured: the coach is owed what is left of the fee."""
    fields = {"currency": "usd", "platform_fee": fee, **fields}
    payment = PaymentFactory.create(
        coach=coach, amount=amount, captured_amount=amount, status=Payment.Status.CAPTURED, captured_at=at, **fields
    )
    post(
        "capture",
        {ledger.coach_payable(coach.pk): fee - amount, "platform_revenue": -fee, "stripe_fees": min(30, amount)},
        at,
        payment,
        payment.currency,
    )
    return payment


def transfer(coach: Coach, amount: int, at: datetime = IN_OCTOBER, currency: str = "usd") -> str:
    return post("transfer", {ledger.coach_payable(coach.pk): amount}, at, None, currency)


def refund(payment: Payment, at: datetime, *, coach: int, fee: int, loss: int = 0) -> str:
    """Decided: the parts are taken from each side."""
    parts = {ledger.coach_payable(payment.coach_id): coach, "platform_revenue": fee, "platform_losses": loss}
    return post("refund_decided", {**parts, "refunds_in_flight": -(coach + fee + loss)}, at, payment, payment.currency)
