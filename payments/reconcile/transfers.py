"""Stripe's transfers, with what was fetched back of them, against ours; and the fees of destination charges."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Q, Sum

from payments import gateway, marks, payouts, services
from payments.errors import StripeMismatchError
from payments.models import LedgerEntry, Operation, Payment, PayoutLine, Reversal, Transfer
from payments.reconcile import comparing, kinds
from payments.reconcile.comparing import Comparison, Known
from payments.reconcile.findings import OPEN_FOR, Finding, Round
from payments.reconcile.kinds import Kind
from payments.reconcile.listing import created_since, window
from payments.stripe_objects import TransferFacts

TYPE = "transfer"
FETCHED_BACK = (Reversal.Status.DONE, Reversal.Status.AT_STRIPE)


@dataclass(frozen=True, slots=True)
class _Ours:
    transfers: dict[str, Transfer]
    operations: dict[str, Operation]
    # By their charge: what Stripe moved on with a capture.
    payments: dict[str, Payment]
    # What was fetched back of each transfer, by its key.
    fetched_back: dict[int, int]


def compare_all(around: Round) -> None:
    comparing.run(COMPARISON, around.window(_oldest_fetched_back(around)), around)


def _oldest_fetched_back(around: Round) -> datetime | None:
    """Something came back that we have not heard of. Stripe tells of which transfer only in the list of transfers, so
    that is read back as far as it may be.
    """
    if around.since is None:
        return None
    listed = gateway.list_balance_transactions(type="transfer_refund", **window(around.since))
    ids = {each.id for each in listed if each.created is not None and each.created <= around.now - comparing.YOUNG}
    booked = LedgerEntry.objects.filter(balance_transaction_id__in=ids).values("balance_transaction_id")
    return around.now - OPEN_FOR if booked.distinct().count() < len(ids) else None


def _compare(batch: Sequence[TransferFacts]) -> Iterator[Finding]:
    ours = _read_ours(batch)
    for facts in batch:
        transfer = ours.transfers.get(facts.id)
        if transfer is None:
            yield _not_here(ours, facts)
        else:
            yield from _differing(transfer, ours.fetched_back.get(transfer.pk, 0), facts)


def _read_ours(batch: Sequence[TransferFacts]) -> _Ours:
    rows = Transfer.objects.filter(stripe_transfer_id__in=[facts.id for facts in batch])
    known = {row.stripe_transfer_id: row for row in rows.select_related("line", "payment", "coach__payout_account")}
    rest = [facts for facts in batch if facts.id not in known]
    marked = [mark for facts in rest if (mark := marks.operation_id(facts.metadata)) is not None]
    asked = Operation.objects.filter(pk__in=marked, line__isnull=False).select_related("line__transfer")
    charges = [facts.source_transaction for facts in rest if facts.source_transaction]
    payments = Payment.objects.filter(charge_id__in=charges).select_related("transfer")
    back = Reversal.objects.filter(transfer__in=known.values(), status__in=FETCHED_BACK).values_list("transfer_id")
    return _Ours(
        known,
        {str(each.pk): each for each in asked},
        {payment.charge_id: payment for payment in payments},
        dict(back.annotate(total=Sum("amount"))),
    )


def _not_here(ours: _Ours, facts: TransferFacts) -> Finding:
    operation = ours.operations.get(facts.metadata.get("operation_id", ""))
    line = operation.line if operation is not None else None
    if line is not None:
        kind = kinds.TRANSFERRED_TWICE if hasattr(line, "transfer") else kinds.MISSING_HERE
        about = {"payout_line": line.pk, "status": line.status, "amount": line.amount, "currency": line.currency}
        return Finding(kind, TYPE, facts.id, about, _stripes(facts), coach_id=line.coach_id)
    payment = ours.payments.get(facts.source_transaction)
    if payment is not None:
        kind = kinds.TRANSFERRED_TWICE if hasattr(payment, "transfer") else kinds.MISSING_HERE
        about = {"payment": payment.pk, "status": payment.status}
        return Finding(kind, TYPE, facts.id, about, _stripes(facts), payment.pk, payment.coach_id)
    return Finding(kinds.ORPHAN_AT_STRIPE, TYPE, facts.id, stripes=_stripes(facts))


def _differing(transfer: Transfer, fetched_back: int, facts: TransferFacts) -> Iterator[Finding]:
    checks: tuple[tuple[Kind, bool], ...] = (
        (kinds.AMOUNT_DIFFERS, _expected(transfer)[0] != facts.amount or transfer.amount != facts.amount),
        (kinds.CURRENCY_DIFFERS, _expected(transfer)[1] != facts.currency or transfer.currency != facts.currency),
        (kinds.OWNER_DIFFERS, _is_anothers(transfer, facts)),
        (kinds.STATE_DIFFERS, fetched_back != facts.amount_reversed or _is_unpaid(transfer)),
    )
    for kind, differs in checks:
        if differs:
            ours = {**_ours(transfer), "fetched_back": fetched_back}
            yield Finding(kind, TYPE, facts.id, ours, _stripes(facts), transfer.payment_id, transfer.coach_id)


def _expected(transfer: Transfer) -> tuple[int, str]:
    """What its line was to pay. With a capture Stripe moves what was captured."""
    line, payment = transfer.line, transfer.payment
    if line is not None:
        return line.amount, line.currency
    return (payment.captured_amount, payment.currency) if payment else (transfer.amount, transfer.currency)


def _is_anothers(transfer: Transfer, facts: TransferFacts) -> bool:
    """By our row, by the coach's account, and by whom the line or payment is for."""
    theirs = _coachs_account(transfer) or transfer.destination
    for_coach = transfer.line.coach_id if transfer.line else transfer.payment.coach_id if transfer.payment else None
    return {transfer.destination, theirs} != {facts.destination} or for_coach != transfer.coach_id


def _coachs_account(transfer: Transfer) -> str:
    account = getattr(transfer.coach, "payout_account", None)
    return account.stripe_account_id if account is not None else ""


def _is_unpaid(transfer: Transfer) -> bool:
    return transfer.line is not None and transfer.line.status != PayoutLine.Status.PAID


def _ours(transfer: Transfer) -> dict[str, Any]:
    return {
        "transfer": transfer.pk,
        "payout_line": transfer.line_id,
        "payment": transfer.payment_id,
        "amount": transfer.amount,
        "currency": transfer.currency,
        "destination": transfer.destination,
        "coachs_account": _coachs_account(transfer),
        "paid": not _is_unpaid(transfer),
    }


def _stripes(facts: TransferFacts) -> dict[str, Any]:
    return {
        "amount": facts.amount,
        "amount_reversed": facts.amount_reversed,
        "currency": facts.currency,
        "destination": facts.destination,
        "source_transaction": facts.source_transaction,
    }


def record(facts: TransferFacts, now: datetime) -> None:
    """What a line asked for, and what was fetched back. What went with a capture is recorded with the capture."""
    ours = _read_ours([facts])
    transfer = ours.transfers.get(facts.id)
    operation = ours.operations.get(facts.metadata.get("operation_id", ""))
    if transfer is None and operation is not None and operation.line is not None:
        if hasattr(operation.line, "transfer"):
            return
        _require_asked_for(operation, facts)
        payouts.record_transfer(line=operation.line, facts=facts, now=now)
        transfer = Transfer.objects.get(stripe_transfer_id=facts.id)
    elif transfer is not None and transfer.line is not None and _is_unpaid(transfer):
        payouts.record_transfer(line=transfer.line, facts=facts, now=now)
    if transfer is not None and facts.amount_reversed:
        services.record_reversals(transfer=transfer, now=now)


def _require_asked_for(operation: Operation, facts: TransferFacts) -> None:
    expected = (operation.params["destination"], operation.params["transfer_group"], settings.STRIPE_LIVE_MODE)
    if (facts.destination, facts.transfer_group, facts.livemode) != expected:
        raise StripeMismatchError(f"{facts.id} is not the transfer that was asked for.")


def _under_way(batch: Sequence[TransferFacts], around: Round) -> set[str]:
    """The transfer itself, or a reversal of it, is being asked for."""
    named = {mark: facts.id for facts in batch if (mark := marks.operation_id(facts.metadata)) is not None}
    ids = [facts.id for facts in batch]
    open_ones = Operation.objects.filter(
        Q(pk__in=named) | Q(reversal__transfer__stripe_transfer_id__in=ids),
        state__in=Operation.OPEN_STATES,
        created_at__gt=around.now - comparing.UNDER_WAY_FOR,
    )
    rows = open_ones.values_list("pk", "reversal__transfer__stripe_transfer_id")
    busy = {stripe_id or named[pk] for pk, stripe_id in rows}
    # With a capture that is left, its transfer is; and with a transfer, what was fetched back of it.
    left = busy | (around.left & set(ids))
    reversed_too = [facts.id for facts in batch if facts.id in left and facts.amount_reversed]
    return left | {reversal.id for each in reversed_too for reversal in gateway.list_reversals(each)}


def _known(since: datetime | None) -> Iterator[Known]:
    rows = created_since(Transfer.objects.all(), since)
    fields = ("stripe_transfer_id", "pk", "payment_id", "coach_id", "amount", "currency")
    for stripe_id, pk, payment, coach, amount, currency in rows.values_list(*fields).iterator(chunk_size=1000):
        yield Known(stripe_id, {"transfer": pk, "amount": amount, "currency": currency}, payment, coach)


COMPARISON = Comparison(
    object_type=TYPE,
    each=gateway.list_transfers,
    read=gateway.retrieve_transfer,
    created=lambda facts: facts.created,
    compare=_compare,
    repair=record,
    under_way=_under_way,
    ours=_known,
)
