"""How payments have gone in the last weeks. Each figure is one or two queries, however much there is."""

from datetime import datetime

from django.db.models import Q, QuerySet, Sum

from marketplace.lib.weeks import Share, last_weeks, shares, week_of
from payments.models import Dispute, LedgerEntry, Payment
from payments.postings import PLATFORM_REVENUE

INQUIRIES = (
    Dispute.Status.WARNING_NEEDS_RESPONSE,
    Dispute.Status.WARNING_UNDER_REVIEW,
    Dispute.Status.WARNING_CLOSED,
)


def refunded(now: datetime) -> list[Share]:
    """Of the payments taken in the week, those of which anything was refunded since."""
    return shares(_taken(), by="captured_at", part=Q(refunded_amount__gt=0), now=now)


def disputed(now: datetime) -> list[Share]:
    """Disputes opened in the week, against payments taken in it, as card networks count. Inquiries are none."""
    opened = Dispute.objects.exclude(status__in=INQUIRIES)
    counts = shares(opened, by="opened_at", part=Q(), now=now)
    taken = shares(_taken(), by="captured_at", part=Q(), now=now)
    return [Share(ours.week, ours.whole, all_.whole) for ours, all_ in zip(counts, taken, strict=True)]


def revenue(now: datetime) -> dict[str, list[int]]:
    """The platform's revenue of each week by currency, in minor units: its fees, less what of them went back."""
    weeks = last_weeks(now)
    sums = (
        LedgerEntry.objects.filter(account__code=PLATFORM_REVENUE, transaction__occurred_at__gte=weeks[0])
        .annotate(week=week_of("transaction__occurred_at"))
        .values("week", "account__currency")
        .annotate(total=Sum("amount"))
        .order_by("account__currency", "week")
    )
    found: dict[str, dict[datetime, int]] = {}
    for row in sums:
        found.setdefault(row["account__currency"], {})[row["week"]] = -row["total"]
    return {currency: [totals.get(week, 0) for week in weeks] for currency, totals in found.items()}


def _taken() -> QuerySet[Payment]:
    return Payment.objects.filter(captured_at__isnull=False)
