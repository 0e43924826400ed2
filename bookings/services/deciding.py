"""What becomes of a report: decided by staff, or by time where nothing contradicts it. Money moves with it alone."""

from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import F, Q, QuerySet

from bookings import policy, process
from bookings.models import Booking, Claim
from bookings.process import Transition
from bookings.services.attendance import was_there
from bookings.services.claims import leave_to_staff
from bookings.services.refusals import SecondDecisionNeeded, StaleClaim, StillBeingTaken
from bookings.services.shared import SETTLED, close_page, give_money_back, locked_payment, under_way
from bookings.services.two_people import is_second, takes_two
from bookings.transition import apply, role_of
from marketplace.lib.decisions import record_decision
from marketplace.lib.errors import DomainError
from marketplace.lib.money import Money, step
from marketplace.models import User
from payments import services as payment_services
from payments.models import Dispute, Payment, Refund
from payments.refunds import NothingToRefund, RefundAmountWrong, RefundTooHigh
from payments.rounds import for_a_while

log = structlog.get_logger(__name__)

Status, Kind, State, Outcome = Booking.Status, Claim.Kind, Claim.State, Claim.Outcome

# What an uncontradicted report comes to by itself; problems are for people.
BY_ITSELF = {Kind.STUDENT_MISSING: Outcome.NO_SHOW_STUDENT, Kind.COACH_MISSING: Outcome.NO_SHOW_COACH}
REASON = {
    Outcome.NO_SHOW_COACH: Refund.Reason.COACH_MISSED,
    Outcome.NO_SHOW_STUDENT: Refund.Reason.STUDENT_MISSED,
    Outcome.REFUNDED: Refund.Reason.PROBLEM,
}
PROPOSAL = ("proposed_outcome", "proposed_back", "proposed_by")
# A report that could not be decided is left alone for this long, so that it holds up nothing else.
RESTS = timedelta(minutes=10)


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
    """By staff, or by time where nobody has contradicted. `back` is what the student gets with Outcome.REFUNDED alone.

    Raises InvalidState, NotAllowed, StillBeingTaken; StaleClaim where somebody else has touched it since `version` was
    read; SecondDecisionNeeded where it is too much for one, and nobody else has proposed the same; NothingToRefund,
    RefundAmountWrong, and what `request_refund` raises.
    """
    booking = claim.booking
    payment = locked_payment(booking)
    before = _unchanged(claim, version)
    _require_amount(booking, payment, outcome, back)
    if actor is not None and takes_two(booking, payment, outcome, back) and not is_second(claim, actor, outcome, back):
        raise SecondDecisionNeeded
    attempt = under_way(booking)
    if payment.status == Payment.Status.CAPTURING or (attempt and attempt.status == Payment.Status.AUTHORISING):
        raise StillBeingTaken
    row = _row(booking, outcome)
    settled = SETTLED if row.to else {}
    said = f"{reason} {back} of the price goes back." if back else reason
    apply(row, booking=booking, actor=actor, now=now, reason=said, **settled)
    _close(claim, version, actor=actor, outcome=outcome, said=said, now=now)
    _move_money(booking, payment, outcome, actor=actor, back=back, note=reason, now=now)
    payment_services.unfreeze_earnings(payment=payment)
    if actor is not None:
        after = {"state": State.DECIDED.value, "outcome": outcome.value, "back": str(back) if back else ""}
        record_decision(
            actor=actor, decision="claim_decided", subject=claim, reason=reason, before=before, after=after, now=now
        )


@transaction.atomic
def propose_outcome(
    *, claim: Claim, actor: User, outcome: Claim.Outcome, reason: str, back: Money | None, version: int, now: datetime
) -> None:
    """Too much for one: kept for somebody else, who decides the same, or something else. Nothing is decided yet.

    Raises NotAllowed, StaleClaim, NothingToRefund, RefundAmountWrong, RefundTooHigh.
    """
    booking = claim.booking
    payment = locked_payment(booking)
    before = _unchanged(claim, version)
    _require_amount(booking, payment, outcome, back)
    role_of(_row(booking, outcome), booking, actor)
    proposal = {
        "proposed_outcome": outcome.value,
        "proposed_back": back.amount if back else None,
        "proposed_reason": reason,
        "proposed_by": actor,
    }
    undecided = Claim.objects.filter(pk=claim.pk, version=version, state__in=Claim.UNDECIDED)
    if not undecided.update(version=F("version") + 1, **proposal):
        raise StaleClaim
    after = {**proposal, "proposed_by": actor.pk}
    record_decision(
        actor=actor,
        decision="claim_outcome_proposed",
        subject=claim,
        reason=reason,
        before=before,
        after=after,
        now=now,
    )


def settle_due_claims(*, now: datetime, limit: int = 100) -> int:
    """Missed sessions that nobody has contradicted in time decide themselves, or go to staff. Returns how many did."""
    # What has failed comes behind what has not.
    due = _due(now).order_by(F("retry_at").asc(nulls_first=True), "answer_due_at", "pk").values_list("pk", flat=True)
    return sum(_settle(pk, now) for pk in for_a_while(list(due[:limit])))


def _due(now: datetime) -> QuerySet[Claim]:
    rested = Q(retry_at=None) | Q(retry_at__lte=now)
    return Claim.objects.filter(rested, state=State.OPEN, kind__in=BY_ITSELF, answer_due_at__lte=now)


def _settle(pk: int, now: datetime) -> bool:
    # Pushed back before the attempt: no second worker takes the row, and one that kills its worker stays behind.
    if _due(now).filter(pk=pk).update(retry_at=now + RESTS) != 1:
        return False
    people = ("booking__student__user", "booking__coach__user")
    # Still open as it is read: what is contradicted from here on has another version than the one decided upon.
    claim = Claim.objects.select_related(*people).filter(pk=pk, state=State.OPEN).first()
    if claim is None:
        return False  # contradicted in this moment
    try:
        _by_itself(claim, now)
    except StaleClaim:
        return False  # a person was first
    except DomainError as error:
        log.warning("claim_waits", claim=pk, code=error.code)
        return False
    except Exception:
        log.exception("claim_failed", claim=pk)
        return False
    return True


def _by_itself(claim: Claim, now: datetime) -> None:
    # Silence is not enough against our own record: no coach is unpaid for a session that took place.
    if was_there(booking=claim.booking, side=claim.other_side, now=now):
        leave_to_staff(claim=claim, now=now)
        return
    decide(
        claim=claim,
        actor=None,
        outcome=BY_ITSELF[Kind(claim.kind)],
        reason="Nobody has contradicted the report.",
        back=None,
        version=claim.version,
        now=now,
    )


# --- the claim ----------------------------------------------------------------------------------


def _unchanged(claim: Claim, version: int) -> dict[str, object]:
    """What is decided about, for the log. Raises StaleClaim."""
    now = Claim.objects.filter(pk=claim.pk, version=version, state__in=Claim.UNDECIDED)
    facts = now.values("state", "kind", "side", *PROPOSAL).first()
    if facts is None:
        raise StaleClaim
    claim.refresh_from_db(fields=PROPOSAL)
    return {name: value for name, value in facts.items() if value not in (None, "")}


def _row(booking: Booking, outcome: Claim.Outcome) -> Transition:
    match outcome:
        case Outcome.NO_SHOW_STUDENT:
            return process.NO_SHOW_STUDENT
        case Outcome.NO_SHOW_COACH:
            return process.NO_SHOW_COACH
        case Outcome.REFUNDED if booking.status == Status.ACCEPTED:
            return process.COMPLETE_REDUCED
        case _:
            return process.DISMISS_REPORT


def _close(claim: Claim, version: int, *, actor: User | None, outcome: Claim.Outcome, said: str, now: datetime) -> None:
    """Still so where the other side has contradicted a moment ago: they wait for the booking, not for its payment."""
    decided = Claim.objects.filter(pk=claim.pk, state__in=Claim.UNDECIDED, version=version).update(
        state=State.DECIDED,
        outcome=outcome,
        decided_by=actor,
        decided_at=now,
        decision=said,
        version=F("version") + 1,
    )
    if not decided:
        raise StaleClaim


# --- what the outcome does to the money ---------------------------------------------------------


def _require_amount(booking: Booking, payment: Payment, outcome: Claim.Outcome, back: Money | None) -> None:
    """An amount with the one outcome that needs it, and something to take it from."""
    if outcome != Outcome.REFUNDED:
        if back is not None:
            raise RefundAmountWrong
        return
    if back is None or back.currency != booking.currency or back.amount <= 0 or back.amount % step(back.currency):
        raise RefundAmountWrong
    if payment.status not in (Payment.Status.HELD, Payment.Status.CAPTURING, Payment.Status.CAPTURED):
        raise NothingToRefund
    if booking.price < back:
        raise RefundTooHigh(booking.price)


def _move_money(
    booking: Booking,
    payment: Payment,
    outcome: Claim.Outcome,
    *,
    actor: User | None,
    back: Money | None,
    note: str,
    now: datetime,
) -> None:
    if outcome == Outcome.NOTHING:
        return
    kept = _kept(booking.price, outcome, back)
    if payment.status == Payment.Status.CAPTURED:
        over = back or Money(payment.captured_amount - payment.refunded_amount, kept.currency) - kept
        if over.amount > 0 and not _taken_back_by_the_bank(payment):
            payment_services.request_refund(
                payment=payment, amount=over, reason=REASON[outcome], note=note, actor=actor, now=now
            )
    elif payment.status == Payment.Status.HELD and kept.amount:
        payment_services.request_capture(payment=payment, amount=kept, now=now)
        close_page(booking, now)
    else:
        give_money_back(booking, payment, now)


def _kept(price: Money, outcome: Claim.Outcome, back: Money | None) -> Money:
    """What of the price stays taken, or is taken."""
    if outcome == Outcome.NO_SHOW_STUDENT:
        return policy.if_missed(price).kept
    return Money(0, price.currency) if back is None else price - back


def _taken_back_by_the_bank(payment: Payment) -> bool:
    """A lost dispute has given the student the money: a refund would give it twice."""
    return payment.disputes.filter(status=Dispute.Status.LOST).exists()
