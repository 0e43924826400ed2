"""Stripe's disputes against ours."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Min

from payments import gateway, services
from payments.models import Dispute, Operation, Payment
from payments.reconcile import comparing, kinds
from payments.reconcile.comparing import Comparison, Known
from payments.reconcile.findings import Finding, Round
from payments.stripe_disputes import DisputeFacts

TYPE = "dispute"


def compare_all(around: Round) -> None:
    oldest = Dispute.objects.filter(closed_at=None).aggregate(first=Min("opened_at"))["first"]
    comparing.run(COMPARISON, around.window(oldest), around)


def _compare(batch: Sequence[DisputeFacts]) -> Iterator[Finding]:
    rows = Dispute.objects.filter(stripe_dispute_id__in=[facts.id for facts in batch]).select_related("payment")
    disputes = {dispute.stripe_dispute_id: dispute for dispute in rows}
    payments = _payments_of(batch)
    for facts in batch:
        dispute, payment = disputes.get(facts.id), payments.get(facts.payment_intent)
        if dispute is not None:
            yield from _differing(dispute, facts)
        elif payment is not None:
            about = {"payment": payment.pk, "status": payment.status}
            yield Finding(kinds.MISSING_HERE, TYPE, facts.id, about, _stripes(facts), payment.pk, payment.coach_id)
        else:
            yield Finding(kinds.ORPHAN_AT_STRIPE, TYPE, facts.id, stripes=_stripes(facts))


def _payments_of(batch: Sequence[DisputeFacts]) -> dict[str, Payment]:
    named = [facts.payment_intent for facts in batch if facts.payment_intent]
    return {str(each.payment_intent_id): each for each in Payment.objects.filter(payment_intent_id__in=named)}


def _differing(dispute: Dispute, facts: DisputeFacts) -> Iterator[Finding]:
    payment = dispute.payment
    checks = (
        (kinds.STATE_DIFFERS, dispute.status != facts.status or _money_is_elsewhere(dispute, facts)),
        (kinds.AMOUNT_DIFFERS, dispute.amount != facts.amount),
        (kinds.CURRENCY_DIFFERS, dispute.currency != facts.currency),
        (
            kinds.OWNER_DIFFERS,
            (payment.payment_intent_id, dispute.charge_id) != (facts.payment_intent, facts.charge),
        ),
    )
    for kind, differs in checks:
        if differs:
            yield Finding(kind, TYPE, facts.id, _ours(dispute), _stripes(facts), payment.pk, payment.coach_id)


def _money_is_elsewhere(dispute: Dispute, facts: DisputeFacts) -> bool:
    """Taken there and not here, or given back there and not here."""
    return _moved(facts) != (dispute.withdrawn_at is not None, dispute.reinstated_at is not None)


def _moved(facts: DisputeFacts) -> tuple[bool, bool]:
    amounts = [entry.booked.amount for entry in facts.entries if entry.type == "adjustment"]
    return any(amount < 0 for amount in amounts), any(amount > 0 for amount in amounts)


def _ours(dispute: Dispute) -> dict[str, Any]:
    return {
        "dispute": dispute.pk,
        "payment": dispute.payment_id,
        "status": dispute.status,
        "amount": dispute.amount,
        "currency": dispute.currency,
        "taken": dispute.withdrawn_at is not None,
        "given_back": dispute.reinstated_at is not None,
        "charge": dispute.charge_id,
    }


def _stripes(facts: DisputeFacts) -> dict[str, Any]:
    taken, given_back = _moved(facts)
    return {
        "status": facts.status,
        "amount": facts.amount,
        "currency": facts.currency,
        "taken": taken,
        "given_back": given_back,
        "charge": facts.charge,
        "payment_intent": facts.payment_intent,
    }


def record(facts: DisputeFacts, now: datetime) -> None:
    payment = _payments_of([facts]).get(facts.payment_intent)
    if payment is not None:
        services.record_dispute(payment=payment, facts=facts, now=now)


def _under_way(batch: Sequence[DisputeFacts], around: Round) -> set[str]:
    open_ones = Operation.objects.filter(
        dispute__stripe_dispute_id__in=[facts.id for facts in batch],
        state__in=Operation.OPEN_STATES,
        created_at__gt=around.now - comparing.UNDER_WAY_FOR,
    )
    return set(open_ones.values_list("dispute__stripe_dispute_id", flat=True))


def _known(since: datetime | None) -> Iterator[Known]:
    rows = Dispute.objects.filter(opened_at__gte=since) if since else Dispute.objects.all()
    fields = ("stripe_dispute_id", "pk", "payment_id", "payment__coach_id", "status", "amount", "currency")
    for stripe_id, pk, payment, coach, status, amount, currency in rows.values_list(*fields).iterator(chunk_size=1000):
        ours = {"dispute": pk, "payment": payment, "status": status, "amount": amount, "currency": currency}
        yield Known(stripe_id, ours, payment, coach)


COMPARISON = Comparison(
    object_type=TYPE,
    each=gateway.list_disputes,
    read=gateway.retrieve_dispute,
    created=lambda facts: facts.created,
    compare=_compare,
    repair=record,
    under_way=_under_way,
    ours=_known,
)
