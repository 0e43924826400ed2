"""The life of a booking, as data: one row for each transition.

Pages, API, admin and the table in the README derive from `PROCESS`; it is written nowhere else.
"""

from bookings.process.claim_rows import (
    CLAIM_ROWS,
    COMPLETE_REDUCED,
    COMPLETE_UNDECIDED,
    CONTRADICT,
    DISMISS_REPORT,
    LEAVE_TO_STAFF,
    NO_SHOW_COACH,
    NO_SHOW_STUDENT,
    PAID_OTHERWISE,
    REFUNDED,
    REPORT,
    TAKE_BACK_REPORT,
)
from bookings.process.rows import (
    ABANDON,
    ACCEPT,
    AGREE,
    ASK_FOR_PAYMENT,
    AUTHORISE,
    BOOK,
    BOOKING_ROWS,
    CANCEL_BY_COACH,
    CANCEL_BY_STUDENT,
    COMPLETE,
    CONFIRM_PAYMENT,
    DECLINE,
    EXPIRE,
    PAYMENT_ARRANGED,
    PAYMENT_LOST,
    PROPOSE,
    REFUSE_LATE_PAYMENT,
    REMIND_DAY_BEFORE,
    REMIND_HOUR_BEFORE,
    REMIND_TO_ANSWER,
    REMIND_TO_PAY,
    RENEW,
    REVIVE,
    WITHDRAW,
    WRITE_OFF,
)
from bookings.process.shape import Button, Mail, Role, Transition
from bookings.process.terms import (
    ANSWER_BEFORE_START,
    ANSWER_WITHIN,
    AUTHORISE_BEFORE,
    CHECKOUT_LASTS,
    COACH_WAITS,
    COMPLETES_AFTER,
    CONTRADICT_WITHIN,
    HOLD_AFTER_END,
    HOLD_LIFE,
    HOLD_MARGIN,
    NO_SHOW_PERCENT,
    PAY_AFTER_END,
    PAY_AT_LAST,
    PAY_BEFORE_START,
    PAY_LINK_AT_LEAST,
    PROPOSAL_BEFORE_START,
    PROPOSAL_LASTS,
    RENEW_BEFORE_END,
    REPORT_WITHIN,
)

__all__ = [
    "ABANDON",
    "ACCEPT",
    "AGREE",
    "ANSWER_BEFORE_START",
    "ANSWER_WITHIN",
    "ASK_FOR_PAYMENT",
    "AUTHORISE",
    "AUTHORISE_BEFORE",
    "BOOK",
    "CANCEL_BY_COACH",
    "CANCEL_BY_STUDENT",
    "CHECKOUT_LASTS",
    "COACH_WAITS",
    "COMPLETE",
    "COMPLETES_AFTER",
    "COMPLETE_REDUCED",
    "COMPLETE_UNDECIDED",
    "CONFIRM_PAYMENT",
    "CONTRADICT",
    "CONTRADICT_WITHIN",
    "DECLINE",
    "DISMISS_REPORT",
    "EXPIRE",
    "HOLD_AFTER_END",
    "HOLD_LIFE",
    "HOLD_MARGIN",
    "LEAVE_TO_STAFF",
    "NO_SHOW_COACH",
    "NO_SHOW_PERCENT",
    "NO_SHOW_STUDENT",
    "PAID_OTHERWISE",
    "PAYMENT_ARRANGED",
    "PAYMENT_LOST",
    "PAY_AFTER_END",
    "PAY_AT_LAST",
    "PAY_BEFORE_START",
    "PAY_LINK_AT_LEAST",
    "PROCESS",
    "PROPOSAL_BEFORE_START",
    "PROPOSAL_LASTS",
    "PROPOSE",
    "REFUNDED",
    "REFUSE_LATE_PAYMENT",
    "REMIND_DAY_BEFORE",
    "REMIND_HOUR_BEFORE",
    "REMIND_TO_ANSWER",
    "REMIND_TO_PAY",
    "RENEW",
    "RENEW_BEFORE_END",
    "REPORT",
    "REPORT_WITHIN",
    "REVIVE",
    "TAKE_BACK_REPORT",
    "WITHDRAW",
    "WRITE_OFF",
    "Button",
    "Mail",
    "Role",
    "Transition",
    "process_table",
]


PROCESS = (*BOOKING_ROWS, *CLAIM_ROWS)


def process_table() -> str:
    """The process as a Markdown table, for the README."""
    rows = ["| transition | who | from -> to | when | by itself | money | mail to |", "|" + "---|" * 7]
    rows.extend(f"| {' | '.join(_cells(transition))} |" for transition in PROCESS)
    return "\n".join(rows)


def _cells(transition: Transition) -> list[str]:
    to = f"`{transition.to}`" if transition.to else "stays"
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
