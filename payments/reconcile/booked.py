"""Whether a balance transaction is in the books as it is at Stripe: once, to the cent, at its time, for whom it is."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from payments import ledger
from payments.models import ClosedMonth, LedgerEntry, LedgerTransaction
from payments.postings import (
    BANK,
    DISPUTES_HELD,
    PLATFORM_LOSSES,
    PLATFORM_REVENUE,
    REFUNDS_IN_FLIGHT,
    REFUNDS_OWED,
    STRIPE_FEES,
    SUSPENSE,
)
from payments.reconcile import kinds
from payments.reconcile.findings import Finding
from payments.reconcile.kinds import Kind
from payments.reconcile.owners import Owner, read_owners
from payments.reconcile.postings import OWN, UNKNOWN
from payments.stripe_objects import BalanceTransactionFacts

TYPE = "balance_transaction"

CAPTURE, REVERSAL = "capture", "reversal"
COACH, STUDENT = "coach", "student"
_OF_A_CHARGE = frozenset({COACH, PLATFORM_LOSSES, PLATFORM_REVENUE, SUSPENSE})
# How a fact is booked: the accounts beside the Stripe balance and its fees, and whether under the object's own id.
KINDS: dict[str, tuple[frozenset[str], bool]] = {
    CAPTURE: (_OF_A_CHARGE, True),
    "transfer": (frozenset({COACH}), True),
    "destination_transfer": (frozenset({COACH, SUSPENSE}), True),
    "application_fee": (frozenset({COACH, SUSPENSE}), True),
    REVERSAL: (frozenset({COACH, SUSPENSE}), True),
    "refund": (frozenset({REFUNDS_IN_FLIGHT, SUSPENSE}), True),
    "refund_failed": (frozenset({STUDENT, REFUNDS_IN_FLIGHT, SUSPENSE}), True),
    "dispute_withdrawn": (frozenset({DISPUTES_HELD, SUSPENSE}), True),
    "dispute_reinstated": (frozenset({DISPUTES_HELD, SUSPENSE}), True),
    "dispute_fee": (frozenset(), False),
    "dispute_adjusted": (frozenset({SUSPENSE}), False),
    "platform_payout": (frozenset({BANK}), True),
    "platform_payout_returned": (frozenset({BANK}), True),
    UNKNOWN: (frozenset({SUSPENSE}), False),
    **{kind: (frozenset({account}), False) for kind, account in OWN.values()},
}
# By what Stripe calls it; where it is missing here, any of the above may book it.
_PAYOUTS = ("platform_payout", "platform_payout_returned")
FITTING: dict[str, tuple[str, ...]] = {
    "charge": (CAPTURE,),
    "payment": (CAPTURE,),
    "transfer": ("transfer", "destination_transfer"),
    "transfer_refund": (REVERSAL,),
    "application_fee": ("application_fee",),
    "refund": ("refund",),
    "payment_refund": ("refund",),
    "refund_failure": ("refund_failed",),
    "payout": _PAYOUTS,
    "payout_failure": _PAYOUTS,
    "payout_cancel": _PAYOUTS,
    "topup": ("top_up",),
}


@dataclass(frozen=True, slots=True)
class Posting:
    """A ledger transaction that is about a balance transaction, with all of its lines."""

    fact: LedgerTransaction
    lines: list[LedgerEntry]

    def undoes(self, other: "Posting") -> bool:
        return sorted(_moved(self.lines, 1)) == sorted(_moved(other.lines, -1))

    def on_balance(self, booked: BalanceTransactionFacts) -> list[LedgerEntry]:
        return [line for line in self.lines if line.balance_transaction_id == booked.id]


@dataclass(frozen=True, slots=True)
class Books:
    """What our books have about a hundred of them. Seven queries."""

    postings: dict[str, list[Posting]] = field(default_factory=dict)
    owners: dict[str, Owner] = field(default_factory=dict)
    closed: list[ClosedMonth] = field(default_factory=list)


def read_books(batch: Sequence[BalanceTransactionFacts]) -> Books:
    named = LedgerEntry.objects.filter(balance_transaction_id__in=[booked.id for booked in batch])
    lines = LedgerEntry.objects.filter(transaction__in=named.values("transaction"))
    by_fact: dict[int, Posting] = {}
    found: dict[str, dict[int, Posting]] = defaultdict(dict)
    for line in lines.select_related("account", "transaction__payment").order_by("pk"):
        posting = by_fact.setdefault(line.transaction_id, Posting(line.transaction, []))
        posting.lines.append(line)
        if line.balance_transaction_id:
            found[line.balance_transaction_id][line.transaction_id] = posting
    captures = [posting.fact for posting in by_fact.values() if posting.fact.kind == CAPTURE]
    return Books(
        {each: list(postings.values()) for each, postings in found.items()},
        # A charge is on the payment that its posting names; no index finds it the other way round.
        read_owners({booked.source for booked in batch} - {fact.reference for fact in captures}),
        list(ClosedMonth.objects.all()),
    )


def differing(booked: BalanceTransactionFacts, books: Books) -> Iterator[Finding]:
    postings = _standing(books.postings.get(booked.id, []))
    if not postings:
        if booked.net:
            yield _finding(kinds.NOT_BOOKED, booked, None, books)
        return
    if len(postings) > 1:
        entries = [posting.fact.pk for posting in postings]
        # Whatever else is wrong with one of them: it has to go.
        yield _finding(kinds.BOOKED_TWICE, booked, postings[0], books, ledger_transactions=entries)
        return
    for posting in postings:
        for kind in _wrong_with(booked, posting, books):
            yield _finding(kind, booked, posting, books)


def _standing(postings: list[Posting]) -> list[Posting]:
    """Without those that a reversing one has undone, line by line: of equal ones the latest."""
    left: list[Posting] = []
    for posting in postings:
        undone = next((each for each in reversed(left) if posting.undoes(each)), None)
        if undone is None:
            left.append(posting)
        else:
            left.remove(undone)
    return left


def _moved(lines: list[LedgerEntry], sign: int) -> Iterator[tuple[int, str, int]]:
    for line in lines:
        yield line.account_id, line.balance_transaction_id, sign * line.amount


def _wrong_with(booked: BalanceTransactionFacts, posting: Posting, books: Books) -> Iterator[Kind]:
    lines = posting.on_balance(booked)
    total = sum(line.amount for line in lines)
    if any(line.account.currency != booked.currency for line in lines):
        yield kinds.BOOKED_CURRENCY_DIFFERS
    elif len({line.account.currency for line in posting.lines}) > 1:
        yield kinds.SETTLED_IN_ANOTHER_CURRENCY
    if total == -booked.net and total:
        yield kinds.BOOKED_SIGN_DIFFERS
    elif total != booked.net:
        yield kinds.BOOKED_AMOUNT_DIFFERS
    if not _is_in_its_period(booked, posting.fact, books.closed):
        yield kinds.BOOKED_PERIOD_DIFFERS
    if _is_anothers(booked, posting, books.owners.get(booked.source)):
        yield kinds.BOOKED_OWNER_DIFFERS
    if posting.fact.kind == UNKNOWN:
        yield kinds.UNKNOWN_TYPE
    if posting.fact.kind == REVERSAL and posting.fact.payment is None:
        yield kinds.REVERSED_WITHOUT_SESSION


# --- when ---------------------------------------------------------------------------------------


def _is_in_its_period(booked: BalanceTransactionFacts, fact: LedgerTransaction, closed: list[ClosedMonth]) -> bool:
    """Its own time, or the first that was open: the end of a month that was closed by then."""
    if booked.created is None or fact.occurred_at == booked.created:
        return True
    # Whoever closes the month, and whoever books, may have read the time a while before they came to it.
    slack = timedelta(hours=1)
    ends = [month.ends_at for month in closed if month.closed_at <= fact.recorded_at + slack]
    return fact.occurred_at in ends and fact.occurred_at > booked.created


# --- for whom -----------------------------------------------------------------------------------


def _is_anothers(booked: BalanceTransactionFacts, posting: Posting, owner: Owner | None) -> bool:
    fact = posting.fact
    if fact.kind not in KINDS or fact.kind not in FITTING.get(booked.type, KINDS):
        return True
    accounts, by_object = KINDS[fact.kind]
    if fact.reference != (booked.source if by_object else booked.id):
        return True
    if fact.kind == CAPTURE and (fact.payment is None or fact.payment.charge_id != booked.source):
        return True
    owner = owner or _owner_of(fact)
    if owner is not None and None not in (owner.payment_id, fact.payment_id) and owner.payment_id != fact.payment_id:
        return True
    # On the balance by one line alone, and beside it on what this kind may move.
    others = [line.account.code for line in posting.lines if line.account.code != ledger.STRIPE_BALANCE]
    return not set(others) <= {STRIPE_FEES, *_accounts(accounts, owner)}


def _owner_of(fact: LedgerTransaction) -> Owner | None:
    payment = fact.payment
    return Owner(payment.pk, payment.coach_id, payment.payer_id) if payment is not None else None


def _accounts(names: frozenset[str], owner: Owner | None) -> Iterator[str]:
    for name in names:
        if name == COACH and owner is not None:
            yield ledger.coach_payable(owner.coach_id)
        elif name == STUDENT and owner is not None:
            yield f"{REFUNDS_OWED}{owner.payer_id}"
        elif name not in (COACH, STUDENT):
            yield name


# --- in words -----------------------------------------------------------------------------------


def _finding(
    kind: Kind, booked: BalanceTransactionFacts, posting: Posting | None, books: Books, **more: Any
) -> Finding:
    owner = books.owners.get(booked.source) or (_owner_of(posting.fact) if posting else None)
    ours = {**_ours(posting), **more} if posting else more
    whose = (owner.payment_id, owner.coach_id) if owner else (None, None)
    return Finding(kind, TYPE, booked.id, ours, _stripes(booked), *whose)


def _ours(posting: Posting) -> dict[str, Any]:
    fact = posting.fact
    lines = [f"{line.account.code} {line.amount} {line.account.currency}" for line in posting.lines]
    return {
        "ledger_transaction": fact.pk,
        "kind": fact.kind,
        "reference": fact.reference,
        "payment": fact.payment_id,
        "occurred_at": fact.occurred_at.isoformat(),
        "recorded_at": fact.recorded_at.isoformat(),
        "lines": lines,
    }


def _stripes(booked: BalanceTransactionFacts) -> dict[str, Any]:
    return {
        "type": booked.type,
        "source": booked.source,
        "amount": booked.amount,
        "fee": booked.fee,
        "net": booked.net,
        "currency": booked.currency,
        "created": booked.created.isoformat() if booked.created else "",
    }
