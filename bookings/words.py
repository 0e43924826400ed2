"""What mails say of the money, in one or two sentences: how it is arranged, and what becomes of it when a session ends.

Plain text, without markup. All amounts are the booking's own.
"""

from bookings.models import Booking
from bookings.policy import Consequence
from marketplace.lib.money import Money
from payments import pricing
from payments.models import Payment

Status = Payment.Status

# The card is known and nothing is held yet.
ONLY_SAVED = (Status.SAVED, Status.AUTHORISING)
STILL_SHOWN = (
    "If your bank shows the amount as pending for some days more, that is the hold running out; it is not a charge."
)


def arranged_for_student(booking: Booking, payment: Payment) -> str:
    if payment.status in ONLY_SAVED:
        return (
            f"Your card is saved, and nothing is held yet. {booking.price} is held on it two days before the session, "
            "and taken only after the session has taken place."
        )
    return f"{booking.price} is held on your card, not taken; it is taken after the session has taken place."


def arranged_for_coach(booking: Booking, payment: Payment) -> str:
    share = f"your share of it is {Money(payment.coach_share, payment.currency)}."
    if payment.status in ONLY_SAVED:
        return f"The student's card is saved; {booking.price} is held on it two days before the session, and {share}"
    return f"{booking.price} is held on the student's card, and {share}"


def ended_for_student(booking: Booking, payment: Payment, costs: Consequence) -> str:
    """`costs` are those of a cancellation by the student; where nothing is kept, of any end."""
    if costs.kept.amount:
        rest = f" The rest, {costs.returned}, is released." if costs.returned.amount else ""
        return f"By the cancellation policy that you agreed to, {costs.kept} is taken from your card.{rest}"
    if payment.held_at is None:
        return "Nothing was held on your card, and you pay nothing."
    return f"The hold of {booking.price} on your card is released, and you pay nothing. {STILL_SHOWN}"


def ended_for_coach(payment: Payment, costs: Consequence) -> str:
    if costs.kept.amount:
        share = pricing.quote(costs.kept, payment.fee_bps).coach_share
        return f"By the cancellation policy, {costs.kept} of the price is taken; your share of it is {share}."
    if payment.held_at is None:
        return "Nothing was held on the student's card."
    return "The hold on the student's card is released in full."
