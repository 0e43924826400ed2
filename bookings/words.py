"""What mails say of the money, in one or two sentences: how it is arranged, and what becomes of it when a session ends.
And what is said of a report in the same words everywhere.

Plain text, without markup. All amounts are the booking's own.
"""

from datetime import datetime

from bookings import policy
from bookings.models import Booking, Claim
from bookings.policy import Consequence
from marketplace.lib.money import Money
from payments import pricing
from payments.models import Payment, Refund
from payments.owed import paid_otherwise, reached

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


# --- a session that was reported, once it is decided --------------------------------------------


def decided(booking: Booking, payment: Payment, *, to_student: bool, at: datetime) -> str:
    """What becomes of the money of a session that is decided to be missed; nothing for any other."""
    taken_before = payment.captured_at is not None and payment.captured_at <= at
    match booking.status:
        case Booking.Status.NO_SHOW_STUDENT if to_student:
            return missed_for_student(booking, payment, refunded=taken_before)
        case Booking.Status.NO_SHOW_STUDENT:
            return missed_for_coach(booking, payment)
        case Booking.Status.NO_SHOW_COACH if to_student:
            return missed_by_coach_for_student(booking, payment, refunded=taken_before)
        case Booking.Status.NO_SHOW_COACH:
            return missed_by_coach(refunded=taken_before)
        case _:
            return ""


def missed_for_student(booking: Booking, payment: Payment, *, refunded: bool) -> str:
    """`refunded`: it was taken before it was decided, so that the rest goes back by a refund."""
    costs = policy.if_missed(booking.price)
    if payment.status not in TAKEN or not costs.kept.amount:
        return "Nothing was held on your card any more, or too little to be taken: you pay nothing."
    rest = f"The rest, {costs.returned}, is {'refunded to your card' if refunded else 'released'}."
    return f"As you agreed when you booked, {costs.kept} of {booking.price} is taken from your card. {rest}"


def missed_for_coach(booking: Booking, payment: Payment) -> str:
    costs = policy.if_missed(booking.price)
    if payment.status not in TAKEN or not costs.kept.amount:
        return "Nothing was held on the student's card any more, or too little to be taken: there is nothing to share."
    share = pricing.quote(costs.kept, payment.fee_bps).coach_share
    return f"{costs.kept} of the price is taken from the student; your share of it is {share}."


def missed_by_coach_for_student(booking: Booking, payment: Payment, *, refunded: bool) -> str:
    if refunded:
        return f"You pay nothing: {booking.price} is refunded to your card. Banks take five to ten days to show it."
    return ended_for_student(booking, payment, policy.nothing_kept(booking.price))


def missed_by_coach(*, refunded: bool) -> str:
    if refunded:
        return "The student gets all of it back. Nothing of it is yours, and what you were paid for it is taken back."
    return "The hold on the student's card is released in full, and nothing of it is yours."


def refunded_for_student(payment: Payment) -> str:
    back, otherwise = _came_back(payment), paid_otherwise(payment)
    return (
        f"{back} of the {Money(payment.captured_amount, payment.currency)} that you paid is refunded by now"
        f"{_by_which_way(back - otherwise, otherwise)}. "
        "Banks take five to ten days to show it. Your receipt is corrected."
    )


def _by_which_way(card: Money, otherwise: Money) -> str:
    if card.amount == 0:
        return ", by other means than your card"
    to_card = "to the card that you paid with"
    return f": {card} {to_card}, {otherwise} by other means" if otherwise.amount else f", {to_card}"


def paid_otherwise_to_student(refund: Refund) -> str:
    """Nothing of what staff wrote: that is for staff."""
    paid = reached(refund)
    rest = refund.money - paid
    came_back = f"Your bank had sent a refund of {refund.money} back to us."
    if rest.amount == 0:
        return f"{came_back} We have paid it to you by other means than your card."
    return (
        f"{came_back} We have paid you {paid} of it by other means than your card. The other {rest} you have got by "
        "the dispute that your bank decided for you."
    )


def refunded_for_coach(payment: Payment) -> str:
    back = _came_back(payment)
    part = Money(sum(refund.coach_part for refund in _reached(payment)), payment.currency)
    yours = f"Your part of that, {part}, is taken back." if part.amount else "It costs you nothing: we bear it."
    return f"{back} of the price is refunded to the student by now. {yours}"


def _came_back(payment: Payment) -> Money:
    return sum((reached(refund) for refund in _reached(payment)), Money(0, payment.currency))


def _reached(payment: Payment) -> list[Refund]:
    return list(payment.refunds.filter(status__in=Refund.REACHED))


# --- a report -----------------------------------------------------------------------------------


def room_says(claim: Claim) -> str:
    """Why it does not decide itself though nobody has contradicted, for both sides and for staff."""
    return f"Our record of the session's room says that the {claim.other_side} was there, so our team decides."
