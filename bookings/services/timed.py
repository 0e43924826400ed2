"""What time brings about by itself."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db.models import F

from bookings import process, selectors
from bookings.models import Booking
from bookings.process import Transition
from bookings.services.deciding import settle_due_claims
from bookings.services.holding import authorise, payment_lost, renew, write_off
from bookings.services.moving import lapse
from bookings.services.paying import abandon
from bookings.services.reminding import remind_day_before, remind_hour_before, remind_to_answer, remind_to_pay
from bookings.services.session import complete, complete_undecided, expire
from bookings.transition import InvalidState
from marketplace.lib.errors import DomainError
from payments.rounds import for_a_while

log = structlog.get_logger(__name__)

# A timed transition that failed is left alone for this long, so that it holds up nothing else.
PUSHED_BACK = timedelta(minutes=1)

# What only has to be said. The nearer reminder comes first: where both are due, the other is not said any more.
_REMINDERS: tuple[tuple[Transition, Callable[..., Any]], ...] = (
    (process.REMIND_TO_ANSWER, remind_to_answer),
    (process.REMIND_HOUR_BEFORE, remind_hour_before),
    (process.REMIND_DAY_BEFORE, remind_day_before),
)
# What needs the network comes last, so that a slow Stripe holds up nothing else.
_TIMED: tuple[tuple[Transition, Callable[..., Any]], ...] = (
    (process.EXPIRE, expire),
    (process.AUTHORISE, authorise),
    (process.RENEW, renew),
    (process.COMPLETE, complete),
    (process.COMPLETE_UNDECIDED, complete_undecided),
    (process.WITHDRAW, lapse),
    (process.REMIND_TO_PAY, remind_to_pay),
    *_REMINDERS,
    (process.ABANDON, abandon),
    (process.PAYMENT_LOST, payment_lost),
    (process.WRITE_OFF, write_off),
)


def run_due_transitions(*, now: datetime, limit: int = 100) -> int:
    """What time brings about: one row at a time, oldest first. Returns how many rows were worked without a fault."""
    decided = settle_due_claims(now=now, limit=limit)
    return decided + sum(_run_due(transition, act, now, limit) for transition, act in _TIMED)


def remind(*, now: datetime, limit: int = 100) -> int:
    """What only has to be said, while nothing may be decided. Returns as above."""
    return sum(_run_due(transition, act, now, limit) for transition, act in _REMINDERS)


def _run_due(transition: Transition, act: Callable[..., Any], now: datetime, limit: int) -> int:
    # What has failed comes behind what has not: else the oldest that fail each time would keep all others waiting.
    turns = (F("retry_at").asc(nulls_first=True), transition.due_by, "pk")
    due = selectors.due(transition, now).order_by(*turns).values_list("pk", flat=True)
    return sum(_run_one(transition, act, pk, now) for pk in for_a_while(list(due[:limit])))


def _run_one(transition: Transition, act: Callable[..., Any], pk: int, now: datetime) -> bool:
    # Pushed back before the attempt: no second worker takes the row, and one that kills its worker stays behind.
    if selectors.due(transition, now).filter(pk=pk).update(retry_at=now + PUSHED_BACK) != 1:
        return False
    booking = Booking.objects.select_related("student__user", "coach__user", "payment").get(pk=pk)
    try:
        act(booking=booking, actor=None, now=now)
    except InvalidState:
        return False  # a person was first
    except DomainError as error:
        log.warning("timed_transition_waits", transition=transition.name, booking=pk, code=error.code)
        return False
    except Exception:
        log.exception("timed_transition_failed", transition=transition.name, booking=pk)
        return False
    return True
