"""Mails: to whom, in which words, once, and never lost."""

from datetime import timedelta
from typing import Any

import pytest
from celery import Celery
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from icalendar import Calendar
from structlog.testing import capture_logs

from bookings import notices, process, selectors, services
from bookings.models import Booking, BookingEvent, Notice
from bookings.tests.at_once import at_once
from bookings.tests.factories import END, NOW, SECOND, START, accepted, book, paid, requested, unpaid
from coaches.models import Coach, Offering
from marketplace import clock
from marketplace.models import User

pytestmark = pytest.mark.django_db


def send(now: Any = NOW) -> dict[str, Any]:
    """Sends what is due; the new mails by their address."""
    mail.outbox.clear()
    notices.send_due(now=now)
    return {message.to[0]: message for message in mail.outbox}


def html(message: Any) -> str:
    return str(next(part.content for part in message.alternatives if part.mimetype == "text/html"))


def test_both_sides_hear_of_a_request_in_their_own_zone(student: User, coach: Coach, offering: Offering) -> None:
    coach.user.time_zone = "America/New_York"
    coach.user.save(update_fields=["time_zone"])
    booking = paid(book(student, offering, note="Scales, please."))
    sent = send()
    to_student, to_coach = sent["student@example.com"], sent["coach@example.com"]
    assert to_student.subject == "Your request is with Carla Coach"
    assert "$100.00 is held on your card, not taken; it is taken after the session" in to_student.body
    assert "Sat 21 Nov 2026, 16:00 to 17:00 Berlin time" in to_student.body
    assert f"http://127.0.0.1:8000/sessions/{booking.pk}/" in to_student.body
    assert to_coach.subject == "Sam Student would like a session with you"
    assert "Sat 21 Nov 2026, 10:00 to 11:00 New York time" in to_coach.body
    assert "They write: “Scales, please.”" in to_coach.body
    assert "your share of it is $80.00" in to_coach.body
    assert f"http://127.0.0.1:8000/teach/sessions/{booking.pk}/" in to_coach.body
    for message in sent.values():
        assert message.body.split("\n", 1)[0].startswith("Hello ")
        assert "<h1" in html(message)


def test_an_acceptance_brings_the_link_and_an_invitation(student: User, offering: Offering) -> None:
    booking = requested(student, offering)
    send()
    services.accept(booking=booking, actor=offering.coach.user, now=NOW)
    for message in send().values():
        assert selectors.room_url(booking) in message.body
        assert selectors.room_url(booking) in html(message)
        name, content, kind = message.attachments[0]
        event: Any = Calendar.from_ical(content).walk("VEVENT")[0]
        assert (name, kind) == ("session.ics", "text/calendar; method=REQUEST")
        assert (event["dtstart"].dt, event["dtend"].dt) == (START, END)


def test_a_reason_is_passed_on(student: User, offering: Offering) -> None:
    booking = requested(student, offering)
    send()
    services.decline(booking=booking, actor=offering.coach.user, now=NOW, reason="I am <away>.")
    message = send()["student@example.com"]
    assert "Carla Coach writes: “I am <away>.”" in message.body
    assert "I am &lt;away&gt;." in html(message)
    assert "you pay nothing" in message.body


def test_names_and_titles_inject_nothing(student: User, coach: Coach, offering: Offering) -> None:
    coach.display_name = "Eve\r\nBcc: all@example.com {{ 7|add:7 }} <script>"
    coach.save(update_fields=["display_name"])
    paid(book(student, offering))
    message = send()["student@example.com"]
    assert message.subject == "Your request is with Eve Bcc: all@example.com {{ 7|add:7 }} <script>"
    assert message.recipients() == ["student@example.com"]
    assert "<script>" not in html(message)


def every_template() -> list[str]:
    told = [mail for row in process.PROCESS for mail in (*row.tell, *row.tell_if_instant)]
    return sorted({mail.template for mail in told})


@pytest.mark.everyday(10)
@pytest.mark.parametrize("template", every_template())
def test_every_mail_of_the_process_can_be_sent(template: str, student: User, offering: Offering) -> None:
    booking = accepted(student, offering)
    Booking.objects.update(pay_due_at=START)
    Notice.objects.all().delete()
    recipient = template.rpartition("-")[2]
    Notice.objects.create(event=booking.events.latest("pk"), recipient=recipient, template=template, next_try_at=NOW)
    (message,) = send().values()
    assert message.subject
    for text in (message.body, html(message)):
        assert booking.title in text
        assert "{{" not in text
        assert "{%" not in text
        assert "None" not in text


def test_who_never_heard_of_a_booking_is_told_nothing(student: User, offering: Offering) -> None:
    unpaid(book(student, offering))
    assert list(send()) == ["student@example.com"]


def test_a_mail_is_sent_once(student: User, offering: Offering) -> None:
    requested(student, offering)
    assert len(send()) == 2
    assert send() == {}
    assert not Notice.objects.filter(sent_at=None).exists()


class BrokenBackend(EmailBackend):
    def send_messages(self, messages: Any) -> int:
        raise ConnectionRefusedError("no mail server")


def test_a_mail_that_fails_is_tried_again_later_and_holds_up_no_other(
    student: User, offering: Offering, settings: Any
) -> None:
    unpaid(book(student, offering))
    requested(student, offering, starts_at=START + timedelta(hours=2))
    working, settings.EMAIL_BACKEND = settings.EMAIL_BACKEND, f"{__name__}.BrokenBackend"
    assert notices.send_due(now=NOW) == 0
    assert set(Notice.objects.values_list("tries", "next_try_at")) == {(1, NOW + timedelta(minutes=1))}
    assert notices.send_due(now=NOW + timedelta(minutes=1)) == 0
    settings.EMAIL_BACKEND = working
    later = NOW + timedelta(minutes=3)
    assert notices.send_due(now=later - SECOND) == 0
    assert notices.send_due(now=later) == 3


def test_a_mail_leased_by_a_dead_worker_is_sent_when_the_lease_is_over(student: User, offering: Offering) -> None:
    requested(student, offering)
    Notice.objects.update(lease_until=clock.wall() + timedelta(minutes=1))
    assert notices.send_due(now=NOW) == 0
    Notice.objects.update(lease_until=clock.wall() - timedelta(seconds=1))
    assert notices.send_due(now=NOW) == 2


def test_after_the_last_try_it_waits_for_staff(student: User, offering: Offering) -> None:
    requested(student, offering)
    Notice.objects.update(tries=notices.MOST_TRIES)
    assert notices.send_due(now=NOW + timedelta(days=9)) == 0


def test_without_a_broker_the_transition_stands(
    student: User,
    offering: Offering,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
    django_capture_on_commit_callbacks: Any,
) -> None:
    broken = Celery("broken", broker="redis://127.0.0.1:1/0", set_as_current=False)
    broken.conf.update(broker_transport_options=settings.CELERY_BROKER_TRANSPORT_OPTIONS)
    monkeypatch.setattr(notices, "current_app", broken)
    with capture_logs() as logs, django_capture_on_commit_callbacks(execute=True):
        booking = requested(student, offering)
    assert {"event": "broker_unreachable", "task": notices.SEND_TASK, "log_level": "warning"} in logs
    assert booking.status == "requested"
    assert BookingEvent.objects.filter(booking=booking).count() == 2
    assert notices.send_due(now=NOW) == 2


@pytest.mark.django_db(transaction=True)
def test_two_workers_send_each_mail_once(student: User, offering: Offering) -> None:
    for number in range(3):
        requested(student, offering, starts_at=START + number * timedelta(hours=1))
    mail.outbox.clear()
    sent = at_once(*[lambda: notices.send_due(now=NOW)] * 4)
    assert sum(sent) == len(mail.outbox) == 6
    assert len({(message.to[0], message.body) for message in mail.outbox}) == 6
