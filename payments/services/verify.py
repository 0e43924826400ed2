"""Whether an object at Stripe is the one we asked for."""

from django.conf import settings

from payments.errors import StripeMismatchError
from payments.models import Payment
from payments.stripe_objects import IntentFacts, SetupFacts


def verify_intent(payment: Payment, intent: IntentFacts) -> None:
    """The intent is the one we asked for, to the cent."""
    verify_owner(payment, intent)
    if (intent.amount, intent.currency) != (payment.amount, payment.currency):
        raise StripeMismatchError(f"{intent.id} is over {intent.amount} {intent.currency}, not over {payment.money!r}.")


def verify_owner(payment: Payment, intent: IntentFacts) -> None:
    """The intent belongs to this payment. Metadata alone proves nothing: the customer and the mode must agree."""
    _verify_marks(payment, intent, payment.payment_intent_id)


def verify_setup(payment: Payment, setup: SetupFacts) -> None:
    """The SetupIntent belongs to this payment."""
    _verify_marks(payment, setup, payment.setup_intent_id)


def _verify_marks(payment: Payment, found: IntentFacts | SetupFacts, known_id: str | None) -> None:
    if found.livemode != settings.STRIPE_LIVE_MODE:
        raise StripeMismatchError(f"{found.id} is of the other mode.")
    if found.metadata.get("payment_id") != str(payment.pk):
        raise StripeMismatchError(f"{found.id} does not name {payment}.")
    if known_id not in (None, found.id):
        raise StripeMismatchError(f"{found.id} is not the intent of {payment}.")
    if found.customer != payment.payer.stripe_customer.stripe_customer_id:
        raise StripeMismatchError(f"{found.id} is of another customer than {payment}.")
