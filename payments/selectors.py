"""Payments in plain words, for pages and for the API. Reads only our own tables."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from django.db.models import Prefetch, QuerySet

from coaches.models import Coach
from marketplace.lib.money import Money
from marketplace.models import User
from payments.models import Payment, PayoutAccount, Refund, SavedCard
from payments.owed import owed_of_refund, reached

Status = Payment.Status

PayoutState = Literal["not_started", "incomplete", "in_review", "ready", "restricted", "rejected"]
StepState = Literal["done", "now", "next", "undone"]
PaymentStatus = Literal["PENDING", "CAPTURED", "REFUNDED", "FAILED"]


@dataclass(frozen=True, slots=True)
class PayoutStatus:
    """How far a coach is with being paid. `missing` is in plain words; `due_at` is Stripe's deadline for it."""

    state: PayoutState
    title: str
    detail: str
    missing: list[str]
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class TimelineStep:
    """One step of the money: done, happening now, still to come, or not to be any more."""

    label: str
    at: datetime | None
    state: StepState
    money: Money | None
    detail: str


# --- payouts ------------------------------------------------------------------------------------

# By the beginning of Stripe's requirement code; the first that fits speaks.
REQUIREMENT_WORDS = (
    ("external_account", "Your bank account"),
    ("tos_acceptance", "Your agreement to Stripe's terms"),
    ("business_profile.url", "Your website, or a description of what you teach"),
    ("business_profile.product_description", "A description of what you teach"),
    ("business_profile.support", "Contact details for your customers"),
    ("business_profile", "Details about your business"),
    ("business_type", "Whether you work as a person or a company"),
    ("settings.payments.statement_descriptor", "The name that appears on card statements"),
    ("individual.verification.additional_document", "A proof of your address"),
    ("individual.verification", "A photo of your identity document"),
    ("individual.first_name", "Your name"),
    ("individual.last_name", "Your name"),
    ("individual.dob", "Your date of birth"),
    ("individual.address", "Your address"),
    ("individual.email", "Your e-mail address"),
    ("individual.phone", "Your phone number"),
    ("individual.ssn_last_4", "The last four digits of your Social Security number"),
    ("individual.id_number", "Your identification number"),
    ("individual", "Details about you"),
    ("company", "Details about your company"),
    ("representative", "Details about your company's representative"),
    ("person_", "Details about a person in your company"),
)
OTHER_REQUIREMENT = "Something else that Stripe asks for on its page"


def payout_status(coach: Coach) -> PayoutStatus:
    account = PayoutAccount.objects.filter(coach=coach).first()
    if account is None:
        return PayoutStatus(
            "not_started", "Complete setup", "Tell Stripe who you are and where your money should go.", [], None
        )
    return status_of(account)


def status_of(account: PayoutAccount) -> PayoutStatus:
    state = _payout_state(account)
    title, detail = NOT_CONNECTED if account.deauthorised_at else PAYOUT_WORDS[state]
    missing = _missing(account)
    return PayoutStatus(state, title, detail, missing, _deadline(account) if missing else None)


PAYOUT_WORDS: dict[PayoutState, tuple[str, str]] = {
    "incomplete": ("Complete setup", "Stripe needs a few more details before students can book you."),
    "in_review": ("Stripe is checking your details", "There is nothing to do for you. This can take a day or two."),
    "ready": ("You're all set", "Students can book you, and you will be paid."),
    "restricted": ("Payouts are paused", "Stripe has paused payouts to you, so students can't book you for now."),
    "rejected": ("Stripe has closed this account", "We can't pay you by it. Please write to us."),
}
# The same of those who can't be paid, for staff.
WHY_NOT_PAID: dict[PayoutState, str] = {
    "incomplete": "setup is not complete",
    "in_review": "Stripe is checking their details",
    "restricted": "Stripe has paused payouts to them",
    "rejected": "Stripe has closed the account",
}
# Also "rejected": for whoever asks, there is as little to be done.
NOT_CONNECTED = (
    "Your Stripe account is not connected with us",
    "We can't pay you by it any more, nor see what is in it. Please write to us.",
)


def why_not_paid(account: PayoutAccount) -> str:
    """Of a coach who can't be paid, whatever Stripe's code for it is; for staff."""
    if account.deauthorised_at:
        return "their Stripe account is not connected with us"
    return WHY_NOT_PAID.get(_payout_state(account), "Stripe has paused payouts to them")


def _payout_state(account: PayoutAccount) -> PayoutState:
    if account.deauthorised_at or account.disabled_reason.startswith("rejected."):
        return "rejected"
    if account.payable:
        return "ready"
    if not account.details_submitted:
        return "incomplete"
    return "restricted" if _codes(account) or account.disabled_reason == "listed" else "in_review"


def _codes(account: PayoutAccount) -> list[str]:
    requirements = account.requirements
    return [*(requirements.get("past_due") or []), *(requirements.get("currently_due") or [])]


def _missing(account: PayoutAccount) -> list[str]:
    """Each thing once, in Stripe's order, what is overdue first."""
    return list(dict.fromkeys(_words(code) for code in _codes(account)))


def _words(code: str) -> str:
    return next((words for begin, words in REQUIREMENT_WORDS if code.startswith(begin)), OTHER_REQUIREMENT)


def _deadline(account: PayoutAccount) -> datetime | None:
    deadline = account.requirements.get("current_deadline")
    return datetime.fromtimestamp(deadline, UTC) if deadline else None


# --- saved cards --------------------------------------------------------------------------------


def cards_of(user: User) -> QuerySet[SavedCard]:
    """The cards that may be charged for this person's sessions, newest first."""
    return SavedCard.objects.filter(user=user, removed_at=None).order_by("-saved_at", "-pk")


# A payment in one of these may yet be held on its card, or held anew.
NEEDS_ITS_CARD = (Status.SAVED, Status.AUTHORISING, Status.HELD)


@dataclass(frozen=True, slots=True)
class CardRow:
    """A card, and the payments that it can't be removed for, the next session first."""

    card: SavedCard
    needed_by: list[Payment]


def card_rows(user: User) -> list[CardRow]:
    """Two queries, however many cards there are."""
    needing = Payment.objects.filter(status__in=NEEDS_ITS_CARD).order_by("service_ends_at", "pk")
    cards = cards_of(user).prefetch_related(Prefetch("payments", needing))
    return [CardRow(card, list(card.payments.all())) for card in cards]


# --- payments -----------------------------------------------------------------------------------


PENDING = (
    Status.OPEN,
    Status.SAVED,
    Status.AUTHORISING,
    Status.HELD,
    Status.CAPTURING,
    Status.RELEASING,
)


GOING_BACK = (*Refund.OPEN_STATES, *Refund.REACHED)
COUNTED = (*Refund.COUNTED, Refund.Status.FAILED)


def payment_status(payment: Payment | None) -> PaymentStatus:
    """The four words that the API knows. A hold given back counts as refunded: the student has it all again.

    So does a refund of everything that is with the student or on its way; one that has failed does not.
    """
    if payment is None or payment.status in PENDING:
        return "PENDING"
    if payment.status == Status.CAPTURED:
        return "REFUNDED" if _all_refunded(payment) else "CAPTURED"
    return "REFUNDED" if payment.status == Status.RELEASED else "FAILED"


def _all_refunded(payment: Payment) -> bool:
    if not payment.refunded_amount or payment.refunded_amount < payment.captured_amount:
        return False
    return all(refund.status in GOING_BACK for refund in payment.refunds.all() if refund.status in COUNTED)


def timeline(payment: Payment | None) -> list[TimelineStep]:
    """Saved or held, then taken or released, and when."""
    if payment is None:
        return []
    if payment.written_off_at:
        return [TimelineStep("Not paid", payment.written_off_at, "done", payment.money, "The time to pay is over.")]
    if payment.status in BEFORE_HOLD:
        label, detail = BEFORE_HOLD[Status(payment.status)]
        money = None if payment.status == Status.SAVED else payment.money
        return [TimelineStep(label, None, "now", money, detail), *_ahead(payment)]
    if payment.held_at is None:
        return _never_held(payment)
    return _after_hold(payment)


BEFORE_HOLD = {
    Status.OPEN: ("Waiting for payment", "Nothing is held yet."),
    Status.SAVED: ("Card saved", "Nothing is held yet. The price is held on it at most two days before the session."),
    Status.AUTHORISING: ("Being held", "We are asking the bank to reserve it."),
    Status.REFUSED: ("Not held", "The bank wants the card's owner first, or has refused. A link to pay was sent."),
}


def _ahead(payment: Payment) -> list[TimelineStep]:
    return [
        TimelineStep("The session ends", payment.service_ends_at, "next", None, ""),
        TimelineStep("Taken", None, "next", payment.money, "After the session, and only if it takes place."),
    ]


def _never_held(payment: Payment) -> list[TimelineStep]:
    if payment.status == Status.LAPSED:
        ended = TimelineStep("Not paid", payment.checkout_ends_at, "done", None, "Nothing was held.")
    elif payment.last_refusal:
        ended = TimelineStep("Not held", payment.released_at, "done", None, "The bank would not reserve it in time.")
    else:
        ended = TimelineStep("Card not needed", payment.released_at, "done", None, "Nothing was held.")
    return [ended, _never_taken(payment)]


def _after_hold(payment: Payment) -> list[TimelineStep]:
    held = TimelineStep("Held on the card", payment.held_at, "done", payment.money, "Reserved, not taken.")
    if payment.status == Status.HELD:
        now = TimelineStep("Held on the card", payment.held_at, "now", payment.money, "Reserved, not taken.")
        return [now, *_ahead(payment)]
    if payment.status == Status.CAPTURING:
        return [held, TimelineStep("Being taken", None, "now", None, "We are asking the bank for it.")]
    if payment.status == Status.CAPTURED:
        return [held, *_taken(payment)]
    if payment.status == Status.LOST:
        lost = TimelineStep(
            "Hold ended", None, "now", payment.money, "The bank has let it go. We are seeing to a new one."
        )
        return [held, lost, *_ahead(payment)]
    return [held, _given_back(payment), _never_taken(payment)]


def _given_back(payment: Payment) -> TimelineStep:
    if payment.status == Status.RELEASING:
        return TimelineStep("Being released", None, "now", payment.money, "It is free again on the card shortly.")
    return TimelineStep("Released", payment.released_at, "done", payment.money, "It is free again on the card.")


def _never_taken(payment: Payment) -> TimelineStep:
    return TimelineStep("Taken", None, "undone", payment.money, "Nothing was taken.")


def _taken(payment: Payment) -> list[TimelineStep]:
    taken = Money(payment.captured_amount, payment.currency)
    steps = [TimelineStep("Taken", payment.captured_at, "done", taken, "")]
    rest = payment.money - taken
    if rest.amount:
        steps.append(TimelineStep("Released", payment.captured_at, "done", rest, "The rest was given back."))
    if payment.refunded_amount:
        steps += [_refund_step(refund) for refund in payment.refunds.all() if refund.status in REFUND_WORDS]
    return steps


REFUND_WORDS: dict[str, tuple[str, StepState, str]] = {
    Refund.Status.REQUESTED: ("Being refunded", "now", "It goes back to the card that was used."),
    Refund.Status.PENDING: ("Being refunded", "now", "It goes back to the card that was used."),
    Refund.Status.SUCCEEDED: ("Refunded", "done", "It can take your bank some days to show it."),
    Refund.Status.OTHERWISE: ("Refunded", "done", "Your bank had sent it back. We paid it to you by other means."),
    Refund.Status.FAILED: ("Refund failed", "now", "Your bank has sent it back to us. We will find another way."),
}


MADE_GOOD = "Your bank had sent it back to us; you have got this money by the dispute instead."


def _refund_step(refund: Refund) -> TimelineStep:
    label, state, detail = REFUND_WORDS[refund.status]
    if refund.status == Refund.Status.FAILED:
        return _owed_step(refund, label, detail)
    return TimelineStep(label, refund.settled_at if state == "done" else None, state, reached(refund), detail)


def _owed_step(refund: Refund, label: str, detail: str) -> TimelineStep:
    owed = owed_of_refund(refund)
    if owed.amount > 0:
        return TimelineStep(label, None, "now", owed, detail)
    return TimelineStep(label, None, "undone", refund.money, MADE_GOOD)
