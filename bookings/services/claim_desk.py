"""What staff are shown of a decision's money before they confirm it, and the confirmation of exactly that."""

from datetime import datetime

from django.db import transaction

from bookings.models import Booking, Claim
from bookings.services.deciding import REASON, decide, propose_outcome
from bookings.services.shared import locked_payment
from bookings.services.two_people import given_back, is_second, takes_two
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
    facts = _of_the_money(booking, payment, outcome, back)
    if takes_two(booking, payment, outcome, back):
        facts.append(("A second person", "has to decide the same: it is above what one may"))
    return facts


def _of_the_money(booking: Booking, payment: Payment, outcome: Claim.Outcome, back: Money | None) -> Facts:
    if outcome == Outcome.NOTHING:
        return [("The student gets back", "nothing"), ("Then", _goes_on(payment))]
    if payment.status not in (Payment.Status.HELD, Payment.Status.CAPTURED):
        return [("Taken", "nothing; a card that was saved is not charged")]
    amount = given_back(booking, payment, outcome, back)
    if amount.amount <= 0:
        return [("The student gets back", "nothing more"), ("Then", _goes_on(payment))]
    if payment.disputes.filter(status=Dispute.Status.LOST).exists():
        return [("The student gets back", "nothing from us: their bank has given them the money")]
    facts = who_pays(payment, refund_quote(payment, amount=amount, reason=REASON[outcome]))
    if payment.status == Payment.Status.CAPTURED and needs_second_person(payment, amount):
        facts.append(("A second person", "has to approve the refund: it is above what one may"))
    return facts


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
) -> bool:
    """The decision as its `summary` was shown; False where it now waits for a second person.

    Raises OutcomeChanged, and what `decide` and `propose_outcome` raise.
    """
    booking = claim.booking
    payment = locked_payment(booking)
    if summary(consequence(booking, payment, outcome, back)) != shown:
        raise OutcomeChanged
    decides = not takes_two(booking, payment, outcome, back) or is_second(claim, actor, outcome, back)
    act = decide if decides else propose_outcome
    act(claim=claim, actor=actor, outcome=outcome, reason=reason, back=back, version=version, now=now)
    return decides


def right_to_confirm(claim: Claim, *, actor: User, outcome: Claim.Outcome, back: Money | None) -> str:
    """Whoever agrees to what is too much for one needs the right to approve refunds, as at their desk."""
    payment = claim.booking.payment
    assert payment is not None  # it is made with the booking
    second = takes_two(claim.booking, payment, outcome, back) and is_second(claim, actor, outcome, back)
    return "payments.change_refund" if second else "bookings.change_claim"
