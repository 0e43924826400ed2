"""What payments refuse, and what they can't do yet."""

from marketplace.lib.errors import DomainError


class CoachNotPayable(DomainError):
    code = "coach_not_payable"
    message = "This coach can't take bookings at the moment."


class PaymentsUnavailable(DomainError):
    code = "payments_unavailable"
    status = 503
    message = "We can't reach our payment provider just now. You have not been charged. Please try again in a minute."


class StandingStill(DomainError):
    """Whoever asks is told when to come back; why is for staff, who see it in the admin."""

    code = "standing_still"
    status = 503
    message = "Nothing is sent to Stripe just now. It is written down where it can be, and goes on by itself later."


class CheckoutClosed(DomainError):
    code = "checkout_closed"
    message = "This payment page is closed. Nothing was taken by it."


class PaymentNotHeld(DomainError):
    code = "payment_not_held"
    message = "No money is held for this any more."


class PaymentNotSaved(DomainError):
    code = "payment_not_saved"
    message = "No card is saved for this any more."


class NoSavedCard(DomainError):
    code = "no_saved_card"
    message = "There is no card left that could be charged for this."


class HoldUnderWay(DomainError):
    code = "hold_under_way"
    message = "A payment for this is under way already."


class RefundUnderWay(DomainError):
    code = "refund_under_way"
    message = "Something else is being done with this payment just now. Please try again in a minute."


class RefundWhileDisputed(DomainError):
    code = "refund_while_disputed"
    message = "The student's bank disputes this payment: a refund now would give the money back twice."


class RefundDecided(DomainError):
    code = "refund_decided"
    message = "This refund was decided already."


class SecondPersonNeeded(DomainError):
    code = "second_person_needed"
    status = 403
    message = "Somebody else than who asked for this refund has to approve it."


class TooMuchForOne(DomainError):
    """A hold that is given back can't wait for a second person: it might end meanwhile."""

    code = "too_much_for_one"
    status = 403
    message = (
        "This is more than one person may give back of a hold. Let the session be completed first: the refund of what "
        "was taken then waits for a second person."
    )


class OwnMoney(DomainError):
    code = "own_money"
    status = 403
    message = "You are the student or the coach of this payment: somebody else has to decide."


class NotStaff(DomainError):
    code = "not_staff"
    status = 403
    message = "Only members of staff can do this."


class ReasonNeeded(DomainError):
    code = "reason_needed"
    status = 400
    message = "Say why: the reason is kept with the decision."


class CardNeeded(DomainError):
    code = "card_needed"
    message = "This card is needed for a session that is booked. You can remove it after the session."


class NoSuchCard(DomainError):
    code = "no_such_card"
    status = 404
    message = "This card is not one of yours."


class CountryNotOffered(DomainError):
    code = "country_not_offered"
    status = 400
    message = "We can't pay coaches in this country yet."


class PayoutsUnavailable(DomainError):
    code = "payouts_unavailable"
    status = 503
    message = "We can't set up payouts just now. Nothing is lost. Please try again in a minute."


class StripeMismatchError(DomainError):
    """An object at Stripe is not the one we asked for: another amount, currency, customer, mode or payment."""

    code = "stripe_mismatch"


class NotYetError(Exception):
    """Stripe has done it, but does not show all of it yet: ask again later."""
