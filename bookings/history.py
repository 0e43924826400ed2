"""What has happened to a session so far, in words, for both of its sides."""

from bookings import process
from bookings.models import BookingEvent, Notice
from bookings.process import Role, Transition

# {who} is the person who did it.
WORDS: dict[Transition, str] = {
    process.BOOK: "{who} chose the time",
    process.ABANDON: "Not paid: the time was free for others again",
    process.CONFIRM_PAYMENT: "The payment was arranged",
    process.REVIVE: "The payment was arranged after all, and the time was still free",
    process.REFUSE_LATE_PAYMENT: "The payment came too late and was given back",
    process.REMIND_TO_ANSWER: "The coach was reminded to answer",
    process.ACCEPT: "{who} accepted",
    process.DECLINE: "{who} declined",
    process.EXPIRE: "The request ended, since it was not answered in time",
    process.CANCEL_BY_STUDENT: "{who} cancelled",
    process.CANCEL_BY_COACH: "{who} cancelled",
    process.PROPOSE: "{who} proposed another time",
    process.AGREE: "{who} agreed to the new time, and the session moved",
    process.WITHDRAW: "{who} kept the time as it was",
    process.AUTHORISE: "The bank was asked to hold the price on the saved card",
    process.RENEW: "The bank was asked to hold the price anew",
    process.ASK_FOR_PAYMENT: "The student was asked to pay, since the card could not be charged without them",
    process.REMIND_TO_PAY: "The student was reminded to pay",
    process.PAYMENT_ARRANGED: "The student paid",
    process.PAYMENT_LOST: "The session was off, since the price could not be held in time",
    process.REMIND_DAY_BEFORE: "Both were reminded of the session",
    process.REMIND_HOUR_BEFORE: "Both were reminded of the session once more",
    process.COMPLETE: "{who} marked the session as complete",
    process.WRITE_OFF: "The coach was paid by us, since the student had not paid",
    process.REPORT: "{who} reported that it did not go as agreed",
    process.CONTRADICT: "{who} contradicted the report",
    process.LEAVE_TO_STAFF: "The report was not contradicted, but left to our team",
    process.TAKE_BACK_REPORT: "{who} took the report back",
    process.COMPLETE_UNDECIDED: "The money was taken before the hold ended, and kept back until the report is decided",
    process.NO_SHOW_STUDENT: "Decided: the student did not come",
    process.NO_SHOW_COACH: "Decided: the coach did not come",
    process.DISMISS_REPORT: "Decided: the session counts as held",
    process.COMPLETE_REDUCED: "Decided: the session counts as held, and some of the price goes back",
    process.REFUNDED: "A refund was sent to the student",
    process.PAID_OTHERWISE: "A refund that had come back was paid to the student by other means",
}
# Where time did what a person may do, too.
BY_TIME: dict[Transition, str] = {
    process.WITHDRAW: "The proposal was not answered, and the session stayed where it was",
    process.COMPLETE: "The session counted as complete, some time after its end",
}
_BY_NAME = {transition.name: transition for transition in process.PROCESS}


def line_of(event: BookingEvent) -> str:
    """One line of the list; `event.booking` has its two people."""
    transition = _BY_NAME[event.transition]
    if event.actor_role == Role.TIMER and transition in BY_TIME:
        return BY_TIME[transition]
    return WORDS[transition].format(who=_who(event))


def kept_because(event: BookingEvent, reader: str) -> str:
    """Why the session was not moved, for one side of it; empty where that was not the question."""
    if event.transition != process.WITHDRAW.name:
        return ""
    if event.actor_role == Role.TIMER:
        return "The proposal of another time was not answered in time."
    proposals = event.booking.events.filter(transition=process.PROPOSE.name, pk__lt=event.pk)
    proposer = proposals.order_by("-pk").values_list("actor_role", flat=True).first()
    who = "You have" if event.actor_role == reader else f"{_who(event)} has"
    return f"{who} {'taken back' if event.actor_role == proposer else 'turned down'} the proposal of another time."


def _who(event: BookingEvent) -> str:
    match event.actor_role:
        case Notice.Recipient.STUDENT:
            return event.booking.student.user.name
        case Notice.Recipient.COACH:
            return event.booking.coach.display_name
        case _:
            return "Our team"
