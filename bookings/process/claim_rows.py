"""The rows for sessions that did not go as agreed: reports, and what is decided on them."""

from bookings.models import Booking
from bookings.process.guards import all_of, claim_is_open, hold_ends_soon, reportable, since
from bookings.process.shape import Button, Role, Transition, both, to_student
from bookings.process.terms import NO_SHOW_PERCENT

Status = Booking.Status
TOOK_PLACE = (Status.ACCEPTED, Status.COMPLETED)

REPORT = Transition(
    name="report",
    who=(Role.STUDENT, Role.COACH),
    sources=TOOK_PLACE,
    to=None,
    guard=reportable,
    when="once, from the start until 24 h after the end; the coach must have come and waited 10 min",
    money="stays as it is; nothing is paid out meanwhile",
    tell=both("reported"),
    button=Button(
        "Report a problem", "bookings:report", "The other side, or something else, was not as agreed.", opens_page=True
    ),
)
CONTRADICT = Transition(
    name="contradict",
    who=(Role.STUDENT, Role.COACH),
    sources=TOOK_PLACE,
    to=None,
    guard=claim_is_open,
    when="the other side, within 24 h of the report",
    money="stays as it is; staff decide",
    tell=both("contradicted"),
)
LEAVE_TO_STAFF = Transition(
    name="leave_to_staff",
    who=(Role.TIMER,),
    sources=TOOK_PLACE,
    to=None,
    guard=claim_is_open,
    when="the report is uncontradicted for 24 h, but the one said to be missing was in the room for 10 min",
    money="stays as it is; staff decide",
    tell=both("left_to_staff"),
)
TAKE_BACK_REPORT = Transition(
    name="take_back_report",
    who=(Role.STUDENT, Role.COACH),
    sources=TOOK_PLACE,
    to=None,
    guard=claim_is_open,
    when="whoever reported, before it is decided",
    money="goes on as if nothing had been reported",
    tell=both("report_taken_back"),
)
COMPLETE_UNDECIDED = Transition(
    name="complete_undecided",
    who=(Role.TIMER,),
    sources=(Status.ACCEPTED,),
    to=Status.COMPLETED,
    guard=all_of(claim_is_open, since("ends_at")),
    when="while a report is undecided",
    due=all_of(claim_is_open, hold_ends_soon),
    due_by="ends_at",
    due_words="6 h before the hold ends",
    money="the hold is captured and kept back: captured money can go back, a hold that is gone can't return",
    tell=both("taken_meanwhile"),
)
NO_SHOW_STUDENT = Transition(
    name="no_show_student",
    who=(Role.STAFF, Role.TIMER),
    sources=TOOK_PLACE,
    to=Status.NO_SHOW_STUDENT,
    guard=claim_is_open,
    when="the report is uncontradicted for 24 h, and by the room's record, too; or staff decide so",
    money=f"{NO_SHOW_PERCENT} % of the price is taken and the rest released; where it was taken already, refunded",
    tell=both("no_show_student"),
)
NO_SHOW_COACH = Transition(
    name="no_show_coach",
    who=(Role.STAFF, Role.TIMER),
    sources=TOOK_PLACE,
    to=Status.NO_SHOW_COACH,
    guard=claim_is_open,
    when="the report is uncontradicted for 24 h, and by the room's record, too; or staff decide so",
    money="the hold is released in full; where it was taken already, all of it is refunded",
    tell=both("no_show_coach"),
)
DISMISS_REPORT = Transition(
    name="dismiss_report",
    who=(Role.STAFF,),
    sources=TOOK_PLACE,
    to=None,
    guard=claim_is_open,
    when="staff decide so",
    money="goes on as if nothing had been reported; staff may refund a part",
    tell=both("report_dismissed"),
)
COMPLETE_REDUCED = Transition(
    name="complete_reduced",
    who=(Role.STAFF,),
    sources=(Status.ACCEPTED,),
    to=Status.COMPLETED,
    guard=all_of(claim_is_open, since("ends_at")),
    when="once the session has ended, staff decide so",
    money="what staff say goes back is released, and the rest of the hold is taken",
    tell=both("report_dismissed"),
)
REFUNDED = Transition(
    name="refunded",
    who=(Role.FACT,),
    sources=(Status.COMPLETED, Status.NO_SHOW_STUDENT, Status.NO_SHOW_COACH, Status.CANCELLED),
    to=None,
    when="a refund has reached the student",
    money="refunded, as the receipt shows",
    tell=both("refunded"),
)
PAID_OTHERWISE = Transition(
    name="paid_otherwise",
    who=(Role.FACT,),
    sources=REFUNDED.sources,
    to=None,
    when="two people say that a refund which came back was paid by other means",
    money="refunded, as the receipt shows",
    tell=(to_student("paid_otherwise"),),
)
CLAIM_ROWS = (
    REPORT,
    CONTRADICT,
    LEAVE_TO_STAFF,
    TAKE_BACK_REPORT,
    COMPLETE_UNDECIDED,
    NO_SHOW_STUDENT,
    NO_SHOW_COACH,
    DISMISS_REPORT,
    COMPLETE_REDUCED,
    REFUNDED,
    PAID_OTHERWISE,
)
