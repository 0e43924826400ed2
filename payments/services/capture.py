"""Taking the money that is held."""

from datetime import datetime

import structlog
from django.db import transaction

from payments import operations, settlement
from payments.errors import PaymentNotHeld, StripeMismatchError
from payments.facts import Fact, announce
from payments.gateway import EXPAND_INTENT
from payments.models import Earning, Operation, Payment
from payments.services.holds import WAITING, hold_facts
from payments.services.verify import verify_intent
from payments.stripe_objects import IntentFacts

log = structlog.get_logger(__name__)

Status = Payment.Status


def request_capture(*, payment: Payment, now: datetime) -> None:
    """In the caller's transaction: all that is held is to be taken. Raises PaymentNotHeld."""
    if not Payment.objects.filter(pk=payment.pk, status=Status.HELD).update(status=Status.CAPTURING):
        raise PaymentNotHeld
    payment.refresh_from_db()
    write_down_capture(payment=payment, now=now)


def write_down_capture(*, payment: Payment, now: datetime) -> Operation:
    params = {
        "intent": payment.payment_intent_id,
        "params": {"expand": list(EXPAND_INTENT), **settlement.of(payment).capture_params(payment)},
    }
    return operations.create(Operation.Kind.CAPTURE, params=params, payment=payment, now=now)


def record_capture(*, payment: Payment, intent: IntentFacts, now: datetime) -> None:
    """The money is taken, by us or by someone at Stripe's dashboard: booked once, whoever reports it.

    Raises NotYetError while Stripe does not show the money's way, and StripeMismatchError.
    """
    verify_intent(payment, intent)
    if not 0 < intent.amount_received <= payment.amount:
        raise StripeMismatchError(f"{intent.id} brought {intent.amount_received} of {payment.money!r}.")
    with transaction.atomic():
        _hold_first(payment, intent, now)
        unwanted = Payment.objects.filter(pk=payment.pk, status=Status.RELEASING).exists()
        if not _move_to_captured(payment, intent, now):
            return
        settlement.of(payment).book_capture(payment, intent, now)
        if unwanted:
            set_aside_capture(payment=payment)
        announce(Fact.CAPTURED, payment, now)


def set_aside_capture(*, payment: Payment) -> None:
    """In the caller's transaction: it is the student's to have back, and no run may pay it out meanwhile."""
    Earning.objects.filter(payment=payment).update(frozen=True)
    log.critical("captured_what_was_to_be_released", payment=payment.pk, reference=payment.reference)


def _hold_first(payment: Payment, intent: IntentFacts, now: datetime) -> None:
    """Captured at Stripe before we even knew of the hold: listeners hear of one after the other."""
    waiting = Payment.objects.filter(pk=payment.pk, status__in=WAITING)
    if waiting.update(status=Status.HELD, **hold_facts(intent, now)):
        payment.refresh_from_db()
        announce(Fact.HOLD_RECORDED, payment, now)


def _move_to_captured(payment: Payment, intent: IntentFacts, now: datetime) -> bool:
    live = Payment.objects.filter(pk=payment.pk, status__in=(Status.HELD, Status.CAPTURING, Status.RELEASING))
    hit = live.update(
        status=Status.CAPTURED,
        captured_amount=intent.amount_received,
        captured_at=now,
        charge_id=intent.charge.id if intent.charge else "",
    )
    if hit:
        payment.refresh_from_db()
    return bool(hit)
