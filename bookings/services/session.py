"""The coach's answer, and the end of a session."""

from datetime import datetime

from django.db import transaction

from bookings import process
from bookings.models import Booking
from bookings.process import Transition
from bookings.services.holding import collect
from bookings.services.shared import SETTLED, give_money_back, locked_payment, open_room, reminders
from bookings.transition import apply
from marketplace.models import User


@transaction.atomic
def accept(*, booking: Booking, actor: User, now: datetime, reason: str = "") -> None:
    """Raises InvalidState, NotAllowed."""
    said = {"answer_reminder_at": None, **reminders(booking.starts_at, now)}
    apply(process.ACCEPT, booking=booking, actor=actor, now=now, reason=reason, **said)
    open_room(booking, now)


def decline(*, booking: Booking, actor: User, now: datetime, reason: str = "") -> None:
    """Raises InvalidState, NotAllowed."""
    _end_and_release(process.DECLINE, booking, actor, now, reason)


def expire(*, booking: Booking, actor: User | None, now: datetime) -> None:
    """The coach did not answer in time. Raises InvalidState."""
    _end_and_release(process.EXPIRE, booking, actor, now)


def cancel_by_student(*, booking: Booking, actor: User, now: datetime) -> None:
    """Raises InvalidState, NotAllowed."""
    _end_and_release(process.CANCEL_BY_STUDENT, booking, actor, now)


def cancel_by_coach(*, booking: Booking, actor: User, now: datetime, reason: str = "") -> None:
    """Raises InvalidState, NotAllowed."""
    _end_and_release(process.CANCEL_BY_COACH, booking, actor, now, reason)


@transaction.atomic
def complete(*, booking: Booking, actor: User | None, now: datetime) -> None:
    """The session took place: the held money is taken. Raises InvalidState, NotAllowed."""
    payment = locked_payment(booking)
    apply(process.COMPLETE, booking=booking, actor=actor, now=now, **SETTLED)
    collect(booking=booking, payment=payment, now=now)


@transaction.atomic
def _end_and_release(
    transition: Transition, booking: Booking, actor: User | None, now: datetime, reason: str = ""
) -> None:
    payment = locked_payment(booking)
    apply(transition, booking=booking, actor=actor, now=now, reason=reason, **SETTLED)
    give_money_back(booking, payment, now)
