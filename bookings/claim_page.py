"""What the page of one session shows of its room, of a report on it, and of its receipts."""

from datetime import datetime
from typing import Any

from bookings import words
from bookings.models import Booking, Claim
from bookings.process import Role
from bookings.services.attendance import OPENS_BEFORE, is_open
from payments.receipts import receipts_of


def context(booking: Booking, role: Role, now: datetime) -> dict[str, Any]:
    return {
        **_report(booking, role, now),
        "room_is_open": is_open(booking, now),
        "room_opens_at": booking.starts_at - OPENS_BEFORE,
        "receipts": receipts_of(booking.reference) if role == Role.STUDENT else [],
    }


def latest(booking: Booking) -> Claim | None:
    return booking.claims.order_by("pk").last()


def _report(booking: Booking, role: Role, now: datetime) -> dict[str, Any]:
    """`claim`: the latest report; `answerable`: this side may still contradict it; `other`: the name of the other."""
    claim = latest(booking)
    if claim is None:
        return {"claim": None}
    mine, undecided = claim.side == role, claim.state in Claim.UNDECIDED
    to_student = role == Role.STUDENT
    return {
        "claim": claim,
        "claim_mine": mine,
        "undecided": undecided,
        "answerable": claim.state == Claim.State.OPEN and not mine and now < claim.answer_due_at,
        "answer_is_due": claim.state == Claim.State.OPEN and now < claim.answer_due_at,
        "other": booking.coach.display_name if to_student else booking.student.user.name,
        "decided_words": _decided(booking, claim, to_student),
    }


def _decided(booking: Booking, claim: Claim, to_student: bool) -> str:
    if booking.payment is None or claim.decided_at is None or claim.state != Claim.State.DECIDED:
        return ""
    return words.decided(booking, booking.payment, to_student=to_student, at=claim.decided_at)
