"""Everything that Stripe has and we don't, gathered type by type, and taken over in the order in which it was done."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Protocol, TypeVar

import structlog

from marketplace.lib.errors import DomainError
from payments import gateway, lookout, marks, payouts, services
from payments.adoption import deeds
from payments.adoption.deeds import Deed
from payments.errors import NotYetError
from payments.gateway import GatewayError, MarkedFacts
from payments.models import Difference, Dispute, Payment, PayoutRun, Reversal, Standstill, Transfer
from payments.stripe_disputes import DisputeFacts
from payments.stripe_objects import IntentFacts, TransferFacts

log = structlog.get_logger(__name__)

BATCH = 100
Status = Payment.Status
# What an intent at Stripe can still tell us of a payment in these states.
ENDED = (Status.CAPTURED, Status.RELEASED)


class _Marked(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def created(self) -> datetime: ...
    @property
    def metadata(self) -> dict[str, str]: ...


Calls = defaultdict[str, list[MarkedFacts]]
_Facts = TypeVar("_Facts", bound=_Marked)
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Adopted:
    """How many were taken over; and those that were not, each with the reason."""

    taken: int
    left: list[tuple[Deed, str]]


def adopt(*, now: datetime) -> Adopted:
    """Take over what can be, and leave the rest as differences for a person. Safe to repeat, and to be killed.

    Only while we stand still, so that nothing is sent meanwhile. Network: call it outside any transaction.
    Raises GatewayError where Stripe does not answer: then it is to be called again.
    """
    todo = sorted(_gather(), key=lambda deed: (deed.at, deed.rank))
    left = _take_all(todo)
    # What was waiting for something that came later by the clock of a single second.
    left = _take_all([deed for deed, _ in left])
    unsettled = {deed.id for deed, _ in left}
    _settle([deed.id for deed in todo if deed.id not in unsettled], now)
    for deed, why in left:
        _leave(deed, why, now)
    for run in PayoutRun.objects.filter(status=PayoutRun.Status.OPEN):
        payouts.close_run(run, now)
    Standstill.objects.filter(ended_at=None).update(behind=False)
    log.warning("taken_over_from_stripe", taken=len(todo) - len(left), left=len(left))
    return Adopted(len(todo) - len(left), left)


def _take_all(todo: Iterable[Deed]) -> list[tuple[Deed, str]]:
    return [(deed, why) for deed in todo if (why := _take(deed))]


def _take(deed: Deed) -> str:
    """Returns why it could not be taken over, or nothing. One that trips over a bug does not keep the others."""
    try:
        deed.take(deed.at)
    except GatewayError as error:
        if not error.permanent:
            raise
        return f"Stripe refused: {error.message}"
    except (DomainError, NotYetError) as error:
        return str(error)
    except Exception as error:
        log.exception("not_taken_over", type=deed.type, id=deed.id)
        return f"{type(error).__name__}: {error}"
    return ""


def _settle(ids: list[str], now: datetime) -> None:
    """What could not be taken over by an earlier try, and is now."""
    open_ones = Difference.objects.filter(code=lookout.LOST_CHANGE, object_id__in=ids, state=Difference.State.OPEN)
    open_ones.update(state=Difference.State.REPAIRED, settled_at=now, settlement="Taken over from Stripe.")


def _leave(deed: Deed, why: str, now: datetime) -> None:
    log.error("not_taken_over", type=deed.type, id=deed.id, reason=why)
    if deed.operation_id is None:
        # Made by somebody else at Stripe: the comparison that follows says what is to be done about it.
        return
    key = {"code": lookout.LOST_CHANGE, "object_type": f"lost_{deed.type}", "object_id": deed.id}
    found = {"stripes": {**deed.about, "not_repaired": why[:300]}, "seen_at": now}
    difference, _ = Difference.objects.update_or_create(
        **key, defaults=found, create_defaults={**found, "found_at": now}
    )
    # An earlier restore had settled it. What a person has said of it stays.
    Difference.objects.filter(pk=difference.pk, state=Difference.State.REPAIRED).update(
        state=Difference.State.OPEN, settled_at=None, settlement=""
    )


# --- gathering ----------------------------------------------------------------------------------


def _gather() -> Iterator[Deed]:
    calls = _lost_calls()
    for intents in _batches(gateway.list_payment_intents()):
        yield from _of_intents(intents, calls)
    for transfers in _batches(gateway.list_transfers()):
        yield from (deeds.of_transfer(facts) for facts in _lost("transfer", transfers))
        yield from _of_reversals(transfers, calls)
    for refunds in _batches(gateway.each_refund()):
        yield from (deeds.of_refund(facts) for facts in _lost("refund", refunds))
    for disputes in _batches(gateway.list_disputes()):
        yield from _of_disputes(disputes, calls)
    for payouts_ in _batches(gateway.list_payouts(account_id="")):
        yield from (deeds.of_payout(facts) for facts in _lost("payout", payouts_))
    yield from _of_accounts()
    for rest in calls.values():
        yield from map(deeds.of_call, rest)


def _lost_calls() -> Calls:
    """By the object that they changed: each is to be taken from here together with it."""
    found: Calls = defaultdict(list)
    for batch in _batches(gateway.list_calls()):
        for call in lookout.lost_changes(batch):
            found[call.id].append(call)
    return found


def _of_intents(intents: list[IntentFacts], calls: Calls) -> Iterator[Deed]:
    """Those by lost operations, those that lost operations have changed, and those that have gone on since."""
    lost = {facts.id for facts in _lost("payment_intent", intents)}
    by_intent = {each.payment_intent_id: each for each in Payment.objects.filter(payment_intent_id__in=_ids(intents))}
    numbers = {facts.id: facts.metadata.get("payment_id", "") for facts in intents}
    by_number = Payment.objects.in_bulk([int(number) for number in numbers.values() if number.isdecimal()])
    for facts in intents:
        number = numbers[facts.id]
        payment = by_intent.get(facts.id) or (by_number.get(int(number)) if number.isdecimal() else None)
        changes = calls.pop(facts.id, [])
        if facts.id in lost or changes or (payment is not None and _has_gone_on(facts, payment)):
            yield deeds.of_intent(facts, payment if payment and _is_of(facts, payment) else None, changes)


def _is_of(intent: IntentFacts, payment: Payment) -> bool:
    """Numbers of payments that are lost are given anew: a younger one is another."""
    return payment.payment_intent_id in (None, intent.id) and payment.created_at <= intent.created + lookout.CLOCK_SLACK


def _has_gone_on(intent: IntentFacts, payment: Payment) -> bool:
    if payment.status in ENDED:
        return False
    return intent.status in ("succeeded", "canceled") or payment.payment_intent_id is None


def _of_reversals(transfers: list[TransferFacts], calls: Calls) -> Iterator[Deed]:
    """The reversals of a transfer are asked for where some may be unknown; our fee of a capture's came back at once."""
    known = dict(
        Transfer.objects.filter(stripe_transfer_id__in=_ids(transfers)).values_list("stripe_transfer_id", "pk")
    )
    for transfer in transfers:
        lost = {call.operation_id for call in calls.pop(transfer.id, [])}
        if not transfer.amount_reversed:
            continue
        done = _reversals_of(known.get(transfer.id, 0))
        for facts in gateway.list_reversals(transfer.id):
            if facts.id not in done or marks.operation_id(facts.metadata) in lost:
                booked = facts.balance_transaction
                yield deeds.of_reversal(facts, (booked.created if booked else None) or transfer.created)


def _reversals_of(transfer_pk: int) -> set[str | None]:
    return set(Reversal.objects.filter(transfer=transfer_pk).values_list("stripe_reversal_id", flat=True))


def _of_disputes(disputes: list[DisputeFacts], calls: Calls) -> Iterator[Deed]:
    known = dict(
        Dispute.objects.filter(stripe_dispute_id__in=_ids(disputes)).values_list("stripe_dispute_id", "status")
    )
    intents = [facts.payment_intent for facts in disputes]
    payments = {each.payment_intent_id: each for each in Payment.objects.filter(payment_intent_id__in=intents)}
    for facts in disputes:
        payment, changes = payments.get(facts.payment_intent), calls.pop(facts.id, [])
        if changes or (payment is not None and known.get(facts.id) != facts.status):
            yield deeds.of_dispute(facts, payment, changes)


def _of_accounts() -> Iterator[Deed]:
    """Among the newest, since few are made in the time that a backup is older."""
    newest = gateway.list_newest("account", limit=BATCH)
    for marked in lookout.lost_changes(newest):
        yield deeds.of_account(services.read_account(marked.id), marked.created)


def _lost(kind: str, batch: list[_Facts]) -> list[_Facts]:
    """Those by operations that this database does not know."""
    marked = [MarkedFacts(kind, facts.id, facts.created, marks.operation_id(facts.metadata)) for facts in batch]
    lost = {facts.id for facts in lookout.lost_changes(marked)}
    return [facts for facts in batch if facts.id in lost]


def _ids(batch: Iterable[_Marked]) -> list[str]:
    return [facts.id for facts in batch]


def _batches(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    iterator = iter(items)
    while batch := list(islice(iterator, BATCH)):
        yield batch
