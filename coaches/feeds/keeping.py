"""The outside calendars of a coach: added, renamed, removed, and read again and again.

What a calendar said last stays until it is read anew: a calendar that can't be read never opens time, however long
that lasts. Its coach sees how old it is, and is told in words what is wrong.
"""

import time
import traceback
from datetime import datetime, timedelta

import structlog
from celery import current_app
from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from kombu.exceptions import OperationalError as BrokerError

from coaches.feeds import fetching, reading
from coaches.feeds.addresses import FeedTrouble, normal_address
from coaches.feeds.reading import Reading
from coaches.models import FURTHEST_DAYS, BusyTime, CalendarFeed, Coach
from marketplace import clock
from marketplace.lib.errors import DomainError

log = structlog.get_logger(__name__)

MOST_FEEDS = 5
EVERY = timedelta(minutes=10)
# After failures: 10, 20, 40 ... minutes, at most 6 hours.
LONGEST_PAUSE = timedelta(hours=6)
# A coach who presses the button asks for one reading a minute.
ASKED_EVERY = timedelta(minutes=1)
# Longer than any attempt: 20 s to fetch it and a minute to read it.
LEASE = timedelta(minutes=3)
# The next round goes on where one ends; meanwhile the worker does what else there is to do.
ROUND_SECONDS = 30
# As far as any coach can be booked, whatever their own furthest day is at the moment: one who moves it on must not
# open days whose busy times were never read. Days more, since a session may begin late on the last one.
WINDOW_BEHIND, WINDOW_AHEAD = timedelta(days=1), timedelta(days=FURTHEST_DAYS + 2)
READ_TASK = "coaches.tasks.read_calendars"
BUG = "We could not read this calendar, and it may not be its fault."


class TooManyFeeds(DomainError):
    """The coach has as many outside calendars as one may have."""

    code = "too_many_feeds"
    message = f"You have {MOST_FEEDS} calendars here, the most there can be. Remove one first."


class FeedAlreadyThere(DomainError):
    """The coach has this address already."""

    code = "feed_already_there"
    message = "You have added this address already."


# --- what the coach decides ---------------------------------------------------------------------


def add_feed(*, coach: Coach, name: str, address: str, now: datetime) -> CalendarFeed:
    """One more calendar, read once a worker comes to it. Raises AddressRefused, FeedAlreadyThere, TooManyFeeds."""
    kept = normal_address(address)
    try:
        with transaction.atomic():
            # Two that are added at once would both find room.
            Coach.objects.select_for_update().get(pk=coach.pk)
            if CalendarFeed.objects.filter(coach=coach, address=kept).exists():
                raise FeedAlreadyThere
            if CalendarFeed.objects.filter(coach=coach).count() >= MOST_FEEDS:
                raise TooManyFeeds
            feed = CalendarFeed.objects.create(coach=coach, name=name, address=kept, next_read_at=now, created_at=now)
    except IntegrityError:
        # The database's own words repeat the address.
        raise FeedAlreadyThere from None
    _read_soon()
    return feed


def rename_feed(*, feed: CalendarFeed, name: str) -> None:
    feed.name = name
    feed.save(update_fields=["name"])


def remove_feed(*, feed: CalendarFeed) -> None:
    """Its busy times go with it, so that this time can be booked again."""
    with transaction.atomic():
        # A reading that ends at this moment would add busy times to a feed that is gone.
        CalendarFeed.objects.select_for_update().filter(pk=feed.pk).first()
        CalendarFeed.objects.filter(pk=feed.pk).delete()


def ask_for_reading(*, feed: CalendarFeed, now: datetime) -> bool:
    """To be read now, whatever pause it is in. False where it was tried a moment ago."""
    not_just_now = Q(tried_at=None) | Q(tried_at__lte=now - ASKED_EVERY)
    asked = CalendarFeed.objects.filter(not_just_now, pk=feed.pk).update(next_read_at=now)
    _read_soon()
    return bool(asked)


def _read_soon() -> None:
    transaction.on_commit(_send_task, robust=True)


def _send_task() -> None:
    try:
        current_app.send_task(READ_TASK, retry=False)
    except BrokerError:
        # The rows are the promise: the next tick reads them.
        log.warning("broker_unreachable", task=READ_TASK)


# --- what the worker does -----------------------------------------------------------------------


def read_due(*, now: datetime, reach: fetching.Reach = fetching.PUBLIC, limit: int = 100) -> int:
    """Reads what is due, longest due first, one at a time and for a while; returns how many were tried."""
    due = list(_due(now).order_by("next_read_at", "pk").values_list("pk", flat=True)[:limit])
    end = time.monotonic() + ROUND_SECONDS
    tried = 0
    for pk in due:
        if time.monotonic() >= end:
            break
        tried += read_feed(pk=pk, now=now, reach=reach)
    return tried


def _due(now: datetime) -> QuerySet[CalendarFeed]:
    free = Q(lease_until=None) | Q(lease_until__lte=clock.wall())
    return CalendarFeed.objects.filter(free, next_read_at__lte=now)


def read_feed(*, pk: int, now: datetime, reach: fetching.Reach = fetching.PUBLIC) -> bool:
    """One calendar, if it is due and nobody else has it; whether it was tried. Never within a transaction."""
    # Its end is also the name of this lease: whoever finds another one there has lost the calendar to somebody else.
    lease = clock.wall() + LEASE
    if not _due(now).filter(pk=pk).update(lease_until=lease):
        return False
    feed = CalendarFeed.objects.select_related("coach").filter(pk=pk).first()
    if feed is None:
        return False  # removed at this moment
    mine = CalendarFeed.objects.filter(pk=pk, lease_until=lease)
    try:
        content = fetching.fetch(feed.address, reach=reach)
        found = reading.read(content, zone=feed.coach.time_zone, since=now - WINDOW_BEHIND, until=now + WINDOW_AHEAD)
    except FeedTrouble as trouble:
        log.info("feed_not_read", feed=pk, reason=str(trouble))
        _note_trouble(mine, feed, str(trouble), now)
    except Exception as error:  # noqa: BLE001  # reported below, and one calendar must not keep the others waiting
        log.error("feed_not_read_by_a_bug", feed=pk, error=type(error).__name__, at=_place_of(error))  # noqa: TRY400
        _note_trouble(mine, feed, BUG, now)
    else:
        _keep(mine, feed, found, now)
    return True


def _place_of(error: Exception) -> str:
    """Where it was raised. Its own words, which may repeat the address, are left out."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{last.filename}:{last.lineno}"


def _keep(mine: QuerySet[CalendarFeed], feed: CalendarFeed, found: Reading, now: datetime) -> None:
    with transaction.atomic():
        kept = mine.update(
            read_at=now,
            tried_at=now,
            trouble=_unclear_in_words(found.unclear),
            failures=0,
            next_read_at=now + EVERY,
            lease_until=None,
        )
        if not kept:
            return  # removed, or read by somebody else since
        BusyTime.objects.filter(feed=feed).delete()
        BusyTime.objects.bulk_create(
            BusyTime(feed=feed, coach=feed.coach, starts_at=starts, ends_at=ends) for starts, ends in found.busy
        )


def _unclear_in_words(unclear: int) -> str:
    if not unclear:
        return ""
    events = "1 event" if unclear == 1 else f"{unclear} events"
    return f"{events} in it could not be understood: students may be able to book that time."


def _note_trouble(mine: QuerySet[CalendarFeed], feed: CalendarFeed, words: str, now: datetime) -> None:
    """The busy times stay as they were."""
    pause = min(EVERY * 2 ** min(feed.failures, 10), LONGEST_PAUSE)
    mine.update(tried_at=now, trouble=words, failures=F("failures") + 1, next_read_at=now + pause, lease_until=None)
