"""Sums of the ledger for tax authorities: what each coach took and was paid, by quarter. Minor units, UTC.

Everybody's year is read from months that are summed up (`payments.statements.years`), by these same queries.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import BigIntegerField, Case, Count, F, Q, QuerySet, Sum, When
from django.db.models.functions import Cast, Coalesce, ExtractQuarter, Substr

from marketplace.lib.money import Money
from marketplace.lib.months import end_of, start_of
from payments.ledger import COACH_PAYABLE, coach_payable
from payments.models import LedgerEntry, LedgerTransaction
from payments.postings import PLATFORM_LOSSES, PLATFORM_REVENUE
from payments.statements.books import KINDS, PAID, Kind

# A session's money: what was taken, and what went back of it.
TAKEN = frozenset({Kind.SESSION, Kind.PAID_BY_US})
GIVEN_BACK = frozenset({Kind.REFUND, Kind.REFUND_UNDONE, Kind.REFUND_MADE_GOOD, Kind.DISPUTE_LOST})
Owner = tuple[int, str, int]  # coach, currency, quarter
# On a coach's account, and what was booked beside it of a session's money.
THEIRS = Q(account__code__startswith=COACH_PAYABLE)
OURS = Q(account__code__in=(PLATFORM_REVENUE, PLATFORM_LOSSES))
# In a coach's place, where revenue belongs to no payment.
NOBODY = 0


@dataclass(slots=True)
class QuarterTotals:
    """`gross` is what students paid, `refunds` what of it went back to them; `fees` are ours in the end, `borne_by_us`
    is what we added, `adjusted` what was corrected in the books. `paid` went to the coach's account at Stripe.
    `sessions` earned the coach something. What we owe the coach grows by gross - refunds - fees + borne_by_us +
    adjusted - paid.
    """

    coach_id: int
    currency: str
    quarter: int
    gross: int = 0
    fees: int = 0
    refunds: int = 0
    borne_by_us: int = 0
    adjusted: int = 0
    paid: int = 0
    sessions: int = 0

    def sums(self) -> list[tuple[str, Money]]:
        """For people; without what we added, and without adjustments, where that is nothing."""
        rows = [
            ("Paid by students", self.gross),
            ("Given back by refunds and disputes", -self.refunds),
            ("Our fees", -self.fees),
            ("Borne by us", self.borne_by_us),
            ("Adjustments", self.adjusted),
            ("Transferred to Stripe account", self.paid),
        ]
        rare = ("Borne by us", "Adjustments")
        return [(words, Money(amount, self.currency)) for words, amount in rows if amount or words not in rare]


def year_totals(year: int, *, coach_ids: Iterable[int]) -> list[QuarterTotals]:
    """Of these coaches, by currency and quarter. One query. Raises UnknownMonth."""
    entries = _between(start_of(f"{year:04d}-01"), end_of(f"{year:04d}-12"))
    ids = list(coach_ids)
    accounts = [coach_payable(coach_id) for coach_id in ids]
    # Each side by an index of its own; in one condition they would be looked for among everybody's.
    on_accounts = entries.filter(account__code__in=accounts).values("pk")
    of_payments = entries.filter(OURS, transaction__payment__coach_id__in=ids).values("pk")
    return _totals(entries.filter(pk__in=on_accounts.union(of_payments)))


def totals_between(begins: datetime, ends: datetime) -> list[QuarterTotals]:
    """Of all coaches, by currency and quarter, with NOBODY's; `ends` is the first instant after it. One query."""
    return _totals(_between(begins, ends).filter(THEIRS | OURS))


def _totals(entries: QuerySet[LedgerEntry, Any]) -> list[QuarterTotals]:
    owner = Case(
        When(THEIRS, then=Cast(Substr("account__code", len(COACH_PAYABLE) + 1), BigIntegerField())),
        default=F("transaction__payment__coach_id"),
        output_field=BigIntegerField(),
    )
    rows = entries.annotate(owner=owner).values("owner", "account__currency", "quarter", "transaction__kind")
    sums = rows.annotate(
        theirs=_sum_where(THEIRS),
        revenue=_sum_where(Q(account__code=PLATFORM_REVENUE)),
        losses=_sum_where(Q(account__code=PLATFORM_LOSSES)),
        # One transaction has one line on a coach's account; what is paid for after we had paid the coach has none.
        times=Count("pk", filter=THEIRS),
    )
    return _folded(sums.order_by())


def years_of(coach_id: int) -> list[int]:
    """In which anything happened on the coach's account, or with their sessions' money, newest first. Two queries."""
    sides = Q(entries__account__code__in=(PLATFORM_REVENUE, PLATFORM_LOSSES), payment__coach_id=coach_id)
    years: set[int] = set()
    for facts in (Q(entries__account__code=coach_payable(coach_id)), sides):
        found = LedgerTransaction.objects.filter(facts).datetimes("occurred_at", "year", tzinfo=UTC)
        years |= {begins.year for begins in found}
    return sorted(years, reverse=True)


def _between(begins: datetime, ends: datetime) -> QuerySet[LedgerEntry, Any]:
    within = LedgerEntry.objects.filter(transaction__occurred_at__gte=begins, transaction__occurred_at__lt=ends)
    return within.annotate(quarter=ExtractQuarter("transaction__occurred_at", tzinfo=UTC))


def _sum_where(condition: Q) -> Any:
    return Coalesce(Sum("amount", filter=condition), 0)


def _folded(rows: Iterable[Any]) -> list[QuarterTotals]:
    """From debits and credits to what each is called; rows of several kinds make one."""
    found: dict[Owner, QuarterTotals] = {}
    for row in rows:
        owner = (row["owner"] or NOBODY, row["account__currency"], row["quarter"])
        _add(found.setdefault(owner, QuarterTotals(*owner)), row)
    return [found[owner] for owner in sorted(found)]


def _add(totals: QuarterTotals, row: dict[str, Any]) -> None:
    kind = KINDS.get(row["transaction__kind"], Kind.ADJUSTMENT)
    amount, fee, borne = -row["theirs"], -row["revenue"], row["losses"]
    totals.fees += fee
    totals.borne_by_us += borne
    if kind in TAKEN:
        totals.gross += amount + fee - borne
        totals.sessions += row["times"]
    elif kind in GIVEN_BACK:
        totals.refunds -= amount + fee - borne
    elif kind in PAID:
        totals.paid -= amount
    else:
        totals.adjusted += amount + fee - borne
