"""Giving a hold back."""

from datetime import datetime

from django.db import transaction

from payments import operations
from payments.errors import PaymentNotHeld
from payments.facts import Fact, announce
from payments.models import Operation, Payment
from payments.services.verify import verify_owner
from payments.stripe_objects import IntentFacts

Status = Payment.Status


def request_release(*, payment: Payment, now: datetime) -> None:
    """In the caller's transaction: the hold is to be given back, whole. Raises PaymentNotHeld."""
    if not Payment.objects.filter(pk=payment.pk, status=Status.HELD).update(status=Status.RELEASING):
        raise PaymentNotHeld
    payment.refresh_from_db()
    write_down_release(payment=payment, now=now)


def write_down_release(*, payment: Payment, now: datetime) -> Operation:
    params = {"intent": payment.payment_intent_id, "params": {"expand": ["latest_charge"]}}
    return operations.create(Operation.Kind.RELEASE, params=params, payment=payment, now=now)


def record_release(*, payment: Payment, intent: IntentFacts, now: datetime) -> None:
    """The hold is given back: what we wanted, whoever did it."""
    verify_owner(payment, intent)
    with transaction.atomic():
        releasing = Payment.objects.filter(pk=payment.pk, status=Status.RELEASING)
        if releasing.update(status=Status.RELEASED, released_at=now):
            payment.refresh_from_db()
            announce(Fact.RELEASED, payment, now)
