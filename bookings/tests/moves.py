"""What the tests of moving a session do again and again."""

from datetime import datetime

from bookings import services
from bookings.models import Booking
from bookings.tests.factories import HOUR, NOW, START, fresh
from marketplace.models import User
from payments.models import Payment

OTHER = START + 3 * HOUR


def propose(booking: Booking, actor: User, starts_at: datetime = OTHER, now: datetime = NOW, reason: str = "") -> None:
    services.propose(booking=fresh(booking), actor=actor, starts_at=starts_at, now=now, reason=reason)


def agree(booking: Booking, actor: User, starts_at: datetime = OTHER, now: datetime = NOW) -> None:
    services.agree(booking=fresh(booking), actor=actor, expected_starts_at=starts_at, now=now)


def withdraw(booking: Booking, actor: User, starts_at: datetime = OTHER, now: datetime = NOW) -> None:
    services.withdraw(booking=fresh(booking), actor=actor, expected_starts_at=starts_at, now=now)


def payments_of(booking: Booking) -> list[str]:
    return list(Payment.objects.filter(reference=booking.reference).order_by("pk").values_list("status", flat=True))


def assert_where_it_was(booking: Booking) -> None:
    now = fresh(booking)
    assert (now.starts_at, now.ends_at, now.status) == (booking.starts_at, booking.ends_at, booking.status)
    assert now.proposed_starts_at is now.proposed_ends_at is now.proposal_due_at is None
    assert now.proposed_blocked_from is now.proposed_blocked_until is None
    assert now.proposed_by == ""
