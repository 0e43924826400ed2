"""Where a coach's money is on its way to their bank: with us, in their balance at Stripe, and what was paid out.

Reads only our own tables; amounts in minor units.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from django.conf import settings
from django.db.models import Case, CharField, Exists, F, OuterRef, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce, TruncMonth

from coaches.models import Coach
from marketplace.lib.money import Money
from payments.earnings import unpaid_earnings
from payments.models import BankAccount, Payout, PayoutAccount, PayoutLine
from payments.payout_failures import OUT_OF_SIGHT, FailureWords, failure_words
from payments.services.withholding import disputed_references

WaitState = Literal["transfer", "waits", "released", "coming", "kept_back"]
Tone = Literal["good", "wait", "bad", "quiet"]

# In the order in which the money comes nearer, what is nearest first.
WAIT_WORDS: dict[WaitState, tuple[str, str]] = {
    "transfer": ("Being sent", "On the transfer to your Stripe balance."),
    "waits": ("Not sent yet", "The transfer to your Stripe balance waits."),
    "released": ("Released", "Goes to your Stripe balance with the next monthly transfer."),
    "coming": ("Not released yet", "A share is released a week after its session."),
    "kept_back": ("Kept back", "While a question or a dispute about the session is open."),
}
TONES: dict[str, Tone] = {
    Payout.Status.PAID: "good",
    Payout.Status.FAILED: "bad",
    Payout.Status.REFUSED: "bad",
    Payout.Status.CANCELED: "quiet",
    Payout.Status.UNTRACKED: "quiet",
}
INTERVAL_WORDS = {"daily": "Every day", "weekly": "Every week", "monthly": "Every month", "manual": "Only when asked"}


@dataclass(frozen=True, slots=True)
class WithUs:
    """What waits with us of one month's sessions, by the month in which they are released (its first instant, UTC)."""

    month: datetime
    state: WaitState
    money: Money
    label: str
    detail: str


def with_us(coach: Coach, now: datetime) -> list[WithUs]:
    """By month, what is nearest first; what the coach owes is among it, below zero. One query."""
    rows = (
        unpaid_earnings(coach)
        .annotate(month=TruncMonth("release_at", tzinfo=UTC), state=_state(now), reason=_reason())
        .values("month", "currency", "state", "reason")
        .annotate(total=Sum("amount"))
        .exclude(total=0)
    )
    order = list(WAIT_WORDS)
    return sorted(
        [_with_us(dict(row)) for row in rows], key=lambda row: (row.month, order.index(row.state), row.money.currency)
    )


def _state(now: datetime) -> Case:
    return Case(
        When(line__status__in=(PayoutLine.Status.WAITING, PayoutLine.Status.HELD), then=Value("waits")),
        When(line__isnull=False, then=Value("transfer")),
        When(Q(frozen=True) | Q(payment__reference__in=disputed_references()), then=Value("kept_back")),
        When(release_at__gt=now, then=Value("coming")),
        default=Value("released"),
        output_field=CharField(),
    )


def _reason() -> Case:
    """Why the transfer waits, as the run has noted it. What finance says of a line that it holds is not for coaches."""
    waits = When(line__status=PayoutLine.Status.WAITING, then=F("line__waiting_for"))
    return Case(waits, default=Value(""), output_field=CharField())


def _with_us(row: dict[str, Any]) -> WithUs:
    label, detail = WAIT_WORDS[row["state"]]
    money = Money(row["total"], row["currency"])
    return WithUs(row["month"], row["state"], money, label, row["reason"] or detail)


# --- at Stripe ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Balance:
    """One currency of the account's balance at Stripe. `instant` is a part of `available`, or of what comes."""

    currency: str
    available: Money
    pending: Money
    instant: Money

    @property
    def has_money(self) -> bool:
        return bool(self.available.amount or self.pending.amount)


def balances(account: PayoutAccount) -> list[Balance]:
    """As it was last read (`balance_read_at`); the account's own currency first, and there even where it is empty."""
    known = account.balance
    found = {currency for part in known.values() for currency in part}
    own = {account.default_currency} - {""}
    return [
        Balance(
            currency,
            *(
                Money(known.get(part, {}).get(currency, 0), currency)
                for part in ("available", "pending", "instant_available")
            ),
        )
        for currency in sorted(found | own, key=lambda each: (each not in own, each))
    ]


def banks_of(account: PayoutAccount) -> QuerySet[BankAccount]:
    """Where payouts may go, the default first."""
    return account.banks.filter(removed_at=None).order_by("currency", "-is_default", "pk")


def bank_for(account: PayoutAccount, currency: str, method: Payout.Method) -> BankAccount | None:
    """Where a payout in this currency goes: to the default, but within minutes rather to a card."""
    banks = banks_of(account).filter(currency=currency)
    card = banks.filter(kind=BankAccount.Kind.CARD).first() if method == Payout.Method.INSTANT else None
    return card or banks.first()


def why_no_payout(account: PayoutAccount) -> str:
    """Why there is nothing to pay out now, for the coach; empty where there is."""
    reasons = (
        (settings.PAYOUT_NOW == "no", "Payouts are made by your schedule."),
        (
            account.deauthorised_at is not None,
            "This Stripe account is not connected with us any more: Stripe itself pays out what is left there.",
        ),
        (not account.payouts_enabled, "Stripe makes no payouts to you until it has the details that it asks for."),
        (account.balance_read_at is None, "Your balance at Stripe has not been read yet."),
        (
            not any(balance.available.amount > 0 for balance in balances(account)),
            "Nothing is available in your Stripe balance just now, so there is nothing to pay out.",
        ),
        (
            not payable_balances(account),
            "There is no bank account that takes what is available in your balance: add one at Stripe.",
        ),
    )
    return next((words for applies, words in reasons if applies), "")


def payable_balances(account: PayoutAccount) -> list[Balance]:
    """Those that have something available, and a bank account that takes it: none does that has sent a payout back."""
    destinations: dict[str, BankAccount] = {}
    for bank in banks_of(account):
        destinations.setdefault(bank.currency, bank)
    taken = {currency for currency, bank in destinations.items() if bank.status != "errored"}
    return [balance for balance in balances(account) if balance.available.amount > 0 and balance.currency in taken]


def schedule_words(account: PayoutAccount) -> str:
    """Empty where Stripe has not told yet."""
    if account.schedule_interval == "monthly" and account.schedule_monthly_anchor:
        return day_words(account.schedule_monthly_anchor)
    if account.schedule_interval == "weekly" and account.schedule_weekly_anchor:
        return f"Every {account.schedule_weekly_anchor.capitalize()}"
    return INTERVAL_WORDS.get(account.schedule_interval, "")


def day_words(day: int) -> str:
    words = f"On day {day} of each month"
    return f"{words}, or the last day of a shorter one" if day > 28 else words


# --- payouts ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PayoutRow:
    """A payout in words. `failure` is there where it was not made or did not arrive, or we can't see whether it did:
    why, and the way out.
    """

    payout: Payout
    label: str
    tone: Tone
    failure: FailureWords | None

    @property
    def expected(self) -> bool:
        """Whether it is still to arrive, and on which day."""
        return self.payout.status in Payout.OPEN_STATES and self.payout.arrives_on is not None


def payouts_of(account: PayoutAccount) -> QuerySet[Payout]:
    """Newest first."""
    return account.payouts.order_by("-created_at", "-pk")


def payout_row(payout: Payout) -> PayoutRow:
    return PayoutRow(payout, payout.get_status_display(), TONES.get(payout.status, "wait"), what_went_wrong(payout))


def what_went_wrong(payout: Payout) -> FailureWords | None:
    if payout.status == Payout.Status.UNTRACKED:
        return OUT_OF_SIGHT
    gone_wrong = payout.status in (Payout.Status.FAILED, Payout.Status.REFUSED)
    return failure_words(payout.failure_code) if gone_wrong else None


def on_their_way(account: PayoutAccount) -> list[Money]:
    """What has left the balance and is not at the bank yet; one sum for each currency."""
    sent = account.payouts.filter(status__in=Payout.OPEN_STATES)
    sums = sent.values_list("currency").annotate(total=Sum("amount")).order_by("currency")
    return [Money(total, currency) for currency, total in sums]


def to_mend(account: PayoutAccount) -> Payout | None:
    """The newest payout that came back, where nothing was done about it: in its currency none was made since, and no
    bank added. One that Stripe has refused, or not answered, was not made.
    """
    made = payouts_of(account).exclude(status__in=(Payout.Status.REQUESTED, Payout.Status.REFUSED))
    later = made.filter(currency=OuterRef("currency"), created_at__gt=OuterRef("created_at"))
    since = Coalesce(OuterRef("failed_at"), OuterRef("created_at"))
    added = banks_of(account).filter(currency=OuterRef("currency"), created_at__gt=since)
    return made.filter(~Exists(later), ~Exists(added), status=Payout.Status.FAILED).first()
