"""Cards that students have agreed to have charged later: kept by what names them, and removed."""

from datetime import datetime

import structlog
from django.db import transaction

from marketplace.models import User
from payments import gateway, operations
from payments.errors import CardNeeded, NoSuchCard, StripeMismatchError
from payments.facts import Fact, announce
from payments.gateway import GatewayError
from payments.models import Operation, Payment, SavedCard
from payments.operations import KindHandler
from payments.selectors import NEEDS_ITS_CARD
from payments.services.locks import lock_payments
from payments.stripe_objects import CardFacts, PaymentMethodFacts, SetupFacts

log = structlog.get_logger(__name__)

Status = Payment.Status


def record_card_saved(*, payment: Payment, card: CardFacts, setup_intent: SetupFacts, now: datetime) -> None:
    """The card is saved, to be held on later. Counts for a payment that had lapsed, too, as a hold does."""
    with transaction.atomic():
        lock_payments(payment.reference)
        waiting = Payment.objects.filter(pk=payment.pk, status__in=(Status.OPEN, Status.LAPSED))
        saved = store_card(payment, card, now)
        if waiting.update(status=Status.SAVED, card=saved, setup_intent_id=setup_intent.id):
            payment.refresh_from_db()
            announce(Fact.CARD_SAVED, payment, now)


def store_card(payment: Payment, card: CardFacts, now: datetime) -> SavedCard:
    """In the caller's transaction. Raises StripeMismatchError for a card that is someone else's here."""
    kept, _ = SavedCard.objects.get_or_create(
        stripe_payment_method_id=card.payment_method,
        defaults={
            "user": payment.payer,
            "brand": card.brand,
            "last4": card.last4,
            "exp_month": card.exp_month,
            "exp_year": card.exp_year,
            "saved_at": now,
        },
    )
    if kept.user_id != payment.payer_id:
        raise StripeMismatchError(f"{card.payment_method} is another person's than the payer of {payment}.")
    return kept


def remove_card(*, user: User, card_id: int, now: datetime) -> None:
    """The student's own wish: never charged again, and forgotten at Stripe soon. A second call changes nothing.

    Raises CardNeeded while a coming session is paid by it, and NoSuchCard for a card that is not the user's.
    """
    with transaction.atomic():
        card = SavedCard.objects.select_for_update().filter(pk=card_id, user=user).first()
        if card is None:
            raise NoSuchCard
        if card.payments.filter(status__in=NEEDS_ITS_CARD).exists():
            raise CardNeeded
        if SavedCard.objects.filter(pk=card.pk, removed_at=None).update(removed_at=now):
            operations.create(
                Operation.Kind.REMOVE_CARD,
                params={"payment_method": card.stripe_payment_method_id},
                user=user,
                now=now,
            )


def record_card_removed(*, payment_method_id: str, now: datetime) -> None:
    """Stripe has let go of the card, whoever wanted it. What needs it is refused when it is held, and told then."""
    if SavedCard.objects.filter(stripe_payment_method_id=payment_method_id, removed_at=None).update(removed_at=now):
        log.warning("card_removed_at_stripe", payment_method=payment_method_id)


def _detach(operation: Operation) -> PaymentMethodFacts:
    method_id = operation.params["payment_method"]
    try:
        return gateway.detach_payment_method(method_id, key=operation.idempotency_key)
    except GatewayError as error:
        # Refused perhaps because it is detached already: then that is the answer.
        method = read_method(method_id) if error.permanent else None
        if method is None or method.customer:
            raise
        return method


def read_method(method_id: str) -> PaymentMethodFacts:
    """After a refusal, to see what is the case. Network."""
    try:
        return gateway.retrieve_payment_method(method_id)
    except GatewayError as error:
        # That this read fails says nothing about what was refused: the same key brings the same refusal again later.
        raise GatewayError("lost", error.code, error.message) from error


def _look_whether_detached(operation: Operation) -> PaymentMethodFacts | None:
    method = gateway.retrieve_payment_method(operation.params["payment_method"])
    return None if method.customer else method


def _record(operation: Operation, method: PaymentMethodFacts, now: datetime) -> str:  # noqa: ARG001  # the interface's
    """We have let go of it when it was asked for."""
    return method.id


def _refuse(operation: Operation, error: GatewayError, now: datetime) -> None:  # noqa: ARG001  # the interface's
    """It is attached and Stripe will not let go of it. We charge it no more all the same."""
    log.critical("stripe_keeps_a_card", operation=str(operation.pk), code=error.code)


operations.register(Operation.Kind.REMOVE_CARD, KindHandler(_detach, _look_whether_detached, _record, _refuse))
