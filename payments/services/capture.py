"""Taking the money that is held."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import structlog
from django.db import transaction

from marketplace.lib.money import Money, least_charge
from payments import operations, settlement
from payments.errors import PaymentNotHeld, StripeMismatchError
from payments.facts import Fact, announce
from payments.gateway import EXPAND_INTENT
from payments.models import Earning, Operation, Payment
from payments.services.holds import become_held
from payments.services.release import request_release
from payments.services.verify import verify_intent
from payments.stripe_objects import IntentFacts

log = structlog.get_logger(__name__)

Status = Payment.Status


def request_capture(*, payment: Payment, now: datetime, amount: Money | None = None) -> None:
    """In the caller's transaction: all that is held is to be taken, or a part of it, and the rest is given back.

    A part that Stripe would not charge is no part: then the hold is released. Raises PaymentNotHeld, and ValueError
    for a part that is larger than the whole.
    """
    _capture(payment, amount, settlement.of(payment).capture_params, now)


def request_capture_kept_back(*, payment: Payment, now: datetime, amount: Money | None = None) -> None:
    """The same, but none of it moves to the coach with the capture: their share is an earning in either mode.

    Where a question about the session is open, the caller freezes it once it is there.
    """
    _capture(payment, amount, settlement.of(payment).kept_back_params, now)


def _capture(
    payment: Payment, amount: Money | None, params_of: Callable[[Payment, Money], dict[str, Any]], now: datetime
) -> None:
    taken = payment.money if amount is None else amount
    if payment.money < taken:
        raise ValueError(f"{taken!r} is more than is held of {payment}.")
    if taken < least_charge(payment.currency):
        request_release(payment=payment, now=now)
        return
    if not Payment.objects.filter(pk=payment.pk, status=Status.HELD).update(status=Status.CAPTURING):
        raise PaymentNotHeld
    payment.refresh_from_db()
    # What a cancellation costs is said even where it is the whole: no second hold is made for it.
    part = {"amount_to_capture": taken.amount} if amount is not None else {}
    params = {"expand": list(EXPAND_INTENT), **part, **params_of(payment, taken)}
    intent = {"intent": payment.payment_intent_id, "params": params}
    operations.create(Operation.Kind.CAPTURE, params=intent, payment=payment, now=now)


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
    if become_held(payment, intent, now):
        announce(Fact.HOLD_RECORDED, payment, now)


def _move_to_captured(payment: Payment, intent: IntentFacts, now: datetime) -> bool:
    live = Payment.objects.filter(pk=payment.pk, status__in=(Status.HELD, Status.CAPTURING, Status.RELEASING))
    hit = live.update(
        status=Status.CAPTURED,
        captured_amount=intent.amount_received,
        captured_at=now,
        charge_id=intent.charge.id if intent.charge else "",
        stripe_fee_amount=_stripe_fee(payment, intent),
    )
    if hit:
        payment.refresh_from_db()
    return bool(hit)


def _stripe_fee(payment: Payment, intent: IntentFacts) -> int:
    """What Stripe took for it. Nothing is said of it where Stripe has converted: then it is in another currency."""
    booked = intent.charge.balance_transaction if intent.charge else None
    return booked.fee if booked is not None and booked.currency == payment.currency else 0
