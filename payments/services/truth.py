"""What Stripe says of a payment, brought into our state: from an answer, an event or a poller, all by this one way."""

from dataclasses import dataclass
from datetime import datetime

from payments import gateway
from payments.errors import NotYetError
from payments.models import Operation, Payment
from payments.services.accounts import CLOCK_SLACK
from payments.services.capture import record_capture
from payments.services.cards import record_card_saved
from payments.services.holds import (
    record_checkout_expired,
    record_hold,
    record_hold_lost,
    record_hold_refused,
    record_refusal,
)
from payments.services.release import record_release
from payments.services.verify import verify_owner, verify_setup
from payments.stripe_objects import IntentFacts, SessionFacts, SetupFacts

Status = Payment.Status


@dataclass(frozen=True, slots=True)
class Page:
    """A Checkout page with what was done on it. A page to pay has no intent until the student has tried to."""

    session: SessionFacts
    intent: IntentFacts | None
    setup: SetupFacts | None


def refresh_payment(*, payment: Payment, now: datetime) -> None:
    """Ask Stripe and record what it says. Network: call it outside any transaction.

    Raises GatewayError, NotYetError and StripeMismatchError.
    """
    if payment.payment_intent_id:
        record_intent(payment=payment, intent=gateway.retrieve_payment_intent(payment.payment_intent_id), now=now)
    elif payment.status == Status.AUTHORISING:
        _refresh_hold(payment, now)
    elif payment.checkout_session_id:
        record_checkout(payment=payment, page=read_page(payment.checkout_session_id), now=now)


def find_hold(asked: Operation) -> IntentFacts | None:
    """What became of a hold that we asked for, refused or not; None where Stripe has not begun it. Network."""
    return gateway.find_payment_intent(
        operation_id=str(asked.pk),
        customer=asked.params["customer"],
        created_after=asked.created_at - CLOCK_SLACK,
    )


def read_page(session_id: str) -> Page:
    """Network. Raises GatewayError."""
    session = gateway.retrieve_checkout_session(session_id)
    return Page(
        session,
        gateway.retrieve_payment_intent(session.payment_intent) if session.payment_intent else None,
        gateway.retrieve_setup_intent(session.setup_intent) if session.setup_intent else None,
    )


def record_checkout(*, payment: Payment, page: Page, now: datetime) -> None:
    """The page's own state counts only where it is closed and nothing came of it; the intent decides the rest."""
    if page.session.status == "expired":
        record_checkout_expired(payment=payment, now=now)
    elif page.intent is not None:
        record_intent(payment=payment, intent=page.intent, now=now)
    elif page.setup is not None:
        record_setup(payment=payment, setup=page.setup, now=now)


def record_setup(*, payment: Payment, setup: SetupFacts, now: datetime) -> None:
    """Only "succeeded" says that the card is saved."""
    verify_setup(payment, setup)
    if setup.status == "succeeded":
        if setup.card is None:
            raise NotYetError(f"The card of {setup.id} is not there yet.")
        record_card_saved(payment=payment, card=setup.card, setup_intent=setup, now=now)
    elif setup.status == "requires_payment_method" and setup.last_refusal:
        record_refusal(payment=payment, message=setup.last_refusal, now=now)


def record_intent(*, payment: Payment, intent: IntentFacts, now: datetime) -> None:
    """One fact for each state of the intent. A state unknown to us changes nothing."""
    if intent.status == "requires_capture":
        record_hold(payment=payment, intent=intent, now=now)
    elif intent.status == "succeeded":
        record_capture(payment=payment, intent=intent, now=now)
    elif intent.status == "canceled":
        _record_cancelled(payment, intent, now)
    elif intent.status == "requires_payment_method" and intent.last_refusal:
        _record_refused(payment, intent, now)


def _record_refused(payment: Payment, intent: IntentFacts, now: datetime) -> None:
    """On a page the student may try another card; off-session the answer is final."""
    verify_owner(payment, intent)
    record_refusal(payment=payment, message=intent.last_refusal, now=now)
    record_hold_refused(payment=payment, code=intent.refusal_code, message=intent.last_refusal, now=now)


def _record_cancelled(payment: Payment, intent: IntentFacts, now: datetime) -> None:
    """What we wanted decides what it means: at most one of these finds the payment in its state."""
    record_release(payment=payment, intent=intent, now=now)
    record_hold_lost(payment=payment, intent=intent, now=now)
    record_checkout_expired(payment=payment, now=now)
    record_hold_refused(payment=payment, code="canceled", message="It was cancelled at Stripe.", now=now)


def _refresh_hold(payment: Payment, now: datetime) -> None:
    """The answer to our asking for it may be lost; nothing found means nothing, since it may be on its way."""
    intent = find_hold(payment.operations.filter(kind=Operation.Kind.HOLD).latest("created_at"))
    if intent is not None:
        record_intent(payment=payment, intent=intent, now=now)
