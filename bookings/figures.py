"""How bookings have gone in the last weeks, one query each."""

from datetime import datetime

from django.db.models import Q

from bookings.models import Booking
from marketplace.lib.weeks import Share, shares

Status = Booking.Status

UNPAID = (Status.AWAITING_PAYMENT, Status.ABANDONED)
PAID = tuple(status for status in Status if status not in UNPAID)
# What a session that a coach had accepted can have come to by its end.
ACCEPTED_ONCE = (
    Status.ACCEPTED,
    Status.COMPLETED,
    Status.NO_SHOW_STUDENT,
    Status.NO_SHOW_COACH,
    Status.CANCELLED,
    Status.PAYMENT_FAILED,
)


def converted(now: datetime) -> list[Share]:
    """Of the bookings begun in the week, those that were paid for: held, or with a card saved."""
    return shares(Booking.objects.all(), by="created_at", part=Q(status__in=PAID), now=now)


def completed(now: datetime) -> list[Share]:
    """Of the paid sessions that were to end in the week, and before now, those that were completed."""
    over = Booking.objects.filter(status__in=ACCEPTED_ONCE, ends_at__lt=now)
    return shares(over, by="ends_at", part=Q(status=Status.COMPLETED), now=now)
