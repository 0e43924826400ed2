"""Where money may be lost unless a person acts: what hangs on a session, and what payments know, as one queue."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from bookings.models import Booking, Claim
from payments import at_risk
from payments.at_risk import AtRisk, Finder
from payments.models import Payment

HOLD_ENDS_WITHIN = timedelta(hours=24)


def holds_ending(now: datetime, most: int) -> Iterable[AtRisk]:
    """Money that is held for a session which is not completed, and soon will not be."""
    ending = Booking.objects.filter(
        status__in=(Booking.Status.REQUESTED, Booking.Status.ACCEPTED),
        payment__status=Payment.Status.HELD,
        payment__capture_before__lte=now + HOLD_ENDS_WITHIN,
    )
    for booking in ending.select_related("payment").order_by("payment__capture_before", "pk")[:most]:
        payment = booking.payment
        assert payment is not None  # it is filtered by
        what = f"the hold for “{booking.title}” ends; the session is {booking.get_status_display().lower()}"
        yield AtRisk("hold_ends", what, payment.money, payment.capture_before, booking.created_at, booking)


def claims_to_decide(_now: datetime, most: int) -> Iterable[AtRisk]:
    """What the other side or the room's record contradicts, problems, and what waits for a second person."""
    undecided = Claim.objects.filter(state__in=Claim.UNDECIDED).exclude(
        state=Claim.State.OPEN, proposed_by=None, kind__in=(Claim.Kind.STUDENT_MISSING, Claim.Kind.COACH_MISSING)
    )
    for claim in undecided.select_related("booking", "proposed_by").order_by("answer_due_at", "pk")[:most]:
        second = f"; {claim.proposed_by.name} waits for a second person" if claim.proposed_by else ""
        what = f"{claim.get_kind_display()}: “{claim.booking.title}”{second}"
        yield AtRisk("claim_to_decide", what, claim.booking.price, claim.answer_due_at, claim.opened_at, claim)


def links_unpaid(_now: datetime, most: int) -> Iterable[AtRisk]:
    """The bank wants the student, who has not come by our link yet."""
    asked = Booking.objects.filter(pay_due_at__isnull=False, status__in=(*Booking.LIVE, Booking.Status.COMPLETED))
    for booking in asked.select_related("student__user").order_by("pay_due_at", "pk")[:most]:
        what = f"{booking.student.user.name} has not paid by our link for “{booking.title}”"
        yield AtRisk("link_unpaid", what, booking.price, booking.pay_due_at, booking.created_at, booking)


FINDERS: dict[str, Finder] = {
    "hold_ends": holds_ending,
    "claim_to_decide": claims_to_decide,
    "link_unpaid": links_unpaid,
    **at_risk.FINDERS,
}


def queue(*, kinds: Collection[str], now: datetime, most: int = 100) -> list[AtRisk]:
    """At most so many of all these kinds, what is most urgent first. The number of queries hangs on the kinds alone."""
    rows = [row for kind, find in FINDERS.items() if kind in kinds for row in find(now, most)]
    return sorted(rows, key=lambda row: row.urgency)[:most]
