"""Facts about a hold, each recorded once: it is there, it was refused, it can't come any more, it is gone."""

from datetime import datetime, timedelta

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q

from payments.facts import Fact, announce
from payments.models import Operation, Payment
from payments.services.cards import store_card
from payments.services.locks import lock_payments
from payments.services.release import write_down_release
from payments.services.verify import verify_intent, verify_owner
from payments.stripe_objects import IntentFacts

log = structlog.get_logger(__name__)

Status = Payment.Status

# A hold that comes now counts.
WAITING = (Status.OPEN, Status.LAPSED, Status.AUTHORISING)
LIVE = (Status.HELD, Status.CAPTURING, Status.CAPTURED)
# A hold without a stated end is dropped this long after it was made.
HOLD_LIFE = timedelta(days=7)


def record_hold(*, payment: Payment, intent: IntentFacts, now: datetime) -> None:
    """The money is held. Counts for a payment that had lapsed, too: what that means is for the listener.

    The hold that it takes over is released, now that there is a new one. Where something else already pays for the
    same thing, or is being taken, this hold is one too many, and is released itself.
    Raises StripeMismatchError where the intent is not the one we asked for.
    """
    verify_intent(payment, intent)
    with transaction.atomic():
        try:
            with transaction.atomic():
                held = become_held(payment, intent, now)
        except IntegrityError:
            if not Payment.objects.filter(reference=payment.reference, status__in=LIVE).exclude(pk=payment.pk).exists():
                raise
            _release_surplus(payment, intent, now)
        else:
            if held:
                announce(Fact.HOLD_RECORDED, payment, now)


def record_refusal(*, payment: Payment, message: str, now: datetime) -> None:  # noqa: ARG001  # as all record_*
    """The bank said no. The student may try another card for as long as the page is open."""
    said = message[:300]
    on_a_page = Payment.objects.filter(pk=payment.pk, status__in=(Status.OPEN, Status.LAPSED))
    on_a_page.exclude(last_refusal=said).update(last_refusal=said)


def record_hold_refused(*, payment: Payment, code: str, message: str, now: datetime) -> None:
    """Off-session, the bank said no or wants the student: they are to pay on a page. Final for this payment."""
    with transaction.atomic():
        close_asking(payment, Operation.State.FAILED, now, error_code=code, error_message=message)
        lock_payments(payment.reference)
        asked = Payment.objects.filter(pk=payment.pk, status=Status.AUTHORISING)
        if asked.update(status=Status.REFUSED, last_refusal=message[:300]):
            payment.refresh_from_db()
            log.warning("hold_refused", payment=payment.pk, code=code)
            announce(Fact.HOLD_REFUSED, payment, now)


def record_checkout_expired(*, payment: Payment, now: datetime) -> None:
    """It can't be paid any more: Stripe has closed the page, or never opened one."""
    with transaction.atomic():
        lock_payments(payment.reference)
        if Payment.objects.filter(pk=payment.pk, status=Status.OPEN).update(status=Status.LAPSED):
            payment.refresh_from_db()
            announce(Fact.CHECKOUT_EXPIRED, payment, now)


def record_hold_lost(*, payment: Payment, intent: IntentFacts, now: datetime) -> None:
    """The hold is gone at Stripe and not by our doing: it ran out, or was cancelled there."""
    verify_owner(payment, intent)
    with transaction.atomic():
        lock_payments(payment.reference)
        held = Payment.objects.filter(pk=payment.pk, status__in=(Status.HELD, Status.CAPTURING))
        if held.update(status=Status.LOST):
            payment.refresh_from_db()
            log.warning("hold_lost", payment=payment.pk, reason=intent.cancellation_reason)
            announce(Fact.HOLD_LOST, payment, now)


def become_held(payment: Payment, intent: IntentFacts, now: datetime) -> bool:
    """In the caller's transaction: the payment is held, and the one that it replaces is given back.

    False where it was not waiting for a hold. IntegrityError where another payment of the reference is live.
    """
    close_asking(payment, Operation.State.DONE, now, result_id=intent.id)
    # Locked, so that the old hold is given up only by whoever then records the new one.
    if lock_payments(payment.reference)[payment.pk].status not in WAITING:
        return False
    _release_replaced(payment, now)
    return _move(payment, Status.HELD, intent, now)


def close_asking(payment: Payment, state: Operation.State, now: datetime, **said: str) -> None:
    """What was asked for is known by another way than its answer: then nobody asks again, and the payment is free
    for what comes next. First in the transaction, as where the answer itself is recorded: the order of locks.
    """
    asking = payment.operations.filter(kind=Operation.Kind.HOLD, state__in=Operation.OPEN_STATES)
    asking.update(state=state, lease_token=None, lease_until=None, finished_at=now, **said)


def _release_replaced(payment: Payment, now: datetime) -> None:
    """Also where the old hold was to be taken and Stripe has refused, as long as nobody is asking for it again."""
    asking = Operation.objects.filter(
        payment=OuterRef("pk"), kind__in=Operation.MONEY_KINDS, state__in=Operation.OPEN_STATES
    )
    replaceable = Q(status=Status.HELD) | (Q(status=Status.CAPTURING) & ~Exists(asking))
    replaced = payment.replaces
    if replaced and Payment.objects.filter(replaceable, pk=replaced.pk).update(status=Status.RELEASING):
        replaced.refresh_from_db()
        write_down_release(payment=replaced, now=now)


def _move(payment: Payment, status: Payment.Status, intent: IntentFacts, now: datetime) -> bool:
    waiting = Payment.objects.filter(pk=payment.pk, status__in=WAITING)
    hit = waiting.update(status=status, **_hold_facts(intent, now), **_card_of(payment, intent, now))
    if hit:
        payment.refresh_from_db()
    return bool(hit)


def _hold_facts(intent: IntentFacts, now: datetime) -> dict[str, object]:
    """What a payment keeps of its hold."""
    charge = intent.charge
    return {
        "payment_intent_id": intent.id,
        "charge_id": charge.id if charge else "",
        "capture_before": (charge.capture_before if charge else None) or intent.created + HOLD_LIFE,
        "held_at": now,
    }


def _card_of(payment: Payment, intent: IntentFacts, now: datetime) -> dict[str, object]:
    """The card that was saved with the hold, to hold on it anew; a card used once is no use later."""
    card = intent.charge.card if intent.charge else None
    return {"card": store_card(payment, card, now)} if card and intent.saves_card else {}


def _release_surplus(payment: Payment, intent: IntentFacts, now: datetime) -> None:
    log.error("second_hold_for_the_same_thing", payment=payment.pk, reference=payment.reference)
    close_asking(payment, Operation.State.DONE, now, result_id=intent.id)
    if _move(payment, Status.RELEASING, intent, now):
        write_down_release(payment=payment, now=now)
