"""The outside calendars as their coach sees them: how fresh they are, and never the address."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Q
from django.utils.timesince import timesince

from coaches.feeds.addresses import shortened
from coaches.models import CalendarFeed, Coach

# A calendar that was not read for so long may have changed a lot: its coach is warned. Its busy times stay.
STALE_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ShownFeed:
    pk: int
    name: str
    place: str  # the host alone
    freshness: str
    trouble: str
    reading: bool  # a worker will come to it in a moment
    stale: bool


def feeds_of(coach: Coach, *, now: datetime) -> list[ShownFeed]:
    """Oldest first; one query."""
    ahead = Q(busy_times__ends_at__gt=now, busy_times__starts_at__lt=now + timedelta(days=coach.furthest_days))
    feeds = CalendarFeed.objects.filter(coach=coach).annotate(busy=Count("busy_times", filter=ahead))
    return [_shown(feed, feed.busy, coach.furthest_days, now) for feed in feeds.order_by("created_at", "pk")]


def _shown(feed: CalendarFeed, busy: int, days: int, now: datetime) -> ShownFeed:
    return ShownFeed(
        pk=feed.pk,
        name=feed.name,
        place=shortened(feed.address),
        freshness=_freshness(feed.read_at, busy, days, now),
        trouble=feed.trouble,
        reading=feed.next_read_at <= now,
        stale=feed.read_at is not None and feed.read_at <= now - STALE_AFTER,
    )


def _freshness(read_at: datetime | None, busy: int, days: int, now: datetime) -> str:
    if read_at is None:
        return "Not read yet; it closes no time so far"
    when = "just now" if now - read_at < timedelta(minutes=1) else f"{timesince(read_at, now, depth=1)} ago"
    times = {0: "no busy times", 1: "1 busy time"}.get(busy, f"{busy:,} busy times")
    return f"Read {when}; {times} in the next {'day' if days == 1 else f'{days} days'}"
