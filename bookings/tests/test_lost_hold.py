"""A hold that is lost: made anew on the card, else asked for by link, else the session is off; all to the second."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from bookings import services
from bookings.models import Booking
from bookings.tests.factories import HOUR, SECOND, START, accepted, fresh, hold_lost, requested
from bookings.tests.test_life import mails, operations
from coaches.models import Offering
from marketplace.models import User
from payments.models import Payment

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

Status = Booking.Status


@pytest.mark.parametrize("make", [requested, accepted])
def test_a_hold_lost_before_the_start_is_made_anew(
    student: User, offering: Offering, make: Callable[[User, Offering], Booking]
) -> None:
    booking = make(student, offering)
    before = booking.status
    booking = hold_lost(booking, now=START - SECOND)
    assert (booking.status, booking.pay_due_at) == (before, None)
    assert operations(booking) == ["hold"]
    assert not {"payment_lost-student", "pay_by_link-student"} & mails(booking)


@pytest.mark.parametrize("make", [requested, accepted])
def test_lost_without_a_card_and_with_time_left_the_student_is_asked(
    student: User, offering: Offering, make: Callable[[User, Offering], Booking]
) -> None:
    booking = make(student, offering)
    before = booking.status
    Payment.objects.update(card=None)
    booking = hold_lost(booking, now=START - 13 * HOUR)
    assert (booking.status, booking.pay_due_at) == (before, START - 12 * HOUR)
    assert "pay_by_link-student" in mails(booking)
    assert operations(booking) == []


def test_a_link_needs_an_hour_and_ends_twelve_hours_or_one_before_the_start(student: User, offering: Offering) -> None:
    booking = accepted(student, offering)
    Payment.objects.update(card=None)
    booking = hold_lost(booking, now=START - 13 * HOUR + SECOND)
    assert booking.pay_due_at == START - HOUR


@pytest.mark.parametrize("make", [requested, accepted])
def test_lost_without_a_card_in_the_last_two_hours_it_is_off(
    student: User, offering: Offering, make: Callable[[User, Offering], Booking]
) -> None:
    booking = make(student, offering)
    Payment.objects.update(card=None)
    booking = hold_lost(booking, now=START - 2 * HOUR + SECOND)
    assert booking.status == Status.PAYMENT_FAILED
    assert {"payment_lost-student", "payment_lost-coach"} <= mails(booking)
    assert operations(booking) == []
    assert booking.day_reminder_at is booking.hour_reminder_at is None


def test_lost_without_a_card_once_it_has_begun_it_takes_place_all_the_same(student: User, offering: Offering) -> None:
    booking = accepted(student, offering)
    Payment.objects.update(card=None)
    booking = hold_lost(booking, now=START)
    assert (booking.status, booking.pay_due_at) == (Status.ACCEPTED, START + timedelta(days=7))
    assert "payment_lost-coach" not in mails(booking)


def test_a_request_whose_hold_is_gone_still_ends(student: User, offering: Offering) -> None:
    booking = requested(student, offering)
    Payment.objects.update(status=Payment.Status.LOST)
    services.expire(booking=booking, actor=None, now=START)
    assert fresh(booking).status == Status.EXPIRED
    assert operations(booking) == []


# --- who brought it about -----------------------------------------------------------------------


def role_in(booking: Booking, transition: str) -> str:
    return booking.events.filter(transition=transition).get().actor_role


def test_what_a_lost_hold_brings_about_is_noted_as_a_fact(student: User, offering: Offering) -> None:
    renewed = hold_lost(accepted(student, offering), now=START - 13 * HOUR)
    assert role_in(renewed, "renew") == "fact"


@pytest.mark.parametrize(("transition", "ahead"), [("ask_for_payment", 13 * HOUR), ("payment_lost", 2 * HOUR - SECOND)])
@pytest.mark.parametrize("by", ["fact", "timer"])
def test_without_a_card_it_is_noted_who_found_out(
    by: str, transition: str, ahead: timedelta, student: User, offering: Offering
) -> None:
    booking = accepted(student, offering)
    Payment.objects.update(card=None)
    if by == "fact":
        hold_lost(booking, now=START - ahead)
    else:
        Payment.objects.update(capture_before=START + HOUR, held_at=START - timedelta(days=3))
        services.run_due_transitions(now=START - ahead)
    assert role_in(booking, transition) == by


def test_a_hold_that_a_timer_makes_anew_is_noted_as_the_timers(student: User, offering: Offering) -> None:
    booking = accepted(student, offering)
    Payment.objects.update(capture_before=START + HOUR, held_at=START - timedelta(days=3))
    services.run_due_transitions(now=START - 13 * HOUR)
    assert role_in(booking, "renew") == "timer"
