"""Another time for the same session: who may, what is kept meanwhile, and where the money goes with it."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from bookings import services
from bookings.models import Booking, Notice
from bookings.services import (
    OutsideHours,
    SameTime,
    SlotInPast,
    SlotTooFar,
    SlotTooSoon,
    SlotUnavailable,
    moving,
)
from bookings.services.refusals import MOST_PROPOSALS, TooManyProposals
from bookings.tests.factories import END, HOUR, NOW, SECOND, START, accepted, book, fresh
from bookings.tests.moves import OTHER, agree, assert_where_it_was, payments_of, propose, withdraw
from bookings.transition import InvalidState, NotAllowed
from coaches.models import Coach, Offering
from marketplace.lib.money import Money
from marketplace.models import User
from payments.models import Payment

pytestmark = pytest.mark.django_db

Status = Booking.Status
FREE = Money(0, "usd")


def told(booking: Booking) -> list[str]:
    return list(Notice.objects.filter(event__booking=booking).order_by("pk").values_list("template", flat=True))


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
def test_nobody_fills_the_others_mailbox_with_proposals(student: User, coach: Coach, offering: Offering) -> None:
    booking = accepted(student, offering)
    for _ in range(MOST_PROPOSALS):
        propose(booking, student)
        withdraw(booking, student)
    mails = len(told(booking))
    with pytest.raises(TooManyProposals):
        propose(booking, student)
    assert len(told(booking)) == mails
    assert_where_it_was(booking)
    propose(booking, coach.user)


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
def test_a_time_that_is_taken_is_refused_with_the_nearest(student: User, stranger: User, offering: Offering) -> None:
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
            withdraw(booking, actor)
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
@pytest.mark.everyday(3)
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
    withdraw(booking, actor)
    assert_where_it_was(booking)
    assert book(stranger, offering, starts_at=OTHER)
    assert set(told(booking)[-2:]) == {"kept-student", "kept-coach"}
    with pytest.raises(InvalidState):
        agree(booking, coach.user)
    with pytest.raises(InvalidState):
        withdraw(booking, actor)


@pytest.mark.embedded
def test_a_proposal_that_is_not_the_one_that_was_read_is_not_agreed_to(
    student: User, coach: Coach, offering: Offering
) -> None:
    booking = accepted(student, offering)
    propose(booking, student)
    withdraw(booking, student)
    propose(booking, student, OTHER + HOUR)
    with pytest.raises(InvalidState, match="not proposed any more"):
        agree(booking, coach.user, OTHER)
    assert fresh(booking).starts_at == START


@pytest.mark.embedded
@pytest.mark.parametrize("by", ["student", "coach"])
def test_a_proposal_that_is_not_the_one_that_was_read_is_not_withdrawn(
    by: str, student: User, coach: Coach, offering: Offering
) -> None:
    booking = accepted(student, offering)
    propose(booking, student)
    withdraw(booking, student)
    propose(booking, coach.user, OTHER + HOUR)
    newer = fresh(booking)
    with pytest.raises(InvalidState, match="not proposed any more"):
        withdraw(booking, student if by == "student" else coach.user, OTHER)
    assert (fresh(booking).proposed_starts_at, fresh(booking).version) == (OTHER + HOUR, newer.version)


@pytest.mark.embedded
def test_a_late_timer_lapses_no_newer_proposal(student: User, coach: Coach, offering: Offering) -> None:
    booking = accepted(student, offering)
    propose(booking, student)
    read_by_the_timer = fresh(booking)
    withdraw(booking, student)
    lapses = START - HOUR
    propose(booking, coach.user, OTHER + HOUR)
    Booking.objects.filter(pk=booking.pk).update(proposal_due_at=lapses + SECOND)
    with pytest.raises(InvalidState):
        moving.lapse(booking=read_by_the_timer, actor=None, now=lapses)
    assert fresh(booking).proposed_starts_at == OTHER + HOUR


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
