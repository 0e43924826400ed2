"""The coach's answer, and the end of a session."""

from datetime import datetime

from django.db import transaction

from bookings import process, selectors
from bookings.models import Booking
from bookings.process import Transition
from bookings.services.holding import collect
from bookings.services.refusals import CostsChanged
from bookings.services.shared import SETTLED, close_page, give_money_back, locked_payment, open_room, reminders
from bookings.transition import apply, role_of
from marketplace.lib.money import Money
from marketplace.models import User
from payments import services as payment_services


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


@transaction.atomic
def cancel_by_student(*, booking: Booking, actor: User, expected_kept: Money, now: datetime) -> None:
    """Ends as the policy says that the student agreed to; `expected_kept` is what they were told before they confirmed.

    Raises InvalidState, NotAllowed, and CostsChanged where it has come to cost something else meanwhile.
    """
    role_of(process.CANCEL_BY_STUDENT, booking, actor)
    payment = locked_payment(booking)
    kept = selectors.if_cancelled(booking=booking, payment=payment, now=now).kept
    if kept != expected_kept and selectors.can(process.CANCEL_BY_STUDENT, booking=booking, now=now):
        raise CostsChanged
    apply(process.CANCEL_BY_STUDENT, booking=booking, actor=actor, now=now, **SETTLED)
    if kept.amount:
        payment_services.request_capture(payment=payment, amount=kept, now=now)
        close_page(booking, now)
    else:
        give_money_back(booking, payment, now)


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
def complete_undecided(*, booking: Booking, actor: User | None, now: datetime) -> None:
    """A report is undecided and the hold is about to end: the money is taken, and kept back. Raises InvalidState."""
    payment = locked_payment(booking)
    apply(process.COMPLETE_UNDECIDED, booking=booking, actor=actor, now=now, **SETTLED)
    collect(booking=booking, payment=payment, now=now)


@transaction.atomic
def _end_and_release(
    transition: Transition, booking: Booking, actor: User | None, now: datetime, reason: str = ""
) -> None:
    payment = locked_payment(booking)
    apply(transition, booking=booking, actor=actor, now=now, reason=reason, **SETTLED)
    give_money_back(booking, payment, now)
