"""The one place that reads the time.

In the demo and in simulations the product lives by the sandbox's clock, so that one move of it moves
both. Signatures and leases are about the real world and use `wall()`.
"""

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from urllib.error import URLError
from urllib.request import urlopen

import structlog
from django.conf import settings
from django.db import connection

log = structlog.get_logger(__name__)

# A machine whose clock is further from the database's than this decides nothing by time.
MOST_APART = timedelta(minutes=1)
# A moved sandbox clock is noticed within this time; asking on every read would cost a request each.
_OFFSET_LIFE_SECONDS = 0.5
# A busy machine's sandbox may take a while; without its answer a moved clock would go unnoticed.
_ANSWER_SECONDS = 10
_offset = timedelta()
_offset_read_at = float("-inf")
_lock = threading.Lock()


class WrongClockError(Exception):
    """This machine's clock and the database's don't agree: what it took for due might not be."""


def wall() -> datetime:
    """The machine's own time, in UTC."""
    return datetime.now(UTC)


def now() -> datetime:
    """The product's time, in UTC: the machine's, or the sandbox's where there is one."""
    if not settings.STRIPE_SANDBOX_URL:
        return wall()
    return wall() + _sandbox_offset()


def for_timers() -> datetime:
    """As `now()`, for what is done because its time has come: by several machines, so by one clock.

    Raises WrongClockError. SQLite has no clock of its own, and one machine.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            (theirs,) = cursor.fetchone()
        ahead = wall() - theirs
        if abs(ahead) > MOST_APART:
            log.critical("clock_differs_from_the_database", seconds_ahead=ahead.total_seconds())
            raise WrongClockError(f"This machine's clock is {ahead.total_seconds():.0f} s ahead of the database's.")
    return now()


def forget_offset() -> None:
    """Ask the sandbox again at the next `now()`: for the process that has just moved its clock."""
    global _offset_read_at
    with _lock:  # another thread may be asking: its answer may be from before the move
        _offset_read_at = float("-inf")


def _sandbox_offset() -> timedelta:
    global _offset, _offset_read_at
    with _lock:
        if time.monotonic() - _offset_read_at < _OFFSET_LIFE_SECONDS:
            return _offset
        # Before it is asked: an answer that is long on its way is not believed for longer than another.
        asked_at = time.monotonic()
        try:
            with urlopen(f"{settings.STRIPE_SANDBOX_URL}/_sandbox/clock", timeout=_ANSWER_SECONDS) as answer:
                # The offset itself: taken from its whole seconds of now, our time would jump back and forth.
                _offset = timedelta(seconds=json.load(answer)["offset"])
        except (URLError, TimeoutError, ValueError) as error:
            # The last known offset still holds: the sandbox's clock runs on while it does not answer.
            log.warning("sandbox_clock_unreachable", error=str(error))
        _offset_read_at = asked_at
        return _offset
