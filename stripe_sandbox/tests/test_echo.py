"""What a caller gives to be kept is kept: each parameter comes back in the field of its name, or is listed with the reason."""

from typing import Any

import pytest

from . import echo
from .conftest import Sandbox, onboarded, pay

pytestmark = pytest.mark.thorough

BOTH: Any = {"transfers": {"requested": True}, "card_payments": {"requested": True}}
ITEM = {"price_data": {"currency": "usd", "unit_amount": 1000, "product_data": {"name": "Lesson"}}, "quantity": 1}
CARD_OPTIONS = {"card": {"request_three_d_secure": "any"}}
# What does not come back, by endpoint.
NO_TAX = "Stripe Tax is not there"
V2 = "Accounts v2 are not there"
CARDS_ALONE = "all money comes from cards"
LOST: dict[str, dict[str, str]] = {
    "/v1/customers": {"tax": NO_TAX, "test_clock": "test clocks are not there: the sandbox has one clock"},
    "/v1/payment_intents": {"customer_account": V2},
    "/v1/setup_intents": {"customer_account": V2},
    "/v1/checkout/sessions payment": {
        "automatic_tax.enabled": NO_TAX,
        "automatic_tax.liability": NO_TAX,
        "customer_account": V2,
        "discounts": "coupons are not there",
        "optional_items": "products and prices are not there",
        "shipping_options": "shipping rates are not there",
    },
    "/v1/accounts": {"groups": "comes only when asked for, and pricing groups are not there"},
    "/v1/transfers": {"source_type": CARDS_ALONE},
    "/v1/payouts": {"payout_method": V2, "source_type": CARDS_ALONE},
    "/v1/refunds": {"customer": "a refund is taken from the balance, never from a customer's"},
}


@pytest.fixture
def made(api: Any, sandbox: Sandbox) -> dict[str, str]:
    """What the requests can name."""
    sandbox.post("balance", amount=900_000)
    customer = api.customers.create({}).id
    custom = api.accounts.create(
        {"type": "custom", "country": "US", "capabilities": {"transfers": {"requested": True}}}
    )
    return {
        "coach": onboarded(api, sandbox, capabilities=BOTH),
        "custom": custom.id,
        "customer": customer,
        "card": api.payment_methods.attach("pm_card_visa", {"customer": customer}).id,
        "charge": pay(api).latest_charge,
    }


def check(sandbox: Sandbox, path: str, params_type: str, base: Any, values: Any, *, listed: str = "") -> None:
    found = echo.lost(sandbox, path, params_type, base, values)
    reasons = LOST.get(listed or path, {})
    assert {name: got for name, got in found.items() if name not in reasons} == {}
    assert set(reasons) == set(found)


def test_a_customer_keeps_what_it_is_given(sandbox: Sandbox) -> None:
    invoices = {"custom_fields": [{"name": "Class", "value": "4b"}], "footer": "Thank you"}
    check(sandbox, "/v1/customers", "CustomerCreateParams", {}, {"invoice_settings": invoices})


def test_a_payment_intent_keeps_what_it_is_given(sandbox: Sandbox, made: dict[str, str]) -> None:
    values = {
        "amount": 900,
        "application_fee_amount": None,  # needs a destination
        "customer": made["customer"],
        "on_behalf_of": made["coach"],
        "payment_method": made["card"],
        "payment_method_options": CARD_OPTIONS,
        "transfer_data": {"destination": made["coach"], "amount": 500},
    }
    base = {"amount": 1000, "currency": "usd"}
    check(sandbox, "/v1/payment_intents", "PaymentIntentCreateParams", base, values)


def test_a_payment_intent_keeps_what_it_is_updated_with(sandbox: Sandbox, api: Any, made: dict[str, str]) -> None:
    values = {
        "amount": 900,
        "application_fee_amount": None,
        "customer": made["customer"],
        "payment_method": made["card"],
        "payment_method_options": CARD_OPTIONS,
        "transfer_data": {"amount": 500},
    }
    intent = api.payment_intents.create(
        {"amount": 1000, "currency": "usd", "transfer_data": {"destination": made["coach"]}}
    )
    path = f"/v1/payment_intents/{intent.id}"
    check(sandbox, path, "PaymentIntentUpdateParams", {}, values, listed="/v1/payment_intents")


def test_a_setup_intent_keeps_what_it_is_given(sandbox: Sandbox, made: dict[str, str]) -> None:
    values = {
        "customer": made["customer"],
        "on_behalf_of": made["coach"],
        "payment_method": made["card"],
        "payment_method_options": CARD_OPTIONS,
    }
    check(sandbox, "/v1/setup_intents", "SetupIntentCreateParams", {}, values)


def test_a_checkout_session_keeps_what_it_is_given(sandbox: Sandbox, made: dict[str, str]) -> None:
    values: dict[str, Any] = {
        "customer": made["customer"],
        "expires_at": sandbox.get("clock")["now"] + 3600,
        "mode": "payment",
        "payment_method_options": CARD_OPTIONS,
        "redirect_on_completion": None,  # of a page that is not hosted, as are the next two
        "return_url": None,
        "ui_mode": "hosted_page",
        "saved_payment_method_options": None,  # needs a customer
    }
    base = {"mode": "payment", "line_items": [ITEM], "success_url": "http://shop.test"}
    check(
        sandbox,
        "/v1/checkout/sessions",
        "checkout.SessionCreateParams",
        base,
        values,
        listed="/v1/checkout/sessions payment",
    )


def test_a_checkout_session_keeps_how_cards_are_saved(sandbox: Sandbox, made: dict[str, str]) -> None:
    wanted = {
        "allow_redisplay_filters": ["limited"],
        "payment_method_remove": "enabled",
        "payment_method_save": "enabled",
    }
    base = {"mode": "payment", "line_items": [ITEM], "success_url": "http://shop.test", "customer": made["customer"]}
    status, session = echo.post(sandbox, "/v1/checkout/sessions", {**base, "saved_payment_method_options": wanted})
    assert (status, session["saved_payment_method_options"]) == (200, wanted)


def test_an_account_keeps_what_it_is_given(sandbox: Sandbox) -> None:
    schedule = {"interval": "monthly", "monthly_anchor": 7, "delay_days": 4}
    values = {
        "controller": None,  # instead of a type
        "type": "express",
        "company": None,  # need a business type
        "individual": None,
        "settings": {"branding": {"primary_color": "#112233"}, "payouts": {"schedule": schedule}},
    }
    check(sandbox, "/v1/accounts", "AccountCreateParams", {"type": "custom", "country": "US"}, values)


def test_a_person_keeps_what_it_is_given(sandbox: Sandbox, made: dict[str, str]) -> None:
    path = f"/v1/accounts/{made['custom']}/persons"
    check(sandbox, path, "AccountCreatePersonParams", {}, {"verification": None})  # needs an uploaded file


def test_a_payment_method_keeps_what_it_is_given(sandbox: Sandbox) -> None:
    base = {"type": "card", "card": {"token": "tok_visa"}}
    kept = ("allow_redisplay", "billing_details", "metadata", "radar_options")
    values: dict[str, Any] = dict.fromkeys(set(echo.parameters("PaymentMethodCreateParams")) - set(kept))
    check(sandbox, "/v1/payment_methods", "PaymentMethodCreateParams", base, values)


def test_what_moves_money_keeps_what_it_is_given(sandbox: Sandbox, made: dict[str, str]) -> None:
    to_coach = {"amount": 100, "currency": "usd", "destination": made["coach"]}
    values = {"destination": None, "source_transaction": made["charge"]}
    check(sandbox, "/v1/transfers", "TransferCreateParams", to_coach, values)
    payout = {"amount": 100, "currency": "usd"}
    check(sandbox, "/v1/payouts", "PayoutCreateParams", payout, {"destination": None})
    given = {"charge": made["charge"], "amount": 3}
    check(sandbox, "/v1/refunds", "RefundCreateParams", given, {"charge": None, "payment_intent": None})
    path = f"/v1/charges/{made['charge']}"
    check(sandbox, path, "ChargeUpdateParams", {}, {"customer": made["customer"], "transfer_group": None})


def test_the_others_keep_what_they_are_given(sandbox: Sandbox, made: dict[str, str]) -> None:
    endpoint = {"url": "https://a.test/", "enabled_events": ["*"]}
    check(sandbox, "/v1/webhook_endpoints", "WebhookEndpointCreateParams", endpoint, {})
    path = f"/v1/accounts/{made['custom']}/external_accounts"
    check(sandbox, path, "AccountCreateExternalAccountParams", {"external_account": "btok_us_verified"}, {})
