"""Calendar months in UTC, written "2026-10": half-open, from their first instant to the next one's."""

import re
from calendar import month_name
from datetime import UTC, datetime, timedelta

from marketplace.lib.errors import DomainError


class UnknownMonth(DomainError):
    code = "unknown_month"
    status = 400
    message = "Write the month like 2026-10."


def month_of(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m")


def month_before(now: datetime) -> str:
    """The calendar month before the one that `now` lies in."""
    return month_of(now.astimezone(UTC).replace(day=1) - timedelta(days=1))


def month_in_words(month: str) -> str:
    """`October 2026`. Raises UnknownMonth."""
    year, number = _parts(month)
    return f"{month_name[number]} {year}"


def start_of(month: str) -> datetime:
    """Its first instant. Raises UnknownMonth."""
    year, number = _parts(month)
    return datetime(year, number, 1, tzinfo=UTC)


def end_of(month: str) -> datetime:
    """The first instant after it. Raises UnknownMonth."""
    year, number = _parts(month)
    return datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)


def _parts(month: str) -> tuple[int, int]:
    # The year 9999 has no instant after it.
    if not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", month, re.ASCII) or not "0001" <= month[:4] < "9999":
        raise UnknownMonth
    return int(month[:4]), int(month[5:])
