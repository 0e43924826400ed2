"""What staff are shown of a decision's money before they confirm it, and the confirmation of exactly that."""

from datetime import datetime

from django.db import transaction

from bookings import policy
from bookings.models import Booking, Claim
from bookings.services.deciding import REASON, decide
from bookings.services.shared import locked_payment
from marketplace.lib.errors import DomainError
from marketplace.lib.money import Money
from marketplace.models import User
from payments.models import Dispute, Payment
from payments.refunds import refund_quote
from payments.services.refund_desk import Facts, who_pays
from payments.services.refunding import needs_second_person

Outcome = Claim.Outcome


class OutcomeChanged(DomainError):
    code = "outcome_changed"
    message = "Something has changed since you saw this. Nothing is decided yet; please look at it again."


def consequence(booking: Booking, payment: Payment, outcome: Claim.Outcome, back: Money | None = None) -> Facts:
    """What the outcome does to the money, in words. Raises what a refund of it may raise."""
    if outcome == Outcome.NOTHING:
        return [("The student gets back", "nothing"), ("Then", _goes_on(payment))]
    if payment.status not in (Payment.Status.HELD, Payment.Status.CAPTURED):
        return [("Taken", "nothing; a card that was saved is not charged")]
    amount = _given_back(booking, payment, outcome, back)
    if amount.amount <= 0:
        return [("The student gets back", "nothing more"), ("Then", _goes_on(payment))]
    if payment.disputes.filter(status=Dispute.Status.LOST).exists():
        return [("The student gets back", "nothing from us: their bank has given them the money")]
    facts = who_pays(payment, refund_quote(payment, amount=amount, reason=REASON[outcome]))
    if payment.status == Payment.Status.CAPTURED and needs_second_person(payment, amount):
        facts.append(("A second person", "has to approve the refund: it is above what one may"))
    return facts


def _given_back(booking: Booking, payment: Payment, outcome: Claim.Outcome, back: Money | None) -> Money:
    """What of the price is not taken, or is refunded."""
    if back is not None:
        return back
    missed = outcome == Outcome.NO_SHOW_STUDENT
    kept = policy.if_missed(booking.price).kept if missed else Money(0, booking.currency)
    if payment.status == Payment.Status.HELD:
        return booking.price - kept
    return Money(payment.captured_amount - payment.refunded_amount, payment.currency) - kept


def _goes_on(payment: Payment) -> str:
    if payment.status == Payment.Status.CAPTURED:
        return "the coach is paid as usual"
    return "the money goes its usual way: taken when the session is complete"


def summary(facts: Facts) -> str:
    """All that was shown, for the page to send back."""
    return "; ".join(f"{label}: {words}" for label, words in facts)


@transaction.atomic
def confirm_outcome(
    *,
    claim: Claim,
    shown: str,
    outcome: Claim.Outcome,
    back: Money | None,
    reason: str,
    version: int,
    actor: User,
    now: datetime,
) -> None:
    """The decision as its `summary` was shown. Raises OutcomeChanged, and what `decide` raises."""
    payment = locked_payment(claim.booking)
    if summary(consequence(claim.booking, payment, outcome, back)) != shown:
        raise OutcomeChanged
    decide(claim=claim, actor=actor, outcome=outcome, reason=reason, back=back, version=version, now=now)
