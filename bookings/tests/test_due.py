"""What time brings about: when, in which order, and that one bad row holds up no other."""

from datetime import datetime, timedelta

import pytest

from bookings import services
from bookings.models import Booking, Notice
from bookings.tests.factories import (
    END,
    HOUR,
    NOW,
    SECOND,
    START,
    accepted,
    book,
    fresh,
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


def said(booking: Booking) -> list[str]:
    """The reminders, in the order in which they were said."""
    return list(
        booking.events.filter(transition__startswith="remind").order_by("pk").values_list("transition", flat=True)
    )


def test_nothing_is_due_before_its_time(student: User, offering: Offering) -> None:
    booking = requested(student, offering)
    assert booking.answer_due_at
    assert booking.answer_reminder_at
    assert run(booking.answer_reminder_at - SECOND) == 0
    assert run(booking.answer_reminder_at) == 1  # a word to the coach, and nothing else
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
    assert run(END - SECOND) == 0
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
    Payment.objects.update(capture_before=END + HOUR, held_at=END - HOUR)
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
    Booking.objects.filter(pk=poison.pk).update(payment=None)
    due = END + 25 * HOUR
    assert run(due) == 1
    assert fresh(sound).status == Status.COMPLETED
    assert fresh(poison).status == Status.ACCEPTED
    assert fresh(poison).retry_at == due + services.PUSHED_BACK
    # Not tried hot: the row is left alone until then.
    assert run(due + services.PUSHED_BACK - SECOND) == 0
    assert fresh(poison).retry_at == due + services.PUSHED_BACK


def test_poison_rows_that_fill_a_round_leave_the_next_one_to_the_others(
    student: User, stranger: User, coach: Coach, offering: Offering
) -> None:
    """The poison is due again in the next round, and older than what is sound."""
    poison = accepted(student, offering)
    sound = accepted(stranger, offering, starts_at=END)
    Booking.objects.filter(pk=poison.pk).update(payment=None)
    due = END + 25 * HOUR
    assert services.run_due_transitions(now=due, limit=1) == 0
    assert services.run_due_transitions(now=due + services.PUSHED_BACK, limit=1) == 1
    assert fresh(sound).status == Status.COMPLETED


def test_what_was_pushed_back_is_tried_again(student: User, offering: Offering) -> None:
    booking = requested(student, offering)
    Booking.objects.update(retry_at=START)
    assert run(START - SECOND) == 0
    assert run(START) == 1
    assert fresh(booking).retry_at is None


def test_each_reminder_is_said_once_at_its_second(student: User, offering: Offering) -> None:
    booking = accepted(student, offering)
    for instant, once in ((START - 24 * HOUR, "remind_day_before"), (START - HOUR, "remind_hour_before")):
        assert run(instant - SECOND) == 0
        assert run(instant) == 1
        assert run(instant) == run(instant + SECOND) == 0
        assert said(booking)[-1] == once
    assert said(booking) == ["remind_day_before", "remind_hour_before"]
    assert Notice.objects.filter(template__startswith="soon").count() == 2


def test_a_late_timer_says_the_nearest_reminder_only(student: User, offering: Offering) -> None:
    booking = accepted(student, offering)
    assert run(START - SECOND) == 1
    assert said(booking) == ["remind_hour_before"]


def test_nobody_is_reminded_of_what_has_begun(student: User, offering: Offering) -> None:
    booking = accepted(student, offering)
    assert run(START) == 0
    assert said(booking) == []


def test_what_is_accepted_within_the_last_day_has_one_reminder(student: User, offering: Offering) -> None:
    booking = accepted(student, offering, starts_at=NOW + 20 * HOUR)
    assert (booking.day_reminder_at, booking.hour_reminder_at) == (None, NOW + 19 * HOUR)


def test_the_coach_is_reminded_once_half_way_to_the_time_to_answer(student: User, offering: Offering) -> None:
    booking = requested(student, offering)
    assert booking.answer_due_at is not None
    half_way = NOW + (booking.answer_due_at - NOW) / 2
    assert (run(half_way), run(half_way)) == (1, 0)
    assert said(booking) == ["remind_to_answer"]
    assert Notice.objects.filter(template="answer_soon-coach").count() == 1


def test_an_answered_request_is_not_asked_for_an_answer(student: User, offering: Offering) -> None:
    booking = accepted(student, offering)
    assert booking.answer_reminder_at is None


def test_a_clock_that_goes_back_repeats_no_reminder(student: User, offering: Offering) -> None:
    booking = accepted(student, offering)
    run(START - HOUR)
    assert run(START - 2 * HOUR) == run(START - 24 * HOUR) == run(START - HOUR) == 0
    assert said(booking) == ["remind_hour_before"]


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
