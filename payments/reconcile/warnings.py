"""Early fraud warnings: no money moves by them, and staff have to hear of them."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from django.db.models import Min

from payments import gateway, services
from payments.models import FraudWarning, Payment
from payments.reconcile import comparing, kinds
from payments.reconcile.comparing import Comparison, Known
from payments.reconcile.findings import Finding, Round
from payments.stripe_disputes import FraudWarningFacts

TYPE = "early_fraud_warning"


def compare_all(around: Round) -> None:
    oldest = FraudWarning.objects.filter(actionable=True).aggregate(first=Min("warned_at"))["first"]
    comparing.run(COMPARISON, around.window(oldest), around)


def _compare(batch: Sequence[FraudWarningFacts]) -> Iterator[Finding]:
    """One about a charge that is not ours is told by the comparison of charges."""
    rows = FraudWarning.objects.filter(stripe_warning_id__in=[facts.id for facts in batch])
    known = dict(rows.values_list("stripe_warning_id", "actionable"))
    payments = _payments_of(batch)
    for facts in batch:
        payment, ours = payments.get(facts.payment_intent), known.get(facts.id)
        if payment is None or ours == facts.actionable:
            continue
        kind = kinds.MISSING_HERE if ours is None else kinds.STATE_DIFFERS
        about = {"payment": payment.pk, "actionable": ours}
        stripes = {"actionable": facts.actionable, "fraud_type": facts.fraud_type, "charge": facts.charge}
        yield Finding(kind, TYPE, facts.id, about, stripes, payment.pk, payment.coach_id)


def _payments_of(batch: Sequence[FraudWarningFacts]) -> dict[str, Payment]:
    named = [facts.payment_intent for facts in batch if facts.payment_intent]
    return {str(each.payment_intent_id): each for each in Payment.objects.filter(payment_intent_id__in=named)}


def _record(facts: FraudWarningFacts, now: datetime) -> None:
    payment = _payments_of([facts]).get(facts.payment_intent)
    if payment is not None:
        services.record_fraud_warning(payment=payment, facts=facts, now=now)


def _under_way(batch: Sequence[FraudWarningFacts], around: Round) -> set[str]:  # noqa: ARG001  # the interface's
    """We ask Stripe for none of them."""
    return set()


def _known(since: datetime | None) -> Iterator[Known]:
    rows = FraudWarning.objects.filter(warned_at__gte=since) if since else FraudWarning.objects.all()
    fields = ("stripe_warning_id", "payment_id", "payment__coach_id", "actionable")
    for warning, payment, coach, actionable in rows.values_list(*fields).iterator(chunk_size=1000):
        yield Known(warning, {"payment": payment, "actionable": actionable}, payment, coach)


COMPARISON = Comparison(
    object_type=TYPE,
    each=gateway.list_fraud_warnings,
    read=gateway.retrieve_fraud_warning,
    created=lambda facts: facts.created,
    compare=_compare,
    repair=_record,
    under_way=_under_way,
    ours=_known,
)
