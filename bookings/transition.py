"""Moves a booking from one state to the next: the only writer of `Booking.status`."""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F

from bookings import notices
from bookings.models import Booking, BookingEvent
from bookings.process import Role, Transition
from marketplace.lib.errors import DomainError
from marketplace.models import User


class InvalidState(DomainError):
    """The booking is not, or is no longer, where this transition begins."""

    code = "invalid_state"
    status = 409


class NotAllowed(DomainError):
    code = "not_allowed"
    status = 403
    message = "This is for the other side of the booking to do."


def apply(
    transition: Transition,
    *,
    booking: Booking,
    actor: User | None,
    now: datetime,
    reason: str = "",
    nobody: Role | None = None,
    **changes: Any,
) -> BookingEvent:
    """One conditional UPDATE that must hit the row, then its event and the mails it owes, in one transaction.

    `actor` is None where a timer or a fact acts, and `nobody` says which where the row allows both. `changes` are
    further fields of the booking. Brings `booking` up to date. Raises NotAllowed, or InvalidState when the row was
    elsewhere or its time was not right: someone else was first, and nothing is changed.
    """
    role = nobody or role_of(transition, booking, actor)
    with transaction.atomic():
        # Locked, so that the event tells the true state before even where the caller's object is stale.
        before = Booking.objects.select_for_update(no_key=True).values_list("status", flat=True).get(pk=booking.pk)
        target = transition.target(instant=booking.instant) or before
        here = Booking.objects.filter(transition.guard(now), pk=booking.pk, status=before)
        moved = here.filter(status__in=transition.sources).update(
            status=target, version=F("version") + 1, retry_at=None, **changes
        )
        if moved != 1:
            raise InvalidState(_refusal(transition, booking))
        booking.refresh_from_db(fields=["status", "version", "retry_at", *changes])
        return record(transition, booking=booking, role=role, actor=actor, before=before, now=now, reason=reason)


def record(
    transition: Transition,
    *,
    booking: Booking,
    role: Role,
    actor: User | None,
    before: str,
    now: datetime,
    reason: str = "",
) -> BookingEvent:
    """The event row of a transition that has just happened, and the mails it owes. Inside the caller's transaction."""
    event = BookingEvent.objects.create(
        booking=booking,
        transition=transition.name,
        actor=actor,
        actor_role=role,
        reason=reason,
        status_before=before,
        status_after=booking.status,
        at=now,
    )
    notices.write(event=event, mails=transition.mails(instant=booking.instant), now=now)
    return event


def role_of(transition: Transition, booking: Booking, actor: User | None) -> Role:
    """The side on which this person, or nobody, may make the transition. Raises NotAllowed."""
    for role in transition.who:
        if _plays(role, booking, actor):
            return role
    raise NotAllowed


def _plays(role: Role, booking: Booking, actor: User | None) -> bool:
    match role:
        case Role.STUDENT:
            return actor is not None and booking.student.user_id == actor.pk
        case Role.COACH:
            return actor is not None and booking.coach.user_id == actor.pk
        case Role.STAFF:
            # Nobody decides about a session of their own.
            own = (booking.student.user_id, booking.coach.user_id)
            return actor is not None and actor.is_staff and actor.pk not in own
        case Role.TIMER | Role.FACT:
            return actor is None


def _refusal(transition: Transition, booking: Booking) -> str:
    current = Booking.objects.get(pk=booking.pk)
    if current.status in transition.sources:
        return f"This can only be done {transition.when}. The session is: {current.get_status_display().lower()}."
    return f"This can't be done any more. The session is: {current.get_status_display().lower()}."
