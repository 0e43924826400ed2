"""Facts about a hold, each recorded once: it is there, it was refused, it can't come any more, it is gone."""

from datetime import datetime, timedelta

import structlog
from django.db import IntegrityError, transaction

from payments.facts import Fact, announce
from payments.models import Payment
from payments.services.release import write_down_release
from payments.services.verify import verify_intent, verify_owner
from payments.stripe_objects import IntentFacts

log = structlog.get_logger(__name__)

Status = Payment.Status

WAITING = (Status.OPEN, Status.LAPSED)
LIVE = (Status.HELD, Status.CAPTURING, Status.CAPTURED)
# A hold without a stated end is dropped this long after it was made.
HOLD_LIFE = timedelta(days=7)


def record_hold(*, payment: Payment, intent: IntentFacts, now: datetime) -> None:
    """The money is held. Counts for a payment that had lapsed, too: what that means is for the listener.

    Where something else already pays for the same thing, this hold is one too many, and is released.
    Raises StripeMismatchError where the intent is not the one we asked for.
    """
    verify_intent(payment, intent)
    try:
        with transaction.atomic():
            if _move_to_held(payment, intent, now):
                announce(Fact.HOLD_RECORDED, payment, now)
    except IntegrityError:
        if not Payment.objects.filter(reference=payment.reference, status__in=LIVE).exclude(pk=payment.pk).exists():
            raise
        _release_surplus(payment, intent, now)


def record_refusal(*, payment: Payment, intent: IntentFacts, now: datetime) -> None:  # noqa: ARG001  # as all record_*
    """The bank said no. The student may try another card for as long as the page is open."""
    verify_owner(payment, intent)
    said = intent.last_refusal[:300]
    Payment.objects.filter(pk=payment.pk, status__in=WAITING).exclude(last_refusal=said).update(last_refusal=said)


def record_checkout_expired(*, payment: Payment, now: datetime) -> None:
    """It can't be paid any more: Stripe has closed the page, or never opened one."""
    with transaction.atomic():
        if Payment.objects.filter(pk=payment.pk, status=Status.OPEN).update(status=Status.LAPSED):
            payment.refresh_from_db()
            announce(Fact.CHECKOUT_EXPIRED, payment, now)


def record_hold_lost(*, payment: Payment, intent: IntentFacts, now: datetime) -> None:
    """The hold is gone at Stripe and not by our doing: it ran out, or was cancelled there."""
    verify_owner(payment, intent)
    with transaction.atomic():
        held = Payment.objects.filter(pk=payment.pk, status__in=(Status.HELD, Status.CAPTURING))
        if held.update(status=Status.LOST):
            payment.refresh_from_db()
            log.warning("hold_lost", payment=payment.pk, reason=intent.cancellation_reason)
            announce(Fact.HOLD_LOST, payment, now)


def hold_facts(intent: IntentFacts, now: datetime) -> dict[str, object]:
    """What a payment keeps of its hold."""
    charge = intent.charge
    return {
        "payment_intent_id": intent.id,
        "charge_id": charge.id if charge else "",
        "capture_before": (charge.capture_before if charge else None) or intent.created + HOLD_LIFE,
        "held_at": now,
    }


def _move_to_held(payment: Payment, intent: IntentFacts, now: datetime) -> bool:
    waiting = Payment.objects.filter(pk=payment.pk, status__in=WAITING)
    hit = waiting.update(status=Status.HELD, **hold_facts(intent, now))
    if hit:
        payment.refresh_from_db()
    return bool(hit)


def _release_surplus(payment: Payment, intent: IntentFacts, now: datetime) -> None:
    log.error("second_hold_for_the_same_thing", payment=payment.pk, reference=payment.reference)
    with transaction.atomic():
        waiting = Payment.objects.filter(pk=payment.pk, status__in=WAITING)
        if waiting.update(status=Status.RELEASING, **hold_facts(intent, now)):
            payment.refresh_from_db()
            write_down_release(payment=payment, now=now)
