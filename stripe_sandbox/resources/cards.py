"""Stripe's test cards: what each one does."""

from dataclasses import dataclass
from typing import Literal

Authentication = Literal["never", "always", "unless_set_up", "already_set_up"]


@dataclass(frozen=True, slots=True)
class Decline:
    """A refusal by the card's bank: the error's code and, where it differs, the decline code."""

    code: str
    decline_code: str
    message: str
    network_code: str = "05"
    advice_code: str | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """A test card. `declines_attach` is false for the one card that attaches and then fails every charge."""

    number: str
    brand: str = "visa"
    country: str = "US"
    funding: str = "credit"
    decline: Decline | None = None
    declines_attach: bool = True
    authentication: Authentication = "never"
    bypasses_pending: bool = False
    blocked: bool = False
    risk_level: str = "normal"
    failed_check: str | None = None
    dispute: str | None = None
    fraud_warning: bool = False
    refund: str | None = None
    trigger: str | None = None


GENERIC = Decline("card_declined", "generic_decline", "Your card was declined.", "01", "try_again_later")
INSUFFICIENT = Decline(
    "card_declined", "insufficient_funds", "Your card has insufficient funds.", "51", "try_again_later"
)
LOST = Decline("card_declined", "lost_card", "Your card was declined.")
STOLEN = Decline("card_declined", "stolen_card", "Your card was declined.")
EXPIRED = Decline("expired_card", "expired_card", "Your card has expired.", "54", "do_not_try_again")
WRONG_CVC = Decline("incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect.")
PROCESSING = Decline(
    "processing_error", "processing_error", "An error occurred while processing your card. Try again in a little bit."
)
VELOCITY = Decline(
    "card_declined",
    "card_velocity_exceeded",
    "Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
)
FRAUDULENT = Decline("card_declined", "fraudulent", "Your card was declined.")

CARDS: dict[str, Card] = {
    "pm_card_visa": Card("4242424242424242"),
    "pm_card_visa_debit": Card("4000056655665556", funding="debit"),
    "pm_card_mastercard": Card("5555555555554444", "mastercard"),
    "pm_card_amex": Card("378282246310005", "amex"),
    "pm_card_discover": Card("6011111111111117", "discover"),
    "pm_card_jcb": Card("3566002020360505", "jcb", "JP"),
    "pm_card_gb": Card("4000008260000000", country="GB"),
    "pm_card_jp": Card("4000003920000003", country="JP"),
    "pm_card_de": Card("4000002760000016", country="DE"),
    "pm_card_visa_chargeDeclined": Card("4000000000000002", decline=GENERIC),
    "pm_card_visa_chargeDeclinedInsufficientFunds": Card("4000000000009995", decline=INSUFFICIENT),
    "pm_card_visa_chargeDeclinedLostCard": Card("4000000000009987", decline=LOST),
    "pm_card_visa_chargeDeclinedStolenCard": Card("4000000000009979", decline=STOLEN),
    "pm_card_chargeDeclinedExpiredCard": Card("4000000000000069", decline=EXPIRED),
    "pm_card_chargeDeclinedIncorrectCvc": Card("4000000000000127", decline=WRONG_CVC),
    "pm_card_chargeDeclinedProcessingError": Card("4000000000000119", decline=PROCESSING),
    "pm_card_visa_chargeDeclinedVelocityLimitExceeded": Card("4000000000006975", decline=VELOCITY),
    "pm_card_chargeCustomerFail": Card("4000000000000341", decline=GENERIC, declines_attach=False),
    "pm_card_authenticationRequiredOnSetup": Card("4000002500003155", authentication="unless_set_up"),
    "pm_card_authenticationRequired": Card("4000002760003184", authentication="always", country="DE"),
    "pm_card_authenticationRequiredSetupForOffSession": Card("4000003800000446", authentication="already_set_up"),
    "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds": Card(
        "4000008260003178", authentication="unless_set_up", decline=INSUFFICIENT, declines_attach=False, country="GB"
    ),
    "pm_card_threeDSecure2Required": Card("4000000000003220", authentication="always"),
    "pm_card_createDispute": Card("4000000000000259", dispute="fraudulent"),
    "pm_card_createDisputeProductNotReceived": Card("4000000000002685", dispute="product_not_received"),
    "pm_card_createDisputeInquiry": Card("4000000000001976", dispute="inquiry"),
    "pm_card_createIssuerFraudRecord": Card("4000000000005423", fraud_warning=True),
    "pm_card_createMultipleDisputes": Card("4000000404000079", dispute="multiple"),
    "pm_card_pendingRefund": Card("4000000000007726", refund="pending"),
    "pm_card_refundFail": Card("4000000000005126", refund="fails"),
    "pm_card_visa_triggerNextRequirements": Card("4000000000004202", trigger="next_requirements"),
    "pm_card_visa_triggerChargeBlock": Card("4000000000004210", trigger="charge_block"),
    "pm_card_visa_triggerPayoutBlock": Card("4000000000004236", trigger="payout_block"),
    "pm_card_bypassPending": Card("4000000000000077", bypasses_pending=True),
    "pm_card_bypassPendingInternational": Card("4000003720000278", bypasses_pending=True, country="IE"),
    "pm_card_radarBlock": Card(
        "4100000000000019", decline=FRAUDULENT, declines_attach=False, blocked=True, risk_level="highest"
    ),
    "pm_card_riskLevelHighest": Card("4000000000004954", risk_level="highest"),
    "pm_card_riskLevelElevated": Card("4000000000009235", risk_level="elevated"),
    "pm_card_cvcCheckFail": Card("4000000000000101", failed_check="cvc_check"),
    "pm_card_avsZipFail": Card("4000000000000036", failed_check="address_postal_code_check"),
    "pm_card_avsLine1Fail": Card("4000000000000028", failed_check="address_line1_check"),
}
ALIASES = {
    "pm_card_us": "pm_card_visa",
    "pm_card_chargeDeclined": "pm_card_visa_chargeDeclined",
    "pm_card_chargeDeclinedInsufficientFunds": "pm_card_visa_chargeDeclinedInsufficientFunds",
    "pm_card_chargeDeclinedLostCard": "pm_card_visa_chargeDeclinedLostCard",
    "pm_card_chargeDeclinedStolenCard": "pm_card_visa_chargeDeclinedStolenCard",
    "pm_card_visa_chargeDeclinedExpiredCard": "pm_card_chargeDeclinedExpiredCard",
    "pm_card_visa_chargeDeclinedIncorrectCvc": "pm_card_chargeDeclinedIncorrectCvc",
    "pm_card_visa_chargeDeclinedProcessingError": "pm_card_chargeDeclinedProcessingError",
    "pm_card_chargeDeclinedVelocityLimitExceeded": "pm_card_visa_chargeDeclinedVelocityLimitExceeded",
}
BY_NUMBER = {card.number: name for name, card in CARDS.items()}
DAY = 86400
# Seconds that an authorisation lives, by brand: with the customer present, and without. Japan allows 30 days.
ON_SESSION, OFF_SESSION, JAPAN = 7 * DAY, {"visa": 4 * DAY + 18 * 3600}, 30 * DAY
EXTENDED = 30 * DAY  # with an extended authorisation


def name_of(id: str) -> str | None:
    """The table's name for a magic id such as `pm_card_us` or `tok_visa`."""
    magic = "pm_card_" + id.removeprefix("tok_") if id.startswith("tok_") else id
    magic = ALIASES.get(magic, magic)
    return magic if magic in CARDS else None


def hold_lifetime(card: Card, currency: str, *, off_session: bool) -> int:
    """How many seconds after the authorisation it must be captured."""
    if currency == "jpy" and card.country == "JP":
        return JAPAN
    return OFF_SESSION.get(card.brand, ON_SESSION) if off_session else ON_SESSION
