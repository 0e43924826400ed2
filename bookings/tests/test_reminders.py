"""Reminders: to both, each at most once, none that is late or untrue; and what is asked for, asked for twice."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core import mail

from bookings import notices, selectors, services, tasks
from bookings.models import Booking
from bookings.tests.factories import END, HOUR, NOW, SECOND, START, accepted, book, fresh, paid, payment_of, requested
from coaches.models import Coach, Offering
from marketplace import clock
from marketplace.lib.money import Money
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import lookout
from payments.models import LookOut, Payment
from payments.services import standstill

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
BOTH = ["coach@example.com", "student@example.com"]
LATER = START + DAY


@pytest.fixture
def booking(student: User, offering: Offering) -> Booking:
    """Accepted 27 h ahead, and both have read so."""
    made = accepted(student, offering)
    mail_at(NOW)
    return made


def tick(now: datetime) -> dict[str, Any]:
    """What the timers do at that time, and what goes out then, by its address."""
    services.run_due_transitions(now=now)
    return mail_at(now)


def mail_at(now: datetime) -> dict[str, Any]:
    mail.outbox.clear()
    notices.send_due(now=now)
    return {message.to[0]: message for message in mail.outbox}


def said(booking: Booking) -> list[str]:
    events = booking.events.filter(transition__startswith="remind").order_by("pk")
    return list(events.values_list("transition", flat=True))


def in_text(message: Any, *words: str) -> None:
    html = next(part.content for part in message.alternatives if part.mimetype == "text/html")
    for each in words:
        assert each in message.body
        assert each in html


@pytest.fixture
def stripe_is_silent(sandbox: Sandbox, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can tell whether it knows more than we do; and it is an hour before the session."""
    settings.STRIPE_LOOK_OUT_SECONDS = 120
    LookOut.objects.update(looked_at=clock.wall() - DAY)
    monkeypatch.setitem(lookout._unanswered, "at", float("inf"))
    sandbox.post("/_sandbox/clock", {"set": int((START - HOUR).timestamp())})
    clock.forget_offset()


# --- while Stripe does not answer ---------------------------------------------------------------


@pytest.mark.usefixtures("stripe_is_silent")
def test_what_only_has_to_be_said_does_not_wait_for_stripe(
    booking: Booking, stranger: User, offering: Offering
) -> None:
    unanswered = requested(stranger, offering, starts_at=START + HOUR)
    Booking.objects.filter(pk=unanswered.pk).update(answer_due_at=START - 2 * HOUR)
    tasks.run_due_transitions()
    assert said(booking) == ["remind_hour_before"]
    assert fresh(unanswered).status == Booking.Status.REQUESTED


@pytest.mark.usefixtures("stripe_is_silent")
def test_nobody_is_reminded_of_what_a_backup_says(booking: Booking) -> None:
    standstill.begin_after_restore(reason="The disk broke.", actor=None, now=clock.now())
    tasks.run_due_transitions()
    assert said(booking) == []


# --- before the session -------------------------------------------------------------------------


def test_both_are_reminded_a_day_before_and_not_a_moment_earlier(booking: Booking) -> None:
    assert tick(START - DAY - SECOND) == {}
    sent = tick(START - DAY)
    assert sorted(sent) == BOTH
    student = sent["student@example.com"]
    assert student.subject == "Your session with Carla Coach is on Sat 21 Nov 2026, 16:00 Berlin time"
    in_text(
        student,
        "A short reminder: Carla Coach is expecting you.",
        "Sat 21 Nov 2026, 16:00 to 17:00 Berlin time",
        selectors.room_url(booking),
        "$100.00 is held on your card, not taken",
        "Has something come up? You can cancel at any time before the start and pay nothing.",
    )
    in_text(sent["coach@example.com"], "A short reminder: Sam Student is coming to you.", "$80.00")


def test_both_are_reminded_an_hour_before(booking: Booking) -> None:
    tick(START - DAY)
    assert tick(START - HOUR - SECOND) == {}
    sent = tick(START - HOUR)
    assert sorted(sent) == BOTH
    for message in sent.values():
        assert "begins on Sat 21 Nov 2026, 16:00 Berlin time" in message.subject
        in_text(message, "It begins within the hour.", selectors.room_url(booking))
    assert "Join the session: " in sent["student@example.com"].body


def test_each_is_said_once(booking: Booking) -> None:
    for now in (START - DAY, START - DAY + MINUTE, START - HOUR, START - HOUR + MINUTE, START - MINUTE):
        tick(now)
    assert said(booking) == ["remind_day_before", "remind_hour_before"]


def test_a_late_timer_says_only_the_nearer(booking: Booking) -> None:
    sent = tick(START - 30 * MINUTE)
    assert sorted(sent) == BOTH
    assert said(booking) == ["remind_hour_before"]
    assert tick(START - 29 * MINUTE) == {}


def test_a_timer_that_is_later_than_the_start_says_nothing(booking: Booking) -> None:
    assert tick(START) == {}
    assert said(booking) == []


def test_a_session_accepted_within_a_day_has_the_one_an_hour_before_alone(student: User, offering: Offering) -> None:
    now = START - 20 * HOUR
    booking = paid(book(student, offering, now=now), now=now)
    services.accept(booking=booking, actor=offering.coach.user, now=now)
    mail_at(now)
    assert tick(now + MINUTE) == {}
    assert sorted(tick(START - HOUR)) == BOTH
    assert said(booking) == ["remind_hour_before"]


def test_a_session_accepted_within_the_last_hour_has_none(student: User, offering: Offering) -> None:
    booking = requested(student, offering)
    Booking.objects.update(answer_due_at=START)
    now = START - 30 * MINUTE
    services.accept(booking=booking, actor=offering.coach.user, now=now)
    mail_at(now)
    assert tick(START - MINUTE) == {}


def test_a_request_is_not_a_session_yet(student: User, offering: Offering) -> None:
    booking = requested(student, offering)
    Booking.objects.update(answer_due_at=START, answer_reminder_at=None)
    mail_at(NOW)
    assert tick(START - HOUR) == {}
    assert said(booking) == []


def test_moving_a_session_begins_its_reminders_anew(booking: Booking, student: User, coach: Coach) -> None:
    tick(START - DAY)
    now = START - 20 * HOUR
    services.propose(booking=fresh(booking), actor=student, starts_at=LATER, now=now)
    services.agree(booking=fresh(booking), actor=coach.user, expected_starts_at=LATER, now=now)
    mail_at(now)
    assert tick(START - HOUR) == {}
    sent = tick(LATER - DAY)
    assert sorted(sent) == BOTH
    assert sent["student@example.com"].subject.endswith("is on Sun 22 Nov 2026, 16:00 Berlin time")
    assert sorted(tick(LATER - HOUR)) == BOTH
    assert said(booking) == ["remind_day_before", "remind_day_before", "remind_hour_before"]


def test_a_cancelled_session_reminds_of_nothing(booking: Booking, student: User) -> None:
    services.cancel_by_student(booking=booking, actor=student, expected_kept=Money(0, "usd"), now=NOW)
    mail_at(NOW)
    assert tick(START - DAY) == tick(START - HOUR) == {}


# --- mails that are overtaken before they are sent ----------------------------------------------


def test_a_reminder_that_could_not_be_sent_before_the_start_is_not_sent_after_it(booking: Booking) -> None:
    services.run_due_transitions(now=START - HOUR)
    assert mail_at(START) == {}
    assert mail_at(START + HOUR) == {}


def test_a_reminder_is_not_sent_for_a_session_that_is_off_by_now(booking: Booking, coach: Coach) -> None:
    services.run_due_transitions(now=START - DAY)
    services.cancel_by_coach(booking=fresh(booking), actor=coach.user, now=START - DAY)
    sent = mail_at(START - DAY)
    assert len(mail.outbox) == 2
    assert sent["student@example.com"].subject == "Your session with Carla Coach is cancelled"


def test_a_question_that_is_answered_by_now_is_not_asked(booking: Booking, student: User, coach: Coach) -> None:
    services.propose(booking=booking, actor=student, starts_at=LATER, now=NOW)
    services.withdraw(booking=fresh(booking), actor=student, expected_starts_at=LATER, now=NOW)
    sent = mail_at(NOW)
    assert len(mail.outbox) == 2
    assert {message.subject for message in sent.values()} == {
        "Your session with Carla Coach stays where it is",
        "Your session with Sam Student stays where it is",
    }
    assert coach.user.email in sent


# --- what is still to be answered or paid -------------------------------------------------------


def test_the_coach_is_reminded_half_way_to_the_answer(student: User, offering: Offering) -> None:
    booking = requested(student, offering)
    due = booking.answer_due_at
    assert due is not None
    mail_at(NOW)
    half_way = NOW + (due - NOW) / 2
    assert tick(half_way - SECOND) == {}
    sent = tick(half_way)
    assert list(sent) == ["coach@example.com"]
    message = sent["coach@example.com"]
    assert message.subject == "Sam Student still waits for your answer"
    in_text(message, "Please accept or decline by Sat 21 Nov 2026, 15:00 Berlin time.")
    assert tick(half_way + MINUTE) == {}
    assert said(booking) == ["remind_to_answer"]


def test_a_coach_who_has_answered_is_reminded_of_nothing(booking: Booking) -> None:
    assert booking.answer_reminder_at is None
    tick(START - DAY)
    assert "remind_to_answer" not in said(booking)


@pytest.fixture
def asked(student: User, offering: Offering) -> Booking:
    """Four days ahead, the bank would not hold the price off-session."""
    offering.coach.furthest_days = 30
    offering.coach.save(update_fields=["furthest_days"])
    booking = accepted(student, offering, starts_at=START + 3 * DAY)
    mail_at(NOW)
    Payment.objects.filter(pk=payment_of(booking).pk).update(status=Payment.Status.REFUSED)
    services.ask_for_payment(booking=fresh(booking), now=NOW)
    return fresh(booking)


def test_the_student_is_asked_to_pay_and_reminded_half_way(asked: Booking) -> None:
    due = asked.pay_due_at
    assert due == START + 3 * DAY - 12 * HOUR
    (message,) = mail_at(NOW).values()
    assert (message.to, message.subject) == (["student@example.com"], "Please pay for your session with Carla Coach")
    in_text(
        message,
        "Please pay by Tue 24 Nov 2026, 04:00 Berlin time, with this card or another.",
        "Unpaid by then, the session is off, and the time is free for others.",
    )
    half_way = NOW + (due - NOW) / 2
    assert tick(half_way - SECOND) == {}
    (message,) = tick(half_way).values()
    assert message.subject == "Your session with Carla Coach is still to be paid"
    in_text(message, "$100.00 could not be held on your card, and the session depends on it.")
    assert tick(half_way + MINUTE) == {}


def test_who_has_paid_is_not_reminded_to_pay(asked: Booking) -> None:
    mail_at(NOW)
    payment = payment_of(asked)
    services.payment_arranged(booking=asked, payment=payment, now=NOW)
    Payment.objects.filter(pk=payment.pk).update(status=Payment.Status.HELD)
    (message,) = mail_at(NOW).values()
    assert message.subject == "Thank you: your payment has arrived"
    in_text(message, "Your session takes place as agreed. $100.00 is held on your card, not taken;")
    services.run_due_transitions(now=START)
    assert "remind_to_pay" not in said(asked)


def test_a_link_that_is_paid_before_its_mail_is_sent_is_not_asked_for(asked: Booking) -> None:
    services.payment_arranged(booking=asked, payment=payment_of(asked), now=NOW)
    assert [message.subject for message in mail_at(NOW).values()] == ["Thank you: your payment has arrived"]
    assert len(mail.outbox) == 1
    assert asked.ends_at > END
