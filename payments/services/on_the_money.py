"""How a capture and a release are carried out: send, and where Stripe refuses, see what is the case."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

import structlog
from django.db import IntegrityError, transaction

from payments import gateway, operations
from payments.errors import HoldUnderWay, NoSavedCard, NotYetError
from payments.gateway import GatewayError
from payments.models import Operation, Payment
from payments.operations import KindHandler
from payments.services.off_session import renew_hold
from payments.services.truth import record_intent
from payments.stripe_objects import IntentFacts, Json

log = structlog.get_logger(__name__)

# The states of an intent in which nothing is left to capture or release.
FINAL = ("succeeded", "canceled")
# Stripe's codes where the destination of a charge can't receive its money.
REFUSALS_OF_THE_COACH = ("insufficient_capabilities_for_transfer", "transfers_not_allowed", "account_invalid")
# What Stripe has refused while the hold is there is asked for again after this time.
ASK_ANEW_AFTER = timedelta(hours=1)


def ask_anew(*, payment: Payment, now: datetime) -> None:
    """For a payment on its way whose last operation Stripe refused: a new one, under a new key.

    Safe, since a refusal is final. Whatever stood in the way (the coach's account, a limit) may be gone by now.
    """
    payment.refresh_from_db()
    if payment.status not in (Payment.Status.CAPTURING, Payment.Status.RELEASING):
        return
    last = payment.operations.filter(kind__in=Operation.MONEY_KINDS).latest("created_at")
    if last.state != Operation.State.FAILED or last.finished_at is None or last.finished_at > now - ASK_ANEW_AFTER:
        return
    try:
        with transaction.atomic():
            operations.create(Operation.Kind(last.kind), params=last.params, payment=payment, now=now)
    except IntegrityError:
        log.info("asked_anew_already", payment=payment.pk)


class _Change(Protocol):
    def __call__(self, intent_id: str, *, params: Json, key: str) -> IntentFacts: ...


def _sender(change: _Change) -> Callable[[Operation], IntentFacts]:
    def send(operation: Operation) -> IntentFacts:
        intent_id = operation.params["intent"]
        try:
            return change(intent_id, params=operation.params["params"], key=operation.idempotency_key)
        except GatewayError as error:
            # Refused perhaps because it is done already, or the hold is gone: then that is the answer.
            final = _final_intent(intent_id) if error.permanent else None
            if final is None:
                raise
            return final

    return send


def _final_intent(intent_id: str) -> IntentFacts | None:
    try:
        intent = gateway.retrieve_payment_intent(intent_id)
    except GatewayError as error:
        # That this read fails says nothing about the change: the same key brings the same refusal again later.
        raise GatewayError("lost", error.code, error.message) from error
    return intent if intent.status in FINAL else None


def _look_up(operation: Operation) -> IntentFacts | None:
    """An intent that is still held proves that neither a capture nor a release has had its effect."""
    intent = gateway.retrieve_payment_intent(operation.params["intent"])
    return intent if intent.status in FINAL else None


def _record(operation: Operation, intent: IntentFacts, now: datetime) -> str:
    if intent.status not in FINAL:
        # Neither refused nor done; closed by this, nothing would ever ask again.
        raise NotYetError(f"{intent.id} is {intent.status}.")
    payment = Payment.objects.get(operations=operation)
    record_intent(payment=payment, intent=intent, now=now)
    return intent.charge.id if intent.charge else intent.id


def _refuse(operation: Operation, error: GatewayError, now: datetime) -> None:
    """The hold is still there and Stripe will not touch it: see `ask_anew`."""
    log.critical("stripe_refuses_a_held_payment", kind=operation.kind, payment=operation.payment_id, code=error.code)
    if operation.kind == Operation.Kind.CAPTURE and error.code in REFUSALS_OF_THE_COACH:
        _hold_without_the_coach(operation, now)


def _hold_without_the_coach(operation: Operation, now: datetime) -> None:
    """The coach's account can't receive it: a new hold, whose money comes to us, takes over from this one. Once.

    Only for a session that took place: for one that was cancelled late nobody holds the price a second time.
    """
    payment = Payment.objects.get(operations=operation)
    if "amount_to_capture" in operation.params["params"] or payment.replaced_by.exists():
        return
    try:
        renew_hold(payment=payment, now=now)
    except (NoSavedCard, HoldUnderWay) as error:
        log.warning("not_held_without_the_coach", payment=payment.pk, reason=error.code)


operations.register(
    Operation.Kind.CAPTURE, KindHandler(_sender(gateway.capture_payment_intent), _look_up, _record, _refuse)
)
operations.register(
    Operation.Kind.RELEASE, KindHandler(_sender(gateway.cancel_payment_intent), _look_up, _record, _refuse)
)
