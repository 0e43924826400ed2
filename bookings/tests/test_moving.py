"""Another time for the same session: who may, what is kept meanwhile, and where the money goes with it."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from bookings import selectors, services
from bookings.demo.stage import settle
from bookings.models import Booking, Notice
from bookings.services import (
    HoldTooShort,
    NotPaidYet,
    OutsideHours,
    SameTime,
    SlotInPast,
    SlotTooFar,
    SlotTooSoon,
    SlotUnavailable,
)
from bookings.tests.factories import END, HOUR, NOW, SECOND, START, accepted, book, fresh, hold_lost, requested
from bookings.tests.far_ahead import assert_books_agree, book_and_pay, holds_at_stripe, move_to
from bookings.transition import InvalidState, NotAllowed
from coaches.models import Coach, Offering
from marketplace import clock
from marketplace.lib.money import Money
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments.models import Earning, Payment

pytestmark = pytest.mark.django_db

Status = Booking.Status
OTHER = START + 3 * HOUR
# The hold of a payment made at NOW ends 7 days later, and reaches sessions that end by 6:00 on the 25th.
REACHED_END = NOW + timedelta(days=7) - 54 * HOUR
FAR = START + timedelta(days=9)
FREE = Money(0, "usd")


def propose(booking: Booking, actor: User, starts_at: datetime = OTHER, now: datetime = NOW, reason: str = "") -> None:
    services.propose(booking=fresh(booking), actor=actor, starts_at=starts_at, now=now, reason=reason)


def agree(booking: Booking, actor: User, starts_at: datetime = OTHER, now: datetime = NOW) -> None:
    services.agree(booking=fresh(booking), actor=actor, expected_starts_at=starts_at, now=now)


def sides(booking: Booking) -> tuple[User, User]:
    return booking.student.user, booking.coach.user


def payments_of(booking: Booking) -> list[str]:
    return list(Payment.objects.filter(reference=booking.reference).order_by("pk").values_list("status", flat=True))


def told(booking: Booking) -> list[str]:
    return list(Notice.objects.filter(event__booking=booking).order_by("pk").values_list("template", flat=True))


def assert_where_it_was(booking: Booking) -> None:
    now = fresh(booking)
    assert (now.starts_at, now.ends_at, now.status) == (booking.starts_at, booking.ends_at, booking.status)
    assert now.proposed_starts_at is now.proposed_ends_at is now.proposal_due_at is None
    assert now.proposed_blocked_from is now.proposed_blocked_until is None
    assert now.proposed_by == ""


# --- proposing ----------------------------------------------------------------------------------


@pytest.mark.embedded
@pytest.mark.parametrize("by", ["student", "coach"])
def test_each_side_proposes_and_the_other_agrees(by: str, student: User, coach: Coach, offering: Offering) -> None:
    booking = accepted(student, offering)
    actor, other = (student, coach.user) if by == "student" else (coach.user, student)
    propose(booking, actor, reason="A later train.")
    kept = fresh(booking)
    assert (kept.starts_at, kept.proposed_starts_at, kept.proposed_ends_at) == (START, OTHER, OTHER + HOUR)
    assert (kept.proposed_by, kept.proposal_due_at, kept.version) == (by, START - HOUR, booking.version + 1)
    assert kept.events.latest("pk").reason == "A later train."
    assert set(told(booking)[-2:]) == {"proposed-student", "proposed-coach"}

    agree(booking, other)
    moved = fresh(booking)
    assert (moved.starts_at, moved.ends_at, moved.status) == (OTHER, OTHER + HOUR, Status.ACCEPTED)
    assert moved.version == booking.version + 2  # the SEQUENCE of the calendar entry rises with it
    assert (moved.day_reminder_at, moved.hour_reminder_at) == (OTHER - 24 * HOUR, OTHER - HOUR)
    assert moved.proposed_starts_at is moved.proposal_due_at is None
    assert moved.payment_id == booking.payment_id
    assert payments_of(moved) == [Payment.Status.HELD]
    assert Payment.objects.get().service_ends_at == OTHER + HOUR
    assert set(told(booking)[-2:]) == {"moved-student", "moved-coach"}


@pytest.mark.embedded
def test_both_times_are_kept_until_it_is_answered(
    student: User, stranger: User, coach: Coach, offering: Offering
) -> None:
    booking = accepted(student, offering)
    propose(booking, student)
    for start in (START, OTHER, OTHER - HOUR / 2):
        with pytest.raises(SlotUnavailable):
            book(stranger, offering, starts_at=start)
    agree(booking, coach.user)
    with pytest.raises(SlotUnavailable):
        book(stranger, offering, starts_at=OTHER)
    assert book(stranger, offering, starts_at=START)


@pytest.mark.embedded
def test_the_coach_s_buffers_move_along(student: User, stranger: User, coach: Coach, offering: Offering) -> None:
    Coach.objects.update(buffer_before_minutes=30, buffer_after_minutes=60)
    offering.refresh_from_db()
    booking = accepted(student, offering)
    Coach.objects.update(buffer_before_minutes=0, buffer_after_minutes=0)  # those of the booking are frozen
    offering.refresh_from_db()
    propose(booking, student)
    with pytest.raises(SlotUnavailable):
        book(stranger, offering, starts_at=OTHER + HOUR + HOUR / 2)
    agree(booking, coach.user)
    moved = fresh(booking)
    assert (moved.blocked_from, moved.blocked_until) == (OTHER - HOUR / 2, OTHER + 2 * HOUR)
    assert book(stranger, offering, starts_at=OTHER + 2 * HOUR)


@pytest.mark.embedded
def test_a_session_may_move_over_itself(student: User, coach: Coach, offering: Offering) -> None:
    booking, nearer = accepted(student, offering), START + HOUR / 2
    propose(booking, student, nearer)
    agree(booking, coach.user, nearer)
    assert fresh(booking).starts_at == nearer


@pytest.mark.embedded
def test_x46_a_time_that_is_taken_is_refused_with_the_nearest(
    student: User, stranger: User, offering: Offering
) -> None:
    booking = accepted(student, offering)
    book(stranger, offering, starts_at=OTHER)
    with pytest.raises(SlotUnavailable) as refused:
        propose(booking, student)
    assert len(refused.value.nearest) == 3
    assert OTHER not in refused.value.nearest
    assert_where_it_was(booking)
    assert fresh(booking).version == booking.version


@pytest.mark.embedded
def test_a_time_that_another_session_may_move_to_is_taken(student: User, stranger: User, offering: Offering) -> None:
    first, second = accepted(student, offering), accepted(stranger, offering, starts_at=START + HOUR)
    propose(first, student)
    with pytest.raises(SlotUnavailable):
        propose(second, stranger)
    assert_where_it_was(second)


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("starts_at", "refusal"),
    [
        (START, SameTime),
        (NOW, SlotInPast),
        (NOW + 3 * HOUR - HOUR / 2, SlotTooSoon),
        (NOW + timedelta(days=4000), SlotTooFar),
        (OTHER + timedelta(minutes=7), OutsideHours),
    ],
)
def test_a_wrong_time_is_refused_by_name(
    starts_at: datetime, refusal: type[Exception], student: User, offering: Offering
) -> None:
    booking = accepted(student, offering)
    with pytest.raises(refusal):
        propose(booking, student, starts_at)
    assert_where_it_was(booking)


@pytest.mark.embedded
def test_nobody_else_proposes_agrees_or_withdraws(
    student: User, stranger: User, staff: User, coach: Coach, offering: Offering
) -> None:
    booking = accepted(student, offering)
    for actor in (stranger, staff):
        with pytest.raises(NotAllowed):
            propose(booking, actor)
    assert_where_it_was(booking)
    propose(booking, student)
    kept = fresh(booking)
    for actor in (stranger, staff):
        with pytest.raises(NotAllowed):
            agree(booking, actor)
        with pytest.raises(NotAllowed):
            services.withdraw(booking=fresh(booking), actor=actor, now=NOW)
    assert fresh(booking).version == kept.version


@pytest.mark.embedded
@pytest.mark.parametrize("by", ["student", "coach"])
def test_nobody_agrees_with_themselves(by: str, student: User, coach: Coach, offering: Offering) -> None:
    booking = accepted(student, offering)
    actor = student if by == "student" else coach.user
    propose(booking, actor)
    with pytest.raises(NotAllowed, match="other side"):
        agree(booking, actor)
    assert fresh(booking).starts_at == START


@pytest.mark.embedded
def test_a_second_proposal_waits_for_the_first(student: User, coach: Coach, offering: Offering) -> None:
    booking = accepted(student, offering)
    propose(booking, student)
    for actor in (student, coach.user):
        with pytest.raises(InvalidState):
            propose(booking, actor, OTHER + HOUR)
    assert fresh(booking).proposed_starts_at == OTHER


@pytest.mark.embedded
@pytest.mark.parametrize("status", [each for each in Status if each != Status.ACCEPTED])
def test_only_what_is_accepted_moves(status: str, student: User, coach: Coach, offering: Offering) -> None:
    booking = accepted(student, offering)
    Booking.objects.update(status=status)
    with pytest.raises(InvalidState):
        propose(booking, student)
    with pytest.raises(InvalidState):
        agree(booking, coach.user)
    assert fresh(booking).version == booking.version


@pytest.mark.embedded
def test_nothing_moves_once_it_has_begun(student: User, offering: Offering) -> None:
    booking = accepted(student, offering)
    with pytest.raises(InvalidState):
        propose(booking, student, START + 6 * HOUR, now=START)
    assert_where_it_was(booking)


# --- answering ----------------------------------------------------------------------------------


@pytest.mark.embedded
@pytest.mark.parametrize("by", ["student", "coach"])
def test_either_side_withdraws_and_the_other_time_is_free(
    by: str, student: User, stranger: User, coach: Coach, offering: Offering
) -> None:
    booking = accepted(student, offering)
    propose(booking, student)
    actor = student if by == "student" else coach.user
    services.withdraw(booking=fresh(booking), actor=actor, now=NOW)
    assert_where_it_was(booking)
    assert book(stranger, offering, starts_at=OTHER)
    assert set(told(booking)[-2:]) == {"kept-student", "kept-coach"}
    with pytest.raises(InvalidState):
        agree(booking, coach.user)
    with pytest.raises(InvalidState):
        services.withdraw(booking=fresh(booking), actor=actor, now=NOW)


@pytest.mark.embedded
def test_a_proposal_that_is_not_the_one_that_was_read_is_not_agreed_to(
    student: User, coach: Coach, offering: Offering
) -> None:
    booking = accepted(student, offering)
    propose(booking, student)
    services.withdraw(booking=fresh(booking), actor=student, now=NOW)
    propose(booking, student, OTHER + HOUR)
    with pytest.raises(InvalidState, match="not proposed any more"):
        agree(booking, coach.user, OTHER)
    assert fresh(booking).starts_at == START


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("at", "to", "lapses"),
    [
        (START, OTHER, START - HOUR),  # an hour before the earlier start
        (OTHER, START, START - HOUR),
        (NOW + timedelta(days=4), NOW + timedelta(days=4, hours=2), NOW + 48 * HOUR),
    ],
)
def test_a_proposal_lapses_to_the_second(
    at: datetime, to: datetime, lapses: datetime, student: User, coach: Coach, offering: Offering
) -> None:
    booking = accepted(student, offering, starts_at=at)
    propose(booking, student, to)
    assert fresh(booking).proposal_due_at == lapses
    services.run_due_transitions(now=lapses - SECOND)
    assert fresh(booking).proposed_starts_at == to
    with pytest.raises(InvalidState):
        agree(booking, coach.user, to, now=lapses)
    services.run_due_transitions(now=lapses)
    assert_where_it_was(booking)
    assert booking.events.filter(transition="withdraw").get().actor_role == "timer"


@pytest.mark.embedded
def test_too_late_for_any_answer_it_is_not_proposed(student: User, offering: Offering) -> None:
    booking = accepted(student, offering)
    with pytest.raises(SlotTooSoon):
        propose(booking, student, START + 6 * HOUR, now=START - HOUR)
    assert_where_it_was(booking)


# --- what ends it -------------------------------------------------------------------------------


def cancelled_by_student(booking: Booking) -> None:
    services.cancel_by_student(booking=booking, actor=booking.student.user, expected_kept=FREE, now=NOW)


def cancelled_by_coach(booking: Booking) -> None:
    services.cancel_by_coach(booking=booking, actor=booking.coach.user, now=NOW)


def completed(booking: Booking) -> None:
    services.complete(booking=booking, actor=booking.coach.user, now=END)


@pytest.mark.embedded
@pytest.mark.parametrize("end", [cancelled_by_student, cancelled_by_coach, completed])
def test_what_ends_takes_its_proposal_with_it(
    end: Callable[[Booking], None], student: User, stranger: User, coach: Coach, offering: Offering
) -> None:
    booking = accepted(student, offering)
    propose(booking, student)
    end(fresh(booking))
    ended = fresh(booking)
    assert ended.status in (Status.CANCELLED, Status.COMPLETED)
    assert ended.proposed_starts_at is ended.proposal_due_at is ended.day_reminder_at is ended.hour_reminder_at is None
    assert book(stranger, offering, starts_at=OTHER)
    with pytest.raises(InvalidState):
        agree(booking, coach.user)


# --- the money ----------------------------------------------------------------------------------


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
def test_x46_beyond_a_hold_whose_card_is_not_kept_it_does_not_move(student: User, offering: Offering) -> None:
    booking = accepted(student, offering)
    Payment.objects.update(card=None)
    with pytest.raises(HoldTooShort):
        propose(booking, student, FAR)
    assert_where_it_was(booking)
    assert payments_of(booking) == [Payment.Status.HELD]


@pytest.mark.embedded
def test_x46_too_near_for_a_new_hold_and_too_far_for_this_one_it_does_not_move(
    student: User, offering: Offering
) -> None:
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
    services.withdraw(booking=fresh(booking), actor=student, now=NOW)
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
