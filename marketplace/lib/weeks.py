"""The weeks that staff see figures of: Monday to Sunday, UTC."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import TruncWeek

SHOWN = 12
WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many, in the week that begins then."""

    week: datetime
    part: int
    whole: int


def last_weeks(now: datetime) -> list[datetime]:
    """When each of the last twelve begins, the present one last."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    monday = today - timedelta(days=today.weekday())
    return [monday - WEEK * number for number in reversed(range(SHOWN))]


def week_of(field: str) -> TruncWeek:
    return TruncWeek(field, tzinfo=UTC)


def shares(rows: QuerySet[Any], *, by: str, part: Q, now: datetime) -> list[Share]:
    """Of the rows of each week, by this time of theirs, how many are so. One query."""
    weeks = last_weeks(now)
    counted = (
        rows.filter(**{f"{by}__gte": weeks[0]})
        .annotate(week=week_of(by))
        .values("week")
        .annotate(part=Count("pk", filter=part), whole=Count("pk"))
        .order_by("week")
    )
    found = {row["week"]: (row["part"], row["whole"]) for row in counted}
    return [Share(week, *found.get(week, (0, 0))) for week in weeks]
