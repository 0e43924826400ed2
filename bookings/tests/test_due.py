"""What time brings about: when, in which order, and that one bad row holds up no other."""

from datetime import datetime, timedelta

import pytest

from bookings import services
from bookings.models import Booking
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
    paid,
    payment_of,
    requested,
)
from coaches.models import Coach, Offering
from marketplace.models import User
from payments import rounds
from payments.models import Payment

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

Status = Booking.Status


def run(now: datetime) -> int:
    return services.run_due_transitions(now=now)


def test_nothing_is_due_before_its_time(student: User, offering: Offering) -> None:
    booking = requested(student, offering)
    assert booking.answer_due_at
    assert run(booking.answer_due_at - SECOND) == 0
    assert fresh(booking).status == Status.REQUESTED


def test_an_unanswered_request_expires_by_itself(student: User, offering: Offering) -> None:
    booking = requested(student, offering)
    assert booking.answer_due_at
    assert run(booking.answer_due_at) == 1
    assert fresh(booking).status == Status.EXPIRED
    assert booking.events.latest("pk").actor_role == "timer"
    assert run(booking.answer_due_at) == 0


def test_a_session_completes_by_itself_a_day_after_its_end(student: User, offering: Offering) -> None:
    booking = accepted(student, offering)
    assert run(END + 24 * HOUR - SECOND) == 0
    assert run(END + 24 * HOUR) == 1
    assert fresh(booking).status == Status.COMPLETED
    assert payment_of(booking).status == Payment.Status.CAPTURING


def test_a_session_completes_earlier_where_the_hold_would_not_last(student: User, offering: Offering) -> None:
    booking = accepted(student, offering)
    Payment.objects.update(capture_before=END + 10 * HOUR)
    assert run(END + 4 * HOUR - SECOND) == 0
    assert run(END + 4 * HOUR) == 1
    assert fresh(booking).status == Status.COMPLETED


def test_a_session_never_completes_before_its_end(student: User, offering: Offering) -> None:
    booking = accepted(student, offering)
    Payment.objects.update(capture_before=END + HOUR)
    assert run(END - SECOND) == 0
    assert fresh(booking).status == Status.ACCEPTED
    assert run(END) == 1


def test_a_clock_set_back_repeats_nothing(student: User, offering: Offering) -> None:
    booking = accepted(student, offering)
    run(END + 24 * HOUR)
    assert run(END + 23 * HOUR) == 0
    assert run(END + 24 * HOUR) == 0
    assert booking.events.filter(transition="complete").count() == 1


def test_a_poison_row_is_pushed_back_and_holds_up_nothing(
    student: User, stranger: User, coach: Coach, offering: Offering
) -> None:
    poison = accepted(student, offering)
    sound = accepted(stranger, offering, starts_at=END)
    hold_lost(poison, now=END)
    due = END + 25 * HOUR
    assert run(due) == 1
    assert fresh(sound).status == Status.COMPLETED
    assert fresh(poison).status == Status.ACCEPTED
    assert fresh(poison).retry_at == due + services.PUSHED_BACK
    # Not tried hot: the row is left alone until then.
    assert run(due + services.PUSHED_BACK - SECOND) == 0
    assert fresh(poison).retry_at == due + services.PUSHED_BACK


def test_what_was_pushed_back_is_tried_again(student: User, offering: Offering) -> None:
    booking = requested(student, offering)
    Booking.objects.update(retry_at=START)
    assert run(START - SECOND) == 0
    assert run(START) == 1
    assert fresh(booking).retry_at is None


def test_the_oldest_come_first(student: User, stranger: User, offering: Offering) -> None:
    later = requested(stranger, offering, starts_at=START + HOUR)
    sooner = requested(student, offering)
    assert services.run_due_transitions(now=START, limit=1) == 1
    assert fresh(sooner).status == Status.EXPIRED
    assert fresh(later).status == Status.REQUESTED


def test_a_paid_booking_is_never_abandoned(student: User, offering: Offering) -> None:
    booking = paid(book(student, offering))
    assert run(NOW + timedelta(hours=1)) == 0
    assert fresh(booking).status == Status.REQUESTED


def test_a_round_of_time_s_work_ends_before_it_keeps_everything_else_waiting(
    student: User, offering: Offering, monkeypatch: pytest.MonkeyPatch
) -> None:
    booking = book(student, offering)
    monkeypatch.setattr(rounds, "LONGEST_SECONDS", 0)

    assert services.run_due_transitions(now=booking.payment_due_at) == 0
    assert fresh(booking).retry_at is None
