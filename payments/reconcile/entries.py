"""Cent by cent: each transaction on our balance at Stripe against what our books have on `stripe_balance`."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from django.db.models import Sum

from payments import gateway
from payments.models import LedgerEntry, Operation
from payments.reconcile import comparing, kinds, postings
from payments.reconcile.booked import TYPE, differing, read_books
from payments.reconcile.comparing import Comparison, Known
from payments.reconcile.findings import Finding, Round
from payments.reconcile.leading import record_source
from payments.stripe_objects import BalanceTransactionFacts


def compare_all(around: Round) -> None:
    comparing.run(comparison_at(around.now), around.since, around)


def comparison_at(now: datetime) -> Comparison[BalanceTransactionFacts]:
    return Comparison(
        object_type=TYPE,
        each=partial(_each, now),
        read=gateway.retrieve_balance_transaction,
        created=lambda booked: booked.created,
        compare=_compare,
        repair=record_source,
        under_way=_under_way,
        ours=_known,
        missing=kinds.BOOKED_WITHOUT_STRIPE,
    )


def _each(now: datetime, **of: Any) -> Iterator[BalanceTransactionFacts]:
    for batch in comparing.batches(gateway.list_balance_transactions(**of)):
        take_up(batch, now)
        yield from batch


def take_up(batch: Sequence[BalanceTransactionFacts], now: datetime) -> None:
    """Stripe's own doings come into the books by this way alone, so there is nothing to be said of them."""
    own = [booked for booked in batch if postings.is_own(booked)]
    names = LedgerEntry.objects.filter(balance_transaction_id__in=[booked.id for booked in own])
    known = set(names.values_list("balance_transaction_id", flat=True))
    for booked in own:
        if booked.id not in known:
            postings.post_own(booked, now)


def _compare(batch: Sequence[BalanceTransactionFacts]) -> Iterator[Finding]:
    books = read_books(batch)
    for booked in batch:
        yield from differing(booked, books)


def _under_way(batch: Sequence[BalanceTransactionFacts], around: Round) -> set[str]:
    """What moved for an object that is left; and what a reversal that is being asked for may have moved."""
    open_ones = Operation.objects.filter(
        kind=Operation.Kind.REVERSAL,
        state__in=Operation.OPEN_STATES,
        created_at__gt=around.now - comparing.UNDER_WAY_FOR,
    )
    fetched = set(open_ones.values_list("reversal__amount", "reversal__currency"))
    left = [
        booked
        for booked in batch
        if booked.source in around.left
        or (booked.type == "transfer_refund" and (booked.amount, booked.currency) in fetched)
    ]
    around.left_nets |= {booked.id: (booked.currency, booked.net) for booked in left}
    return {booked.id for booked in left}


def _known(since: datetime | None) -> Iterator[Known]:
    """Without what a reversing entry has undone."""
    named = LedgerEntry.objects.exclude(balance_transaction_id="")
    if since is not None:
        named = named.filter(transaction__occurred_at__gte=since)
    fields = ("balance_transaction_id", "transaction_id", "transaction__kind", "amount", "transaction__payment_id")
    rows = named.values_list(*fields, "transaction__payment__coach_id").iterator(chunk_size=1000)
    for batch in comparing.batches(rows):
        undone = _undone({booked for booked, *_ in batch})
        for booked, fact, kind, amount, payment, coach in batch:
            if booked not in undone:
                yield Known(booked, {"ledger_transaction": fact, "kind": kind, "amount": amount}, payment, coach)


def _undone(ids: set[str]) -> set[str]:
    sums = LedgerEntry.objects.filter(balance_transaction_id__in=ids).values_list("balance_transaction_id")
    return set(sums.annotate(total=Sum("amount")).filter(total=0).values_list("balance_transaction_id", flat=True))
