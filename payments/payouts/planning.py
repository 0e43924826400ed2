"""What a run pays, decided once: the lines of a month, each with its earnings.

All of it is summed and linked inside the database, so that neither time nor memory grows with what coaches earned.
"""

from dataclasses import dataclass
from datetime import datetime

import structlog
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery, Sum

from marketplace.lib.errors import DomainError
from marketplace.lib.money import Money
from marketplace.lib.months import end_of
from payments import ledger, lookout
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
    """What a run pays, or would pay, to one coach in one currency: the sum of so many earnings."""

    coach_id: int
    money: Money
    earnings: int
    sessions: int


def open_run(month: str, now: datetime) -> PayoutRun:
    """Open the month's run with all its lines, or return the one that was opened before.

    Raises UnknownMonth, MonthNotOver, StandingStill, and BooksOutOfBalance where the imbalance is not one coach's
    alone; a coach whose books don't balance is left out, and is paid by the first run after they do.
    """
    if end_of(month) > now:
        raise MonthNotOver
    lookout.require_fresh_look(now)
    return plan_run(month, now)


def plan_run(month: str, now: datetime) -> PayoutRun:
    """`open_run` for who knows what Stripe has of the month: also while we stand still. Raises BooksOutOfBalance."""
    left_out = coaches_out_of_balance()
    try:
        with transaction.atomic():
            run = PayoutRun.objects.create(month=month, opened_at=now)
            _let_nobody_change_earnings()
            _write_lines(run, _due_earnings(month, left_out))
    except IntegrityError:
        # Another process opened it at the same time, or it was there before.
        return PayoutRun.objects.get(month=month)
    return run


def dry_run(month: str, now: datetime) -> list[PlannedLine]:
    """What `open_run` would plan now; empty where the run is open or done.

    Raises UnknownMonth, MonthNotOver, BooksOutOfBalance.
    """
    if end_of(month) > now:
        raise MonthNotOver
    if PayoutRun.objects.filter(month=month).exists():
        return []
    return _plan(_due_earnings(month, coaches_out_of_balance()))


def coaches_out_of_balance() -> set[int]:
    """Whom no run pays now. Raises BooksOutOfBalance where nobody may be paid."""
    imbalances = ledger.check()
    everyones = [imbalance.message for imbalance in imbalances if imbalance.coach_id is None]
    if everyones:
        named = " ".join(everyones)
        raise BooksOutOfBalance(f"The books are out of balance; nobody is paid until they are good: {named}")
    for imbalance in imbalances:
        log.error("payout_leaves_coach_out", coach=imbalance.coach_id, imbalance=imbalance.message)
    return {imbalance.coach_id for imbalance in imbalances if imbalance.coach_id is not None}


def _let_nobody_change_earnings() -> None:
    """Until the lines are written, for a few seconds in a month. Reading goes on; SQLite has one writer in any case.

    A refund locks the earnings that it takes back of. One that is under way is waited for, and its debt is then seen;
    one that comes later waits for us, and finds the line. Nobody who holds an earning waits for a run, so this can't
    end crosswise.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {Earning._meta.db_table} IN EXCLUSIVE MODE")  # noqa: SLF001  # Django's own name


def _let_the_database_count_lines() -> None:
    """PostgreSQL knows nothing of rows written a moment ago, and might walk through all of them for each earning."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {PayoutLine._meta.db_table}")  # noqa: SLF001


def _due_earnings(month: str, left_out: set[int]) -> QuerySet[Earning]:
    due = Earning.objects.filter(release_at__lt=end_of(month), frozen=False, line=None, reversal=None)
    undisputed = due.exclude(payment__reference__in=disputed_references())
    return undisputed.exclude(coach_id__in=left_out)


def _plan(due: QuerySet[Earning]) -> list[PlannedLine]:
    """Coach by coach. What is not enough waits for what is earned next: a debt that is larger, and all that was to
    make up for it, and a sum below the currency's minimum.
    """
    sums = due.values_list("coach_id", "currency").annotate(
        total=Sum("amount"), earnings=Count("pk"), sessions=Count("payment_id", distinct=True)
    )
    return [
        PlannedLine(coach_id, Money(total, currency), earnings, sessions)
        for coach_id, currency, total, earnings, sessions in sums.order_by("coach_id", "currency")
        if total >= least(currency)
    ]


def least(currency: str) -> int:
    """The smallest sum that a run pays, in minor units."""
    return max(1, settings.PAYOUT_MINIMUM.get(currency, 0))


def _write_lines(run: PayoutRun, due: QuerySet[Earning]) -> None:
    planned = _plan(due)
    PayoutLine.objects.bulk_create(
        [
            PayoutLine(run=run, coach_id=each.coach_id, amount=each.money.amount, currency=each.money.currency)
            for each in planned
        ],
        batch_size=1000,
    )
    _let_the_database_count_lines()
    line = PayoutLine.objects.filter(run=run, coach_id=OuterRef("coach_id"), currency=OuterRef("currency"))
    taken = due.filter(Exists(line)).update(line=Subquery(line.values("pk")))
    if taken != sum(each.earnings for each in planned):
        # Nobody can have changed them. Plan again on the next tick rather than pay another sum than is linked.
        raise RuntimeError(f"{run}: earnings changed while they were planned.")
