"""Two at once: exactly one wins, the other is told, and the money follows the winner."""

from datetime import datetime
from functools import partial

import pytest

from bookings import services
from bookings.models import Booking, LiveSession, Notice
from bookings.services import SlotUnavailable, TooManyUnpaid
from bookings.tests.at_once import at_once, refusals
from bookings.tests.factories import (
    END,
    HOUR,
    NOW,
    SECOND,
    START,
    accepted,
    book,
    fresh,
    hold_lost,
    known_student,
    many_students,
    paid,
    payable,
    payment_of,
    requested,
    unpaid,
)
from bookings.transition import InvalidState
from coaches.models import Coach, Offering
from marketplace.lib.money import Money
from marketplace.models import User
from marketplace.tests.factories import CoachFactory, OfferingFactory, open_all_week
from payments.models import Operation, Payment

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.embedded, pytest.mark.thorough]

Status = Booking.Status


def cancel(booking: Booking, *, now: datetime, kept: int = 0) -> None:
    """The student has read what it costs."""
    actor = booking.student.user
    services.cancel_by_student(booking=fresh(booking), actor=actor, expected_kept=Money(kept, "usd"), now=now)


def attempts(booking: Booking) -> list[str]:
    """How each payment of the booking stands, the oldest first."""
    return list(Payment.objects.filter(reference=booking.reference).order_by("pk").values_list("status", flat=True))


def test_fifty_students_want_one_time_and_one_gets_it(offering: Offering) -> None:
    students = many_students(50)
    outcomes = at_once(*[partial(book, who, offering) for who in students])
    assert refusals(outcomes) == [SlotUnavailable] * 49
    assert Booking.objects.count() == Payment.objects.count() == Operation.objects.count() == 1
    assert all(START not in refusal.nearest for refusal in outcomes if isinstance(refusal, SlotUnavailable))


def test_a_click_that_is_sent_twenty_times_makes_one_booking(student: User, offering: Offering) -> None:
    outcomes = at_once(*[partial(book, student, offering)] * 20)
    assert len({booking.pk for booking in outcomes}) == 1
    assert Booking.objects.count() == Payment.objects.count() == Operation.objects.count() == 1


def test_the_limit_of_unpaid_bookings_holds_under_a_race(student: User, offering: Offering) -> None:
    acts = [partial(book, student, offering, starts_at=START + hour * HOUR) for hour in range(10)]
    assert refusals(at_once(*acts)) == [TooManyUnpaid] * 7
    assert Booking.objects.count() == 3


def test_a_coach_who_learns_is_not_booked_on_both_sides(
    student: User, stranger: User, coach: Coach, offering: Offering
) -> None:
    other = OfferingFactory.create(coach=payable(CoachFactory.create(user=stranger)))
    open_all_week(other.coach)
    known_student(coach.user)
    for hour in range(5):
        start = START + hour * HOUR
        outcomes = at_once(
            partial(book, student, offering, starts_at=start), partial(book, coach.user, other, starts_at=start)
        )
        assert refusals(outcomes) == [SlotUnavailable]
        unpaid(Booking.objects.get(status=Status.AWAITING_PAYMENT))


def test_accept_against_expire_at_the_last_second(student: User, coach: Coach, offering: Offering) -> None:
    for hour in range(5):
        booking = requested(student, offering, starts_at=START + hour * HOUR)
        due = booking.answer_due_at
        assert due
        outcomes = at_once(
            partial(services.accept, booking=fresh(booking), actor=coach.user, now=due - SECOND),
            partial(services.expire, booking=fresh(booking), actor=None, now=due),
        )
        assert refusals(outcomes) == [InvalidState]
        accepted_it = fresh(booking).status == Status.ACCEPTED
        assert payment_of(booking).status == (Payment.Status.HELD if accepted_it else Payment.Status.RELEASING)
        assert LiveSession.objects.filter(booking=booking).exists() == accepted_it


def test_accept_and_decline_at_once(student: User, coach: Coach, offering: Offering) -> None:
    for hour in range(5):
        booking = requested(student, offering, starts_at=START + hour * HOUR)
        outcomes = at_once(
            partial(services.accept, booking=fresh(booking), actor=coach.user, now=NOW),
            partial(services.decline, booking=fresh(booking), actor=coach.user, now=NOW),
        )
        assert refusals(outcomes) == [InvalidState]
        assert booking.events.count() == 3


def test_cancel_against_complete_is_won_by_one_and_moves_the_money_once(
    student: User, coach: Coach, offering: Offering
) -> None:
    # Clocks of two machines differ: each believes that its own time has come.
    for hour in range(5):
        booking = accepted(student, offering, starts_at=START + hour * HOUR)
        outcomes = at_once(
            partial(cancel, booking, now=NOW),
            partial(services.complete, booking=fresh(booking), actor=coach.user, now=booking.ends_at),
        )
        assert refusals(outcomes) == [InvalidState]
        money = Operation.objects.filter(payment=booking.payment, kind__in=Operation.MONEY_KINDS)
        expected = "release" if fresh(booking).status == Status.CANCELLED else "capture"
        assert [operation.kind for operation in money] == [expected]


def test_complete_clicked_twice_captures_once(student: User, coach: Coach, offering: Offering) -> None:
    booking = accepted(student, offering)
    outcomes = at_once(
        *[partial(services.complete, booking=fresh(booking), actor=coach.user, now=END)] * 8,
        partial(services.run_due_transitions, now=END + 24 * HOUR),
    )
    assert len(refusals(outcomes)) >= 7
    assert Operation.objects.filter(kind="capture").count() == 1
    assert Notice.objects.filter(template="completed-student").count() == 1


def test_a_hold_told_by_three_ways_at_once_confirms_once(student: User, offering: Offering) -> None:
    booking = book(student, offering)
    at_once(*[partial(paid, booking)] * 3)
    assert fresh(booking).status == Status.REQUESTED
    assert booking.events.count() == 2


def test_a_payment_that_meets_the_closing_of_its_page(student: User, offering: Offering) -> None:
    for hour in range(5):
        booking = book(student, offering, starts_at=START + hour * HOUR)
        at_once(partial(paid, booking), partial(unpaid, booking))
        # Whichever was first, the money is held and the session asked for.
        assert fresh(booking).status == Status.REQUESTED
        assert payment_of(booking).status == Payment.Status.HELD


def test_a_late_payment_against_a_new_student_for_the_same_time(
    student: User, stranger: User, offering: Offering
) -> None:
    for hour in range(5):
        start = START + hour * HOUR
        late = unpaid(book(student, offering, starts_at=start))
        at_once(partial(paid, late), partial(book, stranger, offering, starts_at=start))
        live = Booking.objects.filter(starts_at=start, status__in=Booking.LIVE)
        assert live.count() == 1
        kept = live.get() == late
        assert payment_of(late).status == (Payment.Status.HELD if kept else Payment.Status.RELEASING)
        # A new time for the next round, without running into the limit of unpaid ones.
        Booking.objects.filter(status=Status.AWAITING_PAYMENT).update(status=Status.ABANDONED)


def test_a_lost_hold_against_a_cancellation_does_not_deadlock(student: User, offering: Offering) -> None:
    for hour in range(5):
        booking = accepted(student, offering, starts_at=START + hour * HOUR)
        at_once(
            partial(hold_lost, booking, now=NOW),
            partial(cancel, booking, now=NOW),
        )
        # Told of the loss first, a new hold is asked for, which goes back once it is there.
        assert fresh(booking).status == Status.CANCELLED
        assert not {Payment.Status.HELD, Payment.Status.LOST} & set(attempts(booking))
