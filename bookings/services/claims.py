"""A session that did not go as agreed, reported by one side and answered by the other. Nothing is decided here."""

from datetime import datetime

from django.db import transaction
from django.db.models import F

from bookings import process
from bookings.models import Booking, Claim
from bookings.process import Role
from bookings.services.attendance import was_there
from bookings.services.refusals import MOST_REPORTS, CoachDidNotWait, NotYours, StaleClaim, TooManyReports, WordsMissing
from bookings.services.shared import locked_payment
from bookings.transition import InvalidState, apply, role_of
from bookings.words import room_says
from marketplace.models import User
from payments import services as payment_services

Kind, State = Claim.Kind, Claim.State

# Who may report what.
REPORTS = {Role.STUDENT: (Kind.COACH_MISSING, Kind.PROBLEM), Role.COACH: (Kind.STUDENT_MISSING,)}
# What an event keeps of the words; the claim has all of them.
LONGEST_REASON = 500


@transaction.atomic
def report(*, booking: Booking, actor: User, kind: Claim.Kind, words: str, now: datetime) -> Claim:
    """The other side is told and may contradict; until it is decided, nobody is paid.

    Raises InvalidState, NotAllowed, NotYours, CoachDidNotWait, WordsMissing, TooManyReports.
    """
    role = role_of(process.REPORT, booking, actor)
    words = words.strip()
    if kind not in REPORTS[role]:
        raise NotYours
    if kind == Kind.PROBLEM and not words:
        raise WordsMissing
    payment = locked_payment(booking)
    if booking.claims.filter(side=role.value).count() >= MOST_REPORTS:
        raise TooManyReports
    apply(process.REPORT, booking=booking, actor=actor, now=now, reason=words[:LONGEST_REASON])
    if kind == Kind.STUDENT_MISSING and not was_there(booking=booking, side=role.value, now=now):
        raise CoachDidNotWait
    payment_services.freeze_earnings(payment=payment)
    return Claim.objects.create(
        booking=booking,
        kind=kind,
        side=role.value,
        words=words,
        opened_at=now,
        answer_due_at=now + process.CONTRADICT_WITHIN,
    )


@transaction.atomic
def contradict(*, claim: Claim, actor: User, words: str, now: datetime) -> None:
    """The other side's word, in time: then staff decide.

    Raises InvalidState, NotAllowed, NotYours, WordsMissing.
    """
    booking, words = claim.booking, words.strip()
    if role_of(process.CONTRADICT, booking, actor) == claim.side:
        raise NotYours
    if not words:
        raise WordsMissing
    apply(process.CONTRADICT, booking=booking, actor=actor, now=now, reason=words[:LONGEST_REASON])
    waiting = Claim.objects.filter(pk=claim.pk, state=State.OPEN, answer_due_at__gt=now)
    if not waiting.update(state=State.CONTRADICTED, answer=words, answered_at=now, version=F("version") + 1):
        raise InvalidState("This report is answered or decided, or the time to answer it is over.")


@transaction.atomic
def leave_to_staff(*, claim: Claim, now: datetime) -> None:
    """Not contradicted in time; but our own record of the room speaks against it. As if it were contradicted.

    Raises InvalidState; StaleClaim where it is contradicted in this moment.
    """
    apply(process.LEAVE_TO_STAFF, booking=claim.booking, actor=None, now=now, reason=room_says(claim))
    waiting = Claim.objects.filter(pk=claim.pk, state=State.OPEN, version=claim.version)
    if not waiting.update(state=State.CONTRADICTED, version=F("version") + 1):
        raise StaleClaim


@transaction.atomic
def take_back(*, claim: Claim, actor: User, now: datetime) -> None:
    """Whoever reported it takes it back. Raises InvalidState, NotAllowed, NotYours."""
    booking = claim.booking
    if role_of(process.TAKE_BACK_REPORT, booking, actor) != claim.side:
        raise NotYours
    payment = locked_payment(booking)
    apply(process.TAKE_BACK_REPORT, booking=booking, actor=actor, now=now)
    undecided = Claim.objects.filter(pk=claim.pk, state__in=Claim.UNDECIDED)
    if not undecided.update(state=State.WITHDRAWN, decided_at=now, version=F("version") + 1):
        raise InvalidState("This report is decided.")
    payment_services.unfreeze_earnings(payment=payment)
