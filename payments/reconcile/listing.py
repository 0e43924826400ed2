"""What the comparisons share: windows in time, on Stripe's side and on ours."""

from datetime import datetime
from typing import Any, TypeVar

from django.db.models import Model, QuerySet

_Row = TypeVar("_Row", bound=Model)


def window(since: datetime | None) -> dict[str, Any]:
    """As Stripe's lists take it; empty for everything."""
    return {"created": {"gte": int(since.timestamp())}} if since else {}


def created_since(rows: QuerySet[_Row], since: datetime | None) -> QuerySet[_Row]:
    return rows.filter(created_at__gte=since) if since else rows
