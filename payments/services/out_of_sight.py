"""Payouts of an account that has left us while they were on their way: what becomes of them is not ours to see."""

from datetime import datetime

import structlog
from django.db.models import QuerySet, Value
from django.db.models.functions import Coalesce

from payments import ledger
from payments.models import Payout

log = structlog.get_logger(__name__)

Status = Payout.Status


def stop_following(payouts: QuerySet[Payout], now: datetime) -> None:
    """Of these, those that are on their way. Nothing moves in the books: the money was the coach's already, at Stripe.

    One that was only asked of Stripe is let be: its operation says what became of it. One that was seen in between
    keeps its first date, since the statement of that month may be closed.
    """
    sent = payouts.filter(status__in=(Status.PENDING, Status.IN_TRANSIT))
    since = Coalesce("untracked_at", Value(ledger.open_date(now)))
    if number := sent.update(status=Status.UNTRACKED, untracked_at=since):
        log.warning("payouts_out_of_sight", number=number)
