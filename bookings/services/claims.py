"""A session that did not go as agreed: reported, contradicted, decided. Money moves with the decision alone."""

from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import F, QuerySet

from bookings import process
from bookings.models import Booking, Claim
from bookings.process import Role
from bookings.services.attendance import waited
from bookings.services.refusals import CoachDidNotWait, NotYours, StaleClaim, StillBeingTaken, WordsMissing
from bookings.services.shared import SETTLED, give_money_back, locked_payment
from bookings.transition import InvalidState, apply, role_of
from marketplace.lib.decisions import record_decision
from marketplace.lib.errors import DomainError
from marketplace.lib.money import Money, round_share
from marketplace.models import User
from payments import refunds
from payments import services as payment_services
from payments.models import Payment, Refund

log = structlog.get_logger(__name__)

Status, Kind, State, Outcome = Booking.Status, Claim.Kind, Claim.State, Claim.Outcome

# Who may report what.
REPORTS = {Role.STUDENT: (Kind.COACH_MISSING, Kind.PROBLEM), Role.COACH: (Kind.STUDENT_MISSING,)}
# What an uncontradicted report comes to by itself; problems are for people.
BY_ITSELF = {Kind.STUDENT_MISSING: Outcome.NO_SHOW_STUDENT, Kind.COACH_MISSING: Outcome.NO_SHOW_COACH}
ROW = {
    Outcome.NOTHING: process.DISMISS_REPORT,
    Outcome.REFUNDED: process.DISMISS_REPORT,
    Outcome.NO_SHOW_STUDENT: process.NO_SHOW_STUDENT,
    Outcome.NO_SHOW_COACH: process.NO_SHOW_COACH,
}


# --- the two sides ------------------------------------------------------------------------------


@transaction.atomic
def report(*, booking: Booking, actor: User, kind: Claim.Kind, words: str, now: datetime) -> Claim:
    """Raises InvalidState, NotAllowed, NotYours, CoachDidNotWait, WordsMissing."""
    role = role_of(process.REPORT, booking, actor)
    if kind not in REPORTS[role]:
        raise NotYours
    if kind == Kind.PROBLEM and not words.strip():
        raise WordsMissing
    if kind == Kind.STUDENT_MISSING and not waited(booking=booking, now=now):
        raise CoachDidNotWait
    payment = locked_payment(booking)
    apply(process.REPORT, booking=booking, actor=actor, now=now, reason=words[:500])
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
    """The other side's word, in time: then staff decide. Raises InvalidState, NotAllowed, NotYours."""
    booking = claim.booking
    if role_of(process.CONTRADICT, booking, actor) == claim.side:
        raise NotYours
    apply(process.CONTRADICT, booking=booking, actor=actor, now=now, reason=words[:500])
    waiting = Claim.objects.filter(pk=claim.pk, state=State.OPEN, answer_due_at__gt=now)
    _must_hit(waiting.update(state=State.CONTRADICTED, answer=words, answered_at=now, version=F("version") + 1))


@transaction.atomic
def take_back(*, claim: Claim, actor: User, now: datetime) -> None:
    """Whoever reported it takes it back. Raises InvalidState, NotAllowed, NotYours."""
    booking = claim.booking
    if role_of(process.TAKE_BACK_REPORT, booking, actor) != claim.side:
        raise NotYours
    payment = locked_payment(booking)
    apply(process.TAKE_BACK_REPORT, booking=booking, actor=actor, now=now)
    _must_hit(_undecided(claim).update(state=State.WITHDRAWN, decided_at=now, version=F("version") + 1))
    payment_services.unfreeze_earnings(payment=payment)


# --- the decision -------------------------------------------------------------------------------


@transaction.atomic
def decide(
    *,
    claim: Claim,
    actor: User | None,
    outcome: Claim.Outcome,
    reason: str,
    back: Money | None,
    version: int,
    now: datetime,
) -> None:
    """By staff, or by time where nobody has contradicted. `back` is what the student gets with Outcome.REFUNDED.

    Raises InvalidState, NotAllowed, StaleClaim where somebody else has touched it since `version` was read,
    StillBeingTaken, and what a refund may raise.
    """
    booking = claim.booking
    payment = locked_payment(booking)
    if payment.status in (Payment.Status.CAPTURING, Payment.Status.AUTHORISING):
        raise StillBeingTaken
    settled = SETTLED if ROW[outcome].to else {}
    apply(ROW[outcome], booking=booking, actor=actor, now=now, reason=reason, **settled)
    decided = _undecided(claim).filter(version=version)
    if not decided.update(
        state=State.DECIDED,
        outcome=outcome,
        decided_by=actor,
        decided_at=now,
        decision=reason,
        version=F("version") + 1,
    ):
        raise StaleClaim
    _move_money(booking, payment, outcome, actor=actor, back=back, reason=reason, now=now)
    payment_services.unfreeze_earnings(payment=payment)
    if actor is not None:
        record_decision(
            actor=actor,
            decision="claim_decided",
            subject=claim,
            reason=reason,
            before={"state": claim.state, "kind": claim.kind},
            after={"outcome": outcome.value, "back": str(back) if back else ""},
            now=now,
        )


def settle_due_claims(*, now: datetime, limit: int = 100) -> int:
    """Missed sessions that nobody has contradicted in time decide themselves. Returns how many were decided."""
    due = Claim.objects.filter(state=State.OPEN, kind__in=BY_ITSELF, answer_due_at__lte=now)
    claims = due.select_related("booking__student__user", "booking__coach__user").order_by("answer_due_at")[:limit]
    return sum(_settle(claim, now) for claim in claims)


def _settle(claim: Claim, now: datetime) -> bool:
    try:
        decide(
            claim=claim,
            actor=None,
            outcome=BY_ITSELF[Kind(claim.kind)],
            reason="Nobody has contradicted the report.",
            back=None,
            version=claim.version,
            now=now,
        )
    except DomainError as error:
        log.warning("claim_waits", claim=claim.pk, code=error.code)
        return False
    except Exception:
        log.exception("claim_failed", claim=claim.pk)
        return False
    return True


# --- what the outcome does to the money ---------------------------------------------------------


def _move_money(
    booking: Booking,
    payment: Payment,
    outcome: Claim.Outcome,
    *,
    actor: User | None,
    back: Money | None,
    reason: str,
    now: datetime,
) -> None:
    kept = _kept(booking, outcome, back)
    if payment.status == Payment.Status.CAPTURED:
        over = (
            back if back is not None else Money(payment.captured_amount - payment.refunded_amount, kept.currency) - kept
        )
        if over.amount > 0:
            payment_services.request_refund(
                payment=payment, amount=over, bearer=None, reason=_why(outcome), note=reason, actor=actor, now=now
            )
    elif kept.amount == 0:
        give_money_back(booking, payment, now)
    elif payment.status != Payment.Status.HELD:
        log.warning("nothing_held_for_a_decided_session", booking=booking.pk, status=payment.status)
    elif outcome == Outcome.NO_SHOW_STUDENT:
        payment_services.request_capture(payment=payment, amount=kept, now=now)
    elif booking.ends_at <= now:
        # The session counts as held, with a part of its price given back: no more is taken.
        apply(process.COMPLETE, booking=booking, actor=None, now=now, **SETTLED)
        payment_services.request_capture(payment=payment, amount=kept, now=now)


def _kept(booking: Booking, outcome: Claim.Outcome, back: Money | None) -> Money:
    """What of the price stays taken."""
    price = booking.price
    match outcome:
        case Outcome.NO_SHOW_COACH:
            return Money(0, price.currency)
        case Outcome.NO_SHOW_STUDENT:
            part = round_share(price.amount, process.NO_SHOW_PERCENT, 100, price.currency)
            return Money(part, price.currency)
        case Outcome.REFUNDED if back is not None:
            if price < back:
                raise refunds.RefundTooHigh(price)
            return price - back
        case _:
            return price


def _why(outcome: Claim.Outcome) -> Refund.Reason:
    return {
        Outcome.NO_SHOW_COACH: Refund.Reason.COACH_MISSED,
        Outcome.NO_SHOW_STUDENT: Refund.Reason.STUDENT_MISSED,
    }.get(outcome, Refund.Reason.PROBLEM)


def _undecided(claim: Claim) -> QuerySet[Claim]:
    return Claim.objects.filter(pk=claim.pk, state__in=Claim.UNDECIDED)


def _must_hit(hit: int) -> None:
    if hit != 1:
        raise InvalidState("This report is decided, or the time to answer it is over.")
