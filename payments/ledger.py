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
from django.db.models import BooleanField, CharField, Exists, F, OuterRef, Q, Sum, Value
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
    sums = _read_sums()
    return [
        *_unbalanced_transactions(),
        *_unbalanced_currencies(sums),
        *_open_clearing_accounts(sums),
        *_refunds_against_payments(),
        *_captures_without_posting(),
        *_transfers_without_posting(),
        *_paid_lines_without_transfer(),
        *_payables_against_earnings(sums),
    ]


@dataclass(frozen=True, slots=True)
class _Sums:
    """In minor units: all that is booked in a currency, and by (account, currency) what the rest does not explain."""

    booked: dict[str, int]
    unexplained: dict[tuple[str, str], int]


def _read_sums() -> _Sums:
    """One statement reads the books and what is under way: what is captured between two would look like an imbalance,
    and cost the coach a run.
    """
    entries = _sums(LedgerEntry.objects, F("account__code"), F("account__currency"), of_books=True)
    explained = (_refunds_on_their_way(), _money_in_dispute(), _unpaid_earnings())
    booked: dict[str, int] = defaultdict(int)
    unexplained: dict[tuple[str, str], int] = defaultdict(int)
    for code, currency, of_books, total in entries.union(*explained, all=True):
        unexplained[code, currency] += total
        if of_books:
            booked[currency] += total
    return _Sums(booked, unexplained)


def _sums(rows: Any, code: Any, currency: Any, *, of_books: bool = False) -> Any:
    """The rows' amounts by the account that they belong to."""
    where = (code, currency, Value(of_books, output_field=BooleanField()))
    return rows.values_list(*where).annotate(total=Sum("amount"))


def _unbalanced_transactions() -> Iterable[Imbalance]:
    sums = LedgerEntry.objects.values("transaction_id", "account__currency").annotate(total=Sum("amount"))
    for row in sums.exclude(total=0).order_by("transaction_id"):
        yield Imbalance(
            None,
            f"Ledger transaction {row['transaction_id']} is off by {row['total']} {row['account__currency']}.",
        )
    # A single line is never zero, so it is found above; here is what has none at all.
    entries = LedgerEntry.objects.filter(transaction=OuterRef("pk"))
    for bare in LedgerTransaction.objects.filter(~Exists(entries)).order_by("pk"):
        yield Imbalance(None, f"Ledger transaction {bare.pk} ({bare}) has no lines.")


def _unbalanced_currencies(sums: _Sums) -> Iterable[Imbalance]:
    for currency, total in sorted(sums.booked.items()):
        if total:
            yield Imbalance(None, f"The books as a whole are off by {total} {currency}.")


def _open_clearing_accounts(sums: _Sums) -> Iterable[Imbalance]:
    """What is on its way must be explained by what is under way."""
    for (code, currency), difference in sorted(sums.unexplained.items()):
        if difference and code in CLEARING_ACCOUNTS:
            yield Imbalance(None, f"{code} has not returned to zero: {difference} {currency}.")


def _refunds_on_their_way() -> Any:
    """Decided, and not out of our balance yet: what `refunds_in_flight` owes."""
    booked = LedgerTransaction.objects.filter(
        kind__in=("refund", "refund_failed"), reference=OuterRef("stripe_refund_id")
    )
    waiting = Refund.objects.filter(~Exists(booked), status__in=Refund.OPEN_STATES)
    return _sums(waiting, Value("refunds_in_flight", output_field=CharField()), F("currency"))


def _money_in_dispute() -> Any:
    """Taken by a student's bank, and neither won nor lost yet: what `disputes_held` holds, with the sign turned."""
    booked = LedgerTransaction.objects.filter(reference=OuterRef("stripe_dispute_id"))
    withdrawn = booked.filter(kind="dispute_withdrawn")
    settled = booked.filter(kind__in=("dispute_reinstated", "dispute_lost"))
    held = Dispute.objects.filter(Exists(withdrawn), ~Exists(settled))
    where = (Value("disputes_held", output_field=CharField()), F("currency"), Value(False, output_field=BooleanField()))
    return held.values_list(*where).annotate(total=-Sum("amount"))


def _unpaid_earnings() -> Any:
    """What coaches have earned and were not paid: what `coach_payable` owes each."""
    unpaid = Earning.objects.filter(~Q(line__status=PayoutLine.Status.PAID) | Q(line=None))
    unpaid = unpaid.exclude(reversal__status=Reversal.Status.DONE)
    return _sums(unpaid, Concat(Value(COACH_PAYABLE), Cast("coach_id", CharField())), F("currency"))


def _refunds_against_payments() -> Iterable[Imbalance]:
    """What is counted on a payment is the sum of its refunds; one that failed at the bank is owed, and so counts."""
    counted = Q(refunds__status__in=(*Refund.COUNTED, Refund.Status.FAILED))
    parts = {"refunded_amount": "amount", "taken_back_amount": "coach_part", "returned_fee_amount": "fee_part"}
    wrong = Q()
    payments = Payment.objects.filter(refunds__isnull=False)
    for name, part in parts.items():
        payments = payments.annotate(**{f"{name}_of_refunds": Coalesce(Sum(f"refunds__{part}", filter=counted), 0)})
        wrong |= ~Q(**{name: F(f"{name}_of_refunds")})
    without = Payment.objects.filter(refunded_amount__gt=0, refunds=None)
    for payment in sorted({*payments.filter(wrong), *without}, key=lambda payment: payment.pk):
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


def _payables_against_earnings(sums: _Sums) -> Iterable[Imbalance]:
    """What the books owe each coach is what they have earned and not been paid."""
    differences = {
        (int(code.removeprefix(COACH_PAYABLE)), currency): difference
        for (code, currency), difference in sums.unexplained.items()
        if difference and code.startswith(COACH_PAYABLE)
    }
    for (coach_id, currency), difference in sorted(differences.items()):
        yield Imbalance(coach_id, f"unpaid earnings and the books differ by {difference} {currency}.")
