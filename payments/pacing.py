"""Keeps all our processes together under Stripe's rate limits: 100 calls a second live, 25 in test mode, and 25 for
any one endpoint (https://docs.stripe.com/rate-limits).

Counted in the shared cache by the second. Where the cache is gone nothing is paced, and a 429 is answered by backing
off as ever.
"""

import random
import time

from django.conf import settings
from django.core.cache import cache

from marketplace import clock

# Below Stripe's 25, since a burst may lie across the border of two seconds.
CALLS_TO_ONE_ENDPOINT = 20
# An operation looks up, perhaps twice, and sends, each after a wait: all of it fits into its lease of 60 s.
LONGEST_WAIT_SECONDS = 2
_COUNTERS_LIVE_SECONDS = 10


def take_turn(endpoint: str) -> bool:
    """Waits for a free place, and takes it; False where none came free in time."""
    limit = settings.STRIPE_CALLS_PER_SECOND
    if not limit:
        return True
    deadline = time.monotonic() + LONGEST_WAIT_SECONDS
    while not _has_room(endpoint, limit):
        if time.monotonic() >= deadline:
            return False
        _sleep_into_the_next_second()
    return True


def _has_room(endpoint: str, limit: int) -> bool:
    second = int(clock.wall().timestamp())
    if _count(f"stripe-calls:{endpoint}:{second}") > CALLS_TO_ONE_ENDPOINT:
        return False
    return _count(f"stripe-calls:{second}") <= limit


def _count(key: str) -> int:
    cache.add(key, 0, timeout=_COUNTERS_LIVE_SECONDS)
    try:
        return int(cache.incr(key))
    except ValueError:  # flushed in between
        return 1


def _sleep_into_the_next_second() -> None:
    # Those who wait do not all come back at the same instant.
    rest = 1 - clock.wall().timestamp() % 1
    time.sleep(rest + random.uniform(0, 0.2))  # noqa: S311  # no secret depends on it
