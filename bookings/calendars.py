"""Sessions as iCalendar (RFC 5545, RFC 5546): the invitation in a mail, and a calendar at a private address.

Times are in UTC, so that each calendar program shows them on its owner's clock. A session has one UID for life, and
its SEQUENCE rises with each transition, so that a program knows the newest state whatever order mails arrive in.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from email.utils import parseaddr
from urllib.parse import urlsplit

from django.conf import settings
from django.urls import reverse
from icalendar import Calendar, Event, vCalAddress, vText

from bookings import selectors
from bookings.models import Booking
from marketplace.models import User

Status = Booking.Status
REFRESHED_EVERY = timedelta(hours=1)

# What a calendar entry says of the session; other states have none, since nothing was ever agreed.
ENTRY = {
    Status.REQUESTED: "TENTATIVE",
    Status.ACCEPTED: "CONFIRMED",
    Status.COMPLETED: "CONFIRMED",
    Status.NO_SHOW_STUDENT: "CONFIRMED",
    Status.NO_SHOW_COACH: "CONFIRMED",
    Status.DECLINED: "CANCELLED",
    Status.EXPIRED: "CANCELLED",
    Status.CANCELLED: "CANCELLED",
    Status.PAYMENT_FAILED: "CANCELLED",
}


def uid(booking: Booking) -> str:
    return f"booking-{booking.pk}@{urlsplit(settings.SITE_URL).hostname}"


def method(booking: Booking) -> str:
    """What the invitation asks the recipient's calendar to do; empty where there is nothing to put into it."""
    entry = ENTRY.get(Status(booking.status), "")
    return "CANCEL" if entry == "CANCELLED" else "REQUEST" if entry else ""


def invitation(booking: Booking, *, to: User, at: datetime) -> bytes:
    """The session for one side's calendar, as it stands; `at` is when it came to stand so.

    The recipient counts as coming: the answer is given on our pages, and an e-mail with another would reach nobody.
    """
    event = _event(booking, to, at)
    name, address = parseaddr(settings.DEFAULT_FROM_EMAIL)
    event.add("organizer", _person(name or settings.SITE_NAME, address))
    attendee = _person(to.name, to.email)
    attendee.params["PARTSTAT"] = vText("ACCEPTED")
    attendee.params["RSVP"] = vText("FALSE")
    event.add("attendee", attendee)
    calendar = _calendar()
    calendar.add("method", method(booking))
    calendar.add_component(event)
    return bytes(calendar.to_ical())


def whole_calendar(bookings: Iterable[Booking], *, reader: User, at: datetime) -> bytes:
    """All of a person's sessions, for a calendar program that reads them again and again."""
    calendar = _calendar()
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", settings.SITE_NAME)
    calendar.add("refresh-interval", REFRESHED_EVERY, parameters={"VALUE": "DURATION"})
    for booking in bookings:
        calendar.add_component(_event(booking, reader, at))
    return bytes(calendar.to_ical())


def _calendar() -> Calendar:
    calendar = Calendar()
    calendar.add("prodid", f"-//{settings.SITE_NAME}//sessions//EN")
    calendar.add("version", "2.0")
    return calendar


def _event(booking: Booking, reader: User, at: datetime) -> Event:
    taken = booking.student.user_id == reader.pk
    other = booking.coach.display_name if taken else booking.student.user.name
    page = reverse("bookings:session" if taken else "bookings:teaching_session", args=[booking.pk])
    event = Event()
    event.add("uid", uid(booking))
    event.add("sequence", booking.version)
    event.add("dtstamp", at)
    event.add("dtstart", booking.starts_at)
    event.add("dtend", booking.ends_at)
    event.add("status", ENTRY[Status(booking.status)])
    event.add("summary", _line(f"{booking.title} with {other}"))
    room = selectors.room_url(booking) if booking.status == Status.ACCEPTED else ""
    joined = f"Join the session: {room}\n" if room else ""
    event.add("description", f"{joined}All about it: {settings.SITE_URL}{page}")
    if room:
        event.add("location", room)
    return event


def _person(name: str, address: str) -> vCalAddress:
    """Quotes can't be written in a parameter but by RFC 6868, which Outlook does not read."""
    person = vCalAddress(f"mailto:{address}")
    person.params["CN"] = vText(_line(name).replace('"', "'").replace("^", ""))
    return person


def _line(text: str) -> str:
    """One line of what people typed, without the control characters that end an entry for some programs."""
    return "".join(character for character in " ".join(text.split()) if character.isprintable())
