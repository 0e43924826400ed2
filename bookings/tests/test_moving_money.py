"""Where the money of a session goes when it moves: with its hold, or by the card that is kept for a new one."""

from datetime import timedelta
from typing import Any

import pytest

from bookings import selectors, services
from bookings.demo.stage import settle
from bookings.models import Booking
from bookings.services import HoldTooShort, NotPaidYet
from bookings.tests.factories import HOUR, NOW, START, accepted, fresh, hold_lost, requested
from bookings.tests.far_ahead import assert_books_agree, book_and_pay, holds_at_stripe, move_to
from bookings.tests.moves import OTHER, agree, assert_where_it_was, payments_of, propose, withdraw
from bookings.transition import InvalidState
from coaches.models import Coach, Offering
from marketplace import clock
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments.models import Earning, Payment

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]

Status = Booking.Status
# The hold of a payment made at NOW ends 7 days later, and reaches sessions that end by 6:00 on the 25th.
REACHED_END = NOW + timedelta(days=7) - 54 * HOUR
FAR = START + timedelta(days=9)


@pytest.mark.embedded
def test_a_hold_goes_with_a_session_that_it_outlives_by_54_hours(
    student: User, coach: Coach, offering: Offering
) -> None:
    last = REACHED_END - HOUR
    booking = accepted(student, offering)
    propose(booking, student, last)
    agree(booking, coach.user, last)
    assert payments_of(booking) == [Payment.Status.HELD]
    assert Payment.objects.get().service_ends_at == REACHED_END


@pytest.mark.embedded
def test_beyond_its_hold_the_hold_is_given_back_and_the_card_kept(
    student: User, coach: Coach, offering: Offering
) -> None:
    beyond = REACHED_END - HOUR / 2
    booking = accepted(student, offering)
    propose(booking, student, beyond)
    assert payments_of(booking) == [Payment.Status.HELD]  # only the agreement moves money
    agree(booking, coach.user, beyond)
    moved = fresh(booking)
    assert payments_of(moved) == [Payment.Status.RELEASING, Payment.Status.SAVED]
    assert moved.payment is not None
    assert (moved.payment.status, moved.payment.service_ends_at) == (Payment.Status.SAVED, beyond + HOUR)
    assert moved.payment.card == Payment.objects.order_by("pk")[0].card


@pytest.mark.embedded
def test_beyond_a_hold_whose_card_is_not_kept_it_does_not_move(student: User, offering: Offering) -> None:
    booking = accepted(student, offering)
    Payment.objects.update(card=None)
    with pytest.raises(HoldTooShort):
        propose(booking, student, FAR)
    assert_where_it_was(booking)
    assert payments_of(booking) == [Payment.Status.HELD]


@pytest.mark.embedded
def test_too_near_for_a_new_hold_and_too_far_for_this_one_it_does_not_move(student: User, offering: Offering) -> None:
    booking = accepted(student, offering)
    Payment.objects.update(capture_before=OTHER + 50 * HOUR)
    with pytest.raises(HoldTooShort):
        propose(booking, student)
    assert_where_it_was(booking)


@pytest.mark.embedded
def test_a_hold_that_got_too_short_meanwhile_is_not_agreed_to(student: User, coach: Coach, offering: Offering) -> None:
    booking = accepted(student, offering)
    propose(booking, student)
    Payment.objects.update(capture_before=OTHER + 50 * HOUR)
    with pytest.raises(HoldTooShort):
        agree(booking, coach.user)
    assert fresh(booking).starts_at == START
    assert payments_of(booking) == [Payment.Status.HELD]


@pytest.mark.embedded
def test_nothing_moves_while_its_payment_is_not_arranged(student: User, coach: Coach, offering: Offering) -> None:
    booking = accepted(student, offering)
    propose(booking, student)
    hold_lost(booking, now=NOW)  # and asked for anew
    with pytest.raises(NotPaidYet):
        agree(booking, coach.user)
    withdraw(booking, student)
    with pytest.raises(NotPaidYet):
        propose(booking, student)
    assert_where_it_was(booking)


@pytest.mark.embedded
def test_a_request_is_not_moved(student: User, offering: Offering) -> None:
    booking = requested(student, offering)
    with pytest.raises(InvalidState):
        propose(booking, student)
    assert_where_it_was(booking)


def on_the_sandbox(offering: Offering, days: int) -> Booking:
    booking = book_and_pay(offering, from_=clock.now() + timedelta(days=days), card="pm_card_visa")
    settle()
    return fresh(booking)


def moved(booking: Booking, days: int) -> Booking:
    """To the first free time so many days later."""
    near: dict[str, Any] = {"offering": booking.offering, "now": clock.now(), "but": booking}
    to = next(each for each in selectors.open_slots(**near) if each >= booking.starts_at + timedelta(days=days))
    propose(booking, booking.student.user, to, now=clock.now())
    agree(booking, booking.coach.user, to, now=clock.now())
    return fresh(booking)


def test_moved_far_ahead_it_is_held_again_two_days_before_and_paid_once(sandbox: Sandbox, bookable: Offering) -> None:
    booking = moved(on_the_sandbox(bookable, 2), 10)
    settle()
    assert payments_of(booking) == [Payment.Status.RELEASED, Payment.Status.SAVED]
    assert [intent["status"] for intent in holds_at_stripe(sandbox)] == ["canceled"]
    move_to(booking.starts_at - 48 * HOUR)
    settle()
    assert payments_of(booking) == [Payment.Status.RELEASED, Payment.Status.HELD]
    move_to(booking.ends_at + 24 * HOUR)
    settle()
    assert fresh(booking).status == Status.COMPLETED
    assert sorted(intent["amount_received"] for intent in holds_at_stripe(sandbox)) == [0, bookable.price_amount]
    assert Earning.objects.get().release_at >= booking.ends_at
    assert_books_agree(sandbox)


def test_what_the_coach_earns_is_released_by_the_new_end(sandbox: Sandbox, bookable: Offering) -> None:
    booking = on_the_sandbox(bookable, 2)
    before = booking.ends_at
    booking = moved(booking, 1)
    move_to(booking.ends_at)
    services.complete(booking=fresh(booking), actor=booking.coach.user, now=clock.now())
    settle()
    payment = fresh(booking).payment
    assert payment is not None
    assert payment.service_ends_at == booking.ends_at >= before + timedelta(days=1)
    assert Earning.objects.get().release_at >= booking.ends_at + timedelta(days=7)


def test_moved_near_a_saved_card_is_held_at_once(sandbox: Sandbox, bookable: Offering) -> None:
    booking = on_the_sandbox(bookable, 10)
    assert payments_of(booking) == [Payment.Status.SAVED]
    booking = moved(booking, -9)
    assert booking.starts_at < clock.now() + 48 * HOUR
    settle()
    assert payments_of(booking) == [Payment.Status.HELD]
