"""From a balance transaction to its object: what moved money is recorded, however old the object is."""

from collections.abc import Callable
from datetime import datetime

from payments import gateway, services
from payments.models import Payment, Reversal
from payments.reconcile import disputes, refunds, transfers
from payments.reconcile.postings import DISPUTES
from payments.stripe_objects import BalanceTransactionFacts


def record_source(booked: BalanceTransactionFacts, now: datetime) -> None:
    """Network. Raises what `record_*` raise, and GatewayError."""
    if booked.source.startswith(DISPUTES):
        disputes.record(gateway.retrieve_dispute(booked.source), now)
    elif booked.type in _BY_TYPE:
        _BY_TYPE[booked.type](booked.source, now)


def _charge(source: str, now: datetime) -> None:
    payment = Payment.objects.filter(charge_id=source).first() if source else None
    if payment is not None:
        services.refresh_payment(payment=payment, now=now)


def _refund(source: str, now: datetime) -> None:
    refunds.record(gateway.retrieve_refund(source), now)


def _transfer(source: str, now: datetime) -> None:
    transfers.record(gateway.retrieve_transfer(source), now)


def _reversal(source: str, now: datetime) -> None:
    """Stripe gives a reversal only under its transfer, which a row of ours has to name."""
    known = Reversal.objects.filter(stripe_reversal_id=source).select_related("transfer").first()
    if known is not None:
        _transfer(known.transfer.stripe_transfer_id, now)


def _payout(source: str, now: datetime) -> None:
    services.record_payout(facts=gateway.retrieve_payout(source, account_id=""), account=None, now=now)


_BY_TYPE: dict[str, Callable[[str, datetime], None]] = {
    "charge": _charge,
    "payment": _charge,
    "refund": _refund,
    "payment_refund": _refund,
    "refund_failure": _refund,
    "transfer": _transfer,
    "transfer_refund": _reversal,
    "payout": _payout,
    "payout_cancel": _payout,
    "payout_failure": _payout,
}
