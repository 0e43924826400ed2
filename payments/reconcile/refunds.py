"""Stripe's refunds against ours, those that were made in its dashboard among them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Min

from payments import gateway, marks, services
from payments.models import LedgerTransaction, Operation, Payment, Refund
from payments.reconcile import comparing, kinds
from payments.reconcile.comparing import Comparison, Known
from payments.reconcile.findings import Finding, Round
from payments.reconcile.listing import created_since
from payments.stripe_objects import RefundFacts

Status = Refund.Status

TYPE = "refund"
# What was sent again, or paid by other means, has failed at Stripe all the same.
NEVER_ARRIVED = (Status.FAILED, Status.REPLACED, Status.OTHERWISE)
FITTING = {
    "pending": (Status.PENDING,),
    "requires_action": (Status.PENDING,),
    "succeeded": (Status.SUCCEEDED,),
    "failed": NEVER_ARRIVED,
    "canceled": NEVER_ARRIVED,
}


@dataclass(frozen=True, slots=True)
class _Ours:
    refunds: dict[str, Refund]
    payments: dict[str, Payment]
    # Refunds that failed and were sent once more: their rows go by the second try.
    history: set[str]
    # Operations whose refund is at Stripe by another id already.
    answered: set[str]


def compare_all(around: Round) -> None:
    oldest = Refund.objects.filter(status__in=Refund.OPEN_STATES).aggregate(first=Min("created_at"))["first"]
    comparing.run(COMPARISON, around.window(oldest), around)


def _compare(batch: Sequence[RefundFacts]) -> Iterator[Finding]:
    ours = _read_ours(batch)
    for facts in batch:
        refund, payment = ours.refunds.get(facts.id), ours.payments.get(facts.payment_intent)
        if refund is not None:
            yield from _differing(refund, facts)
        elif facts.id in ours.history:
            continue
        elif payment is not None:
            about = {"payment": payment.pk, "refunded": payment.refunded_amount}
            is_second = facts.metadata.get("operation_id") in ours.answered
            kind = kinds.REFUNDED_TWICE if is_second else kinds.MISSING_HERE
            yield Finding(kind, TYPE, facts.id, about, _stripes(facts), payment.pk, payment.coach_id)
        else:
            yield Finding(kinds.ORPHAN_AT_STRIPE, TYPE, facts.id, stripes=_stripes(facts))


def _read_ours(batch: Sequence[RefundFacts]) -> _Ours:
    ids = [facts.id for facts in batch]
    refunds = Refund.objects.filter(stripe_refund_id__in=ids).select_related("payment")
    payments = Payment.objects.filter(payment_intent_id__in=[f.payment_intent for f in batch if f.payment_intent])
    failed = LedgerTransaction.objects.filter(kind="refund_failed", reference__in=ids)
    marked = [mark for facts in batch if (mark := marks.operation_id(facts.metadata)) is not None]
    answered = Operation.objects.filter(pk__in=marked, refund__stripe_refund_id__isnull=False)
    return _Ours(
        {str(each.stripe_refund_id): each for each in refunds},
        {str(each.payment_intent_id): each for each in payments},
        set(failed.values_list("reference", flat=True)),
        {str(pk) for pk in answered.values_list("pk", flat=True)},
    )


def _differing(refund: Refund, facts: RefundFacts) -> Iterator[Finding]:
    checks = (
        (kinds.STATE_DIFFERS, refund.status not in FITTING.get(facts.status, ())),
        (kinds.AMOUNT_DIFFERS, refund.amount != facts.amount),
        (kinds.CURRENCY_DIFFERS, refund.currency != facts.currency),
        (kinds.OWNER_DIFFERS, refund.payment.payment_intent_id != facts.payment_intent),
    )
    for kind, differs in checks:
        if differs:
            payment = refund.payment
            yield Finding(kind, TYPE, facts.id, _ours(refund), _stripes(facts), payment.pk, payment.coach_id)


def _ours(refund: Refund) -> dict[str, Any]:
    return {
        "refund": refund.pk,
        "payment": refund.payment_id,
        "status": refund.status,
        "amount": refund.amount,
        "currency": refund.currency,
        "payment_intent": refund.payment.payment_intent_id,
    }


def _stripes(facts: RefundFacts) -> dict[str, Any]:
    return {
        "status": facts.status,
        "amount": facts.amount,
        "currency": facts.currency,
        "payment_intent": facts.payment_intent,
    }


def record(facts: RefundFacts, now: datetime) -> None:
    payment = Payment.objects.filter(payment_intent_id=facts.payment_intent or None).first()
    if payment is not None:
        services.record_refund(payment=payment, facts=facts, now=now)


def _under_way(batch: Sequence[RefundFacts], around: Round) -> set[str]:
    """By the operation's mark: the answer to it may be the one that is still out."""
    named = {mark: facts.id for facts in batch if (mark := marks.operation_id(facts.metadata)) is not None}
    open_ones = Operation.objects.filter(
        pk__in=named, state__in=Operation.OPEN_STATES, created_at__gt=around.now - comparing.UNDER_WAY_FOR
    )
    return {named[pk] for pk in open_ones.values_list("pk", flat=True)}


def _known(since: datetime | None) -> Iterator[Known]:
    rows = created_since(Refund.objects.filter(stripe_refund_id__isnull=False), since)
    fields = ("stripe_refund_id", "pk", "payment_id", "payment__coach_id", "status", "amount", "currency")
    for stripe_id, pk, payment, coach, status, amount, currency in rows.values_list(*fields).iterator(chunk_size=1000):
        ours = {"refund": pk, "payment": payment, "status": status, "amount": amount, "currency": currency}
        yield Known(str(stripe_id), ours, payment, coach)


COMPARISON = Comparison(
    object_type=TYPE,
    each=gateway.each_refund,
    read=gateway.retrieve_refund,
    created=lambda facts: facts.created,
    compare=_compare,
    repair=record,
    under_way=_under_way,
    ours=_known,
)
