"""Closing a month, and what is made of it: a statement and a fee invoice for each coach and currency.

A month closes one day after its end. What we learn of it later is booked in the month that is open then, so whatever
was said about a closed month stays true. All of it may be killed anywhere, run twice, or by two at once.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from django.db import connection, transaction
from django.db.models import Min, Q

from coaches.models import Coach
from marketplace.lib.months import end_of, month_before, month_of, start_of
from payments.ledger import COACH_PAYABLE
from payments.models import ClosedMonth, LedgerEntry, LedgerTransaction, Payout, PutOff, Statement
from payments.rounds import for_a_while
from payments.statements import invoices
from payments.statements.books import SIDES, closed_coach_month, last_closed_month
from payments.statements.files import digest_of
from payments.statements.proof import DAYS_BETWEEN_LOOKS
from payments.taking_turns import attempt

log = structlog.get_logger(__name__)

# Stripe's news of the last minutes is in the books by then.
CLOSES_AFTER = timedelta(days=1)
# A round is short, and the next one follows at once: what is still missing after this failed, and more than once.
STATED_WITHIN = timedelta(hours=1)
# Postings wait behind a closing that waits for those under way: it gives up rather than hold them up for longer.
LONGEST_WAIT = "5s"
# With the currency behind it.
WORK = "statement "
CoachAccount = tuple[int, str]  # whose, and in which currency


@dataclass(frozen=True, slots=True)
class Unstated:
    """A statement that is missing since its month was closed."""

    coach_id: int
    currency: str
    month: str
    closed_at: datetime


def close_due_months(now: datetime) -> bool:
    """Close what is due, in order, each with its statements before the next. False where the round ran out of time;
    the next one goes on.
    """
    for closed in _closed_to_look_at(now):
        if not make_statements(closed, now):
            return False
    while (month := close_next_month(now)) is not None:
        if not make_statements(month, now):
            return False
    return True


def _closed_to_look_at(now: datetime) -> list[str]:
    """Where a statement may be missing, the oldest first: the last two, and of the older ones each day another part.
    One that failed may be mended after months, and those that it is carried into are made after it.
    """
    months = list(ClosedMonth.objects.order_by("ends_at").values_list("month", flat=True))
    turn = now.toordinal() % DAYS_BETWEEN_LOOKS
    older = (month for number, month in enumerate(months[:-2]) if number % DAYS_BETWEEN_LOOKS == turn)
    return [*older, *months[-2:]]


def close_next_month(now: datetime) -> str | None:
    """Returns the month that was closed; None where none is due."""
    if _next_due(now) is None:
        return None
    with transaction.atomic():
        _wait_for_postings()
        # Asked again: a rival may have closed it, or a posting under way begun an earlier month.
        month = _next_due(now)
        if month is None:
            return None
        ClosedMonth.objects.create(month=month, ends_at=end_of(month), closed_at=now)
    log.info("month_closed", month=month)
    return month


def make_statements(month: str, now: datetime) -> bool:
    """Those of a closed month that are missing; False where the round's time ran out before. A coach whose statement
    fails by a bug holds up nobody else: the statement is tried again later, behind the others.
    """
    accounts = _in_turn(_accounts_without_statement(month), now)
    tried = 0
    for coach_id, currency in for_a_while(accounts):
        tried += 1
        attempt(f"{WORK}{currency}", coach_id, partial(_make_statement, coach_id, currency, month, now), now)
    return tried == len(accounts)


def _in_turn(accounts: list[CoachAccount], now: datetime) -> list[CoachAccount]:
    """As `taking_turns.ready`, of what is no row yet."""
    failed = PutOff.objects.filter(work__startswith=WORK).values_list("row", "work", "next_try_at")
    next_tries = {(coach_id, work.removeprefix(WORK)): next_try_at for coach_id, work, next_try_at in failed}
    ready = [account for account in accounts if next_tries.get(account, now) <= now]
    return sorted(ready, key=lambda account: account in next_tries)


def unstated(now: datetime, known: Collection[str]) -> list[Unstated]:
    """What could not be made, the oldest first: of the months that are looked at now, and of those that are `known` to
    lack something. A few queries for each month, whoever is in it.
    """
    months = ClosedMonth.objects.filter(month__in={*_closed_to_look_at(now), *known})
    late = months.filter(closed_at__lte=now - STATED_WITHIN).order_by("ends_at")
    return [
        Unstated(coach_id, currency, each.month, each.closed_at)
        for each in late
        for coach_id, currency in _accounts_without_statement(each.month)
    ]


def _next_due(now: datetime) -> str | None:
    last = last_closed_month()
    begins = last.ends_at if last else LedgerTransaction.objects.aggregate(first=Min("occurred_at"))["first"]
    if begins is None:
        return None
    month = month_of(begins)
    return month if end_of(month) + CLOSES_AFTER <= now else None


def _wait_for_postings() -> None:
    """Until nothing is under way that may be dated in the month; who posts next sees it closed, or is refused.

    SQLite has one writer at a time. Raises OperationalError where it takes too long; the next round tries again.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{LONGEST_WAIT}'")
            # Like SHARE it waits for writers and keeps them out, and it keeps out a rival's closing, too.
            cursor.execute(f"LOCK TABLE {LedgerTransaction._meta.db_table} IN SHARE ROW EXCLUSIVE MODE")  # noqa: SLF001


def _accounts_without_statement(month: str) -> list[CoachAccount]:
    """Where something happened in the month, or something was carried into it."""
    start, end = start_of(month), end_of(month)
    within = LedgerEntry.objects.filter(transaction__occurred_at__gte=start, transaction__occurred_at__lt=end)
    theirs = within.filter(account__code__startswith=COACH_PAYABLE).values_list("account__code", "account__currency")
    accounts = {(int(code.removeprefix(COACH_PAYABLE)), currency) for code, currency in theirs.distinct()}
    sessions = within.filter(account__code__in=SIDES, transaction__payment__isnull=False)
    accounts |= set(sessions.values_list("transaction__payment__coach_id", "account__currency").distinct())
    learnt = Q(recorded_at__gte=start, recorded_at__lt=end) | Q(failed_at__gte=start, failed_at__lt=end)
    learnt |= Q(untracked_at__gte=start, untracked_at__lt=end)
    paid_out = Payout.objects.filter(learnt, account__isnull=False, stripe_payout_id__isnull=False)
    accounts |= set(paid_out.values_list("account__coach_id", "currency").distinct())
    carried = Statement.objects.filter(month=month_before(start)).exclude(closing=0)
    accounts |= set(carried.values_list("coach_id", "currency"))
    return sorted(accounts - set(Statement.objects.filter(month=month).values_list("coach_id", "currency")))


@transaction.atomic
def _make_statement(coach_id: int, currency: str, month: str, now: datetime) -> None:
    """The statement and its invoice, both or neither: so an invoice's number is given once, and none is left out."""
    _one_at_a_time()
    if Statement.objects.filter(coach_id=coach_id, month=month, currency=currency).exists():
        return
    found = closed_coach_month(coach_id=coach_id, month=month, currency=currency)
    coach = Coach.objects.select_related("user", "payout_account", "billing_details").get(pk=coach_id)
    Statement.objects.create(
        coach=coach,
        month=month,
        currency=currency,
        opening=found.opening,
        closing=found.closing,
        digest=digest_of(found),
        issuer=invoices.issuer(),
        made_at=now,
    )
    invoices.make_invoice(found, coach, now)


def _one_at_a_time() -> None:
    """Everybody who gives numbers locks the same row: of the first month that was ever closed."""
    ClosedMonth.objects.select_for_update().order_by("ends_at").first()
