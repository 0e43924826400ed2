"""What Stripe says of a payment, brought into our state: from an answer, an event or a poller, all by this one way."""

from datetime import datetime

from payments import gateway
from payments.models import Payment
from payments.services.capture import record_capture
from payments.services.holds import record_checkout_expired, record_hold, record_hold_lost, record_refusal
from payments.services.release import record_release
from payments.stripe_objects import IntentFacts, SessionFacts


def refresh_payment(*, payment: Payment, now: datetime) -> None:
    """Ask Stripe and record what it says. Network: call it outside any transaction.

    Raises GatewayError, NotYetError and StripeMismatchError.
    """
    if payment.payment_intent_id:
        record_intent(payment=payment, intent=gateway.retrieve_payment_intent(payment.payment_intent_id), now=now)
    elif payment.checkout_session_id:
        session = gateway.retrieve_checkout_session(payment.checkout_session_id)
        record_checkout(payment=payment, session=session, intent=intent_of(session), now=now)


def intent_of(session: SessionFacts) -> IntentFacts | None:
    """Network. There is none until the student has tried to pay."""
    return gateway.retrieve_payment_intent(session.payment_intent) if session.payment_intent else None


def record_checkout(*, payment: Payment, session: SessionFacts, intent: IntentFacts | None, now: datetime) -> None:
    """The page's own state counts only where it is closed and nothing was paid; the intent decides the rest."""
    if session.status == "expired":
        record_checkout_expired(payment=payment, now=now)
    elif intent is not None:
        record_intent(payment=payment, intent=intent, now=now)


def record_intent(*, payment: Payment, intent: IntentFacts, now: datetime) -> None:
    """One fact for each state of the intent. A state unknown to us changes nothing."""
    if intent.status == "requires_capture":
        record_hold(payment=payment, intent=intent, now=now)
    elif intent.status == "succeeded":
        record_capture(payment=payment, intent=intent, now=now)
    elif intent.status == "canceled":
        _record_cancelled(payment, intent, now)
    elif intent.status == "requires_payment_method" and intent.last_refusal:
        record_refusal(payment=payment, intent=intent, now=now)


def _record_cancelled(payment: Payment, intent: IntentFacts, now: datetime) -> None:
    """What we wanted decides what it means: at most one of these finds the payment in its state."""
    record_release(payment=payment, intent=intent, now=now)
    record_hold_lost(payment=payment, intent=intent, now=now)
    record_checkout_expired(payment=payment, now=now)
