"""Holds and captures: Stripe's PaymentIntents against our payments."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.db.models import Min

from payments import gateway, marks, services
from payments.models import Operation, Payment
from payments.reconcile import comparing, kinds
from payments.reconcile.comparing import Comparison, Known
from payments.reconcile.findings import Finding, Round
from payments.reconcile.listing import created_since
from payments.stripe_objects import IntentFacts

Status = Payment.Status

TYPE = "payment_intent"
OPEN = (Status.OPEN, Status.AUTHORISING, Status.HELD, Status.CAPTURING, Status.RELEASING)
LIVE_AT_STRIPE = ("requires_capture", "succeeded")
LIVE_HERE = (Status.HELD, Status.CAPTURING, Status.CAPTURED)
# What we may think of an intent in this state; of one that waits for the student, anything but that money is there.
FITTING = {
    "requires_capture": (Status.HELD, Status.CAPTURING, Status.RELEASING),
    "succeeded": (Status.CAPTURED,),
    "canceled": (Status.RELEASED, Status.LOST, Status.LAPSED, Status.REFUSED),
}
WAITING = (Status.OPEN, Status.LAPSED, Status.AUTHORISING, Status.REFUSED, Status.SAVED)


@dataclass(frozen=True, slots=True)
class _Ours:
    by_intent: dict[str, Payment]
    by_operation: dict[str, Payment]
    # Other payments of the same thing that hold or have taken money.
    live: dict[str, list[Payment]]

    def payment_of(self, facts: IntentFacts) -> Payment | None:
        return self.by_intent.get(facts.id) or self.by_operation.get(facts.metadata.get("operation_id", ""))


def compare_all(around: Round) -> None:
    oldest = Payment.objects.filter(status__in=OPEN).aggregate(first=Min("created_at"))["first"]
    comparing.run(COMPARISON, around.window(oldest), around)


def _compare(batch: Sequence[IntentFacts]) -> Iterator[Finding]:
    ours = _read_ours(batch)
    for facts in batch:
        payment = ours.payment_of(facts)
        if payment is None:
            yield from _unknown(facts)
        elif payment.payment_intent_id not in (None, facts.id):
            yield from _second(payment, facts)
        else:
            yield from _differing(payment, facts)
            yield from _beside(payment, ours.live.get(payment.reference, ()), facts)


def _read_ours(batch: Sequence[IntentFacts]) -> _Ours:
    known = Payment.objects.select_related("payer__stripe_customer")
    by_intent = {
        str(each.payment_intent_id): each for each in known.filter(payment_intent_id__in=[f.id for f in batch])
    }
    marked = [marks.operation_id(facts.metadata) for facts in batch if facts.id not in by_intent]
    operations = Operation.objects.filter(pk__in=[mark for mark in marked if mark], payment__isnull=False)
    asked = operations.select_related("payment__payer__stripe_customer")
    by_operation = {str(each.pk): each.payment for each in asked if each.payment is not None}
    references = {payment.reference for payment in (*by_intent.values(), *by_operation.values())}
    live: dict[str, list[Payment]] = {}
    for payment in Payment.objects.filter(reference__in=references, status__in=LIVE_HERE):
        live.setdefault(payment.reference, []).append(payment)
    return _Ours(by_intent, by_operation, live)


def _unknown(facts: IntentFacts) -> Iterator[Finding]:
    """What neither bears our marks nor brings money is nobody's concern."""
    marked = marks.operation_id(facts.metadata) is not None
    if marked or facts.status in LIVE_AT_STRIPE:
        yield Finding(kinds.ORPHAN_AT_STRIPE, TYPE, facts.id, stripes={**_stripes(facts), "bears_our_marks": marked})


def _second(payment: Payment, facts: IntentFacts) -> Iterator[Finding]:
    """Another intent for the same payment. An earlier one that was refused is none."""
    if facts.status in LIVE_AT_STRIPE:
        yield Finding(kinds.HELD_TWICE, TYPE, facts.id, _ours(payment), _stripes(facts), payment.pk, payment.coach_id)


def _beside(payment: Payment, live: Iterable[Payment], facts: IntentFacts) -> Iterator[Finding]:
    others = [other.pk for other in live if other.pk != payment.pk]
    # One that takes over, or is given back for another, is on its way.
    if others and facts.status in LIVE_AT_STRIPE and payment.status != Status.RELEASING:
        ours = {**_ours(payment), "paid_by": others}
        yield Finding(kinds.HELD_TWICE, TYPE, facts.id, ours, _stripes(facts), payment.pk, payment.coach_id)


def _differing(payment: Payment, facts: IntentFacts) -> Iterator[Finding]:
    found = partial(_finding, payment, facts)
    if payment.payment_intent_id is None and facts.status in LIVE_AT_STRIPE:
        yield found(kinds.MISSING_HERE)
    elif payment.status not in FITTING.get(facts.status, WAITING) or _refused(payment, facts):
        yield found(kinds.STATE_DIFFERS)
    if facts.currency != payment.currency:
        yield found(kinds.CURRENCY_DIFFERS)
    if facts.amount != payment.amount:
        yield found(kinds.AMOUNT_DIFFERS)
    elif facts.status == "succeeded" and payment.status == Status.CAPTURED:
        yield from _differing_capture(payment, facts)
    if _belongs_elsewhere(payment, facts):
        whose = {"customer": _customer(payment), "charge": payment.charge_id, "destination": payment.destination}
        yield found(kinds.OWNER_DIFFERS, **whose)


def _refused(payment: Payment, facts: IntentFacts) -> bool:
    """The bank has said no to a hold that we are still waiting for."""
    return (
        payment.status == Status.AUTHORISING and facts.status == "requires_payment_method" and bool(facts.last_refusal)
    )


def _differing_capture(payment: Payment, facts: IntentFacts) -> Iterator[Finding]:
    booked = facts.charge.balance_transaction if facts.charge else None
    fee = booked.fee if booked is not None and booked.currency == payment.currency else payment.stripe_fee_amount
    if (facts.amount_received, fee) != (payment.captured_amount, payment.stripe_fee_amount):
        yield _finding(
            payment, facts, kinds.AMOUNT_DIFFERS, captured=payment.captured_amount, fee=payment.stripe_fee_amount
        )


def _belongs_elsewhere(payment: Payment, facts: IntentFacts) -> bool:
    transfer = facts.charge.transfer if facts.charge else None
    return (
        facts.customer != _customer(payment)
        or facts.metadata.get("payment_id") != str(payment.pk)
        or (payment.charge_id != "" and facts.charge is not None and facts.charge.id != payment.charge_id)
        or (transfer is not None and payment.destination not in ("", transfer.destination))
    )


def _customer(payment: Payment) -> str:
    customer = getattr(payment.payer, "stripe_customer", None)
    return customer.stripe_customer_id if customer else ""


def _finding(payment: Payment, facts: IntentFacts, kind: kinds.Kind, **more: Any) -> Finding:
    return Finding(kind, TYPE, facts.id, {**_ours(payment), **more}, _stripes(facts), payment.pk, payment.coach_id)


def _ours(payment: Payment) -> dict[str, Any]:
    return {
        "payment": payment.pk,
        "status": payment.status,
        "amount": payment.amount,
        "currency": payment.currency,
        "payment_intent": payment.payment_intent_id,
    }


def _stripes(facts: IntentFacts) -> dict[str, Any]:
    charge = facts.charge
    return {
        "status": facts.status,
        "amount": facts.amount,
        "amount_received": facts.amount_received,
        "currency": facts.currency,
        "customer": facts.customer,
        "charge": charge.id if charge else "",
        "destination": charge.transfer.destination if charge and charge.transfer else "",
        "payment": facts.metadata.get("payment_id", ""),
        "fee": charge.balance_transaction.fee if charge and charge.balance_transaction else 0,
    }


def _repair(facts: IntentFacts, now: datetime) -> None:
    payment = _read_ours([facts]).payment_of(facts)
    if payment is not None and payment.payment_intent_id in (None, facts.id):
        services.record_intent(payment=payment, intent=facts, now=now)


def _under_way(batch: Sequence[IntentFacts], around: Round) -> set[str]:
    """What the charge brought with it is left as well."""
    ours = _read_ours(batch)
    payments = {facts.id: ours.payment_of(facts) for facts in batch}
    busy = set(
        Operation.objects.filter(
            payment__in=[payment for payment in payments.values() if payment],
            state__in=Operation.OPEN_STATES,
            created_at__gt=around.now - comparing.UNDER_WAY_FOR,
        ).values_list("payment_id", flat=True)
    )
    left = [facts for facts in batch if (payment := payments[facts.id]) is not None and payment.pk in busy]
    return {each for facts in left for each in (facts.id, *_of_charge(facts))}


def _of_charge(facts: IntentFacts) -> Iterator[str]:
    charge = facts.charge
    if charge is not None:
        yield charge.id
        if charge.transfer is not None:
            yield charge.transfer.id
        if charge.application_fee is not None:
            yield charge.application_fee.id


def _known(since: datetime | None) -> Iterator[Known]:
    payments = created_since(Payment.objects.filter(payment_intent_id__isnull=False), since)
    fields = ("payment_intent_id", "pk", "coach_id", "status", "amount", "currency")
    for intent, pk, coach, status, amount, currency in payments.values_list(*fields).iterator(chunk_size=1000):
        yield Known(str(intent), {"payment": pk, "status": status, "amount": amount, "currency": currency}, pk, coach)


COMPARISON = Comparison(
    object_type=TYPE,
    each=gateway.list_payment_intents,
    read=gateway.retrieve_payment_intent,
    created=lambda facts: facts.created,
    compare=_compare,
    repair=_repair,
    under_way=_under_way,
    ours=_known,
)
