"""What payments do: requests, which change what we want, and `record_*`, one for each fact that Stripe tells.

The modules that carry out operations register themselves when this package is imported.
"""

from payments.errors import (
    CheckoutClosed,
    CoachNotPayable,
    CountryNotOffered,
    NotYetError,
    PaymentNotHeld,
    PaymentsUnavailable,
    PayoutsUnavailable,
    StripeMismatchError,
)
from payments.services import checkout_page  # noqa: F401  # it registers its kinds
from payments.services.accounts import (
    choose_settlement_mode,
    create_payout_account,
    onboarding_link,
    record_account,
    record_deauthorised,
    refresh_payout_account,
)
from payments.services.capture import record_capture, request_capture, set_aside_capture
from payments.services.checkout import checkout_url, close_checkout, open_payment, start_checkout
from payments.services.customers import ensure_customer
from payments.services.holds import record_checkout_expired, record_hold, record_hold_lost, record_refusal
from payments.services.on_the_money import ask_anew
from payments.services.release import record_release, request_release
from payments.services.truth import record_checkout, record_intent, refresh_payment

__all__ = [
    "CheckoutClosed",
    "CoachNotPayable",
    "CountryNotOffered",
    "NotYetError",
    "PaymentNotHeld",
    "PaymentsUnavailable",
    "PayoutsUnavailable",
    "StripeMismatchError",
    "ask_anew",
    "checkout_url",
    "choose_settlement_mode",
    "close_checkout",
    "create_payout_account",
    "ensure_customer",
    "onboarding_link",
    "open_payment",
    "record_account",
    "record_capture",
    "record_checkout",
    "record_checkout_expired",
    "record_deauthorised",
    "record_hold",
    "record_hold_lost",
    "record_intent",
    "record_refusal",
    "record_release",
    "refresh_payment",
    "refresh_payout_account",
    "request_capture",
    "request_release",
    "set_aside_capture",
    "start_checkout",
]
