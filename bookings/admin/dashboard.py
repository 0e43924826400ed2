"""The staff's front page: the last twelve weeks in figures, each with its definition and a way to its rows."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse

from bookings import figures
from marketplace import clock
from marketplace.lib.money import Money, to_decimal
from marketplace.lib.weeks import WEEK, Share, last_weeks
from payments import figures as payment_figures
from payments.models import Dispute
from payments.postings import PLATFORM_REVENUE


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of something by week: who sees it, and which rows are the whole and which the part."""

    title: str
    definition: str
    right: str
    count: Callable[[datetime], list[Share]]
    whole: str
    whole_by: str
    whole_is: dict[str, str]
    part: str
    part_by: str
    part_is: dict[str, str]


RATES = (
    Rate(
        "Conversion",
        "Of the bookings begun in the week, those that were paid for: held on a card, or with a card saved.",
        "bookings.view_booking",
        figures.converted,
        "bookings_booking",
        "created_at",
        {},
        "bookings_booking",
        "created_at",
        {"status__in": ",".join(figures.PAID)},
    ),
    Rate(
        "Completion",
        "Of the accepted and paid sessions that ended in the week, those that took place and were completed. "
        "Cancelled and missed ones count as not completed.",
        "bookings.view_booking",
        figures.completed,
        "bookings_booking",
        "ends_at",
        {"status__in": ",".join(figures.ACCEPTED_ONCE)},
        "bookings_booking",
        "ends_at",
        {"status__in": "completed"},
    ),
    Rate(
        "Refund rate",
        "Of the payments taken in the week, those of which anything was refunded since.",
        "payments.view_payment",
        payment_figures.refunded,
        "payments_payment",
        "captured_at",
        {},
        "payments_payment",
        "captured_at",
        {"refunded_amount__gt": "0"},
    ),
    Rate(
        "Dispute rate",
        "Disputes opened in the week, for each payment taken in it, as card networks count. Inquiries are none.",
        "payments.view_dispute",
        payment_figures.disputed,
        "payments_payment",
        "captured_at",
        {},
        "payments_dispute",
        "opened_at",
        {"status__in": ",".join(status for status in Dispute.Status if status not in payment_figures.INQUIRIES)},
    ),
)

REVENUE = (
    "Our fees as they were booked in the week, less what of them went back with refunds and disputes. "
    "Stripe's fees and our losses are not taken off."
)


def add_figures(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the theme calls before it draws the front page."""
    now = clock.now()
    charts = [_rate(rate, now) for rate in RATES if request.user.has_perm(rate.right)]
    if request.user.has_perm("payments.view_ledgerentry"):
        weeks = last_weeks(now)
        charts += [_revenue(currency, weeks, totals, now) for currency, totals in payment_figures.revenue(now).items()]
    return {**context, "charts": charts}


def _rate(rate: Rate, now: datetime) -> dict[str, Any]:
    counts = rate.count(now)
    part, whole = sum(each.part for each in counts), sum(each.whole for each in counts)
    rows = [
        {
            "week": each.week,
            "value": _per_cent(each.part, each.whole),
            "part": each.part,
            "whole": each.whole,
            **_rows_of(rate, each.week, _end(each.week, now)),
        }
        for each in counts
    ]
    values = [round(100 * each.part / each.whole, 1) if each.whole else None for each in counts]
    return {
        "title": rate.title,
        "definition": rate.definition,
        "now": _per_cent(part, whole),
        "part": part,
        "whole": whole,
        **_rows_of(rate, counts[0].week, now),
        "rows": rows,
        "data": _chart([each.week for each in counts], values, "%"),
    }


def _revenue(currency: str, weeks: list[datetime], totals: list[int], now: datetime) -> dict[str, Any]:
    def entries(since: datetime, until: datetime) -> str:
        only = {"account__code": PLATFORM_REVENUE, "account__currency": currency}
        return _rows("payments_ledgerentry", "transaction__occurred_at", since, until, only)

    rows = [
        {
            "week": week,
            "value": str(Money(total, currency)),
            "whole_link": entries(week, _end(week, now)),
        }
        for week, total in zip(weeks, totals, strict=True)
    ]
    return {
        "title": f"Platform revenue, {currency.upper()}",
        "definition": REVENUE,
        "now": str(Money(sum(totals), currency)),
        "whole_link": entries(weeks[0], now),
        "rows": rows,
        "data": _chart(weeks, [float(to_decimal(Money(total, currency))) for total in totals], currency.upper()),
    }


def _per_cent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _end(week: datetime, now: datetime) -> datetime:
    """Of the present week, what is counted so far."""
    return min(week + WEEK, now)


def _rows_of(rate: Rate, since: datetime, until: datetime) -> dict[str, str]:
    return {
        "part_link": _rows(rate.part, rate.part_by, since, until, rate.part_is),
        "whole_link": _rows(rate.whole, rate.whole_by, since, until, rate.whole_is),
    }


def _rows(page: str, by: str, since: datetime, until: datetime, only: dict[str, str]) -> str:
    """The list of exactly these rows."""
    query = {f"{by}__gte": since.isoformat(sep=" "), f"{by}__lt": until.isoformat(sep=" "), **only}
    return f"{reverse(f'admin:{page}_changelist')}?{urlencode(query)}"


def _chart(weeks: list[datetime], values: list[Any], unit: str) -> str:
    """What the theme's chart reads."""
    bars = {
        "label": unit,
        "data": values,
        "backgroundColor": "var(--color-primary-600)",
        "displayYAxis": True,
        "suffixYAxis": unit,
        "maxTicksXLimit": 12,
    }
    return json.dumps({"labels": [f"{week.day} {week:%b}" for week in weeks], "datasets": [bars]})
