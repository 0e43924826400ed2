"""Whether an object at Stripe is the one we asked for."""

from django.conf import settings

from payments.errors import StripeMismatchError
from payments.models import Payment
from payments.stripe_objects import IntentFacts


def verify_intent(payment: Payment, intent: IntentFacts) -> None:
    """The intent is the one we asked for, to the cent."""
    verify_owner(payment, intent)
    if (intent.amount, intent.currency) != (payment.amount, payment.currency):
        raise StripeMismatchError(f"{intent.id} is over {intent.amount} {intent.currency}, not over {payment.money!r}.")


def verify_owner(payment: Payment, intent: IntentFacts) -> None:
    """The intent belongs to this payment. Metadata alone proves nothing: the customer and the mode must agree."""
    expected = payment.payer.stripe_customer.stripe_customer_id
    if intent.livemode != settings.STRIPE_LIVE_MODE:
        raise StripeMismatchError(f"{intent.id} is of the other mode.")
    if intent.metadata.get("payment_id") != str(payment.pk):
        raise StripeMismatchError(f"{intent.id} does not name {payment}.")
    if payment.payment_intent_id not in (None, intent.id):
        raise StripeMismatchError(f"{intent.id} is not the intent of {payment}.")
    if intent.customer != expected:
        raise StripeMismatchError(f"{intent.id} is of another customer than {payment}.")
