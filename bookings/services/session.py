"""The coach's answer, and the end of a session."""

from datetime import datetime

import structlog
from django.db import transaction

from bookings import process
from bookings.models import Booking
from bookings.process import Transition
from bookings.services.shared import open_room
from bookings.transition import apply
from marketplace.models import User
from payments import services as payment_services
from payments.errors import PaymentNotHeld
from payments.models import Payment

log = structlog.get_logger(__name__)


@transaction.atomic
def accept(*, booking: Booking, actor: User, now: datetime, reason: str = "") -> None:
    """Raises InvalidState, NotAllowed."""
    apply(process.ACCEPT, booking=booking, actor=actor, now=now, reason=reason)
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
    """The session took place: the held money is taken. Raises InvalidState, NotAllowed, PaymentNotHeld."""
    payment = _locked_payment(booking)
    apply(process.COMPLETE, booking=booking, actor=actor, now=now)
    if payment.status == Payment.Status.CAPTURED:
        return  # by someone at Stripe's dashboard
    if payment.status != Payment.Status.HELD:
        log.critical("completed_session_without_hold", booking=booking.pk, payment=payment.pk, status=payment.status)
        raise PaymentNotHeld
    payment_services.request_capture(payment=payment, now=now)


@transaction.atomic
def _end_and_release(
    transition: Transition, booking: Booking, actor: User | None, now: datetime, reason: str = ""
) -> None:
    payment = _locked_payment(booking)
    apply(transition, booking=booking, actor=actor, now=now, reason=reason)
    if payment.status == Payment.Status.HELD:
        payment_services.request_release(payment=payment, now=now)
    elif payment.status == Payment.Status.CAPTURED:
        payment_services.set_aside_capture(payment=payment)


def _locked_payment(booking: Booking) -> Payment:
    """Locked before the booking, as the recorders of facts lock it: one order, no deadlock."""
    assert booking.payment_id is not None  # it is made with the booking
    return Payment.objects.select_for_update(no_key=True).get(pk=booking.payment_id)
