"""The evidence packet of each dispute about a session, built by itself and kept by payments for staff."""

from datetime import datetime

import structlog
from django.db.models import QuerySet

from bookings.evidence import packet_of
from bookings.models import Booking
from payments import services as payment_services
from payments.models import Dispute

log = structlog.get_logger(__name__)

REFERENCE = "booking:"


def build_due(*, now: datetime, limit: int = 20) -> int:
    """Disputes that have none yet, by their deadline; one that fails holds up no other. Returns how many were built."""
    return sum(_build(dispute, now) for dispute in _without_packet()[:limit])


def _without_packet() -> QuerySet[Dispute]:
    open_ones = Dispute.objects.filter(closed_at=None, evidence={}, payment__reference__startswith=REFERENCE)
    return open_ones.select_related("payment").order_by("due_by")


def _build(dispute: Dispute, now: datetime) -> bool:
    number = dispute.payment.reference.removeprefix(REFERENCE)
    bookings = Booking.objects.select_related("student__user", "coach__user", "offering", "payment")
    try:
        packet = packet_of(bookings.get(pk=int(number)), dispute.payment)
        return payment_services.keep_evidence(dispute=dispute, fields=packet.fields, files=packet.files, now=now)
    except Exception:
        log.exception("evidence_not_gathered", dispute=dispute.pk)
        return False
