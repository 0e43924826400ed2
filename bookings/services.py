"""What people and time do to bookings. Lock order everywhere: payment, student, coach, booking."""

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils.text import slugify

from bookings import process, selectors
from bookings.models import Booking, LiveSession, Student
from bookings.process import Role, Transition
from bookings.transition import InvalidState, apply, record, role_of
from coaches import selectors as coach_selectors
from coaches.models import Coach, Offering
from marketplace.lib.errors import DomainError
from marketplace.lib.money import Money
from marketplace.lib.zones import is_zone
from marketplace.models import User
from payments import services as payment_services
from payments.errors import PaymentNotHeld, PaymentsUnavailable
from payments.models import Payment

log = structlog.get_logger(__name__)

MOST_UNPAID = 3
# A timed transition that failed is left alone for this long, so that it holds up nothing else.
PUSHED_BACK = timedelta(minutes=1)
NO_OVERLAP_CONSTRAINTS = ("booking_coach_no_overlap", "booking_student_no_overlap")


class SlotUnavailable(DomainError):
    """Somebody has this time. `nearest` are the closest free starts, in order of time."""

    code = "slot_unavailable"
    message = "This time has just been taken. Nothing was charged. Please choose another one."

    def __init__(self, message: str = "", *, nearest: list[datetime]) -> None:
        super().__init__(message)
        self.nearest = nearest


class SlotInPast(DomainError):
    code = "slot_in_past"
    message = "This time is over. Please choose another one."


class SlotTooSoon(DomainError):
    code = "slot_too_soon"
    message = "This session can't be booked at such short notice. Please choose a later time."


class SlotTooFar(DomainError):
    code = "slot_too_far"
    message = "This time is too far ahead. Please choose an earlier one."


class OutsideHours(DomainError):
    code = "outside_hours"
    message = "The coach does not offer this time. Please choose one from the list."


class PriceChanged(DomainError):
    code = "price_changed"
    message = "The price has changed since you saw it. Nothing was charged. Please look at the new price first."


class OwnBooking(DomainError):
    code = "own_booking"
    message = "You can't book yourself."


class CoachNotBookable(DomainError):
    code = "coach_not_bookable"
    message = "This can't be booked at the moment."


class UnknownZone(DomainError):
    code = "unknown_time_zone"
    status = 400
    message = "This time zone is not known. Please choose one from the list."


class TooManyUnpaid(DomainError):
    code = "too_many_unpaid"
    message = f"You have {MOST_UNPAID} sessions waiting for payment. Please pay for one or let one go first."


# --- booking ------------------------------------------------------------------------------------


def book(
    *,
    student_user: User,
    offering: Offering,
    starts_at: datetime,
    expected_price: Money,
    agreed_zone: str,
    note: str,
    now: datetime,
) -> Booking:
    """Keeps the time for half an hour and prepares the payment; the caller then goes on to Checkout.

    Asked twice for the same time, it returns the first booking as long as that waits for payment.
    Raises SlotUnavailable, SlotInPast, SlotTooSoon, SlotTooFar, OutsideHours, PriceChanged, OwnBooking,
    CoachNotBookable, UnknownZone, TooManyUnpaid, and PaymentsUnavailable when Stripe can't be reached.
    """
    student, _ = Student.objects.get_or_create(user=student_user)
    twin = _unpaid_twin(student, offering, starts_at)
    if twin:
        return twin
    offering = _still_bookable(offering)
    if offering.coach.user_id == student_user.pk:
        raise OwnBooking
    if not is_zone(agreed_zone):
        raise UnknownZone
    _refuse_time(offering, starts_at, now)
    if offering.price != expected_price:
        raise PriceChanged
    payment_services.ensure_customer(user=student_user, now=now)
    try:
        return _insert(
            student=student, offering=offering, starts_at=starts_at, agreed_zone=agreed_zone, note=note, now=now
        )
    except IntegrityError as error:
        if not any(name in str(error) for name in NO_OVERLAP_CONSTRAINTS):
            raise
        raise _taken(offering, starts_at, student_user, now) from error


def _still_bookable(offering: Offering) -> Offering:
    try:
        return coach_selectors.get_bookable_offering(offering.pk)
    except Offering.DoesNotExist as error:
        raise CoachNotBookable from error


def _refuse_time(offering: Offering, starts_at: datetime, now: datetime) -> None:
    if starts_at <= now:
        raise SlotInPast
    if starts_at < now + selectors.notice_of(offering):
        raise SlotTooSoon
    if starts_at > selectors.latest_start(offering, now):
        raise SlotTooFar
    if not selectors.is_on_grid(offering=offering, starts_at=starts_at):
        raise OutsideHours


@transaction.atomic
def _insert(
    *, student: Student, offering: Offering, starts_at: datetime, agreed_zone: str, note: str, now: datetime
) -> Booking:
    ends_at = starts_at + offering.duration
    _lock_calendars(student, offering.coach)
    twin = _unpaid_twin(student, offering, starts_at)
    if twin:
        return twin
    if student.bookings.filter(status=Booking.Status.AWAITING_PAYMENT).count() >= MOST_UNPAID:
        raise TooManyUnpaid
    if selectors.is_taken(student=student, coach=offering.coach, starts_at=starts_at, ends_at=ends_at):
        raise _taken(offering, starts_at, student.user, now)
    booking = Booking.objects.create(
        student=student,
        coach=offering.coach,
        offering=offering,
        title=offering.title,
        starts_at=starts_at,
        ends_at=ends_at,
        agreed_zone=agreed_zone,
        price_amount=offering.price_amount,
        currency=offering.currency,
        instant=offering.instant,
        note=note,
        payment_due_at=now + process.CHECKOUT_LASTS,
        created_at=now,
    )
    booking.payment = _open_payment(booking, now)
    booking.payment_due_at = booking.payment.checkout_ends_at
    booking.save(update_fields=["payment", "payment_due_at"])
    record(process.BOOK, booking=booking, role=Role.STUDENT, actor=student.user, before="", now=now)
    return booking


def _lock_calendars(student: Student, coach: Coach) -> None:
    """Whoever else takes time of these two waits here, and then sees ours.

    The exclusion constraints alone would do on PostgreSQL, but two inserts that meet in them end in a deadlock
    that takes a second to be found. SQLite has one writer at a time anyway.
    """
    Student.objects.select_for_update(no_key=True).get(pk=student.pk)
    Coach.objects.select_for_update(no_key=True).get(pk=coach.pk)


def _unpaid_twin(student: Student, offering: Offering, starts_at: datetime) -> Booking | None:
    waiting = student.bookings.filter(status=Booking.Status.AWAITING_PAYMENT)
    return waiting.select_related("payment").filter(offering=offering, starts_at=starts_at).first()


def _taken(offering: Offering, starts_at: datetime, user: User, now: datetime) -> SlotUnavailable:
    nearest = selectors.nearest_free(offering=offering, starts_at=starts_at, now=now, user=user)
    return SlotUnavailable(nearest=nearest)


def _open_payment(booking: Booking, now: datetime) -> Payment:
    paid_page = settings.SITE_URL + reverse("bookings:paid", args=[booking.pk])
    return payment_services.open_payment(
        reference=booking.reference,
        description=f"{booking.title} with {booking.coach.display_name}"[:200],
        payer=booking.student.user,
        coach=booking.coach,
        price=booking.price,
        service_ends_at=booking.ends_at,
        metadata={"booking_id": str(booking.pk)},
        return_url=paid_page,
        cancel_url=settings.SITE_URL + reverse("bookings:session", args=[booking.pk]),
        now=now,
    )


def pay(*, booking: Booking, now: datetime) -> str:
    """The address of the Checkout that holds the price. Network.

    Raises CheckoutClosed, PaymentsUnavailable: then nothing is lost, and the person may try again.
    """
    if booking.payment is None or booking.status != Booking.Status.AWAITING_PAYMENT:
        raise InvalidState(f"There is nothing to pay here. The session is: {booking.get_status_display().lower()}.")
    return payment_services.checkout_url(payment=booking.payment, now=now)


# --- paying, or not -----------------------------------------------------------------------------


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
    """The price is held on the card. Too late for the session: the hold is released and the student told."""
    _take_paid(process.CONFIRM_PAYMENT, booking, payment, now)


def revive(*, booking: Booking, payment: Payment, now: datetime) -> None:
    """Paid after the time was given up: the booking lives again if the time is still free, else as above."""
    _lock_calendars(booking.student, booking.coach)
    _take_paid(process.REVIVE, booking, payment, now)


@transaction.atomic
def _take_paid(transition: Transition, booking: Booking, payment: Payment, now: datetime) -> None:
    answer_due_at = _answer_due_at(booking, payment, now)
    late = (booking.starts_at if booking.instant else answer_due_at) <= now
    taken = selectors.is_taken(
        student=booking.student, coach=booking.coach, starts_at=booking.starts_at, ends_at=booking.ends_at, but=booking
    )
    if late or taken:
        apply(process.REFUSE_LATE_PAYMENT, booking=booking, actor=None, now=now)
        payment_services.request_release(payment=payment, now=now)
        return
    apply(transition, booking=booking, actor=None, now=now, answer_due_at=answer_due_at)
    if booking.status == Booking.Status.ACCEPTED:
        _open_room(booking, now)


def _answer_due_at(booking: Booking, payment: Payment, now: datetime) -> datetime:
    ends = [now + process.ANSWER_WITHIN, booking.starts_at - process.ANSWER_BEFORE_START]
    if payment.capture_before:
        ends.append(payment.capture_before - process.HOLD_MARGIN)
    return min(ends)


@transaction.atomic
def payment_lost(*, booking: Booking, now: datetime) -> None:
    """The hold is gone at Stripe before the session began."""
    apply(process.PAYMENT_LOST, booking=booking, actor=None, now=now)


# --- the coach's answer, and the end ------------------------------------------------------------


@transaction.atomic
def accept(*, booking: Booking, actor: User, now: datetime, reason: str = "") -> None:
    """Raises InvalidState, NotAllowed."""
    apply(process.ACCEPT, booking=booking, actor=actor, now=now, reason=reason)
    _open_room(booking, now)


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


def _locked_payment(booking: Booking) -> Payment:
    """Locked before the booking, as the recorders of facts lock it: one order, no deadlock."""
    assert booking.payment_id is not None  # it is made with the booking
    return Payment.objects.select_for_update(no_key=True).get(pk=booking.payment_id)


def _open_room(booking: Booking, now: datetime) -> None:
    """A room whose name can't be guessed: to know it is to be let in."""
    room = f"{slugify(settings.SITE_NAME)}-{secrets.token_urlsafe(24)}"
    LiveSession.objects.get_or_create(
        booking=booking, defaults={"meeting_url": f"{settings.MEETING_URL.rstrip('/')}/{room}", "created_at": now}
    )


# --- time ---------------------------------------------------------------------------------------

_TIMED: tuple[tuple[Transition, Callable[..., Any]], ...] = (
    (process.ABANDON, abandon),
    (process.EXPIRE, expire),
    (process.COMPLETE, complete),
)


def run_due_transitions(*, now: datetime, limit: int = 100) -> int:
    """What time brings about: one row at a time, oldest first. Returns how many rows were worked without a fault."""
    return sum(_run_due(transition, act, now, limit) for transition, act in _TIMED)


def _run_due(transition: Transition, act: Callable[..., Any], now: datetime, limit: int) -> int:
    due = selectors.due(transition, now).order_by(transition.due_by, "pk").values_list("pk", flat=True)
    return sum(_run_one(transition, act, pk, now) for pk in list(due[:limit]))


def _run_one(transition: Transition, act: Callable[..., Any], pk: int, now: datetime) -> bool:
    # Pushed back before the attempt: no second worker takes the row, and one that kills its worker stays behind.
    if selectors.due(transition, now).filter(pk=pk).update(retry_at=now + PUSHED_BACK) != 1:
        return False
    booking = Booking.objects.select_related("student__user", "coach__user", "payment").get(pk=pk)
    try:
        act(booking=booking, actor=None, now=now)
    except InvalidState:
        return False  # a person was first
    except Exception:
        log.exception("timed_transition_failed", transition=transition.name, booking=pk)
        return False
    return True
