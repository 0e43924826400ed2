"""What people, facts about money and time do to bookings. Lock order everywhere: payment, people, booking."""

from bookings.services.making import MOST_IN_AN_HOUR, book
from bookings.services.paying import abandon, abandon_unpaid, confirm_payment, pay, payment_lost, revive
from bookings.services.refusals import (
    MOST_UNPAID,
    CoachNotBookable,
    LengthChanged,
    OutsideHours,
    OwnBooking,
    PriceChanged,
    SlotInPast,
    SlotTooFar,
    SlotTooSoon,
    SlotUnavailable,
    TooManyBookings,
    TooManyUnpaid,
    UnknownZone,
)
from bookings.services.session import accept, cancel_by_coach, cancel_by_student, complete, decline, expire
from bookings.services.timed import PUSHED_BACK, run_due_transitions

__all__ = [
    "MOST_IN_AN_HOUR",
    "MOST_UNPAID",
    "PUSHED_BACK",
    "CoachNotBookable",
    "LengthChanged",
    "OutsideHours",
    "OwnBooking",
    "PriceChanged",
    "SlotInPast",
    "SlotTooFar",
    "SlotTooSoon",
    "SlotUnavailable",
    "TooManyBookings",
    "TooManyUnpaid",
    "UnknownZone",
    "abandon",
    "abandon_unpaid",
    "accept",
    "book",
    "cancel_by_coach",
    "cancel_by_student",
    "complete",
    "confirm_payment",
    "decline",
    "expire",
    "pay",
    "payment_lost",
    "revive",
    "run_due_transitions",
]
