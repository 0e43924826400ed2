"""What a fact about money does to a booking. Listeners run in the transaction that records the fact: no network."""

from datetime import datetime

import structlog

from bookings import process, services
from bookings.models import Booking, Claim
from bookings.process import Role
from bookings.transition import apply
from payments import services as payment_services
from payments.facts import Fact, listen
from payments.models import Payment

log = structlog.get_logger(__name__)

Status = Booking.Status

CONFIRMED = (Status.REQUESTED, Status.ACCEPTED, Status.COMPLETED)


def register() -> None:
    """Told at start-up which facts bookings listen to. A release is what bookings asked for."""
    listen(Fact.HOLD_RECORDED, on_hold_recorded)
    listen(Fact.CARD_SAVED, on_card_saved)
    listen(Fact.CHECKOUT_EXPIRED, on_checkout_expired)
    listen(Fact.HOLD_REFUSED, on_hold_refused)
    listen(Fact.HOLD_LOST, on_hold_lost)
    listen(Fact.CAPTURED, on_captured)
    listen(Fact.REFUNDED, on_refunded)
    listen(Fact.PAID_OTHERWISE, on_paid_otherwise)


def on_hold_recorded(payment: Payment, now: datetime) -> None:
    booking = _booking_of(payment)
    if booking is None:
        return
    if booking.status in CONFIRMED:
        services.payment_arranged(booking=booking, payment=payment, now=now)
    else:
        _confirm_or_give_back(booking, payment, now)


def on_card_saved(payment: Payment, now: datetime) -> None:
    booking = _booking_of(payment)
    if booking is not None:
        _confirm_or_give_back(booking, payment, now)


def on_checkout_expired(payment: Payment, now: datetime) -> None:
    """Of a link, it means nothing yet: another may be opened as long as there is time to pay."""
    booking = _booking_of(payment)
    if booking and booking.status == Status.AWAITING_PAYMENT:
        services.abandon_unpaid(booking=booking, now=now)


def on_hold_refused(payment: Payment, now: datetime) -> None:
    booking = _booking_of(payment)
    if booking and booking.status in CONFIRMED:
        services.ask_for_payment(booking=booking, now=now)


def on_hold_lost(payment: Payment, now: datetime) -> None:
    booking = _booking_of(payment)
    if booking and booking.status in CONFIRMED and booking.payment_id == payment.pk:
        services.renew(booking=booking, actor=None, now=now, nobody=Role.FACT)


def on_captured(payment: Payment, now: datetime) -> None:  # noqa: ARG001  # as all listeners
    """Taken while a report is undecided: nobody is paid before it is decided."""
    booking = _booking_of(payment)
    if booking and booking.claims.filter(state__in=Claim.UNDECIDED).exists():
        payment_services.freeze_earnings(payment=payment)


def on_refunded(payment: Payment, now: datetime) -> None:
    booking = _booking_of(payment)
    if booking and booking.status in process.REFUNDED.sources:
        apply(process.REFUNDED, booking=booking, actor=None, now=now)


def on_paid_otherwise(payment: Payment, now: datetime) -> None:
    booking = _booking_of(payment)
    if booking and booking.status in process.PAID_OTHERWISE.sources:
        apply(process.PAID_OTHERWISE, booking=booking, actor=None, now=now)


def _confirm_or_give_back(booking: Booking, payment: Payment, now: datetime) -> None:
    if booking.status == Status.AWAITING_PAYMENT:
        services.confirm_payment(booking=booking, payment=payment, now=now)
    elif booking.status == Status.ABANDONED:
        services.revive(booking=booking, payment=payment, now=now)
    else:
        # Cancelled, say, while a page was open or a hold was asked for.
        log.warning("payment_for_a_settled_booking", booking=booking.pk, payment=payment.pk, status=booking.status)
        payment_services.give_back(payment=payment, now=now)


def _booking_of(payment: Payment) -> Booking | None:
    """None where the payment is for something else than a booking."""
    kind, _, number = payment.reference.partition(":")
    if kind != "booking":
        return None
    return Booking.objects.select_related("student__user", "coach__user").get(pk=int(number))
