"""What paying does to a booking, and not paying, until it is confirmed."""

from datetime import datetime

from django.db import transaction

from bookings import process, selectors
from bookings.models import Booking
from bookings.process import Transition
from bookings.services.holding import pay_by_link
from bookings.services.shared import give_money_back, lock_calendars, open_room, reminders
from bookings.transition import InvalidState, apply, role_of
from marketplace.models import User
from payments import services as payment_services
from payments.errors import PaymentsUnavailable
from payments.models import Payment


def pay(*, booking: Booking, now: datetime) -> str:
    """The address of the Checkout in which the student pays what is asked for now. Network.

    Raises InvalidState where nothing is asked for, CheckoutClosed, HoldUnderWay, PaymentsUnavailable: then nothing is
    lost, and the person may try again.
    """
    if booking.payment is None or booking.status != Booking.Status.AWAITING_PAYMENT:
        return pay_by_link(booking=booking, now=now)
    return payment_services.checkout_url(payment=booking.payment, now=now)


def abandon(*, booking: Booking, actor: User | None, now: datetime) -> None:
    """Closes the Checkout at Stripe; the fact that it is closed then frees the time (`abandon_unpaid`).

    Network. A payment that came first wins: the booking goes on as paid. Raises InvalidState, NotAllowed,
    PaymentsUnavailable.
    """
    role_of(process.ABANDON, booking, actor)
    if booking.status not in process.ABANDON.sources or booking.payment is None:
        raise InvalidState(f"This can't be done any more. The session is: {booking.get_status_display().lower()}.")
    payment_services.close_checkout(payment=booking.payment, now=now)
    booking.refresh_from_db(fields=["status", "version"])
    if booking.status == Booking.Status.AWAITING_PAYMENT:
        raise PaymentsUnavailable(
            "We can't reach our payment provider just now. If you don't pay, the time frees itself."
        )


def abandon_unpaid(*, booking: Booking, now: datetime) -> None:
    """The Checkout is closed at Stripe, or never came to be: the time is free again."""
    apply(process.ABANDON, booking=booking, actor=None, now=now)


def confirm_payment(*, booking: Booking, payment: Payment, now: datetime) -> None:
    """The price is held, or the card saved. Too late for the session: it is given back and the student told."""
    _take_paid(process.CONFIRM_PAYMENT, booking, payment, now)


def revive(*, booking: Booking, payment: Payment, now: datetime) -> None:
    """Paid after the time was given up: the booking lives again if the time is still free, else as above."""
    lock_calendars(booking.student, booking.coach)
    _take_paid(process.REVIVE, booking, payment, now)


@transaction.atomic
def _take_paid(transition: Transition, booking: Booking, payment: Payment, now: datetime) -> None:
    answer_due_at = _answer_due_at(booking, payment, now)
    late = (booking.starts_at if booking.instant else answer_due_at) <= now
    # The time of a booking that is not abandoned yet is kept for it, whatever an outside calendar says since.
    gone = booking.status == Booking.Status.ABANDONED and _is_taken(booking, now)
    if late or gone:
        apply(process.REFUSE_LATE_PAYMENT, booking=booking, actor=None, now=now)
        give_money_back(booking, payment, now)
        return
    half_way = {"answer_reminder_at": now + (answer_due_at - now) / 2}
    said = reminders(booking.starts_at, now) if booking.instant else half_way
    apply(transition, booking=booking, actor=None, now=now, answer_due_at=answer_due_at, **said)
    if booking.status == Booking.Status.ACCEPTED:
        open_room(booking, now)


def _is_taken(booking: Booking, now: datetime) -> bool:
    return selectors.is_taken(
        student=booking.student,
        coach=booking.coach,
        starts_at=booking.starts_at,
        ends_at=booking.ends_at,
        blocked_from=booking.blocked_from,
        blocked_until=booking.blocked_until,
        now=now,
        but=booking,
    )


def _answer_due_at(booking: Booking, payment: Payment, now: datetime) -> datetime:
    ends = [now + process.ANSWER_WITHIN, booking.starts_at - process.ANSWER_BEFORE_START]
    if payment.capture_before:
        ends.append(payment.capture_before - process.HOLD_MARGIN)
    return min(ends)
