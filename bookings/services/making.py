"""Booking a session: every reason to refuse, then one transaction."""

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction

from bookings import policy, process, selectors
from bookings.models import Booking, Student
from bookings.policy import Policy
from bookings.process import Role
from bookings.services.refusals import (
    MOST_UNPAID,
    NO_OVERLAP_CONSTRAINTS,
    CoachNotBookable,
    LengthChanged,
    OutsideHours,
    OwnBooking,
    PolicyChanged,
    PriceChanged,
    SlotInPast,
    SlotTooFar,
    SlotTooSoon,
    SlotUnavailable,
    TooManyBookings,
    TooManyUnpaid,
    UnknownZone,
)
from bookings.services.shared import lock_calendars, open_payment
from bookings.transition import record
from coaches import selectors as coach_selectors
from coaches.models import Offering
from marketplace.lib.money import Money
from marketplace.lib.zones import is_zone
from marketplace.models import User
from payments import services as payment_services

# Each booking opens a page at Stripe; nobody needs more of them than this, and who tries cards on us does.
MOST_IN_AN_HOUR = 30


def book(
    *,
    student_user: User,
    offering: Offering,
    starts_at: datetime,
    expected_price: Money,
    expected_minutes: int,
    expected_policy: Policy,
    agreed_zone: str,
    note: str,
    now: datetime,
    agreed_from: str | None = None,
) -> Booking:
    """Keeps the time for half an hour and prepares the payment; the caller then goes on to Checkout.

    `agreed_from` is the network address of whoever agrees to the terms, where it is known.
    Asked twice for the same, it returns the first booking as long as that waits for payment.
    Raises SlotUnavailable, SlotInPast, SlotTooSoon, SlotTooFar, OutsideHours, PriceChanged, LengthChanged,
    PolicyChanged, OwnBooking, CoachNotBookable, UnknownZone, TooManyUnpaid, TooManyBookings, and PaymentsUnavailable
    when Stripe can't be reached.
    """
    student, _ = Student.objects.get_or_create(user=student_user)
    twin = _unpaid_twin(
        student, offering, starts_at, price=expected_price, minutes=expected_minutes, terms=expected_policy
    )
    if twin:
        return twin
    offering = _still_bookable(offering)
    if offering.coach.user_id == student_user.pk:
        raise OwnBooking
    if not is_zone(agreed_zone):
        raise UnknownZone
    _refuse_time(offering, starts_at, now)
    _refuse_change(offering, price=expected_price, minutes=expected_minutes, terms=expected_policy)
    payment_services.ensure_customer(user=student_user, now=now)
    try:
        return _insert(
            student=student,
            offering=offering,
            starts_at=starts_at,
            agreed_zone=agreed_zone,
            agreed_from=agreed_from,
            note=note,
            now=now,
        )
    except (SlotUnavailable, IntegrityError) as error:
        if isinstance(error, IntegrityError) and not any(name in str(error) for name in NO_OVERLAP_CONSTRAINTS):
            raise
        # Looked for outside the transaction: the others who want this time don't wait for it.
        nearest = selectors.nearest_free(offering=offering, starts_at=starts_at, now=now, user=student_user)
        raise SlotUnavailable(nearest=nearest) from error


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
    if selectors.is_too_far(offering=offering, starts_at=starts_at, now=now):
        raise SlotTooFar
    if not selectors.is_on_grid(offering=offering, starts_at=starts_at):
        raise OutsideHours


def _refuse_change(offering: Offering, *, price: Money, minutes: int, terms: Policy) -> None:
    """What the person has seen is what they get."""
    if offering.price != price:
        raise PriceChanged
    if offering.minutes != minutes:
        raise LengthChanged
    if policy.current(offering.cancellation) != terms:
        raise PolicyChanged


@transaction.atomic
def _insert(
    *,
    student: Student,
    offering: Offering,
    starts_at: datetime,
    agreed_zone: str,
    agreed_from: str | None,
    note: str,
    now: datetime,
) -> Booking:
    ends_at = starts_at + offering.duration
    terms = policy.current(offering.cancellation)
    lock_calendars(student, offering.coach)
    twin = _unpaid_twin(student, offering, starts_at, price=offering.price, minutes=offering.minutes, terms=terms)
    if twin:
        return twin
    if student.bookings.filter(status=Booking.Status.AWAITING_PAYMENT).count() >= MOST_UNPAID:
        raise TooManyUnpaid
    if student.bookings.filter(created_at__gt=now - timedelta(hours=1)).count() >= MOST_IN_AN_HOUR:
        raise TooManyBookings
    if not selectors.is_open(offering=offering, starts_at=starts_at, now=now, user=student.user):
        raise SlotUnavailable(nearest=[])
    before, after = coach_selectors.buffers_of(offering)
    booking = Booking.objects.create(
        student=student,
        coach=offering.coach,
        offering=offering,
        title=offering.title,
        starts_at=starts_at,
        ends_at=ends_at,
        blocked_from=starts_at - before,
        blocked_until=ends_at + after,
        agreed_zone=agreed_zone,
        price_amount=offering.price_amount,
        currency=offering.currency,
        instant=offering.instant,
        policy=terms.code,
        policy_version=terms.version,
        policy_text=terms.text,
        agreed_from=agreed_from,
        note=note,
        payment_due_at=now + process.CHECKOUT_LASTS,
        created_at=now,
    )
    booking.payment = open_payment(booking, opening=selectors.opening_of(ends_at, now), now=now)
    booking.payment_due_at = booking.payment.checkout_ends_at or booking.payment_due_at
    booking.save(update_fields=["payment", "payment_due_at"])
    record(process.BOOK, booking=booking, role=Role.STUDENT, actor=student.user, before="", now=now)
    return booking


def _unpaid_twin(
    student: Student, offering: Offering, starts_at: datetime, *, price: Money, minutes: int, terms: Policy
) -> Booking | None:
    """What an earlier click has made of the same wish. At another price, length or terms it is another wish."""
    waiting = student.bookings.select_related("payment").filter(status=Booking.Status.AWAITING_PAYMENT)
    twin = waiting.filter(offering=offering, starts_at=starts_at).first()
    if twin is None or twin.price != price or twin.ends_at != starts_at + timedelta(minutes=minutes):
        return None
    return twin if (twin.policy, twin.policy_version) == (terms.code, terms.version) else None
