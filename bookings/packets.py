"""The evidence packet of each dispute about a session, built by itself and kept by payments for staff."""

from datetime import datetime

from django.db.models import QuerySet

from bookings.evidence import packet_of
from bookings.models import Booking
from payments import services as payment_services
from payments.models import Dispute
from payments.rounds import for_a_while
from payments.taking_turns import attempt, ready

REFERENCE, PACKET = "booking:", "evidence_packet"


def build_due(*, now: datetime, limit: int = 20) -> int:
    """Disputes that have none yet, by their deadline; one that fails has its next turn behind the others, and later.

    Returns how many were built.
    """
    return sum(_build(dispute, now) for dispute in for_a_while(ready(_without_packet(), PACKET, now)[:limit]))


def _without_packet() -> QuerySet[Dispute]:
    open_ones = Dispute.objects.filter(closed_at=None, evidence={}, payment__reference__startswith=REFERENCE)
    return open_ones.select_related("payment").order_by("due_by")


def _build(dispute: Dispute, now: datetime) -> bool:
    return attempt(PACKET, dispute.pk, lambda: _gather(dispute, now), now)


def _gather(dispute: Dispute, now: datetime) -> None:
    number = dispute.payment.reference.removeprefix(REFERENCE)
    bookings = Booking.objects.select_related("student__user", "coach__user", "offering", "payment")
    packet = packet_of(bookings.get(pk=int(number)), dispute.payment)
    payment_services.keep_evidence(dispute=dispute, fields=packet.fields, files=packet.files, now=now)
