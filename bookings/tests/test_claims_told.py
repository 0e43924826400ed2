"""What comes late to a reported session changes nothing; and what both of its sides are told, and when."""

from datetime import datetime, timedelta

import pytest
from django.core import mail
from django.db import transaction

from bookings import notices, services
from bookings.models import Booking, Claim, Notice
from bookings.services.shared import open_payment
from bookings.tests.factories import END, HOUR, NOW, START, fresh, hold_lost, intent, payment_of
from bookings.tests.reporting import coach_reports, student_reports, wait_in_the_room
from bookings.tests.test_life import last_event, mails
from marketplace.models import User
from payments import services as payment_services
from payments.models import Payment

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

Status, Kind, State = Booking.Status, Claim.Kind, Claim.State
DAY = timedelta(days=1)


# --- late facts ---------------------------------------------------------------------------------


def test_a_hold_that_is_lost_after_the_decision_changes_nothing(booking: Booking) -> None:
    wait_in_the_room(booking)
    coach_reports(booking, now=END)
    services.settle_due_claims(now=END + DAY)
    later = fresh(booking)
    hold_lost(booking, now=END + DAY + HOUR)
    assert (fresh(booking).status, fresh(booking).version) == (Status.NO_SHOW_STUDENT, later.version)
    assert "pay_by_link-student" not in mails(booking)


def test_a_link_that_is_paid_after_the_decision_is_given_back(booking: Booking, student: User) -> None:
    student_reports(booking, now=END)
    Booking.objects.filter(pk=booking.pk).update(pay_due_at=END + 7 * DAY)
    Payment.objects.filter(booking=booking).update(status=Payment.Status.REFUSED)
    with transaction.atomic():
        link = open_payment(fresh(booking), opening=Payment.Opening.HOLD, replaces=payment_of(booking), now=END)
    services.settle_due_claims(now=END + DAY)
    assert fresh(booking).status == Status.NO_SHOW_COACH
    payment_services.record_hold(payment=link, intent=intent(link), now=END + DAY + HOUR)
    link.refresh_from_db()
    assert link.status == Payment.Status.RELEASING
    assert fresh(booking).status == Status.NO_SHOW_COACH


def test_a_lost_hold_is_made_anew_while_a_report_is_undecided(booking: Booking) -> None:
    student_reports(booking, now=START, kind=Kind.PROBLEM, words="No sound.")
    hold_lost(booking, now=START + HOUR / 2)
    assert last_event(booking).transition in {"renew", "ask_for_payment"}
    assert fresh(booking).status == Status.ACCEPTED
    assert Claim.objects.get().state == State.OPEN


# --- what both are told -------------------------------------------------------------------------


def sent(now: datetime) -> dict[str, str]:
    mail.outbox.clear()
    notices.send_due(now=now)
    return {message.to[0]: f"{message.subject}\n{message.body}" for message in mail.outbox}


def test_the_other_side_is_told_until_when_to_answer(booking: Booking) -> None:
    sent(NOW)
    student_reports(booking, now=END)
    told = sent(END)
    assert "We have your report" in told["student@example.com"]
    assert "Sam Student has reported: The coach did not come." in told["coach@example.com"]
    assert "“Nobody came.”" in told["coach@example.com"]
    # A day after the report, by the reader's own clock.
    assert "by Sun 22 Nov 2026, 17:00 Berlin time" in told["coach@example.com"]
    assert "your share of this session is kept back" in told["coach@example.com"]


def test_both_are_told_what_a_missed_session_costs(booking: Booking) -> None:
    wait_in_the_room(booking)
    coach_reports(booking, now=END)
    sent(END)
    services.settle_due_claims(now=END + DAY)
    told = sent(END + DAY)
    assert "$50.00 of $100.00 is taken from your card. The rest, $50.00, is released." in told["student@example.com"]
    assert "$50.00 of the price is taken from the student; your share of it is $40.00." in told["coach@example.com"]


def test_a_missing_coach_is_told_plainly_to_both(booking: Booking) -> None:
    student_reports(booking, now=END)
    sent(END)
    services.settle_due_claims(now=END + DAY)
    told = sent(END + DAY)
    assert "The hold of $100.00 on your card is released, and you pay nothing." in told["student@example.com"]
    assert "released in full, and nothing of it is yours." in told["coach@example.com"]


def test_a_report_is_told_though_time_has_completed_the_session_meanwhile(booking: Booking) -> None:
    sent(END)
    student_reports(booking, now=END, kind=Kind.PROBLEM, words="No sound.")
    ends = payment_of(booking).capture_before
    assert ends is not None
    services.run_due_transitions(now=ends - 6 * HOUR)
    assert set(sent(ends)) == {"student@example.com", "coach@example.com"}


def test_a_report_that_was_answered_before_it_was_told_is_not_told(booking: Booking, student: User) -> None:
    sent(END)
    services.take_back(claim=student_reports(booking, now=END), actor=student, now=END)
    told = sent(END)
    assert set(told) == {"student@example.com", "coach@example.com"}
    assert all("The report is taken back" in text for text in told.values())
    assert not Notice.objects.filter(event__transition="report").exists()
