"""Another time for the same session: one side proposes, the other agrees; both times are kept meanwhile."""

from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from bookings import process, selectors
from bookings.models import Booking
from bookings.services.refusals import (
    MOST_PROPOSALS,
    NO_OVERLAP_CONSTRAINTS,
    HoldTooShort,
    NotPaidYet,
    OutsideHours,
    SameTime,
    SlotInPast,
    SlotTooFar,
    SlotTooSoon,
    SlotUnavailable,
    TooManyProposals,
)
from bookings.services.shared import NO_PROPOSAL, lock_calendars, locked_payment, reminders, under_way
from bookings.transition import InvalidState, NotAllowed, apply, role_of
from marketplace.models import User
from payments import services as payment_services
from payments.models import Payment

NOT_PROPOSED = "This time is not proposed any more. Please look at the session again."


def propose(*, booking: Booking, actor: User, starts_at: datetime, now: datetime, reason: str = "") -> None:
    """Keeps the other time beside the agreed one until it is answered, or lapses.

    Raises InvalidState, NotAllowed, TooManyProposals, SameTime, SlotInPast, SlotTooSoon, SlotTooFar, OutsideHours,
    SlotUnavailable, NotPaidYet, HoldTooShort.
    """
    role_of(process.PROPOSE, booking, actor)
    try:
        _keep_both(booking, actor, starts_at, now, reason)
    except (SlotUnavailable, IntegrityError) as error:
        if isinstance(error, IntegrityError) and not any(name in str(error) for name in NO_OVERLAP_CONSTRAINTS):
            raise
        # Looked for outside the transaction: the others who want this time don't wait for it.
        nearest = selectors.nearest_free(
            offering=booking.offering, starts_at=starts_at, now=now, user=booking.student.user, but=booking
        )
        raise SlotUnavailable(nearest=nearest) from error


def agree(*, booking: Booking, actor: User, expected_starts_at: datetime, now: datetime) -> None:
    """The session moves, if the proposal is still the one that was read.

    Raises InvalidState, NotAllowed, NotPaidYet, HoldTooShort.
    """
    role = role_of(process.AGREE, booking, actor)
    with transaction.atomic():
        payment = locked_payment(booking)
        if booking.proposed_starts_at != expected_starts_at or not selectors.can(
            process.AGREE, booking=booking, now=now
        ):
            raise InvalidState(NOT_PROPOSED)
        if role == booking.proposed_by:
            raise NotAllowed("This is for the other side of the booking to agree to.")
        _move(booking, payment, actor, now)


@transaction.atomic
def withdraw(*, booking: Booking, actor: User, expected_starts_at: datetime, now: datetime, reason: str = "") -> None:
    """The session stays where it is: taken back or turned down, if the proposal is still the one that was read.

    Raises InvalidState, NotAllowed.
    """
    role_of(process.WITHDRAW, booking, actor)
    locked_payment(booking)
    if booking.proposed_starts_at != expected_starts_at:
        raise InvalidState(NOT_PROPOSED)
    apply(process.WITHDRAW, booking=booking, actor=actor, now=now, reason=reason, **NO_PROPOSAL)


@transaction.atomic
def lapse(*, booking: Booking, actor: None, now: datetime) -> None:
    """Nobody has answered in time: the session stays where it is. Raises InvalidState where another is proposed now."""
    locked_payment(booking)
    if booking.proposal_due_at is None or booking.proposal_due_at > now:
        raise InvalidState(NOT_PROPOSED)
    apply(process.WITHDRAW, booking=booking, actor=actor, now=now, **NO_PROPOSAL)


def _refuse_time(booking: Booking, starts_at: datetime, now: datetime) -> None:
    if starts_at == booking.starts_at:
        raise SameTime
    if starts_at <= now:
        raise SlotInPast
    if starts_at < now + selectors.notice_of(booking.offering):
        raise SlotTooSoon
    if selectors.is_too_far(offering=booking.offering, starts_at=starts_at, now=now):
        raise SlotTooFar
    if not selectors.is_on_grid(offering=booking.offering, starts_at=starts_at, minutes=booking.minutes):
        raise OutsideHours


@transaction.atomic
def _keep_both(booking: Booking, actor: User, starts_at: datetime, now: datetime, reason: str) -> None:
    payment = locked_payment(booking)
    lock_calendars(booking.student, booking.coach)
    if not selectors.can(process.PROPOSE, booking=booking, now=now):
        raise InvalidState("No other time can be proposed now. Please look at the session again.")
    by = role_of(process.PROPOSE, booking, actor).value
    if booking.events.filter(transition=process.PROPOSE.name, actor_role=by).count() >= MOST_PROPOSALS:
        raise TooManyProposals
    _refuse_time(booking, starts_at, now)
    proposal = _proposal(booking, starts_at, now)
    _refuse_unpaid(booking)
    moves_with_its_hold(payment, starts_at, proposal["proposed_ends_at"], now)
    if not selectors.is_open(
        offering=booking.offering, starts_at=starts_at, now=now, user=booking.student.user, but=booking
    ):
        raise SlotUnavailable(nearest=[])
    apply(process.PROPOSE, booking=booking, actor=actor, now=now, reason=reason, proposed_by=by, **proposal)


def _proposal(booking: Booking, starts_at: datetime, now: datetime) -> dict[str, Any]:
    shift = starts_at - booking.starts_at
    due = min(now + process.PROPOSAL_LASTS, min(starts_at, booking.starts_at) - process.PROPOSAL_BEFORE_START)
    if due <= now:
        raise SlotTooSoon
    return {
        "proposed_starts_at": starts_at,
        "proposed_ends_at": booking.ends_at + shift,
        "proposed_blocked_from": booking.blocked_from + shift,
        "proposed_blocked_until": booking.blocked_until + shift,
        "proposal_due_at": due,
    }


def _move(booking: Booking, payment: Payment, actor: User, now: datetime) -> None:
    starts_at, ends_at = booking.proposed_starts_at, booking.proposed_ends_at
    assert starts_at is not None  # it is what is being agreed to
    assert ends_at is not None
    _refuse_unpaid(booking)
    if moves_with_its_hold(payment, starts_at, ends_at, now):
        payment_services.move_service_end(payment=payment, service_ends_at=ends_at)
    else:
        payment = payment_services.keep_card(payment=payment, service_ends_at=ends_at, now=now)
    apply(
        process.AGREE,
        booking=booking,
        actor=actor,
        now=now,
        starts_at=starts_at,
        ends_at=ends_at,
        blocked_from=booking.proposed_blocked_from,
        blocked_until=booking.proposed_blocked_until,
        payment=payment,
        **reminders(starts_at, now),
        **NO_PROPOSAL,
    )


def moves_with_its_hold(payment: Payment, starts_at: datetime, ends_at: datetime, now: datetime) -> bool:
    """Whether the payment can stay as it is for that time; False where the hold is given back and the card kept.

    Raises NotPaidYet where nothing is held or saved, and HoldTooShort where the new time is too near for a new hold
    and too far for this one.
    """
    if payment.status == Payment.Status.SAVED:
        return True
    if payment.status != Payment.Status.HELD or payment.capture_before is None:
        raise NotPaidYet
    if payment.capture_before >= ends_at + process.HOLD_AFTER_END:
        return True
    if payment.card is None or starts_at <= now + process.AUTHORISE_BEFORE:
        raise HoldTooShort
    return False


def _refuse_unpaid(booking: Booking) -> None:
    """While the student is asked to pay, or a new hold to take over is asked for, it is not known what will move."""
    if booking.pay_due_at is not None or under_way(booking) is not None:
        raise NotPaidYet
