"""Sessions in people's own calendars: the invitation with each mail, and the private address."""

import email
from datetime import timedelta
from email import policy
from typing import Any

import pytest
from django.core import mail
from django.core.mail import get_connection
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from icalendar import Calendar

from bookings import calendars, notices, selectors, services
from bookings.models import Booking, CalendarAddress, Notice
from bookings.services.calendar_address import calendar_address, renew_calendar_address
from bookings.tests.factories import END, HOUR, NOW, START, accepted, book, fresh, payment_of, requested, unpaid
from coaches.models import Coach, Offering
from marketplace.lib.money import Money
from marketplace.models import User

pytestmark = pytest.mark.django_db

LATER = START + 2 * HOUR


def sent(now: Any = NOW) -> dict[str, Any]:
    """What goes out now, as a mail program receives it, by its address."""
    mail.outbox.clear()
    notices.send_due(now=now)
    parse = email.message_from_bytes
    return {message.to[0]: parse(message.message().as_bytes(), policy=policy.default) for message in mail.outbox}


def invitations(message: Any) -> list[Any]:
    return [part for part in message.walk() if part.get_content_type() == "text/calendar"]


def event_of(message: Any) -> Any:
    return Calendar.from_ical(invitations(message)[0].get_content()).walk("VEVENT")[0]


def feed(token: str, **extra: Any) -> Any:
    return Client().get(reverse("bookings:calendar_feed", args=[token]), **extra)


def events_of(user: User) -> list[Any]:
    answer = feed(calendar_address(user=user, now=NOW).token)
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/calendar; charset=utf-8")
    return list(Calendar.from_ical(answer.content).walk("VEVENT"))


# --- invitations --------------------------------------------------------------------------------


def test_an_invitation_stands_among_the_alternatives_and_as_a_file(student: User, offering: Offering) -> None:
    requested(student, offering)
    message = sent()["student@example.com"]
    shown, attached = invitations(message)
    assert [part.get_content_type() for part in message.get_payload()[0].get_payload()] == [
        "text/plain",
        "text/html",
        "text/calendar",
    ]
    for part in (shown, attached):
        assert (part.get_param("method"), part.get_param("charset")) == ("REQUEST", "utf-8")
    assert (shown.get_filename(), attached.get_filename()) == (None, "session.ics")
    assert shown.get_content() == attached.get_content()


def test_by_a_providers_api_the_invitation_is_a_file(student: User, offering: Offering, settings: Any) -> None:
    """What its API does not know, such as a calendar among the alternatives, it would refuse with the whole mail."""
    settings.ANYMAIL = {"POSTMARK_SERVER_TOKEN": "none"}
    requested(student, offering)
    working, settings.EMAIL_BACKEND = settings.EMAIL_BACKEND, "anymail.backends.postmark.EmailBackend"
    provider: Any = get_connection(settings.EMAIL_BACKEND)
    message = notices._message(Notice.objects.get(recipient="student"))
    settings.EMAIL_BACKEND = working
    (attached,) = provider.build_message_payload(message, {}).data["Attachments"]
    assert attached["Name"] == "session.ics"
    assert attached["ContentType"] == 'text/calendar; method="REQUEST"; charset="utf-8"'


def test_an_invitation_says_what_when_where_and_who(student: User, coach: Coach, offering: Offering) -> None:
    booking = accepted(student, offering)
    messages = sent()
    calendar = Calendar.from_ical(invitations(messages["student@example.com"])[0].get_content())
    event: Any = calendar.walk("VEVENT")[0]
    assert (calendar["method"], calendar["version"]) == ("REQUEST", "2.0")
    assert (event["uid"], event["sequence"]) == (f"booking-{booking.pk}@127.0.0.1", booking.version)
    assert (event["dtstart"].dt, event["dtend"].dt, event["dtstamp"].dt) == (START, END, NOW)
    assert (event["summary"], event["status"]) == ("One hour of piano with Carla Coach", "CONFIRMED")
    assert event["location"] == selectors.room_url(booking)
    assert f"/sessions/{booking.pk}/" in event["description"]
    assert event["organizer"].startswith("mailto:")
    assert (event["attendee"], event["attendee"].params["CN"]) == ("mailto:student@example.com", "Sam Student")
    theirs = event_of(messages["coach@example.com"])
    assert (theirs["uid"], theirs["summary"]) == (event["uid"], "One hour of piano with Sam Student")
    assert theirs["attendee"] == f"mailto:{coach.user.email}"
    assert f"/teach/sessions/{booking.pk}/" in theirs["description"]


def test_a_session_keeps_its_entry_through_all_that_happens(student: User, coach: Coach, offering: Offering) -> None:
    def entry() -> tuple[str, str, int, Any]:
        message = sent()["student@example.com"]
        event = event_of(message)
        return event["uid"], invitations(message)[0].get_param("method"), event["sequence"], event["dtstart"].dt

    booking = requested(student, offering)
    entries = [entry()]
    services.accept(booking=booking, actor=coach.user, now=NOW)
    entries.append(entry())
    services.propose(booking=fresh(booking), actor=coach.user, starts_at=LATER, now=NOW)
    entries.append(entry())
    services.agree(booking=fresh(booking), actor=student, expected_starts_at=LATER, now=NOW)
    entries.append(entry())
    services.cancel_by_student(booking=fresh(booking), actor=student, expected_kept=Money(0, "usd"), now=NOW)
    entries.append(entry())
    uids, methods, sequences, starts = zip(*entries, strict=True)
    assert len(set(uids)) == 1
    assert methods == ("REQUEST", "REQUEST", "REQUEST", "REQUEST", "CANCEL")
    assert sorted(set(sequences)) == list(sequences)
    assert starts == (START, START, START, LATER, LATER)


@pytest.mark.parametrize("end", ["decline", "cancel_by_coach", "expire"])
def test_whatever_ends_a_session_takes_it_from_the_calendar(
    end: str, student: User, coach: Coach, offering: Offering
) -> None:
    booking = requested(student, offering)
    sent()
    now = booking.answer_due_at if end == "expire" else NOW
    assert now is not None
    getattr(services, end)(booking=booking, actor=None if end == "expire" else coach.user, now=now)
    for message in sent(now).values():
        assert [part.get_param("method") for part in invitations(message)] == ["CANCEL", "CANCEL"]
        event = event_of(message)
        assert (event["status"], event["sequence"]) == ("CANCELLED", fresh(booking).version)
        assert "location" not in event


def test_what_was_never_asked_of_a_coach_is_no_entry(student: User, offering: Offering) -> None:
    unpaid(book(student, offering))
    assert invitations(sent()["student@example.com"]) == []
    assert events_of(student) == []


def test_hostile_words_stay_words(student: User, coach: Coach, offering: Offering) -> None:
    title = 'Piano; "C, D\\E"\r\nATTENDEE:mailto:all@example.com\x07'
    student.name = 'Sam "S": ;^\r\nORGANIZER:mailto:evil@example.com'
    student.save(update_fields=["name"])
    booking = requested(student, offering)
    Booking.objects.filter(pk=booking.pk).update(title=title)
    messages = sent()
    event = event_of(messages["student@example.com"])
    assert event["summary"] == 'Piano; "C, D\\E" ATTENDEE:mailto:all@example.com with Carla Coach'
    assert event["attendee"] == "mailto:student@example.com"
    assert event["attendee"].params["CN"] == "Sam 'S': ; ORGANIZER:mailto:evil@example.com"
    assert "evil" not in event["organizer"]
    assert event_of(messages["coach@example.com"])["summary"].endswith("with " + " ".join(student.name.split()))


def test_long_lines_are_folded_between_characters(student: User, offering: Offering) -> None:
    booking = requested(student, offering)
    booking.title = "Übung für Wärme, " * 6
    content = calendars.invitation(booking, to=student, at=NOW)
    lines = content.split(b"\r\n")
    assert max(len(line) for line in lines) <= 75
    for line in lines:
        line.decode()
    event: Any = Calendar.from_ical(content).walk("VEVENT")[0]
    assert event["summary"] == f"{' '.join(booking.title.split())} with Carla Coach"


# --- the private address ------------------------------------------------------------------------


@pytest.mark.usefixtures("sandbox")  # in which it is NOW
def test_a_calendar_has_the_sessions_of_its_owner_on_both_sides(
    student: User, stranger: User, coach: Coach, offering: Offering
) -> None:
    booking = accepted(student, offering)
    book(student, offering, starts_at=LATER)  # not paid for: in nobody's calendar
    (mine,), (theirs,) = events_of(student), events_of(coach.user)
    assert (mine["uid"], mine["summary"]) == (theirs["uid"], "One hour of piano with Carla Coach")
    assert theirs["summary"] == "One hour of piano with Sam Student"
    assert mine["location"] == selectors.room_url(booking)
    assert "attendee" not in mine
    assert events_of(stranger) == []


@pytest.mark.usefixtures("sandbox")
def test_what_is_called_off_is_told_as_such(student: User, coach: Coach, offering: Offering) -> None:
    services.decline(booking=requested(student, offering), actor=coach.user, now=NOW)
    (event,) = events_of(student)
    assert event["status"] == "CANCELLED"


@pytest.mark.usefixtures("sandbox")
def test_two_hundred_sessions_cost_no_more_queries_than_one(student: User, offering: Offering) -> None:
    booking = accepted(student, offering)
    token = calendar_address(user=student, now=NOW).token
    with CaptureQueriesContext(
        connection,
    ) as one:
        feed(token)
    payment = payment_of(booking)
    for number in range(1, 201):
        payment.pk, payment.reference = None, f"booking:{10**6 + number}"
        payment.payment_intent_id = payment.checkout_session_id = None
        payment.save(force_insert=True)
        shift = number * timedelta(hours=2)
        times = ("starts_at", "ends_at", "blocked_from", "blocked_until")
        moved = {name: getattr(booking, name) + shift for name in times}
        copy = {field.attname: getattr(booking, field.attname) for field in Booking._meta.concrete_fields}
        Booking.objects.create(**{**copy, **moved, "id": None, "payment_id": payment.pk})
    with CaptureQueriesContext(connection) as many:
        answer = feed(token)
    assert answer.content.count(b"BEGIN:VEVENT") == 201
    assert len(many) == len(one) <= 2


def test_what_is_long_over_leaves_the_calendar(student: User, offering: Offering) -> None:
    accepted(student, offering)
    assert len(selectors.calendar_of(student, now=END + timedelta(days=30))) == 1
    assert selectors.calendar_of(student, now=END + timedelta(days=31)) == []


def test_a_new_address_ends_the_old_one(client: Client, student: User) -> None:
    old = calendar_address(user=student, now=NOW).token
    assert feed(old).status_code == 200
    client.force_login(student)
    answer = client.post(reverse("bookings:renew_calendar"))
    assert answer["Location"] == reverse("bookings:calendar")
    new = CalendarAddress.objects.get().token
    assert feed(old).status_code == 404
    assert feed(new).status_code == 200
    assert new != old
    assert len(new) >= 40


def test_an_address_is_made_once_and_renewed_alone(student: User) -> None:
    first = calendar_address(user=student, now=NOW)
    assert calendar_address(user=student, now=NOW + HOUR).token == first.token
    assert renew_calendar_address(user=student, now=NOW + HOUR).token != first.token
    assert CalendarAddress.objects.get().created_at == NOW + HOUR


def test_who_may_not_sign_in_has_no_calendar(student: User) -> None:
    token = calendar_address(user=student, now=NOW).token
    student.is_active = False
    student.save(update_fields=["is_active"])
    assert feed(token).status_code == 404


def test_a_calendar_is_read_and_never_written_or_kept(student: User) -> None:
    path = reverse("bookings:calendar_feed", args=[calendar_address(user=student, now=NOW).token])
    head = Client().head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert "no-store" in head["Cache-Control"]
    assert Client().post(path).status_code == 405
    assert feed("x" * 43).status_code == 404


@pytest.mark.parametrize("token", ["%00", "x%00y", "%ff", "%ED%A0%80", "x" * 5_000, "..%2F1"])
def test_an_address_that_nobody_has_leads_nowhere(token: str) -> None:
    assert Client().get(f"/calendar/{token}.ics").status_code == 404


def test_the_page_shows_ones_own_address_alone(client: Client, student: User, stranger: User) -> None:
    other = calendar_address(user=stranger, now=NOW).token
    assert client.get(reverse("bookings:calendar")).status_code == 302
    client.force_login(student)
    page = client.get(reverse("bookings:calendar")).content.decode()
    assert f"http://127.0.0.1:8000/calendar/{CalendarAddress.objects.get(user=student).token}.ics" in page
    assert other not in page


@pytest.mark.parametrize("page", ["bookings:sessions", "bookings:teaching", "account_details"])
def test_the_way_to_the_calendar_is_on(page: str, client: Client, coach: Coach) -> None:
    client.force_login(coach.user)
    assert f'href="{reverse("bookings:calendar")}"' in client.get(reverse(page)).content.decode()
