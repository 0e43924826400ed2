"""What a fact about money does to a booking. Listeners run in the transaction that records the fact: no network."""

from datetime import datetime

import structlog

from bookings import services
from bookings.models import Booking
from payments import services as payment_services
from payments.facts import Fact, listen
from payments.models import Payment

log = structlog.get_logger(__name__)

Status = Booking.Status


def register() -> None:
    """Told at start-up which facts bookings listen to. A capture and a release are what bookings asked for."""
    listen(Fact.HOLD_RECORDED, on_hold_recorded)
    listen(Fact.CHECKOUT_EXPIRED, on_checkout_expired)
    listen(Fact.HOLD_LOST, on_hold_lost)


def on_hold_recorded(payment: Payment, now: datetime) -> None:
    booking = _booking_of(payment)
    if booking is None:
        return
    if booking.status == Status.AWAITING_PAYMENT:
        services.confirm_payment(booking=booking, payment=payment, now=now)
    elif booking.status == Status.ABANDONED:
        services.revive(booking=booking, payment=payment, now=now)
    else:
        # Nothing leads here as long as a booking has one payment; money for nothing goes back all the same.
        log.error("hold_for_a_settled_booking", booking=booking.pk, payment=payment.pk, status=booking.status)
        payment_services.request_release(payment=payment, now=now)


def on_checkout_expired(payment: Payment, now: datetime) -> None:
    booking = _booking_of(payment)
    if booking and booking.status == Status.AWAITING_PAYMENT:
        services.abandon_unpaid(booking=booking, now=now)


def on_hold_lost(payment: Payment, now: datetime) -> None:
    booking = _booking_of(payment)
    if booking is None or booking.status not in (Status.REQUESTED, Status.ACCEPTED, Status.COMPLETED):
        return
    if booking.status != Status.COMPLETED and booking.starts_at > now:
        services.payment_lost(booking=booking, now=now)
    else:
        # The session has begun or is over: how the coach gets paid is for staff to settle.
        log.critical("hold_lost_after_start", booking=booking.pk, payment=payment.pk, status=booking.status)


def _booking_of(payment: Payment) -> Booking | None:
    """None where the payment is for something else than a booking."""
    return Booking.objects.select_related("student__user", "coach__user").filter(payment=payment).first()
