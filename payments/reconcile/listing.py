"""What the comparisons share: windows in time, on Stripe's side and on ours."""

from datetime import datetime
from typing import Any, TypeVar

from django.db.models import Model, QuerySet

_Row = TypeVar("_Row", bound=Model)


def window(since: datetime | None, after: str = "") -> dict[str, Any]:
    """As Stripe's lists take it: what was made since then, and comes after this object. Empty for everything."""
    made = {"created": {"gte": int(since.timestamp())}} if since else {}
    return {**made, "starting_after": after} if after else made


def created_since(rows: QuerySet[_Row], since: datetime | None) -> QuerySet[_Row]:
    return rows.filter(created_at__gte=since) if since else rows
