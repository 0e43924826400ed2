"""A coach's month in the books: what we owed before it, each fact that changed that, and what we owe after it.

Amounts are minor units as the coach sees them: above zero is theirs, below zero is owed to us. All is computed from
ledger rows, which never change, and from what is frozen on their payments: so a closed month is the same for ever.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db.models import Max, Q, Sum
from django.db.models.functions import Coalesce

from marketplace.lib.months import end_of, start_of
from payments.ledger import coach_payable
from payments.models import ClosedMonth, LedgerEntry, Payout
from payments.postings import DISPUTES_HELD, PLATFORM_LOSSES, PLATFORM_REVENUE


class Kind(StrEnum):
    """What a line is. The values stand in CSV files of closed months: none may ever change."""

    SESSION = "session"
    PAID_BY_US = "paid_by_us"
    REFUND = "refund"
    REFUND_UNDONE = "refund_undone"
    REFUND_MADE_GOOD = "refund_made_good"
    DISPUTE_OPENED = "dispute_opened"
    DISPUTE_WON = "dispute_won"
    DISPUTE_LOST = "dispute_lost"
    TRANSFER = "transfer"
    TRANSFER_WITH_CAPTURE = "transfer_with_capture"
    FEE_KEPT = "fee_kept"
    REVERSAL = "reversal"
    REVERSAL_KEPT = "reversal_kept"
    ADJUSTMENT = "adjustment"


# By the ledger's kind of transaction; what is not named is an adjustment.
KINDS = {
    "capture": Kind.SESSION,
    "write_off": Kind.PAID_BY_US,
    "refund_decided": Kind.REFUND,
    "refund_undone": Kind.REFUND_UNDONE,
    "refund_made_good": Kind.REFUND_MADE_GOOD,
    "dispute_withdrawn": Kind.DISPUTE_OPENED,
    "dispute_reinstated": Kind.DISPUTE_WON,
    "dispute_lost": Kind.DISPUTE_LOST,
    "transfer": Kind.TRANSFER,
    "destination_transfer": Kind.TRANSFER_WITH_CAPTURE,
    "application_fee": Kind.FEE_KEPT,
    "reversal": Kind.REVERSAL,
    "reversal_kept": Kind.REVERSAL_KEPT,
}
# Money that moves between us and the coach's account; all else is earned, or taken from what was.
PAID = frozenset({Kind.TRANSFER, Kind.TRANSFER_WITH_CAPTURE, Kind.FEE_KEPT, Kind.REVERSAL})
# Money that moves between us and the student.
STUDENTS = frozenset(
    {Kind.SESSION, Kind.PAID_BY_US, Kind.REFUND, Kind.REFUND_UNDONE, Kind.REFUND_MADE_GOOD, Kind.DISPUTE_LOST},
)
# Where the other side of a session's money is booked.
SIDES = (PLATFORM_REVENUE, PLATFORM_LOSSES, DISPUTES_HELD)


class StatementDiffers(Exception):
    """A month's lines don't lead from its opening balance to its closing one: always a bug."""


@dataclass(frozen=True, slots=True)
class Line:
    """One ledger transaction, as far as it concerns the coach; `amount` is gross - fee + borne_by_us.

    `gross` is what the student paid, or got back below zero; `fee` our fee, `borne_by_us` what we add to the coach's
    side. `in_dispute` is what a student's bank has taken until it decides; it changes no balance.
    """

    transaction_id: int
    kind: Kind
    at: datetime
    recorded_at: datetime
    source: str  # Stripe's id of what was booked, or "refund:12"
    payment_id: int | None
    reference: str
    description: str
    service_ends_at: datetime | None
    gross: int
    fee: int
    borne_by_us: int
    in_dispute: int
    amount: int


@dataclass(frozen=True, slots=True)
class BankPayout:
    """From the coach's balance at Stripe to their bank, or, below zero, back from it; over nothing where we could
    follow it no longer. Not in our books.
    """

    at: datetime
    stripe_payout_id: str
    amount: int


@dataclass(frozen=True, slots=True)
class CoachMonth:
    coach_id: int
    month: str
    currency: str
    opening: int
    lines: tuple[Line, ...]
    payouts: tuple[BankPayout, ...]

    @property
    def closing(self) -> int:
        return self.opening + sum(line.amount for line in self.lines)

    @property
    def paid(self) -> int:
        """What went to the coach's account, less what came back from it."""
        return -sum(line.amount for line in self.lines if line.kind in PAID)

    @property
    def earned(self) -> int:
        return self.closing - self.opening + self.paid

    @property
    def fees(self) -> int:
        return sum(line.fee for line in self.lines)

    def running(self) -> list[tuple[Line, int]]:
        """Each line with the balance after it."""
        balance, rows = self.opening, []
        for line in self.lines:
            balance += line.amount
            rows.append((line, balance))
        return rows


def coach_month(*, coach_id: int, month: str, currency: str) -> CoachMonth:
    """Three queries. A month that is still open is shown as far as it is. Raises UnknownMonth."""
    start, end = start_of(month), end_of(month)
    return CoachMonth(
        coach_id,
        month,
        currency,
        opening=balance_before(coach_id, currency, start),
        lines=tuple(sorted((_line(row) for row in _facts(coach_id, currency, start, end)), key=_order)),
        payouts=_bank_payouts(coach_id, currency, start, end),
    )


def closed_coach_month(*, coach_id: int, month: str, currency: str) -> CoachMonth:
    """The same of a closed month, with the books' own closing balance as a check. Raises StatementDiffers."""
    found = coach_month(coach_id=coach_id, month=month, currency=currency)
    closing = balance_before(coach_id, currency, end_of(month))
    if found.closing != closing:
        raise StatementDiffers(f"Coach {coach_id}, {month}: {found.closing} and not {closing} {currency}")
    return found


def balance_before(coach_id: int, currency: str, instant: datetime) -> int:
    """What we owed the coach then."""
    entries = LedgerEntry.objects.filter(
        account__code=coach_payable(coach_id), account__currency=currency, transaction__occurred_at__lt=instant
    )
    return -(entries.aggregate(total=Sum("amount"))["total"] or 0)


def last_closed_month() -> ClosedMonth | None:
    return ClosedMonth.objects.order_by("-ends_at").first()


def is_closed(month: str) -> bool:
    closed = ClosedMonth.objects.aggregate(last=Max("ends_at"))["last"]
    return closed is not None and end_of(month) <= closed


def _facts(coach_id: int, currency: str, start: datetime, end: datetime) -> Iterable[Any]:
    """One row for each ledger transaction that touches the coach's account or the money of their sessions."""
    within = LedgerEntry.objects.filter(
        account__currency=currency, transaction__occurred_at__gte=start, transaction__occurred_at__lt=end
    )
    theirs = within.filter(account__code=coach_payable(coach_id)).values("transaction_id")
    # Found by their payments: an index leads from these, and from the month's date it would be everybody's.
    sessions = within.filter(account__code__in=SIDES, transaction__payment__coach_id=coach_id).values("transaction_id")
    entries = LedgerEntry.objects.filter(account__currency=currency, transaction_id__in=theirs.union(sessions))
    rows = entries.values(
        "transaction_id",
        "transaction__kind",
        "transaction__reference",
        "transaction__occurred_at",
        "transaction__recorded_at",
        "transaction__payment_id",
        "transaction__payment__reference",
        "transaction__payment__description",
        "transaction__payment__service_ends_at",
        "transaction__correction__reason",
    )
    return rows.annotate(
        theirs=_sum_on(coach_payable(coach_id)),
        revenue=_sum_on(PLATFORM_REVENUE),
        losses=_sum_on(PLATFORM_LOSSES),
        held=_sum_on(DISPUTES_HELD),
    )


def _order(line: Line) -> tuple[datetime, int]:
    """Stripe tells whole seconds: within one, what was booked first comes first."""
    return line.at.replace(microsecond=0), line.transaction_id


def _sum_on(account: str) -> Any:
    return Coalesce(Sum("amount", filter=Q(account__code=account)), 0)


def _line(row: dict[str, Any]) -> Line:
    """Debits are positive in the books; what is the coach's is positive here."""
    kind = KINDS.get(row["transaction__kind"], Kind.ADJUSTMENT)
    amount, fee, borne = -row["theirs"], -row["revenue"], row["losses"]
    reason = row["transaction__correction__reason"]
    if reason is not None:
        # Of no session: where we take it from is no fee of theirs, and nothing that we add to their share.
        fee = borne = 0
    return Line(
        transaction_id=row["transaction_id"],
        kind=kind,
        at=row["transaction__occurred_at"],
        recorded_at=row["transaction__recorded_at"],
        source=row["transaction__reference"],
        payment_id=row["transaction__payment_id"],
        reference=row["transaction__payment__reference"] or "",
        description=reason or row["transaction__payment__description"] or "",
        service_ends_at=row["transaction__payment__service_ends_at"],
        gross=amount + fee - borne if kind in STUDENTS else 0,
        fee=fee,
        borne_by_us=borne,
        in_dispute=row["held"],
        amount=amount,
    )


def _bank_payouts(coach_id: int, currency: str, start: datetime, end: datetime) -> tuple[BankPayout, ...]:
    """By when we learnt of them, which is never in a closed month."""
    sent, back = Q(recorded_at__gte=start, recorded_at__lt=end), Q(failed_at__gte=start, failed_at__lt=end)
    known = Payout.objects.filter(account__coach_id=coach_id, currency=currency, stripe_payout_id__isnull=False)
    rows: list[BankPayout] = []
    left = Q(untracked_at__gte=start, untracked_at__lt=end)
    for payout in known.filter(sent | back | left):
        name = str(payout.stripe_payout_id)
        if start <= payout.recorded_at < end:
            rows.append(BankPayout(payout.recorded_at, name, payout.amount))
        if payout.failed_at is not None and start <= payout.failed_at < end:
            rows.append(BankPayout(payout.failed_at, name, -payout.amount))
        if payout.untracked_at is not None and start <= payout.untracked_at < end:
            rows.append(BankPayout(payout.untracked_at, name, 0))
    return tuple(sorted(rows, key=lambda payout: (payout.at, payout.stripe_payout_id, -payout.amount)))
