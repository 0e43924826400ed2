"""What more than one of the services does."""

import secrets
from datetime import datetime

from django.conf import settings
from django.utils.text import slugify

from bookings.models import Booking, LiveSession, Student
from coaches.models import Coach
from marketplace.models import User


def lock_calendars(student: Student, coach: Coach) -> None:
    """Whoever else takes time of these two people, on either side, waits here and then sees ours.

    The exclusion constraints alone would do for most of it, but two inserts that meet in them end in a deadlock
    that PostgreSQL takes a second to find. SQLite has one writer at a time anyway.
    """
    people = User.objects.filter(pk__in=[student.user_id, coach.user_id]).order_by("pk")
    list(people.select_for_update(no_key=True).values_list("pk"))


def open_room(booking: Booking, now: datetime) -> None:
    """A room whose name can't be guessed: to know it is to be let in."""
    room = f"{slugify(settings.SITE_NAME)}-{secrets.token_urlsafe(24)}"
    LiveSession.objects.get_or_create(
        booking=booking, defaults={"meeting_url": f"{settings.MEETING_URL.rstrip('/')}/{room}", "created_at": now}
    )
