"""What the page of one session shows to each of its sides."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from bookings import process, selectors, words
from bookings.history import line_of
from bookings.models import Booking
from bookings.process import Role
from bookings.services.shared import under_way
from payments import earnings
from payments import selectors as payment_selectors
from payments.models import Payment
from payments.selectors import TimelineStep

# What is done about a proposal stands beside it.
ANSWERS = (process.AGREE, process.WITHDRAW)
STATE_ORDER = ("done", "now", "next", "undone")


def detail(booking: Booking, role: Role, now: datetime) -> dict[str, Any]:
    events = booking.events.select_related("booking__student__user", "booking__coach").order_by("at", "pk")
    possible = selectors.possible(booking=booking, role=role, now=now)
    return {
        **money(booking, role, now),
        "mine": booking.proposed_by == role,
        "possible": possible,
        "answers": [each for each in possible if each in ANSWERS],
        "others": [each for each in possible if each not in ANSWERS],
        "history": [(event, line_of(event)) for event in events],
    }


def money(booking: Booking, role: Role, now: datetime) -> dict[str, Any]:
    """`waiting`: a payment page is open; `asked`: the student is to pay by link; `begun`: the session has begun."""
    asked = booking.pay_due_at is not None and booking.pay_due_at > now
    attempt = under_way(booking) if asked else None
    unpaid = booking.status == Booking.Status.AWAITING_PAYMENT
    arranged = words.arranged_for_student if role == Role.STUDENT else words.arranged_for_coach
    return {
        "booking": booking,
        "steps": steps_of(booking, role, now),
        "money_words": arranged(booking, booking.payment) if booking.payment else "",
        "waiting": unpaid or (attempt is not None and attempt.status == Payment.Status.OPEN),
        "unpaid": unpaid,
        "asked": asked,
        "attempt": attempt,
        "begun": booking.starts_at <= now,
        # Past it, nobody would be on record as having come.
        "meeting_url": selectors.room_url(booking),
    }


def steps_of(booking: Booking, role: Role, now: datetime) -> list[TimelineStep]:
    """The money timeline: once a share is the coach's, theirs follows it; what is over by now is done."""
    payment = booking.payment
    if payment is None:
        return []
    if role == Role.COACH and (payment.status == Payment.Status.CAPTURED or payment.written_off_at):
        return earnings.share_timeline(payment, now)
    steps = [_passed(step, now) for step in payment_selectors.timeline(payment)]
    return sorted(steps, key=lambda step: STATE_ORDER.index(step.state))


def _passed(step: TimelineStep, now: datetime) -> TimelineStep:
    return replace(step, state="done") if step.state == "next" and step.at and step.at <= now else step
