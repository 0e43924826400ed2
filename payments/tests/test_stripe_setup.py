"""What `stripe_setup` leaves at Stripe, and what it asks a person to do."""

from io import StringIO

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import override_settings

from marketplace.tests.sandbox import Sandbox
from payments import webhooks
from payments.tests import platform, stage

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("one_currency")]


@pytest.fixture
def one_currency() -> object:
    with override_settings(CURRENCIES=["usd"], SITE_URL="https://holdfast.example"):
        yield


def set_up() -> str:
    out = StringIO()
    call_command("stripe_setup", stdout=out)
    return out.getvalue()


def endpoints(sandbox: Sandbox) -> dict[str, dict[str, object]]:
    return {row["url"]: row for row in stage.at_stripe(sandbox, "/v1/webhook_endpoints")["data"]}


def test_it_registers_both_endpoints_for_exactly_our_events(sandbox: Sandbox) -> None:
    said = set_up()
    registered = endpoints(sandbox)
    own = registered["https://holdfast.example/stripe/webhooks/"]
    connect = registered["https://holdfast.example/stripe/webhooks/connect/"]
    assert len(registered) == 2
    assert own["enabled_events"] == list(webhooks.PLATFORM_HANDLERS)
    assert connect["enabled_events"] == list(webhooks.CONNECT_HANDLERS)
    assert {own["api_version"], connect["api_version"]} == {settings.STRIPE_API_VERSION}
    assert said.count("WEBHOOK_SECRETS=whsec_") == 2
    assert said.endswith("Ready.\n")


def test_a_second_time_it_changes_nothing_and_shows_no_secret(sandbox: Sandbox) -> None:
    set_up()
    before = endpoints(sandbox)
    said = set_up()
    assert endpoints(sandbox) == before
    assert "whsec_" not in said
    assert said.count("is registered for exactly our") == 2
    assert stage.effects(sandbox, "/v1/webhook_endpoints") == 2


def test_an_endpoint_with_other_events_is_brought_in_step(sandbox: Sandbox) -> None:
    url = "https://holdfast.example/stripe/webhooks/"
    platform.register(sandbox, url, ["charge.refunded"], settings.STRIPE_API_VERSION)
    said = set_up()
    assert endpoints(sandbox)[url]["enabled_events"] == list(webhooks.PLATFORM_HANDLERS)
    assert f"Updated {url}" in said
    assert len(endpoints(sandbox)) == 2


def test_an_endpoint_with_another_version_is_for_a_person(sandbox: Sandbox) -> None:
    platform.register(sandbox, "https://holdfast.example/stripe/webhooks/", ["*"], "2026-05-27.dahlia")
    with pytest.raises(CommandError, match="has the API version 2026-05-27"):
        set_up()


def test_two_endpoints_with_one_address_are_for_a_person(sandbox: Sandbox) -> None:
    for _ in range(2):
        platform.register(sandbox, "https://holdfast.example/stripe/webhooks/", ["*"], settings.STRIPE_API_VERSION)
    with pytest.raises(CommandError, match="2 endpoints have the address"):
        set_up()


def test_it_switches_the_platforms_payouts_to_manual(sandbox: Sandbox) -> None:
    platform.pay_out_daily(sandbox)
    assert "Switched the platform's own payouts to manual." in set_up()
    schedule = stage.at_stripe(sandbox, "/v1/balance_settings")["payments"]["payouts"]["schedule"]
    assert schedule["interval"] == "manual"


def test_a_currency_that_is_not_settled_is_named(sandbox: Sandbox) -> None:
    with override_settings(CURRENCIES=["usd", "jpy"]), pytest.raises(CommandError, match="JPY is in CURRENCIES"):
        set_up()


def test_a_refusal_of_accounts_v1_is_explained(sandbox: Sandbox) -> None:
    sandbox.post("/_sandbox/accounts_v1", {"refused": True})
    with pytest.raises(CommandError, match="switch on 'Accounts v1 support' at https://dashboard"):
        set_up()


def test_it_makes_no_account(sandbox: Sandbox) -> None:
    set_up()
    assert stage.effects(sandbox, "/v1/accounts") == 0
    assert stage.at_stripe(sandbox, "/v1/accounts")["data"] == []


def test_a_key_that_may_not_read_events_is_named_before_anything_is_changed(sandbox: Sandbox) -> None:
    error = {"type": "invalid_request_error", "message": "The provided key lacks the permission 'rak_event_read'."}
    refusal = {"status": 403, "body": {"error": error}, "stored": False}
    stage.break_next(sandbox, "respond", "/v1/events", method="GET", times=0, **refusal)
    with pytest.raises(CommandError, match="rak_event_read"):
        set_up()
    stage.mend(sandbox)
    assert endpoints(sandbox) == {}


def test_while_stripe_is_away_it_says_so(sandbox: Sandbox) -> None:
    sandbox.post("/_sandbox/faults", {"method": "GET", "path": "/v1/*", "times": 0, "action": "rate_limit"})
    with pytest.raises(CommandError, match="Stripe did not do it"):
        set_up()
