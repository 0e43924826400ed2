"""Why a session can't be booked, each by its name."""

from datetime import datetime

from marketplace.lib.errors import DomainError

MOST_UNPAID = 3
# Each of these is a mail to the other side. Nobody who means it needs as many for one session.
MOST_PROPOSALS = 20
MOST_REPORTS = 5
# What PostgreSQL calls the promise that nobody is in two places; see the migrations.
NO_OVERLAP_CONSTRAINTS = ("booking_coach_no_overlap", "booking_student_no_overlap")


class SlotUnavailable(DomainError):
    """Somebody has this time. `nearest` are the closest free starts, in order of time."""

    code = "slot_unavailable"
    message = "This time has just been taken. Nothing was charged. Please choose another one."

    def __init__(self, message: str = "", *, nearest: list[datetime]) -> None:
        super().__init__(message)
        self.nearest = nearest


class SlotInPast(DomainError):
    code = "slot_in_past"
    message = "This time is over. Please choose another one."


class SlotTooSoon(DomainError):
    code = "slot_too_soon"
    message = "This session can't be booked at such short notice. Please choose a later time."


class SlotTooFar(DomainError):
    code = "slot_too_far"
    message = "This time is too far ahead. Please choose an earlier one."


class OutsideHours(DomainError):
    code = "outside_hours"
    message = "The coach does not offer this time. Please choose one from the list."


class PriceChanged(DomainError):
    code = "price_changed"
    message = "The price has changed since you saw it. Nothing was charged. Please look at the new price first."


class LengthChanged(DomainError):
    code = "length_changed"
    message = "The length has changed since you saw it. Nothing was charged. Please look at the new length first."


class PolicyChanged(DomainError):
    code = "policy_changed"
    message = "The cancellation terms have changed since you saw them. Nothing was charged. Please look at them again."


class OwnBooking(DomainError):
    code = "own_booking"
    message = "You can't book yourself."


class CoachNotBookable(DomainError):
    code = "coach_not_bookable"
    message = "This can't be booked at the moment."


class UnknownZone(DomainError):
    code = "unknown_time_zone"
    status = 400
    message = "This time zone is not known. Please choose one from the list."


class TooManyUnpaid(DomainError):
    code = "too_many_unpaid"
    message = f"You have {MOST_UNPAID} sessions waiting for payment. Please pay for one or let one go first."


class TooManyBookings(DomainError):
    code = "too_many_bookings"
    status = 429
    message = "You have made many bookings in the last hour. Please wait a little before the next one."


class SameTime(DomainError):
    code = "same_time"
    status = 400
    message = "This is the time that is agreed already. Please choose another one."


class TooManyProposals(DomainError):
    code = "too_many_proposals"
    message = f"You have proposed {MOST_PROPOSALS} other times for this session, the most there can be."


class NotPaidYet(DomainError):
    code = "not_paid_yet"
    message = "The session can be moved once its payment is arranged."


class HoldTooShort(DomainError):
    """The hold ends before a session at that time would be settled, and a new one can't be made in time."""

    code = "hold_too_short"
    message = (
        "The hold on the card does not reach this time. Please choose an earlier time, or one more than two days ahead."
    )


class CostsChanged(DomainError):
    code = "costs_changed"
    message = "What it costs to cancel has changed while you read it. Nothing is cancelled yet; please look again."


class RoomClosed(DomainError):
    code = "room_closed"
    message = "The room opens 15 minutes before the session and closes an hour after it."


class NotYours(DomainError):
    code = "not_yours_to_say"
    status = 403
    message = "This is for the other side of the session to say."


class WordsMissing(DomainError):
    code = "words_missing"
    status = 400
    message = "Please say in a few words what happened."


class TooManyReports(DomainError):
    code = "too_many_reports"
    message = (
        f"You have reported this session {MOST_REPORTS} times and taken it back each time. Please write to our team."
    )


class CoachDidNotWait(DomainError):
    code = "coach_did_not_wait"
    message = (
        "This can be reported once you have been in the room for 10 minutes of the session: open it on the session's "
        "page, and leave that page open while you wait."
    )


class StaleClaim(DomainError):
    code = "stale_claim"
    status = 409
    message = "Somebody else has worked on this report meanwhile. Please look at it again."


class SecondDecisionNeeded(DomainError):
    code = "second_decision_needed"
    status = 403
    message = "This is more than one person may give back: somebody else has to decide the same."


class StillBeingTaken(DomainError):
    code = "still_being_taken"
    status = 409
    message = "The money is on its way just now. Please decide again in a minute."
