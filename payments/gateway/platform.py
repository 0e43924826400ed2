"""The platform's own settings, and single objects as Stripe sends them."""

from typing import Any

from django.conf import settings

from payments.gateway.calls import change, list_all, read
from payments.stripe_objects import Json

_PATHS = {
    "account": "accounts",
    "balance_transaction": "balance_transactions",
    "application_fee": "application_fees",
    "charge": "charges",
    "checkout.session": "checkout/sessions",
    "customer": "customers",
    "payment_intent": "payment_intents",
    "payment_method": "payment_methods",
    "payout": "payouts",
    "setup_intent": "setup_intents",
    "transfer": "transfers",
}


def retrieve_raw(object_type: str, object_id: str) -> dict[str, Any]:
    """One object as Stripe sends it, by the mirror's key. KeyError: an unknown type."""
    return read(f"/v1/{_PATHS[object_type]}/{object_id}", {}, dict, api_key=settings.STRIPE_MIRROR_KEY)


def retrieve_platform() -> dict[str, Any]:
    """The platform's own account, as Stripe sends it."""
    return read("/v1/account", {}, dict)


def retrieve_balance_settings() -> dict[str, Any]:
    return read("/v1/balance_settings", {}, dict)


def update_balance_settings(*, params: Json, key: str) -> dict[str, Any]:
    return change("/v1/balance_settings", params, key, dict)


def list_webhook_endpoints() -> list[dict[str, Any]]:
    return list(list_all("/v1/webhook_endpoints", {}, dict))


def create_webhook_endpoint(*, params: Json, key: str) -> dict[str, Any]:
    """The answer is the only one that holds the endpoint's `secret`."""
    return change("/v1/webhook_endpoints", params, key, dict)


def update_webhook_endpoint(endpoint_id: str, *, params: Json, key: str) -> dict[str, Any]:
    return change(f"/v1/webhook_endpoints/{endpoint_id}", params, key, dict)
