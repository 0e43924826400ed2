"""Everybody's year for tax authorities: each coach by quarter, and our revenue by country. Minor units, UTC.

A closed month never changes, so it is summed up once and kept, with the country that each coach's account was in; a
year's page reads these sums, and of the ledger only the months that are still open.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Sum

from marketplace.lib.months import end_of, start_of
from payments.models import ClosedMonth, MonthTotals, PayoutAccount
from payments.rounds import for_a_while
from payments.statements.totals import NOBODY, Owner, QuarterTotals, totals_between

log = structlog.get_logger(__name__)

SUMMED = ("gross", "fees", "refunds", "borne_by_us", "adjusted", "paid", "sessions")


@dataclass(frozen=True, slots=True)
class Revenue:
    """Our fees less what was given back. `country` is that of the coach's account, for a closed month as it was when
    that was summed up; empty where there was none, and where the revenue is of no payment.
    """

    quarter: int
    country: str
    currency: str
    amount: int


@dataclass(frozen=True, slots=True)
class WholeYear:
    coaches: list[QuarterTotals]
    revenue: list[Revenue]


def sum_up_closed_months() -> None:
    """Those that are not yet, the oldest first; the next round goes on. May be killed, and run by two at once."""
    kept = MonthTotals.objects.values("month")
    for closed in for_a_while(ClosedMonth.objects.exclude(month__in=kept).order_by("ends_at")):
        _sum_up(closed.month)


def whole_year(year: int) -> WholeYear:
    """Raises UnknownMonth."""
    months = [f"{year:04d}-{number:02d}" for number in range(1, 13)]
    kept = set(MonthTotals.objects.filter(month__in=months).values_list("month", flat=True).distinct())
    coaches: dict[Owner, QuarterTotals] = {}
    revenue: dict[tuple[int, str, str], int] = defaultdict(int)
    for quarter in range(1, 5):
        _add_kept(quarter, kept.intersection(months[3 * quarter - 3 : 3 * quarter]), coaches, revenue)
    countries = dict(PayoutAccount.objects.values_list("coach_id", "country"))
    for month in months:
        if month not in kept:
            rows = totals_between(start_of(month), end_of(month))
            _add(coaches, rows)
            for row in rows:
                revenue[row.quarter, countries.get(row.coach_id, ""), row.currency] += row.fees
    return WholeYear(
        [coaches[owner] for owner in sorted(coaches) if owner[0] != NOBODY],
        [Revenue(*where, amount) for where, amount in sorted(revenue.items()) if amount],
    )


def _sum_up(month: str) -> None:
    rows = totals_between(start_of(month), end_of(month))
    countries = dict(PayoutAccount.objects.values_list("coach_id", "country"))
    kept = [
        MonthTotals(
            coach_id=None if row.coach_id == NOBODY else row.coach_id,
            month=month,
            currency=row.currency,
            country=countries.get(row.coach_id, ""),
            **{name: getattr(row, name) for name in SUMMED},
        )
        for row in rows
    ]
    try:
        # All of them or none, also in the eyes of who reads meanwhile.
        with transaction.atomic():
            MonthTotals.objects.bulk_create(kept, batch_size=2_000)
    except IntegrityError:
        log.info("month_summed_up_already", month=month)


def _add_kept(
    quarter: int,
    months: Iterable[str],
    coaches: dict[Owner, QuarterTotals],
    revenue: dict[tuple[int, str, str], int],
) -> None:
    """Two queries."""
    kept = MonthTotals.objects.filter(month__in=list(months)).order_by()
    sums = kept.values_list("coach_id", "currency").annotate(*(Sum(name) for name in SUMMED))
    rows = (QuarterTotals(coach or NOBODY, currency, quarter, *amounts) for coach, currency, *amounts in sums)
    _add(coaches, rows)
    for country, currency, amount in kept.values_list("country", "currency").annotate(Sum("fees")):
        revenue[quarter, country, currency] += amount


def _add(coaches: dict[Owner, QuarterTotals], rows: Iterable[QuarterTotals]) -> None:
    for row in rows:
        sums = coaches.setdefault(
            (row.coach_id, row.currency, row.quarter), QuarterTotals(row.coach_id, row.currency, row.quarter)
        )
        for name in SUMMED:
            setattr(sums, name, getattr(sums, name) + getattr(row, name))
