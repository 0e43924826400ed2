"""What a student agrees to when their card is kept: the same words on our page and on Stripe's."""

from django.conf import settings

from marketplace.lib.money import Money
from payments.models import Payment


def consent_words(opening: Payment.Opening, price: Money) -> str:
    """In plain words: what is held, when, and what is kept for later. Stripe takes at most 1,200 characters."""
    site = settings.SITE_NAME
    if opening == Payment.Opening.SAVE:
        return (
            f"Nothing is held or taken now. You agree that {site} saves this card and holds {price} on it, without "
            "asking you again, two days before the session. The money is taken only after the session, or as the "
            "cancellation terms say."
        )
    return (
        f"{price} is held on your card now, and taken only after the session, or as the cancellation terms say. "
        f"You agree that {site} saves this card, and holds the price on it anew, without asking you again, if the "
        "hold ends too early."
    )
