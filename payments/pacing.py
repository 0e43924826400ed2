"""Keeps all our processes together under Stripe's rate limits: 100 calls a second live, 25 in test mode, and 25 for
any one endpoint (https://docs.stripe.com/rate-limits).

A second has as many places as calls are allowed in it, evenly spaced, and each is taken once: whoever adds its number
to the shared cache first has it. So no burst crosses the border of two seconds, and while calls wait no place is left
empty. Where the cache is gone nothing is paced, and a 429 is answered by backing off as ever.
"""

import time

from django.conf import settings
from django.core.cache import cache

from marketplace import clock

# Of Stripe's 25: whichever second it counts, 24 even places a second have at most 25 in it.
CALLS_TO_ONE_ENDPOINT = 24
# An operation looks up, perhaps twice, and sends, each after a wait: all of it fits into its lease of 60 s.
LONGEST_WAIT_SECONDS = 2
_PLACES_LIVE_SECONDS = 10


def take_turn(endpoint: str) -> bool:
    """Waits for a place among all calls, and for one at the endpoint; False where none comes free in time."""
    limit = settings.STRIPE_CALLS_PER_SECOND
    if not limit:
        return True
    last = _now() + LONGEST_WAIT_SECONDS
    turn = _take_place("", limit, _now(), last)
    if turn is not None:
        turn = _take_place(endpoint, CALLS_TO_ONE_ENDPOINT, turn, last)
    if turn is None:
        return False
    time.sleep(max(0.0, turn - _now()))
    return True


def _take_place(name: str, rate: int, earliest: float, last: float) -> float | None:
    """The time of the first free place; the one that we are in has begun, and is as good as any."""
    number = int(earliest * rate)
    while number <= last * rate:
        if cache.add(f"stripe-place:{name}:{rate}:{number}", 1, timeout=_PLACES_LIVE_SECONDS):
            return max(earliest, number / rate)
        number += 1
    return None


def _now() -> float:
    return clock.wall().timestamp()
