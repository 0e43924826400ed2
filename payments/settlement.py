"""The two ways a coach is paid, behind one interface: what Stripe is told, and what a capture does to the books."""

from datetime import datetime, timedelta
from typing import Any, Protocol

from django.db.models import Sum

from marketplace.lib.money import Money
from payments import ledger, pricing
from payments.errors import NotYetError
from payments.ledger import Line
from payments.models import Earning, Payment, SettlementMode, Transfer
from payments.postings import PLATFORM_LOSSES, PLATFORM_REVENUE, post, stripe_side
from payments.stripe_objects import (
    ApplicationFeeFacts,
    ChargeFacts,
    IntentFacts,
    TransferFacts,
)

# Time for claims and disputes before an earning may be paid out.
RELEASE_AFTER = timedelta(days=7)


class Settlement(Protocol):
    def intent_params(self, payment: Payment) -> dict[str, Any]:
        """What a PaymentIntent says of the coach's part, made by Checkout or by ourselves."""

    def capture_params(self, payment: Payment, taken: Money) -> dict[str, Any]:
        """What the capture of the whole or of a part says of it."""

    def kept_back_params(self, payment: Payment, taken: Money) -> dict[str, Any]:
        """The same where the coach's share is not theirs yet."""

    def book_capture(self, payment: Payment, intent: IntentFacts, now: datetime) -> None:
        """Book a captured intent, in the caller's transaction. NotYetError: Stripe does not show all of it yet."""


class Monthly:
    """A charge of the platform's own; the coach's share waits as an earning for the monthly run."""

    def intent_params(self, payment: Payment) -> dict[str, Any]:
        return {"transfer_group": payment.reference}

    def capture_params(self, payment: Payment, taken: Money) -> dict[str, Any]:  # noqa: ARG002  # the interface's
        return {}

    def kept_back_params(self, payment: Payment, taken: Money) -> dict[str, Any]:  # noqa: ARG002  # the interface's
        return {}

    def book_capture(self, payment: Payment, intent: IntentFacts, now: datetime) -> None:
        _owe(payment, _book_charge(payment, intent, now), now)


class PerSession:
    """A destination charge: Stripe moves the whole to the coach with the capture, and our fee comes back from it."""

    def intent_params(self, payment: Payment) -> dict[str, Any]:
        fee = _kept_by_platform(payment, payment.money)
        return {"transfer_data": {"destination": payment.destination}, **_fee_params(fee)}

    def capture_params(self, payment: Payment, taken: Money) -> dict[str, Any]:
        """Our fee comes out of what is taken, and what the coach owes with it; a run then sets both against each other.

        Of a part, Stripe would keep the fee of the whole.
        """
        return _fee_params(min(taken, _kept_by_platform(payment, taken) + _debt(payment)))

    def kept_back_params(self, payment: Payment, taken: Money) -> dict[str, Any]:  # noqa: ARG002  # the interface's
        """All of it comes back to us as our fee; what of it is the coach's is then owed to them."""
        return _fee_params(taken)

    def book_capture(self, payment: Payment, intent: IntentFacts, now: datetime) -> None:
        charge, taken = _captured_charge(intent), Money(intent.amount_received, payment.currency)
        transfer, fee = charge.transfer, charge.application_fee
        if transfer is None or (fee is None and _kept_by_platform(payment, taken).amount):
            raise NotYetError(f"The transfer or the fee of {charge.id} is not there yet.")
        share = _book_charge(payment, intent, now)
        moved = _book_transfer(payment, transfer, now)
        if fee is not None:
            moved -= _book_fee(payment, fee, now)
            # It came back at once: only the rest can ever be fetched back.
            Transfer.objects.filter(payment=payment).update(reversed_amount=fee.amount)
        # Something is left where Stripe has kept the fee of the whole from a part.
        _owe(payment, share - moved, now)


def of(payment: Payment) -> Settlement:
    return PerSession() if payment.settlement_mode == SettlementMode.PER_SESSION else Monthly()


def book_write_off(payment: Payment, now: datetime) -> None:
    """In the caller's transaction: the platform pays the coach's share of a session that nobody has paid for."""
    share = Money(payment.coach_share, payment.currency)
    if not share.amount:
        return
    lines = [Line(PLATFORM_LOSSES, share), Line(ledger.coach_payable(payment.coach_id), -share)]
    post("write_off", payment.reference, lines, payment, now)
    _owe(payment, share, now)


def _fee_params(fee: Money) -> dict[str, Any]:
    return {"application_fee_amount": fee.amount} if fee.amount else {}


def _debt(payment: Payment) -> Money:
    """What the coach owes us in this currency, beyond what waits to be paid to them."""
    waiting = Earning.objects.filter(coach_id=payment.coach_id, currency=payment.currency, line=None, reversal=None)
    owed = waiting.aggregate(total=Sum("amount"))["total"] or 0
    return Money(max(0, -owed), payment.currency)


def _owe(payment: Payment, money: Money, now: datetime) -> None:
    if money.amount > 0:
        Earning.objects.create(
            payment=payment,
            coach_id=payment.coach_id,
            amount=money.amount,
            currency=money.currency,
            release_at=payment.service_ends_at + RELEASE_AFTER,
            created_at=now,
        )


# --- postings (signed minor units, debits positive) ---------------------------------------------


def _book_charge(payment: Payment, intent: IntentFacts, now: datetime) -> Money:
    """Book the charge; returns what the coach gets of it."""
    charge = _captured_charge(intent)
    taken = Money(intent.amount_received, payment.currency)
    shares = pricing.quote(taken, payment.fee_bps)
    coachs = taken - _kept_by_platform(payment, taken)
    lines = [
        *stripe_side(payment, charge.balance_transaction, taken),
        Line(ledger.coach_payable(payment.coach_id), -coachs),
        Line(PLATFORM_LOSSES, coachs - shares.coach_share),
        Line(PLATFORM_REVENUE, -shares.platform_fee),
    ]
    post("capture", charge.id, lines, payment, now)
    return coachs


def _kept_by_platform(payment: Payment, taken: Money) -> Money:
    """The fee of what is taken; all of it where the platform has paid the coach before, in the student's stead.

    The same rounding for a part as for the whole; for the whole it gives the fee frozen on the payment.
    """
    if Payment.objects.filter(reference=payment.reference, written_off_at__isnull=False).exists():
        return taken
    return pricing.quote(taken, payment.fee_bps).platform_fee


def _book_transfer(payment: Payment, transfer: TransferFacts, now: datetime) -> Money:
    moved = Money(transfer.amount, payment.currency)
    lines = [
        Line(ledger.coach_payable(payment.coach_id), moved),
        *stripe_side(payment, transfer.balance_transaction, -moved),
    ]
    post("destination_transfer", transfer.id, lines, payment, now)
    Transfer.objects.create(
        stripe_transfer_id=transfer.id,
        coach_id=payment.coach_id,
        destination=transfer.destination,
        amount=transfer.amount,
        currency=transfer.currency,
        payment=payment,
        created_at=now,
    )
    return moved


def _book_fee(payment: Payment, fee: ApplicationFeeFacts, now: datetime) -> Money:
    kept = Money(fee.amount, payment.currency)
    lines = [
        *stripe_side(payment, fee.balance_transaction, kept),
        Line(ledger.coach_payable(payment.coach_id), -kept),
    ]
    post("application_fee", fee.id, lines, payment, now)
    return kept


def _captured_charge(intent: IntentFacts) -> ChargeFacts:
    if intent.charge is None:
        raise NotYetError(f"The charge of {intent.id} is not there yet.")
    return intent.charge
