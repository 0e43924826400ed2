"""Who was in the session's room, and when: what a report of a missed session is judged by."""

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet

from bookings import process, selectors
from bookings.models import Attendance, Booking
from bookings.services.refusals import RoomClosed
from bookings.transition import role_of
from marketplace.models import User

# The room opens this long before the start, and is closed this long after the end.
OPENS_BEFORE = timedelta(minutes=15)
CLOSES_AFTER = timedelta(hours=1)
# A page that gives no sign of life for so long has been closed.
SILENT_FOR = timedelta(minutes=2)


def join(*, booking: Booking, user: User, now: datetime) -> str:
    """Records the stay, and returns where the call is. Raises NotAllowed, RoomClosed."""
    side = role_of(process.REPORT, booking, user).value
    if not is_open(booking, now):
        raise RoomClosed
    _end_silent(booking, side, now)
    _begin(booking, side, now)
    return selectors.meeting_url(booking)


def seen(*, booking: Booking, user: User, now: datetime) -> None:
    """The page is still there; one that was silent for long begins another stay. Nothing once the room is closed.

    Raises NotAllowed.
    """
    side = role_of(process.REPORT, booking, user).value
    if not is_open(booking, now):
        return
    if _end_silent(booking, side, now):
        _begin(booking, side, now)
    else:
        _stay(booking, side).filter(seen_at__lt=now).update(seen_at=now)


def leave(*, booking: Booking, user: User, now: datetime) -> None:
    """Raises NotAllowed."""
    side = role_of(process.REPORT, booking, user).value
    _end_silent(booking, side, now)
    _stay(booking, side).update(seen_at=now, left_at=now)


def is_open(booking: Booking, now: datetime) -> bool:
    if booking.status != Booking.Status.ACCEPTED:
        return False
    return booking.starts_at - OPENS_BEFORE <= now < booking.ends_at + CLOSES_AFTER


def there(*, booking: Booking, now: datetime) -> set[str]:
    """The sides that are in the room just now."""
    alive = Attendance.objects.filter(booking=booking, left_at=None, seen_at__gte=now - SILENT_FOR)
    return set(alive.values_list("side", flat=True))


def was_there(*, booking: Booking, side: str, now: datetime) -> bool:
    """For ten minutes of the session, by their page's own signs of life."""
    stays = Attendance.objects.filter(booking=booking, side=side)
    spans = (
        min(stay.left_at or stay.seen_at, now, booking.ends_at) - max(stay.joined_at, booking.starts_at)
        for stay in stays
    )
    return sum((max(span, timedelta()) for span in spans), timedelta()) >= process.COACH_WAITS


def _stay(booking: Booking, side: str) -> QuerySet[Attendance]:
    return Attendance.objects.filter(booking=booking, side=side, left_at=None)


def _begin(booking: Booking, side: str, now: datetime) -> None:
    try:
        with transaction.atomic():
            Attendance.objects.create(booking=booking, side=side, joined_at=now, seen_at=now)
    except IntegrityError:
        # The page was opened twice.
        _stay(booking, side).filter(seen_at__lt=now).update(seen_at=now)


def _end_silent(booking: Booking, side: str, now: datetime) -> int:
    """A page that was closed without a word was left when it was last seen."""
    return _stay(booking, side).filter(seen_at__lt=now - SILENT_FOR).update(left_at=F("seen_at"))
