"""The fees that Stripe kept for us of destination charges: their rows are in the books alone."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from payments import gateway
from payments.models import LedgerTransaction, Payment
from payments.reconcile import comparing, kinds
from payments.reconcile.comparing import Comparison, Known
from payments.reconcile.findings import Finding, Round
from payments.stripe_objects import ApplicationFeeFacts

TYPE = "application_fee"
KIND = "application_fee"


def compare_all(around: Round) -> None:
    comparing.run(COMPARISON, around.since, around)


def _compare(batch: Sequence[ApplicationFeeFacts]) -> Iterator[Finding]:
    booked = LedgerTransaction.objects.filter(kind=KIND, reference__in=[facts.id for facts in batch])
    known = {each.reference: each for each in booked.select_related("payment__transfer")}
    payments = {each.payment.charge_id: each.payment for each in known.values() if each.payment is not None}
    rest = {facts.originating_transaction for facts in batch} - {"", *payments}
    payments |= {payment.charge_id: payment for payment in Payment.objects.filter(charge_id__in=rest)}
    for facts in batch:
        posting, payment = known.get(facts.id), payments.get(facts.originating_transaction)
        yield from _differing(facts, posting, payment)


def _differing(
    facts: ApplicationFeeFacts, posting: LedgerTransaction | None, payment: Payment | None
) -> Iterator[Finding]:
    stripes = {
        "amount": facts.amount,
        "amount_refunded": facts.amount_refunded,
        "currency": facts.currency,
        "account": facts.account,
        "charge": facts.originating_transaction,
    }
    if payment is None:
        yield Finding(kinds.ORPHAN_AT_STRIPE, TYPE, facts.id, stripes=stripes)
        return
    about, whose = {"payment": payment.pk, "status": payment.status}, (payment.pk, payment.coach_id)
    if posting is None:
        yield Finding(kinds.MISSING_HERE, TYPE, facts.id, about, stripes, *whose)
    elif posting.payment_id != payment.pk or facts.account != payment.destination:
        ours = {**about, "booked_for": posting.payment_id, "destination": payment.destination}
        yield Finding(kinds.OWNER_DIFFERS, TYPE, facts.id, ours, stripes, *whose)
    if facts.amount_refunded:
        # We never give one back: the coach's part is fetched back from the transfer instead.
        yield Finding(kinds.STATE_DIFFERS, TYPE, facts.id, about, stripes, *whose)


def _repair(facts: ApplicationFeeFacts, now: datetime) -> None:
    """It comes with its capture, which was compared before."""


def _known(since: datetime | None) -> Iterator[Known]:
    booked = LedgerTransaction.objects.filter(kind=KIND)
    rows = booked.filter(recorded_at__gte=since) if since else booked
    fields = ("reference", "pk", "payment_id", "payment__coach_id")
    for reference, pk, payment, coach in rows.values_list(*fields).iterator(chunk_size=1000):
        yield Known(reference, {"ledger_transaction": pk, "payment": payment}, payment, coach)


def _under_way(batch: Sequence[ApplicationFeeFacts], around: Round) -> set[str]:
    return around.left & {facts.id for facts in batch}


COMPARISON = Comparison(
    object_type=TYPE,
    each=gateway.list_application_fees,
    read=gateway.retrieve_application_fee,
    created=lambda facts: facts.created,
    compare=_compare,
    repair=_repair,
    under_way=_under_way,
    ours=_known,
)
