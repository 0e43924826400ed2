"""What a fact at Stripe looks like in the books: its balance transaction on our side, whatever it paid on the other."""

from collections.abc import Iterable
from datetime import datetime

import structlog

from marketplace.lib.money import Money
from payments import ledger
from payments.errors import NotYetError
from payments.ledger import Line
from payments.models import Payment, Transfer
from payments.stripe_objects import BalanceTransactionFacts

log = structlog.get_logger(__name__)

BANK = "bank"
STRIPE_FEES = "stripe_fees"
PLATFORM_REVENUE = "platform_revenue"
PLATFORM_LOSSES = "platform_losses"
REFUNDS_IN_FLIGHT = "refunds_in_flight"
DISPUTES_HELD = "disputes_held"
SUSPENSE = "suspense"
# Of each student, by their number.
REFUNDS_OWED = "refunds_owed:"


def refunds_owed(payment: Payment) -> str:
    """What we owe a student whose bank has sent a refund back to us."""
    return f"{REFUNDS_OWED}{payment.payer_id}"


def stripe_side(about: Payment | Transfer, booked: BalanceTransactionFacts | None, money: Money) -> list[Line]:
    """Stripe's side of a posting about this, worth `money`: our balance by the net, Stripe's fee beside it.

    Stripe should settle in the currency of `money`. Where it has converted, both sides meet in suspense, and staff find
    out why. Raises NotYetError where the balance transaction is missing.
    """
    if booked is None:
        raise NotYetError(f"A balance transaction of {about} is not there yet.")
    lines = [
        Line(ledger.STRIPE_BALANCE, Money(booked.net, booked.currency), booked.id, booked.created),
        Line(STRIPE_FEES, Money(booked.fee, booked.currency)),
    ]
    if booked.currency == money.currency:
        return lines
    log.critical("stripe_settled_in_another_currency", about=str(about), expected=money.currency, got=booked.currency)
    return [*lines, Line(SUSPENSE, Money(-booked.amount, booked.currency)), Line(SUSPENSE, money)]


def post(kind: str, reference: str, lines: Iterable[Line], payment: Payment | None, now: datetime) -> bool:
    """Stripe may take no fee, and the shares may be all or nothing: a line of zero is no line.

    Books in the caller's transaction; False where it is booked already.
    """
    moved = [line for line in lines if line.money.amount]
    return ledger.post(kind=kind, reference=reference, lines=moved, payment=payment, now=now)
