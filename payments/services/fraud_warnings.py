"""Early fraud warnings: the card's bank believes a payment to be fraudulent. A refund now would prevent a dispute."""

from datetime import datetime

import structlog
from django.db import transaction

from marketplace.lib.decisions import record_decision
from marketplace.lib.errors import DomainError
from marketplace.models import User
from payments.models import FraudWarning, Payment
from payments.services.refunding import require_staff_apart
from payments.stripe_disputes import FraudWarningFacts

log = structlog.get_logger(__name__)


class WarningSettled(DomainError):
    code = "warning_settled"
    message = "This warning is settled already."


def record_fraud_warning(*, payment: Payment, facts: FraudWarningFacts, now: datetime) -> FraudWarning:
    """A warning, and later that nothing is left to do about it: refunded in full, or disputed. Safe to repeat."""
    with transaction.atomic():
        warning, made = FraudWarning.objects.select_for_update().get_or_create(
            stripe_warning_id=facts.id,
            defaults={
                "payment": payment,
                "fraud_type": facts.fraud_type[:60],
                "actionable": facts.actionable,
                "warned_at": facts.created,
            },
        )
        if made:
            log.warning("fraud_warning", warning=warning.pk, payment=payment.pk, fraud_type=facts.fraud_type)
        if not facts.actionable:
            FraudWarning.objects.filter(pk=warning.pk).update(actionable=False)
            FraudWarning.objects.filter(pk=warning.pk, settled_at=None).update(settled_at=now)
    warning.refresh_from_db()
    return warning


@transaction.atomic
def settle_fraud_warning(*, warning: FraudWarning, reason: str, actor: User, now: datetime) -> None:
    """Staff let the payment stand. Raises WarningSettled, NotStaff, OwnMoney."""
    require_staff_apart(actor, warning.payment)
    if not FraudWarning.objects.filter(pk=warning.pk, settled_at=None).update(settled_at=now):
        raise WarningSettled
    warning.refresh_from_db(fields=["settled_at"])
    record_decision(
        actor=actor,
        decision="fraud_warning_settled",
        subject=warning,
        reason=reason,
        before={"settled": False},
        after={"settled": True},
        now=now,
    )
