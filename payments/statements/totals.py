"""What tax authorities ask of platforms: each coach's year by quarter, and our revenue by country. Minor units, UTC."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
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
GIVEN_BACK = frozenset({Kind.REFUND, Kind.REFUND_UNDONE, Kind.DISPUTE_LOST})
Owner = tuple[int, str, int]  # coach, currency, quarter


@dataclass(slots=True)
class QuarterTotals:
    """`gross` is what students paid, `refunds` what of it went back to them; `fees` are ours in the end, `borne_by_us`
    is what we added. `paid` went to the coach's account at Stripe. `sessions` earned the coach something.
    """

    coach_id: int
    currency: str
    quarter: int
    gross: int = 0
    fees: int = 0
    refunds: int = 0
    borne_by_us: int = 0
    paid: int = 0
    sessions: int = 0

    def sums(self) -> list[tuple[str, Money]]:
        """For people; without what we added where that is nothing."""
        rows = [
            ("Paid by students", self.gross),
            ("Given back by refunds and disputes", -self.refunds),
            ("Our fees", -self.fees),
            ("Borne by us", self.borne_by_us),
            ("Transferred to Stripe account", self.paid),
        ]
        return [(words, Money(amount, self.currency)) for words, amount in rows if amount or words != "Borne by us"]


@dataclass(frozen=True, slots=True)
class Revenue:
    """Our fees less what was given back. `country` is that of the coach's account; empty where there is none."""

    quarter: int
    country: str
    currency: str
    amount: int


def year_totals(year: int, *, coach_ids: Iterable[int] | None = None) -> list[QuarterTotals]:
    """By coach, currency and quarter; of some coaches, or of all. One query. Raises UnknownMonth."""
    theirs = Q(account__code__startswith=COACH_PAYABLE)
    sessions = Q(account__code__in=(PLATFORM_REVENUE, PLATFORM_LOSSES), transaction__payment__isnull=False)
    entries = _in_year(year)
    if coach_ids is None:
        entries = entries.filter(theirs | sessions)
    else:
        ids = list(coach_ids)
        accounts = [coach_payable(coach_id) for coach_id in ids]
        # Each side by an index of its own; in one condition they would be looked for among everybody's.
        on_accounts = entries.filter(account__code__in=accounts).values("pk")
        of_payments = entries.filter(sessions, transaction__payment__coach_id__in=ids).values("pk")
        entries = entries.filter(pk__in=on_accounts.union(of_payments))
    owner = Case(
        When(theirs, then=Cast(Substr("account__code", len(COACH_PAYABLE) + 1), BigIntegerField())),
        default=F("transaction__payment__coach_id"),
        output_field=BigIntegerField(),
    )
    rows = entries.annotate(owner=owner).values("owner", "account__currency", "quarter", "transaction__kind")
    sums = rows.annotate(
        theirs=_sum_where(theirs),
        revenue=_sum_where(Q(account__code=PLATFORM_REVENUE)),
        losses=_sum_where(Q(account__code=PLATFORM_LOSSES)),
        # One transaction has one line on a coach's account; what is paid for after we had paid the coach has none.
        times=Count("pk", filter=theirs),
    )
    return _folded(sums.order_by())


def revenue_by_country(year: int) -> list[Revenue]:
    """By quarter, country and currency. One query. Raises UnknownMonth."""
    country = "transaction__payment__coach__payout_account__country"
    fees = _in_year(year).filter(account__code=PLATFORM_REVENUE)
    rows = fees.values_list("quarter", country, "account__currency").annotate(total=Sum("amount")).order_by()
    found = [Revenue(quarter, where or "", currency, -total) for quarter, where, currency, total in rows]
    return sorted(found, key=lambda row: (row.quarter, row.country, row.currency))


def years_of(coach_id: int) -> list[int]:
    """In which anything happened on the coach's account, or with their sessions' money, newest first. Two queries."""
    sides = Q(entries__account__code__in=(PLATFORM_REVENUE, PLATFORM_LOSSES), payment__coach_id=coach_id)
    years: set[int] = set()
    for facts in (Q(entries__account__code=coach_payable(coach_id)), sides):
        found = LedgerTransaction.objects.filter(facts).datetimes("occurred_at", "year", tzinfo=UTC)
        years |= {begins.year for begins in found}
    return sorted(years, reverse=True)


def _in_year(year: int) -> QuerySet[LedgerEntry, Any]:
    begins, ends = start_of(f"{year:04d}-01"), end_of(f"{year:04d}-12")
    within = LedgerEntry.objects.filter(transaction__occurred_at__gte=begins, transaction__occurred_at__lt=ends)
    return within.annotate(quarter=ExtractQuarter("transaction__occurred_at", tzinfo=UTC))


def _sum_where(condition: Q) -> Any:
    return Coalesce(Sum("amount", filter=condition), 0)


def _folded(rows: Iterable[Any]) -> list[QuarterTotals]:
    """From debits and credits to what each is called; rows of several kinds make one."""
    found: dict[Owner, QuarterTotals] = {}
    for row in rows:
        owner = (row["owner"], row["account__currency"], row["quarter"])
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
