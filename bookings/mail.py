"""What a mail about a booking says: its words' ingredients, and the calendar invitation."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.urls import reverse
from icalendar import Calendar, Event

from bookings.models import Booking, LiveSession, Notice
from marketplace.lib.zones import in_zone
from marketplace.models import User

# The session is fixed: it may go into the calendar.
WITH_INVITATION = frozenset({"accepted-student", "accepted-coach", "booked-student", "booked-coach"})


def context(notice: Notice) -> dict[str, Any]:
    """`to` and `other` are the two people as the recipient sees them; times are in the recipient's zone."""
    booking = notice.event.booking
    to_student = notice.recipient == Notice.Recipient.STUDENT
    zone = booking.agreed_zone if to_student else booking.coach.time_zone
    page = "bookings:session" if to_student else "bookings:teaching_session"
    return {
        "to": _user(booking, to_student),
        "other_name": booking.coach.display_name if to_student else booking.student.user.name,
        "booking": booking,
        "when": span_words(booking.starts_at, booking.ends_at, zone),
        "answer_due": instant_words(booking.answer_due_at, zone) if booking.answer_due_at else "",
        "price": str(booking.price),
        "reason": notice.event.reason,
        "link": settings.SITE_URL + reverse(page, args=[booking.pk]),
        "home": settings.SITE_URL,
        "meeting_url": meeting_url(booking),
        "SITE_NAME": settings.SITE_NAME,
        "SUPPORT_EMAIL": settings.SUPPORT_EMAIL,
    }


def meeting_url(booking: Booking) -> str:
    return LiveSession.objects.filter(booking=booking).values_list("meeting_url", flat=True).first() or ""


def span_words(starts_at: datetime, ends_at: datetime, zone: str) -> str:
    """Tuesday 24 November 2026, 10:00 to 11:00 (Europe/Berlin, UTC+01:00)."""
    starts, ends = in_zone(starts_at, zone), in_zone(ends_at, zone)
    until = f"{ends:%H:%M}" if ends.date() == starts.date() else f"{ends:%H:%M} on {_day(ends)}"
    offset = f"{starts:%z}"
    return f"{_day(starts)}, {starts:%H:%M} to {until} ({zone}, UTC{offset[:3]}:{offset[3:]})"


def instant_words(instant: datetime, zone: str) -> str:
    local = in_zone(instant, zone)
    return f"{_day(local)}, {local:%H:%M} ({zone})"


def _day(local: datetime) -> str:
    return f"{local:%A} {local.day} {local:%B %Y}"


def _user(booking: Booking, to_student: bool) -> User:
    return booking.student.user if to_student else booking.coach.user


def invitation(booking: Booking) -> bytes:
    """An iCalendar file with the session, in UTC, so that every calendar shows it in its owner's zone."""
    event = Event()
    event.add("uid", f"booking-{booking.pk}@{settings.SITE_URL.split('//')[1]}")
    event.add("dtstamp", booking.created_at)
    event.add("dtstart", booking.starts_at)
    event.add("dtend", booking.ends_at)
    event.add("summary", f"{booking.title}: {booking.student.user.name} with {booking.coach.display_name}")
    event.add("location", meeting_url(booking))
    event.add("description", f"Join the session: {meeting_url(booking)}")
    calendar = Calendar()
    calendar.add("prodid", f"-//{settings.SITE_NAME}//sessions//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add_component(event)
    return bytes(calendar.to_ical())
