"""The life of a booking, as data: one row for each transition.

Pages, API, admin and the table in the README derive from `PROCESS`; it is written nowhere else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.db.models import Q

from bookings.models import Booking, Notice

Status = Booking.Status
When = Callable[[datetime], Q]

# A slot is kept for half an hour while the student pays.
CHECKOUT_LASTS = timedelta(minutes=30)
# The coach answers within this time, and no later than this before the start or before the hold ends.
ANSWER_WITHIN = timedelta(hours=48)
ANSWER_BEFORE_START = timedelta(hours=1)
HOLD_MARGIN = timedelta(hours=6)
# A session that nobody marks complete is completed by itself this long after its end.
COMPLETES_AFTER = timedelta(hours=24)


class Role(StrEnum):
    STUDENT = "student"
    COACH = "coach"
    STAFF = "staff"
    TIMER = "timer"
    FACT = "fact"  # something that payments learnt about money


@dataclass(frozen=True, slots=True)
class Mail:
    """`template` names the files templates/mail/<template>-{subject.txt,body.txt,body.html}."""

    recipient: Notice.Recipient
    template: str


@dataclass(frozen=True, slots=True)
class Button:
    label: str
    url_name: str
    # What the person should know before they press it.
    hint: str
    asks_reason: bool = False
    main: bool = False  # the thing to do next, rather than a way out
    # Where another button does the same, this one is not shown: only in these states, or in all if there are none.
    only_in: tuple[Booking.Status, ...] = ()


def _always(_now: datetime) -> Q:
    return Q()


def _before(field: str) -> When:
    return lambda now: Q(**{f"{field}__gt": now})


def _from(field: str) -> When:
    return lambda now: Q(**{f"{field}__lte": now})


def _complete_due(now: datetime) -> Q:
    hold_ends_soon = Q(ends_at__lte=now, payment__capture_before__lte=now + HOLD_MARGIN)
    return Q(ends_at__lte=now - COMPLETES_AFTER) | hold_ends_soon


@dataclass(frozen=True, slots=True)
class Transition:
    """`guard` must hold for the transition to happen at all; `due` says when a timer brings it about."""

    name: str
    who: tuple[Role, ...]
    sources: tuple[Booking.Status, ...]
    to: Booking.Status
    money: str
    guard: When = _always
    when: str = ""  # the guard in words
    due: When | None = None
    due_by: str = "starts_at"  # the field that orders the timer's work
    due_words: str = ""
    to_if_instant: Booking.Status | None = None
    tell: tuple[Mail, ...] = ()
    tell_if_instant: tuple[Mail, ...] = ()
    button: Button | None = None

    def shows_button(self, *, role: Role, status: str) -> bool:
        if self.button is None or role not in self.who:
            return False
        return status in (self.button.only_in or self.sources)

    def target(self, *, instant: bool) -> Booking.Status:
        return self.to_if_instant if instant and self.to_if_instant else self.to

    def mails(self, *, instant: bool) -> tuple[Mail, ...]:
        return self.tell_if_instant if instant and self.to_if_instant else self.tell


def _both(name: str) -> tuple[Mail, ...]:
    return (_student(name), _coach(name))


def _student(name: str) -> Mail:
    return Mail(Notice.Recipient.STUDENT, f"{name}-student")


def _coach(name: str) -> Mail:
    return Mail(Notice.Recipient.COACH, f"{name}-coach")


BOOK = Transition(
    name="book",
    who=(Role.STUDENT,),
    sources=(),
    to=Status.AWAITING_PAYMENT,
    when="at least 3 h before the start (1 h if instant), and the end + 54 h within 7 days",
    money="Checkout is opened to hold the price on the card",
)
ABANDON = Transition(
    name="abandon",
    who=(Role.STUDENT, Role.FACT, Role.TIMER),
    sources=(Status.AWAITING_PAYMENT,),
    to=Status.ABANDONED,
    when="after Stripe has closed the Checkout",
    due=_from("payment_due_at"),
    due_by="payment_due_at",
    due_words="30 min after booking",
    money="nothing was taken",
    tell=(_student("abandoned"),),
    button=Button("Let the time go", "bookings:let_go", "Nothing is charged, and the time is free for others again."),
)
CONFIRM_PAYMENT = Transition(
    name="confirm_payment",
    who=(Role.FACT,),
    sources=(Status.AWAITING_PAYMENT,),
    to=Status.REQUESTED,
    to_if_instant=Status.ACCEPTED,
    money="held on the card",
    tell=_both("requested"),
    tell_if_instant=_both("booked"),
)
REVIVE = Transition(
    name="revive",
    who=(Role.FACT,),
    sources=(Status.ABANDONED,),
    to=Status.REQUESTED,
    to_if_instant=Status.ACCEPTED,
    when="paid after all, and the time is still free",
    money="held on the card",
    tell=_both("requested"),
    tell_if_instant=_both("booked"),
)
REFUSE_LATE_PAYMENT = Transition(
    name="refuse_late_payment",
    who=(Role.FACT,),
    sources=(Status.AWAITING_PAYMENT, Status.ABANDONED),
    to=Status.ABANDONED,
    when="paid after all, and the time is taken or over",
    money="the hold is released",
    tell=(_student("paid_too_late"),),
)
ACCEPT = Transition(
    name="accept",
    who=(Role.COACH, Role.STAFF),
    sources=(Status.REQUESTED,),
    to=Status.ACCEPTED,
    guard=_before("answer_due_at"),
    when="before the time to answer is over",
    money="stays held",
    tell=_both("accepted"),
    button=Button("Accept", "bookings:accept", "The session is then fixed for both of you.", main=True),
)
DECLINE = Transition(
    name="decline",
    who=(Role.COACH, Role.STAFF),
    sources=(Status.REQUESTED,),
    to=Status.DECLINED,
    guard=_before("answer_due_at"),
    when="before the time to answer is over",
    money="the hold is released",
    tell=_both("declined"),
    button=Button("Decline", "bookings:decline", "The student is told, and pays nothing.", asks_reason=True),
)
EXPIRE = Transition(
    name="expire",
    who=(Role.TIMER,),
    sources=(Status.REQUESTED,),
    to=Status.EXPIRED,
    guard=_from("answer_due_at"),
    when="once the time to answer is over",
    due=_from("answer_due_at"),
    due_by="answer_due_at",
    due_words="48 h after the request, 1 h before the start or 6 h before the hold ends: the earliest",
    money="the hold is released",
    tell=_both("expired"),
)
CANCEL_BY_STUDENT = Transition(
    name="cancel_by_student",
    who=(Role.STUDENT,),
    sources=(Status.REQUESTED, Status.ACCEPTED),
    to=Status.CANCELLED,
    guard=_before("starts_at"),
    when="before the start",
    money="the hold is released",
    tell=_both("cancelled_by_student"),
    button=Button("Cancel the session", "bookings:cancel", "You pay nothing; the hold on your card is released."),
)
CANCEL_BY_COACH = Transition(
    name="cancel_by_coach",
    who=(Role.COACH, Role.STAFF),
    sources=(Status.REQUESTED, Status.ACCEPTED),
    to=Status.CANCELLED,
    guard=_before("starts_at"),
    when="before the start",
    money="the hold is released",
    tell=_both("cancelled_by_coach"),
    button=Button(
        "Cancel the session",
        "bookings:cancel_by_coach",
        "The student is told, and pays nothing.",
        asks_reason=True,
        only_in=(Status.ACCEPTED,),
    ),
)
PAYMENT_LOST = Transition(
    name="payment_lost",
    who=(Role.FACT,),
    sources=(Status.REQUESTED, Status.ACCEPTED),
    to=Status.PAYMENT_FAILED,
    guard=_before("starts_at"),
    when="before the start",
    money="the hold is gone, nothing was taken",
    tell=_both("payment_lost"),
)
COMPLETE = Transition(
    name="complete",
    who=(Role.COACH, Role.TIMER),
    sources=(Status.ACCEPTED,),
    to=Status.COMPLETED,
    guard=_from("ends_at"),
    when="once the session has ended",
    due=_complete_due,
    due_by="ends_at",
    due_words="24 h after the end",
    money="the hold is captured",
    tell=_both("completed"),
    button=Button(
        "Mark as complete", "bookings:complete", "The held money is then taken, and your share is yours.", main=True
    ),
)

PROCESS = (
    BOOK,
    ABANDON,
    CONFIRM_PAYMENT,
    REVIVE,
    REFUSE_LATE_PAYMENT,
    ACCEPT,
    DECLINE,
    EXPIRE,
    CANCEL_BY_STUDENT,
    CANCEL_BY_COACH,
    PAYMENT_LOST,
    COMPLETE,
)


def process_table() -> str:
    """The process as a Markdown table, for the README."""
    rows = ["| transition | who | from -> to | when | by itself | money | mail to |", "|" + "---|" * 7]
    rows.extend(f"| {' | '.join(_cells(transition))} |" for transition in PROCESS)
    return "\n".join(rows)


def _cells(transition: Transition) -> list[str]:
    to = f"`{transition.to}`"
    if transition.to_if_instant:
        to += f" (`{transition.to_if_instant}` if instant)"
    sources = ", ".join(f"`{source}`" for source in transition.sources) or "-"
    return [
        f"`{transition.name}`",
        ", ".join(transition.who),
        f"{sources} -> {to}",
        transition.when,
        transition.due_words,
        transition.money,
        ", ".join(mail.recipient for mail in transition.tell),
    ]
