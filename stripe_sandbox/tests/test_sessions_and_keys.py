"""Account sessions, customer sessions, ephemeral keys, and a customer's payment methods."""

from typing import Any

import pytest

from .conftest import Sandbox, refused

pytestmark = pytest.mark.thorough


def test_an_account_session_names_every_component(api: Any, coach: str) -> None:
    made = api.account_sessions.create(
        {
            "account": coach,
            "components": {"payouts": {"enabled": True, "features": {"instant_payouts": False}}},
        }
    )
    assert (made.object, made.account, made.livemode) == ("account_session", coach, False)
    assert made.client_secret.startswith("accs_secret__")
    assert made.components.payouts.enabled is True
    assert (made.components.payouts.features.instant_payouts, made.components.payouts.features.standard_payouts) == (
        False,
        True,
    )
    assert made.components.account_onboarding.enabled is False
    assert {"documents", "notification_banner", "tax_settings", "payments"} <= made.components.to_dict().keys()


def test_an_account_session_for_a_foreign_account_is_refused(api: Any) -> None:
    error = refused(
        lambda: api.account_sessions.create({"account": "acct_x", "components": {"payouts": {"enabled": True}}})
    )
    assert error.http_status == 400
    assert "not connected to your platform" in error.user_message


def test_a_customer_session_shows_what_was_asked_for(api: Any) -> None:
    customer = api.customers.create({"email": "s@example.com"}).id
    made = api.customer_sessions.create(
        {
            "customer": customer,
            "components": {
                "payment_element": {"enabled": True, "features": {"payment_method_redisplay": "enabled"}},
            },
        }
    )
    assert (made.object, made.customer, made.expires_at) == ("customer_session", customer, made.created + 1800)
    assert made.client_secret.startswith("cuss_secret_")
    element = made.components.payment_element
    assert (element.enabled, element.features.payment_method_redisplay, element.features.payment_method_save) == (
        True,
        "enabled",
        "disabled",
    )
    assert made.components.customer_sheet.to_dict() == {"enabled": False, "features": None}
    missing = refused(
        lambda: api.customer_sessions.create({"customer": "cus_x", "components": {"buy_button": {"enabled": True}}})
    )
    assert (missing.code, missing.param) == ("resource_missing", "customer")


def test_an_ephemeral_key_lives_an_hour(api: Any, sandbox: Sandbox) -> None:
    customer = api.customers.create({}).id
    key = api.ephemeral_keys.create({"customer": customer}, {"stripe_version": "2026-08-26.dahlia"})
    assert (key.object, key.expires, key.livemode) == ("ephemeral_key", key.created + 3600, False)
    assert key.secret.startswith("ek_test_")
    sandbox.advance(3601)
    assert refused(lambda: api.ephemeral_keys.delete(key.id)).http_status == 404


def test_an_ephemeral_key_can_be_ended(api: Any) -> None:
    customer = api.customers.create({}).id
    key = api.ephemeral_keys.create({"customer": customer}, {"stripe_version": "2026-08-26.dahlia"}).id
    ended = api.ephemeral_keys.delete(key)
    assert (ended.id, ended.get("secret")) == (key, None)
    assert refused(lambda: api.ephemeral_keys.delete(key)).error.code == "resource_missing"


def test_an_ephemeral_key_needs_a_version_and_a_customer(api: Any, sandbox: Sandbox) -> None:
    customer = api.customers.create({}).id
    status, body, _ = sandbox.raw("POST", "/v1/ephemeral_keys", f"customer={customer}".encode())
    assert (status, "Stripe-Version" in body["error"]["message"]) == (400, True)
    version = {"stripe_version": "2026-08-26.dahlia"}
    assert refused(lambda: api.ephemeral_keys.create({}, version)).param == "customer"
    assert refused(lambda: api.ephemeral_keys.create({"customer": "cus_x"}, version)).error.code == "resource_missing"


def test_a_customers_payment_methods_are_its_own(api: Any) -> None:
    customer, other = api.customers.create({}).id, api.customers.create({}).id
    mine = [api.payment_methods.attach("pm_card_visa", {"customer": customer}).id for _ in range(2)]
    foreign = api.payment_methods.attach("pm_card_mastercard", {"customer": other}).id
    methods = api.customers.payment_methods
    assert [each.id for each in methods.list(customer).data] == mine[::-1]
    assert [each.id for each in methods.list(customer, {"limit": 1, "starting_after": mine[1]}).data] == [mine[0]]
    assert methods.list(customer, {"type": "us_bank_account"}).data == []
    assert methods.retrieve(customer, mine[0]).customer == customer
    error = refused(lambda: methods.retrieve(customer, foreign))
    assert (error.http_status, error.error.code) == (404, "resource_missing")
    assert refused(lambda: methods.list("cus_x")).http_status == 404


def test_a_capability_can_be_given_back_and_must_be_known(api: Any, sandbox: Sandbox, coach: str) -> None:
    left = api.accounts.capabilities.update(coach, "transfers", {"requested": False})
    assert (left.requested, left.status, left.requested_at) == (False, "unrequested", None)
    assert api.accounts.retrieve(coach).capabilities.to_dict() == {}
    assert sandbox.event_types(coach)[-1] == "capability.updated"
    error = refused(lambda: api.accounts.capabilities.update(coach, "telepathy", {"requested": True}))
    assert (error.http_status, error.error.code) == (404, "resource_missing")
