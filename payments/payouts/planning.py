"""What a run pays, decided once: the lines of a month, each with its earnings."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from marketplace.lib.errors import DomainError
from marketplace.lib.money import Money
from marketplace.lib.months import end_of
from payments import ledger
from payments.models import Earning, PayoutLine, PayoutRun
from payments.services.withholding import disputed_references

log = structlog.get_logger(__name__)


class MonthNotOver(DomainError):
    code = "month_not_over"
    message = "This month is not over yet (UTC)."


class BooksOutOfBalance(DomainError):
    code = "books_out_of_balance"


@dataclass(frozen=True, slots=True)
class PlannedLine:
    """What a run pays, or would pay, to one coach in one currency."""

    coach_id: int
    money: Money
    earning_ids: tuple[int, ...]
    sessions: int


def open_run(month: str, now: datetime) -> PayoutRun:
    """Open the month's run with all its lines, or return the one that was opened before.

    Raises UnknownMonth, MonthNotOver, and BooksOutOfBalance where the imbalance is not one coach's alone;
    a coach whose books don't balance is left out, and is paid by the first run after they do.
    """
    if end_of(month) > now:
        raise MonthNotOver
    left_out = _coaches_to_leave_out()
    try:
        with transaction.atomic():
            run = PayoutRun.objects.create(month=month, opened_at=now)
            for planned in _group(_lock_due_earnings(month, left_out)):
                _create_line(run, planned)
    except IntegrityError:
        # Another process opened it at the same time, or it was there before.
        return PayoutRun.objects.get(month=month)
    return run


def dry_run(month: str, now: datetime) -> list[PlannedLine]:
    """What `open_run` would plan now; empty where the run is open or done. Raises what `open_run` raises."""
    if end_of(month) > now:
        raise MonthNotOver
    if PayoutRun.objects.filter(month=month).exists():
        return []
    return _group(_due_earnings(month, _coaches_to_leave_out()))


def _coaches_to_leave_out() -> set[int]:
    imbalances = ledger.check()
    everyones = [imbalance.message for imbalance in imbalances if imbalance.coach_id is None]
    if everyones:
        named = " ".join(everyones)
        raise BooksOutOfBalance(f"The books are out of balance; nobody is paid until they are good: {named}")
    for imbalance in imbalances:
        log.error("payout_leaves_coach_out", coach=imbalance.coach_id, imbalance=imbalance.message)
    return {imbalance.coach_id for imbalance in imbalances if imbalance.coach_id is not None}


def _due_earnings(month: str, left_out: set[int]) -> QuerySet[Earning]:
    due = Earning.objects.filter(release_at__lt=end_of(month), frozen=False, line=None, reversal=None)
    undisputed = due.exclude(payment__reference__in=disputed_references())
    return undisputed.exclude(coach_id__in=left_out).order_by("pk")


def _lock_due_earnings(month: str, left_out: set[int]) -> list[Earning]:
    """Read once more under the locks: a refund takes the same ones, and may have left its debt while we waited.

    The earnings alone: a refund locks its payment first, so whoever locked both here would wait for it crosswise.
    """
    due = _due_earnings(month, left_out).select_for_update(of=("self",))
    references = {earning.payment.reference for earning in due.select_related("payment")}
    return list(due.filter(payment__reference__in=references))


def _group(earnings: Iterable[Earning]) -> list[PlannedLine]:
    """What is above zero; a debt that is larger waits, with all that was to make up for it, for what is earned next."""
    groups: dict[tuple[int, str], list[Earning]] = defaultdict(list)
    for earning in earnings:
        groups[earning.coach_id, earning.currency].append(earning)
    return [
        PlannedLine(
            coach_id=coach_id,
            money=Money(sum(earning.amount for earning in group), currency),
            earning_ids=tuple(earning.pk for earning in group),
            sessions=len({earning.payment_id for earning in group}),
        )
        for (coach_id, currency), group in sorted(groups.items())
        if sum(earning.amount for earning in group) > 0
    ]


def _create_line(run: PayoutRun, planned: PlannedLine) -> None:
    line = PayoutLine.objects.create(
        run=run, coach_id=planned.coach_id, amount=planned.money.amount, currency=planned.money.currency
    )
    taken = Earning.objects.filter(pk__in=planned.earning_ids, line=None, frozen=False).update(line=line)
    if taken != len(planned.earning_ids):
        # They are locked, so only a database without row locks gets here: plan again on the next tick.
        raise RuntimeError(f"{run}: an earning of coach {planned.coach_id} changed while it was planned.")
