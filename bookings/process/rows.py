"""The rows of the process, in the order of a booking's life."""

from bookings.models import Booking
from bookings.process.guards import (
    all_of,
    authorise_due,
    before,
    complete_due,
    no_claim_is_open,
    not_proposed,
    pay_link_unused,
    proposed,
    renew_due,
    since,
)
from bookings.process.shape import Button, Role, Transition, both, to_coach, to_student

Status = Booking.Status


BOOK = Transition(
    name="book",
    who=(Role.STUDENT,),
    sources=(),
    to=Status.AWAITING_PAYMENT,
    when="at least 3 h before the start (1 h if instant) and the coach's own notice, up to the coach's furthest day",
    money="Checkout is opened: to hold the price where the end + 54 h is within 7 days, else to save the card",
)
ABANDON = Transition(
    name="abandon",
    who=(Role.STUDENT, Role.FACT, Role.TIMER),
    sources=(Status.AWAITING_PAYMENT,),
    to=Status.ABANDONED,
    when="after Stripe has closed the Checkout",
    due=since("payment_due_at"),
    due_by="payment_due_at",
    due_words="30 min after booking",
    money="nothing was taken",
    tell=(to_student("abandoned"),),
    button=Button("Let the time go", "bookings:let_go", "Nothing is charged, and the time is free for others again."),
)
CONFIRM_PAYMENT = Transition(
    name="confirm_payment",
    who=(Role.FACT,),
    sources=(Status.AWAITING_PAYMENT,),
    to=Status.REQUESTED,
    to_if_instant=Status.ACCEPTED,
    money="held on the card, or the card saved",
    tell=both("requested"),
    tell_if_instant=both("booked"),
)
REVIVE = Transition(
    name="revive",
    who=(Role.FACT,),
    sources=(Status.ABANDONED,),
    to=Status.REQUESTED,
    to_if_instant=Status.ACCEPTED,
    when="paid after all, and the time is still free",
    money="held on the card, or the card saved",
    tell=both("requested"),
    tell_if_instant=both("booked"),
)
REFUSE_LATE_PAYMENT = Transition(
    name="refuse_late_payment",
    who=(Role.FACT,),
    sources=(Status.AWAITING_PAYMENT, Status.ABANDONED),
    to=Status.ABANDONED,
    when="paid after all, and the time is taken or over",
    money="the hold is released",
    tell=(to_student("paid_too_late"),),
)
REMIND_TO_ANSWER = Transition(
    name="remind_to_answer",
    who=(Role.TIMER,),
    sources=(Status.REQUESTED,),
    to=None,
    guard=all_of(before("answer_due_at"), since("answer_reminder_at")),
    due=since("answer_reminder_at"),
    due_by="answer_reminder_at",
    due_words="half-way to the time to answer",
    money="stays as it is",
    tell=(to_coach("answer_soon"),),
)
ACCEPT = Transition(
    name="accept",
    who=(Role.COACH, Role.STAFF),
    sources=(Status.REQUESTED,),
    to=Status.ACCEPTED,
    guard=before("answer_due_at"),
    when="before the time to answer is over",
    money="stays as it is",
    tell=both("accepted"),
    button=Button("Accept", "bookings:accept", "The session is then fixed for both of you.", main=True),
)
DECLINE = Transition(
    name="decline",
    who=(Role.COACH, Role.STAFF),
    sources=(Status.REQUESTED,),
    to=Status.DECLINED,
    guard=before("answer_due_at"),
    when="before the time to answer is over",
    money="the hold is released",
    tell=both("declined"),
    button=Button("Decline", "bookings:decline", "The student is told, and pays nothing.", asks_reason=True),
)
EXPIRE = Transition(
    name="expire",
    who=(Role.TIMER,),
    sources=(Status.REQUESTED,),
    to=Status.EXPIRED,
    guard=since("answer_due_at"),
    when="once the time to answer is over",
    due=since("answer_due_at"),
    due_by="answer_due_at",
    due_words="48 h after the request, 1 h before the start or 6 h before the hold ends: the earliest",
    money="the hold is released",
    tell=both("expired"),
)
CANCEL_BY_STUDENT = Transition(
    name="cancel_by_student",
    who=(Role.STUDENT,),
    sources=(Status.REQUESTED, Status.ACCEPTED),
    to=Status.CANCELLED,
    guard=before("starts_at"),
    when="before the start",
    money="by the policy agreed to: the hold is released, or a late cancellation's part of it is taken",
    tell=both("cancelled_by_student"),
    button=Button(
        "Cancel the session", "bookings:cancel", "You see what it costs before you confirm.", opens_page=True
    ),
)
CANCEL_BY_COACH = Transition(
    name="cancel_by_coach",
    who=(Role.COACH, Role.STAFF),
    sources=(Status.REQUESTED, Status.ACCEPTED),
    to=Status.CANCELLED,
    guard=before("starts_at"),
    when="before the start",
    money="the hold is released, always in full",
    tell=both("cancelled_by_coach"),
    button=Button(
        "Cancel the session",
        "bookings:cancel_by_coach",
        "The student is told, and pays nothing.",
        asks_reason=True,
        only_in=(Status.ACCEPTED,),
    ),
)
PROPOSE = Transition(
    name="propose",
    who=(Role.STUDENT, Role.COACH),
    sources=(Status.ACCEPTED,),
    to=None,
    guard=all_of(before("starts_at"), not_proposed),
    when="before the start, while nothing is proposed; the other time is free, and the hold can reach it",
    money="stays as it is",
    tell=(to_student("proposed"), to_coach("proposed")),
    button=Button(
        "Propose another time",
        "bookings:propose",
        "Both times are kept until the other side has answered.",
        opens_page=True,
    ),
)
AGREE = Transition(
    name="agree",
    who=(Role.STUDENT, Role.COACH),
    sources=(Status.ACCEPTED,),
    to=None,
    guard=all_of(proposed, before("proposal_due_at"), before("starts_at")),
    when="the other side, before the proposal lapses",
    money="the hold goes with it; more than 48 h ahead of a start it can't reach, it is released and the card kept",
    tell=both("moved"),
    button=Button("Agree to the new time", "bookings:agree", "The session moves to it.", main=True),
)
WITHDRAW = Transition(
    name="withdraw",
    who=(Role.STUDENT, Role.COACH, Role.TIMER),
    sources=(Status.ACCEPTED,),
    to=None,
    guard=proposed,
    when="while a time is proposed",
    due=since("proposal_due_at"),
    due_by="proposal_due_at",
    due_words="48 h after it was proposed, or 1 h before the earlier start",
    money="stays as it is",
    tell=both("kept"),
    button=Button("Keep the time as it is", "bookings:withdraw", "The proposal is off; the session stays."),
)
AUTHORISE = Transition(
    name="authorise",
    who=(Role.TIMER,),
    sources=(Status.ACCEPTED,),
    to=None,
    guard=authorise_due,
    when="within 48 h before the start",
    due=authorise_due,
    due_words="48 h before the start",
    money="the price is held on the saved card",
)
RENEW = Transition(
    name="renew",
    who=(Role.TIMER, Role.FACT),
    sources=(Status.REQUESTED, Status.ACCEPTED, Status.COMPLETED),
    to=None,
    when="the hold ends too early, or is gone",
    due=renew_due,
    due_words="24 h before the end of a hold that is too short, or 48 h before the start",
    money="held anew on the saved card; the old hold is released once the new one is there",
)
ASK_FOR_PAYMENT = Transition(
    name="ask_for_payment",
    who=(Role.FACT, Role.TIMER),
    sources=(Status.REQUESTED, Status.ACCEPTED, Status.COMPLETED),
    to=None,
    when="the bank wants the student, or has refused; or no card is saved for a hold that ends too early",
    money="a link to pay: until 12 h before the start; after the session, for 7 days",
    tell=(to_student("pay_by_link"),),
)
REMIND_TO_PAY = Transition(
    name="remind_to_pay",
    who=(Role.TIMER,),
    sources=(Status.REQUESTED, Status.ACCEPTED, Status.COMPLETED),
    to=None,
    guard=all_of(before("pay_due_at"), since("pay_reminder_at")),
    when="while the link is unpaid",
    due=since("pay_reminder_at"),
    due_by="pay_reminder_at",
    due_words="half-way to the time to pay",
    money="stays as it is",
    tell=(to_student("pay_reminder"),),
)
PAYMENT_ARRANGED = Transition(
    name="payment_arranged",
    who=(Role.FACT,),
    sources=(Status.REQUESTED, Status.ACCEPTED, Status.COMPLETED),
    to=None,
    when="paid by link",
    money="held on the card; after the session, taken",
    tell=(to_student("payment_arranged"),),
)
PAYMENT_LOST = Transition(
    name="payment_lost",
    who=(Role.TIMER, Role.FACT),
    sources=(Status.REQUESTED, Status.ACCEPTED),
    to=Status.PAYMENT_FAILED,
    guard=before("starts_at"),
    when="before the start, after Stripe has closed the Checkout of a link",
    due=pay_link_unused,
    due_by="pay_due_at",
    due_words="the link is unpaid 12 h before the start",
    money="there is no hold, nothing was taken",
    tell=both("payment_lost"),
)
REMIND_DAY_BEFORE = Transition(
    name="remind_day_before",
    who=(Role.TIMER,),
    sources=(Status.ACCEPTED,),
    to=None,
    guard=all_of(before("starts_at"), since("day_reminder_at")),
    when="before the start",
    due=since("day_reminder_at"),
    due_by="day_reminder_at",
    due_words="24 h before the start",
    money="stays as it is",
    tell=both("tomorrow"),
)
REMIND_HOUR_BEFORE = Transition(
    name="remind_hour_before",
    who=(Role.TIMER,),
    sources=(Status.ACCEPTED,),
    to=None,
    guard=all_of(before("starts_at"), since("hour_reminder_at")),
    when="before the start",
    due=since("hour_reminder_at"),
    due_by="hour_reminder_at",
    due_words="1 h before the start",
    money="stays as it is",
    tell=both("soon"),
)
COMPLETE = Transition(
    name="complete",
    who=(Role.COACH, Role.TIMER),
    sources=(Status.ACCEPTED,),
    to=Status.COMPLETED,
    guard=all_of(since("ends_at"), no_claim_is_open),
    when="once the session has ended, and no report is undecided",
    due=complete_due,
    due_by="ends_at",
    due_words="24 h after the end",
    money="the hold is captured; where there is none, it is held anew and captured, or a link is sent",
    tell=both("completed"),
    button=Button(
        "Mark as complete", "bookings:complete", "The held money is then taken, and your share is yours.", main=True
    ),
)
WRITE_OFF = Transition(
    name="write_off",
    who=(Role.TIMER,),
    sources=(Status.COMPLETED,),
    to=None,
    guard=all_of(since("pay_due_at"), no_claim_is_open),
    when="once the time to pay is over, and no report is undecided",
    due=since("pay_due_at"),
    due_by="pay_due_at",
    due_words="7 days after the link of a session that took place",
    money="the platform pays the coach",
)

BOOKING_ROWS = (
    BOOK,
    ABANDON,
    CONFIRM_PAYMENT,
    REVIVE,
    REFUSE_LATE_PAYMENT,
    REMIND_TO_ANSWER,
    ACCEPT,
    DECLINE,
    EXPIRE,
    CANCEL_BY_STUDENT,
    CANCEL_BY_COACH,
    PROPOSE,
    AGREE,
    WITHDRAW,
    AUTHORISE,
    RENEW,
    ASK_FOR_PAYMENT,
    REMIND_TO_PAY,
    PAYMENT_ARRANGED,
    PAYMENT_LOST,
    REMIND_DAY_BEFORE,
    REMIND_HOUR_BEFORE,
    COMPLETE,
    WRITE_OFF,
)
