"""The months of a coach: what was carried in, earned, paid and carried out, in each currency."""

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import Q, Sum
from django.db.models.functions import TruncMonth

from coaches.models import Coach
from marketplace.lib.money import Money
from marketplace.lib.months import UnknownMonth, end_of, month_in_words, month_of
from payments.ledger import coach_payable
from payments.models import ClosedMonth, LedgerEntry, Payout, Statement
from payments.statements.books import KINDS, PAID, SIDES, CoachMonth, coach_month, last_closed_month

Cell = tuple[str, str]  # currency and month


@dataclass(frozen=True, slots=True)
class MonthSums:
    """`earned` is after our fee, refunds and disputes; `paid` went to the coach's account at Stripe."""

    month: str
    closed: bool
    opening: Money
    earned: Money
    paid: Money
    closing: Money

    @property
    def words(self) -> str:
        return month_in_words(self.month)

    @property
    def currency(self) -> str:
        return self.opening.currency


def months_of(coach: Coach, now: datetime) -> list[MonthSums]:
    """Newest first, each currency on its own, up to the present month. Five queries."""
    earned, paid = _sums(coach)
    last_closed = last_closed_month()
    stated = set(Statement.objects.filter(coach=coach).values_list("currency", "month"))
    cells = earned.keys() | paid.keys() | stated | _unstated(coach, last_closed)
    if not cells:
        return []
    closed_until = last_closed.month if last_closed else ""
    present = max(month_of(now), *(month for _, month in cells))
    rows = []
    for currency in sorted({currency for currency, _ in cells}):
        balance, month = 0, min(month for each, month in cells if each == currency)
        while month <= present:
            cell, before = (currency, month), balance
            balance += earned[cell] - paid[cell]
            if before or cell in cells:
                amounts = (Money(amount, currency) for amount in (before, earned[cell], paid[cell], balance))
                rows.append(MonthSums(month, month <= closed_until, *amounts))
            month = month_of(end_of(month))
    return sorted(rows, key=lambda row: row.month, reverse=True)


def month_shown(coach: Coach, month: str, currency: str, now: datetime) -> CoachMonth | None:
    """None of a month or currency that is none, is still to come, or of which the books know nothing."""
    if not re.fullmatch(r"[a-z]{3}", currency):
        return None
    try:
        found = coach_month(coach_id=coach.pk, month=month, currency=currency)
    except UnknownMonth:
        return None
    known = found.opening or found.lines or found.payouts
    return found if known and month <= month_of(now) else None


def _unstated(coach: Coach, last_closed: ClosedMonth | None) -> set[Cell]:
    """Open months in which what was booked, paid out or sent back changed nothing of what we owe the coach."""
    since = last_closed.ends_at if last_closed else datetime.min.replace(tzinfo=UTC)
    sides = LedgerEntry.objects.filter(account__code__in=SIDES, transaction__payment__coach=coach)
    booked = sides.filter(transaction__occurred_at__gte=since).annotate(
        begins=TruncMonth("transaction__occurred_at", tzinfo=UTC)
    )
    found = set(booked.values_list("account__currency", "begins").order_by().distinct())
    payouts = Payout.objects.filter(account__coach=coach, stripe_payout_id__isnull=False)
    learnt = Q(recorded_at__gte=since) | Q(failed_at__gte=since) | Q(untracked_at__gte=since)
    for currency, *times in payouts.filter(learnt).values_list("currency", "recorded_at", "failed_at", "untracked_at"):
        found |= {(currency, at) for at in times if at is not None and at >= since}
    return {(currency, month_of(at)) for currency, at in found}


def _sums(coach: Coach) -> tuple[dict[Cell, int], dict[Cell, int]]:
    """Earned, and paid."""
    earned: dict[Cell, int] = defaultdict(int)
    paid: dict[Cell, int] = defaultdict(int)
    entries = LedgerEntry.objects.filter(account__code=coach_payable(coach.pk))
    rows = (
        entries.annotate(begins=TruncMonth("transaction__occurred_at", tzinfo=UTC))
        .values_list("account__currency", "begins", "transaction__kind")
        .annotate(total=Sum("amount"))
        .order_by()
    )
    for currency, begins, kind, total in rows:
        cell = (currency, month_of(begins))
        if KINDS.get(kind) in PAID:
            paid[cell] += total
        else:
            earned[cell] -= total
    return earned, paid
