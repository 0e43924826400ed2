"""Holding the price on a saved card, without the student: asked for, asked for anew, and what the bank says."""

import uuid
from datetime import datetime

import structlog
from django.db import IntegrityError, transaction

from payments import gateway, operations
from payments.errors import HoldUnderWay, NoSavedCard, NotYetError, PaymentNotSaved
from payments.gateway import GatewayError
from payments.models import Operation, Payment, SavedCard, SettlementMode
from payments.operations import KindHandler
from payments.services.cards import read_method, record_card_removed
from payments.services.holds import record_hold_refused
from payments.services.opening import UNDER_WAY, on_the_same_card, refuse_under_way, save_under_way
from payments.services.parameters import hold_params
from payments.services.release import request_release
from payments.services.truth import find_hold, record_intent
from payments.stripe_objects import IntentFacts

log = structlog.get_logger(__name__)

Status = Payment.Status

CARD_REMOVED = "card_removed"


def request_hold(*, payment: Payment, now: datetime) -> None:
    """In the caller's transaction: the price is to be held on the card that was saved for it.

    Raises PaymentNotSaved, and HoldUnderWay where another payment of the reference is under way.
    """
    try:
        with transaction.atomic():
            hit = Payment.objects.filter(pk=payment.pk, status=Status.SAVED).update(status=Status.AUTHORISING)
    except IntegrityError as error:
        refuse_under_way(payment, error)
    if not hit:
        raise PaymentNotSaved
    payment.refresh_from_db()
    _write_down_hold(payment, now)


def renew_hold(*, payment: Payment, now: datetime) -> Payment:
    """In the caller's transaction: a new payment on the same card, to take over from this one once it is held.

    Raises NoSavedCard, and HoldUnderWay where another payment of the reference is under way.
    """
    _require_card(payment)
    renewal = on_the_same_card(payment, status=Status.AUTHORISING, service_ends_at=payment.service_ends_at, now=now)
    renewal.replaces = payment
    save_under_way(renewal)
    _write_down_hold(renewal, now)
    return renewal


def keep_card(*, payment: Payment, service_ends_at: datetime, now: datetime) -> Payment:
    """In the caller's transaction: the hold is given back, and the card kept to hold on it at a later time.

    Raises PaymentNotHeld, NoSavedCard, and HoldUnderWay where another payment would soon take over.
    """
    _require_card(payment)
    if Payment.objects.filter(reference=payment.reference, status__in=UNDER_WAY).exists():
        raise HoldUnderWay
    request_release(payment=payment, now=now)
    kept = on_the_same_card(payment, status=Status.SAVED, service_ends_at=service_ends_at, now=now)
    kept.save(force_insert=True)
    return kept


def _require_card(payment: Payment) -> None:
    """Locked, so that the card is not removed meanwhile."""
    cards = SavedCard.objects.select_for_update().filter(payments=payment, removed_at=None)
    if not cards.first():
        raise NoSavedCard


def _write_down_hold(payment: Payment, now: datetime) -> Operation:
    operation_id = uuid.uuid4()
    params = hold_params(payment=payment, operation_id=operation_id)
    return operations.create(Operation.Kind.HOLD, operation_id=operation_id, params=params, payment=payment, now=now)


def _send(operation: Operation) -> IntentFacts:
    try:
        return gateway.create_payment_intent(params=operation.params, key=operation.idempotency_key)
    except GatewayError as error:
        # Stripe's words for a card that was removed are many, so the card itself is asked after.
        if not error.permanent or error.declined or read_method(operation.params["payment_method"]).customer:
            raise
        raise GatewayError("refused", CARD_REMOVED, error.message) from error


def _record(operation: Operation, intent: IntentFacts, now: datetime) -> str:
    payment = Payment.objects.get(operations=operation)
    if intent.status == "processing":
        raise NotYetError(f"{intent.id} is being processed.")
    record_intent(payment=payment, intent=intent, now=now)
    # Begun at Stripe and held nowhere, with no answer of the bank's: nobody will end it, and nothing comes of it.
    record_hold_refused(payment=payment, code=intent.status, message=f"The payment is {intent.status}.", now=now)
    return intent.charge.id if intent.charge else intent.id


def _refuse(operation: Operation, error: GatewayError, now: datetime) -> None:
    payment = Payment.objects.get(operations=operation)
    if error.code == CARD_REMOVED:
        record_card_removed(payment_method_id=operation.params["payment_method"], now=now)
    elif payment.destination and not error.declined:
        # Stripe may have refused the coach's account: the session is paid to us, and to the coach by the monthly run.
        log.warning("settled_monthly_after_refusal", payment=payment.pk, code=error.code)
        payment.settlement_mode, payment.destination = SettlementMode.MONTHLY, ""
        payment.save(update_fields=["settlement_mode", "destination"])
        _write_down_hold(payment, now)
        return
    record_hold_refused(payment=payment, code=error.code, message=error.message, now=now)


operations.register(Operation.Kind.HOLD, KindHandler(_send, find_hold, _record, _refuse))
