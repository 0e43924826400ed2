"""How long a timer's round of work may go on.

A slow or silent Stripe would otherwise keep every worker in the first list they came to, and mails and bookings
would wait for it. The next tick goes on where the round ended.
"""

import time
from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import TypeVar

LONGEST_SECONDS = 30

_Item = TypeVar("_Item")


def for_a_while(items: Iterable[_Item]) -> Iterator[_Item]:
    """The items, for as long as a round may last; measured before each, so the last one may take longer."""
    end = time.monotonic() + LONGEST_SECONDS
    return takewhile(lambda _: time.monotonic() < end, items)
