"""A timer that looked, and acts later than it thought: what has happened meanwhile counts."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from bookings import services
from bookings.models import Booking, Notice
from bookings.services import reminding
from bookings.tests.factories import HOUR, NOW, START, accepted, fresh, requested
from bookings.transition import InvalidState
from coaches.models import Coach, Offering
from marketplace.models import User
from payments.models import Operation, Payment

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

# A day before it is still ahead.
LATER = START + 12 * HOUR
FAR = START + timedelta(days=9)


def moved_far_ahead(booking: Booking, student: User, coach: Coach) -> None:
    """Beyond its hold: the hold is given back, and the card kept for two days before the new start."""
    services.propose(booking=fresh(booking), actor=student, starts_at=FAR, now=NOW)
    services.agree(booking=fresh(booking), actor=coach.user, expected_starts_at=FAR, now=NOW)


@pytest.mark.parametrize("act", [services.authorise, services.renew])
def test_a_session_that_was_moved_far_ahead_meanwhile_is_not_held_for_now(
    act: Callable[..., Any], student: User, coach: Coach, offering: Offering
) -> None:
    booking = accepted(student, offering)
    moved_far_ahead(booking, student, coach)
    with pytest.raises(InvalidState):
        act(booking=booking, actor=None, now=NOW)
    assert list(Payment.objects.order_by("pk").values_list("status", flat=True)) == ["releasing", "saved"]
    assert not Operation.objects.filter(kind=Operation.Kind.HOLD).exists()


@pytest.mark.parametrize(
    ("remind", "at"),
    [(reminding.remind_day_before, LATER - 24 * HOUR), (reminding.remind_hour_before, LATER - HOUR)],
)
def test_a_session_is_reminded_of_once_by_two_timers(
    remind: Callable[..., None], at: datetime, student: User, offering: Offering
) -> None:
    booking = accepted(student, offering, starts_at=LATER)
    slow = fresh(booking)
    remind(booking=fresh(booking), actor=None, now=at)
    with pytest.raises(InvalidState):
        remind(booking=slow, actor=None, now=at)
    assert booking.events.filter(transition__startswith="remind").count() == 1
    assert Notice.objects.filter(event__booking=booking, event__transition__startswith="remind").count() == 2


def test_a_coach_is_asked_for_an_answer_once_by_two_timers(student: User, offering: Offering) -> None:
    booking = requested(student, offering)
    at = booking.answer_reminder_at
    assert at is not None
    slow = fresh(booking)
    reminding.remind_to_answer(booking=fresh(booking), actor=None, now=at)
    with pytest.raises(InvalidState):
        reminding.remind_to_answer(booking=slow, actor=None, now=at)
    assert booking.events.filter(transition="remind_to_answer").count() == 1


def test_a_student_is_asked_to_pay_again_once_by_two_timers(student: User, offering: Offering) -> None:
    booking = accepted(student, offering)
    Booking.objects.update(pay_due_at=START - HOUR, pay_reminder_at=NOW)
    slow = fresh(booking)
    reminding.remind_to_pay(booking=fresh(booking), actor=None, now=NOW)
    with pytest.raises(InvalidState):
        reminding.remind_to_pay(booking=slow, actor=None, now=NOW)
    assert booking.events.filter(transition="remind_to_pay").count() == 1
