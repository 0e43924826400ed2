"""Sessions that did not go as agreed, brought to where a test begins."""

from datetime import datetime
from typing import Any

from bookings import services
from bookings.models import Booking, Claim
from bookings.tests.factories import SECOND, START, fresh
from marketplace.lib.money import Money
from marketplace.models import User
from payments.models import Operation

MINUTE = 60 * SECOND
Kind, Outcome = Claim.Kind, Claim.Outcome


def wait_in_the_room(booking: Booking, *, minutes: int = 10, start: datetime = START) -> None:
    """The coach comes at the start and stays."""
    stay_in_the_room(booking, booking.coach.user, minutes=minutes, start=start)


def stay_in_the_room(booking: Booking, user: User, *, minutes: int = 10, start: datetime = START) -> None:
    """With a sign of life each minute, the last of them so many minutes after the start."""
    services.join(booking=booking, user=user, now=start)
    for minute in range(1, minutes + 1):
        services.seen(booking=booking, user=user, now=start + minute * MINUTE)


def student_reports(
    booking: Booking, *, now: datetime, kind: Claim.Kind = Kind.COACH_MISSING, words: str = "Nobody came."
) -> Claim:
    return services.report(booking=fresh(booking), actor=booking.student.user, kind=kind, words=words, now=now)


def coach_reports(booking: Booking, *, now: datetime) -> Claim:
    """Without having waited it is refused."""
    actor = booking.coach.user
    return services.report(booking=fresh(booking), actor=actor, kind=Kind.STUDENT_MISSING, words="", now=now)


def read(claim: Claim) -> Claim:
    """As somebody's page has it."""
    return Claim.objects.select_related("booking__student__user", "booking__coach__user").get(pk=claim.pk)


def decide(
    claim: Claim, staff: User, outcome: Claim.Outcome, *, now: datetime, back: Money | None = None, reason: str = "So."
) -> None:
    row = read(claim)
    services.decide(claim=row, actor=staff, outcome=outcome, reason=reason, back=back, version=row.version, now=now)


def the_claim() -> Claim:
    return Claim.objects.get()


def capture_params(booking: Booking) -> dict[str, Any]:
    operation = Operation.objects.get(payment__reference=booking.reference, kind=Operation.Kind.CAPTURE)
    return dict(operation.params["params"])
