"""The books: double entry and append-only, in signed minor units, debits positive.

A fact is unique by `(kind, reference)`, so it is booked once whichever of our own call, Stripe's event or
a later comparison reports it first. A negative `coach_payable:<coach>` is what we owe that coach.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import CharField, Count, Exists, F, OuterRef, Q, Subquery, Sum, Value
from django.db.models.functions import Cast, Coalesce, Concat

from marketplace.lib.money import Money
from payments.models import (
    ClosedMonth,
    Dispute,
    Earning,
    LedgerAccount,
    LedgerEntry,
    LedgerTransaction,
    Payment,
    PayoutLine,
    Refund,
    Reversal,
    Transfer,
)

STRIPE_BALANCE = "stripe_balance"
COACH_PAYABLE = "coach_payable:"
# They hold money on its way from one account to another, and return to zero.
CLEARING_ACCOUNTS = ("transfers_in_flight", "refunds_in_flight", "disputes_held")


class LedgerError(ValueError):
    """A transaction that is not double entry: always a bug."""


@dataclass(frozen=True, slots=True)
class Line:
    """One side of a posting. On `stripe_balance` it names its balance transaction and when that was."""

    account: str
    money: Money
    balance_transaction_id: str = ""
    happened_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Imbalance:
    """Something that does not add up; `coach_id` where it concerns one coach alone."""

    coach_id: int | None
    message: str

    def __str__(self) -> str:
        return self.message if self.coach_id is None else f"Coach {self.coach_id}: {self.message}"


def coach_payable(coach_id: int) -> str:
    return f"{COACH_PAYABLE}{coach_id}"


def post(*, kind: str, reference: str, lines: Sequence[Line], payment: Payment | None = None, now: datetime) -> bool:
    """Book one fact, in the caller's transaction; False where it is booked already.

    Its date is that of its balance transaction, or `now`; what falls into a closed month is booked in the first
    instant after it. Raises LedgerError where the lines are not double entry, or no transaction is open: money moves
    together with the state that it belongs to.
    """
    if not connection.in_atomic_block:
        raise LedgerError("A fact is booked in the transaction that records it.")
    _require_double_entry(lines)
    happened_at = next((line.happened_at for line in lines if line.happened_at), now)
    fact = LedgerTransaction(kind=kind, reference=reference, payment=payment, recorded_at=now)
    booked = _claim_fact(fact, happened_at)
    if booked is None:
        return False
    LedgerEntry.objects.bulk_create(
        LedgerEntry(
            transaction=booked,
            account=_account(line.account, line.money.currency),
            amount=line.money.amount,
            balance_transaction_id=line.balance_transaction_id,
        )
        for line in lines
    )
    return True


def has_booked(balance_transaction_id: str) -> bool:
    return LedgerEntry.objects.filter(balance_transaction_id=balance_transaction_id).exists()


def balance(account: str, currency: str) -> Money:
    entries = LedgerEntry.objects.filter(account__code=account, account__currency=currency)
    return Money(entries.aggregate(total=Sum("amount"))["total"] or 0, currency)


def _require_double_entry(lines: Sequence[Line]) -> None:
    if len(lines) < 2:
        raise LedgerError("A posting has at least two lines.")
    if any(line.money.amount == 0 for line in lines):
        raise LedgerError("A posting has no line of zero.")
    if any((line.account == STRIPE_BALANCE) != bool(line.balance_transaction_id) for line in lines):
        raise LedgerError("Each line on stripe_balance, and no other, names its balance transaction.")
    totals: dict[str, int] = defaultdict(int)
    for line in lines:
        totals[line.money.currency] += line.money.amount
    if any(totals.values()):
        raise LedgerError(f"The lines do not sum to zero: {dict(totals)}.")


def open_date(happened_at: datetime) -> datetime:
    """Its date in the books: what falls into a closed month counts from the first instant after it."""
    closed = ClosedMonth.objects.order_by("-ends_at").values_list("ends_at", flat=True).first()
    return max(happened_at, closed) if closed else happened_at


def _claim_fact(fact: LedgerTransaction, happened_at: datetime) -> LedgerTransaction | None:
    """The fact's row, or None where someone has it: a rival's insert waits here for the first one's commit."""
    fact.occurred_at = open_date(happened_at)
    try:
        with transaction.atomic():
            fact.save(force_insert=True)
            return fact
    except IntegrityError:
        if LedgerTransaction.objects.filter(kind=fact.kind, reference=fact.reference).exists():
            return None
        if open_date(happened_at) == fact.occurred_at:
            raise
        # The month was closed between our look and the insert, which the database refused.
        return _claim_fact(fact, happened_at)


def _account(code: str, currency: str) -> LedgerAccount:
    # Django's get_or_create takes the loser of a race to the winner's row, inside a savepoint of its own.
    return LedgerAccount.objects.get_or_create(code=code, currency=currency)[0]


# --- the books check themselves -----------------------------------------------------------------


def check() -> list[Imbalance]:
    """Everything that does not add up; empty where the books are good. Reads only."""
    return [
        *_unbalanced_transactions(),
        *_unbalanced_currencies(),
        *_open_clearing_accounts(),
        *_refunds_against_payments(),
        *_captures_without_posting(),
        *_transfers_without_posting(),
        *_paid_lines_without_transfer(),
        *_payables_against_earnings(),
    ]


def _unbalanced_transactions() -> Iterable[Imbalance]:
    sums = LedgerEntry.objects.values("transaction_id", "account__currency").annotate(total=Sum("amount"))
    for row in sums.exclude(total=0).order_by("transaction_id"):
        yield Imbalance(
            None,
            f"Ledger transaction {row['transaction_id']} is off by {row['total']} {row['account__currency']}.",
        )
    for thin in LedgerTransaction.objects.annotate(lines=Count("entries")).filter(lines__lt=2).order_by("pk"):
        yield Imbalance(None, f"Ledger transaction {thin.pk} ({thin}) has fewer than two lines.")


def _unbalanced_currencies() -> Iterable[Imbalance]:
    sums = LedgerEntry.objects.values("account__currency").annotate(total=Sum("amount"))
    for row in sums.exclude(total=0).order_by("account__currency"):
        yield Imbalance(None, f"The books as a whole are off by {row['total']} {row['account__currency']}.")


def _open_clearing_accounts() -> Iterable[Imbalance]:
    """What is on its way must be explained by what is under way. One statement reads both, as for the payables."""
    entries = LedgerEntry.objects.filter(account__code__in=CLEARING_ACCOUNTS)
    left = entries.values_list("account__code", "account__currency").annotate(total=Sum("amount"))
    differences: dict[tuple[str, str], int] = defaultdict(int)
    for code, currency, total in left.union(_refunds_on_their_way(), _money_in_dispute(), all=True):
        differences[code, currency] += total
    for (code, currency), difference in sorted(differences.items()):
        if difference:
            yield Imbalance(None, f"{code} has not returned to zero: {difference} {currency}.")


def _refunds_on_their_way() -> Any:
    """Decided, and not out of our balance yet: what `refunds_in_flight` owes."""
    booked = LedgerTransaction.objects.filter(
        kind__in=("refund", "refund_failed"), reference=OuterRef("stripe_refund_id")
    )
    waiting = Refund.objects.filter(~Exists(booked), status__in=Refund.OPEN_STATES)
    account = Value("refunds_in_flight", output_field=CharField())
    return waiting.values_list(account, "currency").annotate(total=Sum("amount"))


def _money_in_dispute() -> Any:
    """Taken by a student's bank, and neither won nor lost yet: what `disputes_held` holds, with the sign turned."""
    booked = LedgerTransaction.objects.filter(reference=OuterRef("stripe_dispute_id"))
    withdrawn = booked.filter(kind="dispute_withdrawn")
    settled = booked.filter(kind__in=("dispute_reinstated", "dispute_lost"))
    held = Dispute.objects.filter(Exists(withdrawn), ~Exists(settled))
    account = Value("disputes_held", output_field=CharField())
    return held.values_list(account, "currency").annotate(total=-Sum("amount"))


def _refunds_against_payments() -> Iterable[Imbalance]:
    """What is counted on a payment is the sum of its refunds; one that failed at the bank is owed, and so counts."""
    counted = Refund.objects.filter(payment=OuterRef("pk"), status__in=(*Refund.COUNTED, Refund.Status.FAILED)).values(
        "payment"
    )
    parts = {"refunded_amount": "amount", "taken_back_amount": "coach_part", "returned_fee_amount": "fee_part"}
    wrong = Q()
    payments = Payment.objects.filter(Q(refunded_amount__gt=0) | Q(pk__in=Refund.objects.values("payment")))
    for name, part in parts.items():
        total = Subquery(counted.annotate(total=Sum(part)).values("total"))
        payments = payments.annotate(**{f"{name}_of_refunds": Coalesce(total, 0)})
        wrong |= ~Q(**{name: F(f"{name}_of_refunds")})
    for payment in payments.filter(wrong).order_by("pk"):
        yield Imbalance(payment.coach_id, f"{payment} does not count its refunds right.")


def _captures_without_posting() -> Iterable[Imbalance]:
    posting = LedgerTransaction.objects.filter(kind="capture", payment=OuterRef("pk"))
    for payment in Payment.objects.filter(~Exists(posting), status=Payment.Status.CAPTURED).order_by("pk"):
        yield Imbalance(payment.coach_id, f"{payment} is captured but not booked.")


def _transfers_without_posting() -> Iterable[Imbalance]:
    posting = LedgerTransaction.objects.filter(
        kind__in=("transfer", "destination_transfer"), reference=OuterRef("stripe_transfer_id")
    )
    for transfer in Transfer.objects.filter(~Exists(posting)).order_by("pk"):
        yield Imbalance(transfer.coach_id, f"Transfer {transfer} is not booked.")


def _paid_lines_without_transfer() -> Iterable[Imbalance]:
    for line in PayoutLine.objects.filter(status=PayoutLine.Status.PAID, transfer=None).order_by("pk"):
        yield Imbalance(line.coach_id, f"Payout line {line.pk} is paid but has no transfer.")


def _payables_against_earnings() -> Iterable[Imbalance]:
    """What the books owe each coach is what they have earned and not been paid.

    One statement reads both: what is captured between two would look like an imbalance, and cost the coach a run.
    """
    unpaid = Earning.objects.filter(~Q(line__status=PayoutLine.Status.PAID) | Q(line=None))
    unpaid = unpaid.exclude(reversal__status=Reversal.Status.DONE)
    account = Concat(Value(COACH_PAYABLE), Cast("coach_id", CharField()))
    earned = unpaid.values_list(account, "currency").annotate(total=Sum("amount"))
    entries = LedgerEntry.objects.filter(account__code__startswith=COACH_PAYABLE)
    owed = entries.values_list("account__code", "account__currency").annotate(total=Sum("amount"))
    differences: dict[tuple[int, str], int] = defaultdict(int)
    for code, currency, total in earned.union(owed, all=True):
        differences[int(code.removeprefix(COACH_PAYABLE)), currency] += total
    for (coach_id, currency), difference in sorted(differences.items()):
        if difference:
            yield Imbalance(coach_id, f"unpaid earnings and the books differ by {difference} {currency}.")
