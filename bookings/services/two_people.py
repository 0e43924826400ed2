"""What of a decision about a session is too much for one person: the limit and the rule of refunds."""

from bookings import policy
from bookings.models import Booking, Claim
from marketplace.lib.money import Money
from marketplace.models import User
from payments.models import Payment
from payments.services.refunding import needs_second_person

Outcome = Claim.Outcome


def given_back(booking: Booking, payment: Payment, outcome: Claim.Outcome, back: Money | None) -> Money:
    """What of the price is not taken, or is refunded; below zero where more has gone back already."""
    if outcome == Outcome.NOTHING:
        return Money(0, booking.currency)
    if back is not None:
        return back
    missed = outcome == Outcome.NO_SHOW_STUDENT
    kept = policy.if_missed(booking.price).kept if missed else Money(0, booking.currency)
    if payment.status == Payment.Status.HELD:
        return booking.price - kept
    return Money(payment.captured_amount - payment.refunded_amount, payment.currency) - kept


def takes_two(booking: Booking, payment: Payment, outcome: Claim.Outcome, back: Money | None) -> bool:
    """Of a hold alone: of what was taken, the refund that follows waits for its second person by itself."""
    amount = given_back(booking, payment, outcome, back)
    return payment.status == Payment.Status.HELD and amount.amount > 0 and needs_second_person(payment, amount)


def is_second(claim: Claim, actor: User, outcome: Claim.Outcome, back: Money | None) -> bool:
    """Whether somebody else would decide exactly this."""
    proposed = (claim.proposed_outcome, claim.proposed_back)
    return claim.proposed_by_id not in (None, actor.pk) and proposed == (outcome, back.amount if back else None)
