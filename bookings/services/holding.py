"""Keeping a confirmed session paid for: the hold is made in time, made anew, asked for by link, or given up.

Nothing here asks Stripe inside a transaction. What the network must do is an operation that payments write down;
what came of it arrives as a fact.
"""

from datetime import datetime
from typing import Any

import structlog
from django.db import transaction

from bookings import process
from bookings.models import Booking
from bookings.process import Role
from bookings.services.shared import (
    SETTLED,
    close_page,
    give_money_back,
    locked_payment,
    open_payment,
    take_all,
    under_way,
)
from bookings.transition import InvalidState, apply
from marketplace.models import User
from payments import services as payment_services
from payments.errors import HoldUnderWay, NoSavedCard, PaymentsUnavailable
from payments.models import Payment

log = structlog.get_logger(__name__)

Status = Booking.Status
HOLDING = (Status.REQUESTED, Status.ACCEPTED, Status.COMPLETED)
NO_LONGER_ASKED: dict[str, Any] = {"pay_due_at": None, "pay_reminder_at": None}


# --- the hold, made and made anew ---------------------------------------------------------------


@transaction.atomic
def authorise(*, booking: Booking, actor: User | None, now: datetime) -> None:
    """Two days before the start: the price is held on the saved card. Raises InvalidState, PaymentNotSaved."""
    payment = locked_payment(booking)
    apply(process.AUTHORISE, booking=booking, actor=actor, now=now)
    payment_services.request_hold(payment=payment, now=now)


@transaction.atomic
def renew(*, booking: Booking, actor: None, now: datetime, nobody: Role = Role.TIMER) -> None:
    """The hold ends too early, or is gone: a new one on the saved card, or a link where there is no card.

    `nobody`: who found out, a timer or a fact. Raises InvalidState.
    """
    payment = locked_payment(booking)
    if payment.status not in (Payment.Status.HELD, Payment.Status.LOST):
        # Moved far ahead since a timer looked, say: then the card is held again two days before.
        raise InvalidState("There is no hold any more that could be made anew.")
    try:
        payment_services.renew_hold(payment=payment, now=now)
    except HoldUnderWay:
        return  # what comes of that one decides
    except NoSavedCard:
        ask_for_payment(booking=booking, now=now, nobody=nobody)
        return
    apply(process.RENEW, booking=booking, actor=actor, now=now, nobody=nobody)


@transaction.atomic
def payment_arranged(*, booking: Booking, payment: Payment, now: datetime) -> None:
    """The price is held for a confirmed session: this is its payment from now on. One that is over takes it at once."""
    if booking.pay_due_at is None:
        Booking.objects.filter(pk=booking.pk).update(payment=payment)
        booking.payment = payment
    else:
        apply(process.PAYMENT_ARRANGED, booking=booking, actor=None, now=now, payment=payment, **NO_LONGER_ASKED)
    if booking.status == Status.COMPLETED:
        take_all(booking, payment, now)


# --- the link -----------------------------------------------------------------------------------


@transaction.atomic
def ask_for_payment(*, booking: Booking, now: datetime, nobody: Role = Role.FACT) -> None:
    """The bank wants the student, or there is no card: they pay by link, or the session is off for want of time.

    Not asked where the hold that there is outlives the session: that is then completed before the hold ends.
    `nobody`: who found out, a timer or a fact.
    """
    payment = locked_payment(booking)
    attempt = under_way(booking)
    if attempt and attempt.status == Payment.Status.AUTHORISING:
        return  # what comes of that one decides
    if booking.status != Status.COMPLETED and _reaches_the_end(payment, booking):
        return
    due = _pay_by(booking, now)
    if due is None:
        apply(process.PAYMENT_LOST, booking=booking, actor=None, now=now, nobody=nobody, **SETTLED)
        give_money_back(booking, payment, now)
        return
    half_way = now + (due - now) / 2
    asked: dict[str, Any] = {"pay_due_at": due, "pay_reminder_at": half_way}
    apply(process.ASK_FOR_PAYMENT, booking=booking, actor=None, now=now, nobody=nobody, **asked)


def pay_by_link(*, booking: Booking, now: datetime) -> str:
    """The address of a Checkout in which the student pays for a session that has no hold. Network.

    Raises InvalidState where nothing is asked for any more, CheckoutClosed, HoldUnderWay, PaymentsUnavailable.
    """
    link = _open_link(booking, now)
    if link.status != Payment.Status.OPEN:
        raise HoldUnderWay
    return payment_services.checkout_url(payment=link, now=now)


def payment_lost(*, booking: Booking, actor: User | None, now: datetime) -> None:
    """The link was not used in time: the session is off. A payment that came first, before its page is closed, wins.

    Network. Raises InvalidState, HoldUnderWay, PaymentsUnavailable.
    """
    _close_link(booking, now)
    with transaction.atomic():
        payment = locked_payment(booking)
        if booking.pay_due_at is None or booking.pay_due_at > now:
            raise InvalidState("Nothing is overdue any more.")
        apply(process.PAYMENT_LOST, booking=booking, actor=actor, now=now, **SETTLED)
        give_money_back(booking, payment, now)


def write_off(*, booking: Booking, actor: User | None, now: datetime) -> None:
    """The session took place and the student did not pay for a week: the platform pays the coach.

    Network. Raises InvalidState, HoldUnderWay, PaymentsUnavailable.
    """
    _close_link(booking, now)
    with transaction.atomic():
        payment = locked_payment(booking)
        apply(process.WRITE_OFF, booking=booking, actor=actor, now=now, **NO_LONGER_ASKED)
        payment_services.write_off(payment=payment, now=now)


@transaction.atomic
def collect(*, booking: Booking, payment: Payment, now: datetime) -> None:
    """The session took place: its price is taken, from the hold or from whatever else there is."""
    match payment.status:
        case Payment.Status.HELD:
            take_all(booking, payment, now)
            close_page(booking, now)
        case Payment.Status.SAVED:
            payment_services.request_hold(payment=payment, now=now)
        case Payment.Status.LOST if not payment.replaced_by.exists():
            renew(booking=booking, actor=None, now=now, nobody=Role.FACT)
        case Payment.Status.LOST | Payment.Status.REFUSED:
            ask_for_payment(booking=booking, now=now)
        case _:
            # Captured at Stripe's dashboard; or a hold is asked for, and is taken when it is there.
            log.info("nothing_to_collect_now", booking=booking.pk, status=payment.status)


def _reaches_the_end(payment: Payment, booking: Booking) -> bool:
    if payment.status != Payment.Status.HELD or payment.capture_before is None:
        return False
    return payment.capture_before > booking.ends_at + process.HOLD_MARGIN


def _pay_by(booking: Booking, now: datetime) -> datetime | None:
    """Until when the student may pay; None where there is not even an hour for it before the start."""
    if booking.status == Status.COMPLETED or booking.starts_at <= now:
        return now + process.PAY_AFTER_END
    ends = (booking.starts_at - process.PAY_BEFORE_START, booking.starts_at - process.PAY_AT_LAST)
    return next((end for end in ends if end - now >= process.PAY_LINK_AT_LEAST), None)


@transaction.atomic
def _open_link(booking: Booking, now: datetime) -> Payment:
    """The page that is open already, or a new one, or a hold that is being asked for."""
    current = locked_payment(booking)
    if booking.status not in HOLDING or booking.pay_due_at is None or booking.pay_due_at <= now:
        raise InvalidState(f"There is nothing to pay here. The session is: {booking.get_status_display().lower()}.")
    return under_way(booking) or open_payment(booking, opening=Payment.Opening.HOLD, replaces=current, now=now)


def _close_link(booking: Booking, now: datetime) -> None:
    """Nobody can pay any more afterwards; whether somebody has is to be read then."""
    link = under_way(booking)
    if link is None:
        return
    if link.status == Payment.Status.AUTHORISING:
        raise HoldUnderWay
    payment_services.close_checkout(payment=link, now=now)
    link.refresh_from_db()
    if link.status == Payment.Status.OPEN:
        raise PaymentsUnavailable
