"""What mails say of the money, in one or two sentences: how it is arranged, and what becomes of it when a session ends.

Plain text, without markup. All amounts are the booking's own.
"""

from bookings.models import Booking
from bookings.policy import Consequence
from marketplace.lib.money import Money
from payments import pricing
from payments.models import Payment

Status = Payment.Status

TAKEN = (Status.CAPTURING, Status.CAPTURED)
STILL_SHOWN = (
    "If your bank shows the amount as pending for some days more, that is the hold running out; it is not a charge."
)


# --- a session that is going to take place ------------------------------------------------------


def arranged_for_student(booking: Booking, payment: Payment) -> str:
    price = booking.price
    if payment.status == Status.HELD:
        return f"{price} is held on your card, not taken; it is taken after the session has taken place."
    if payment.status == Status.SAVED:
        return (
            f"Your card is saved, and nothing is held yet. {price} is held on it at most two days before the session, "
            "and taken only after the session has taken place."
        )
    if booking.pay_due_at:
        return f"{price} could not be held on your card. Please pay on the session's page, so that it can take place."
    return f"We are asking your bank to hold {price} on your card. It is taken only after the session has taken place."


def arranged_for_coach(booking: Booking, payment: Payment) -> str:
    price = booking.price
    share = f"your share of it is {Money(payment.coach_share, payment.currency)}."
    if payment.status == Status.HELD:
        return f"{price} is held on the student's card, and {share}"
    if payment.status == Status.SAVED:
        return f"The student's card is saved; {price} is held on it at most two days before the session, and {share}"
    if booking.pay_due_at:
        return f"{price} could not be held on the student's card. They are asked to pay, and {share}"
    return f"{price} is being held on the student's card, and {share}"


# --- a session that took place ------------------------------------------------------------------


def collected_from_student(booking: Booking, payment: Payment) -> str:
    if payment.status in TAKEN:
        return f"{booking.price} is now taken from your card."
    if booking.pay_due_at:
        return f"{booking.price} is still to be paid; another mail tells you how."
    return f"We are asking your bank for {booking.price} now."


def collected_for_coach(booking: Booking, payment: Payment) -> str:
    share = Money(payment.coach_share, payment.currency)
    if payment.status in TAKEN:
        return (
            f"The student's {booking.price} is now taken. Your share of it, {share}, goes to your payout account in "
            "the way you have chosen."
        )
    return (
        f"The student's {booking.price} is not there yet, and we are seeing to it. Your share of it, {share}, is yours "
        "in any case: if the student does not pay within a week, we do."
    )


# --- a session that is off ----------------------------------------------------------------------


def ended_for_student(booking: Booking, payment: Payment, costs: Consequence) -> str:
    """`costs` are those of a cancellation by the student; where nothing is kept, of any end."""
    if costs.kept.amount:
        rest = f" The rest, {costs.returned}, is released." if costs.returned.amount else ""
        return f"By the cancellation policy that you agreed to, {costs.kept} is taken from your card.{rest}"
    if payment.status == Status.AUTHORISING:
        return f"If your bank still holds {booking.price} on your card, it is released at once, and you pay nothing."
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
