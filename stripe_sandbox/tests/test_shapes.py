"""The contract: every object has the fields that the package's class names, and those it calls certain are there."""

import json
from collections.abc import Iterator
from typing import Any, get_args

import pytest

from stripe_sandbox import shapes

from .conftest import Sandbox, checkout, hold, pay

# Fields that are not null by annotation, but that Stripe (and so the sandbox) leaves out where they do not apply.
MAY_BE_ABSENT = {"event": {"account", "context"}, "payout": set(), "charge": set()}


@pytest.fixture
def everything(api: Any, sandbox: Sandbox, coach: str) -> dict[str, list[dict[str, Any]]]:
    """Objects of every type that a long day makes, by type, as they come out of the API."""
    sandbox.post("balance", amount=50000)
    customer = api.customers.create({"email": "s@example.com"}).id
    session = checkout(
        api, customer=customer, payment_intent_data={"capture_method": "manual", "setup_future_usage": "off_session"}
    )
    paid = sandbox.post(f"checkout/{session.id}/pay")
    api.payment_intents.capture(paid["payment_intent"])
    hold(api)
    intent = pay(api, application_fee_amount=2000, transfer_data={"destination": coach})
    api.refunds.create(
        {"payment_intent": intent.id, "amount": 2500, "reverse_transfer": True, "refund_application_fee": True}
    )
    transfer = api.transfers.create({"amount": 8000, "currency": "usd", "destination": coach}).id
    api.transfers.reversals.create(transfer, {"amount": 1000})
    api.payouts.create({"amount": 600, "currency": "usd"})
    api.setup_intents.create(
        {"customer": customer, "payment_method": "pm_card_visa", "confirm": True, "payment_method_types": ["card"]}
    )
    sandbox.post("disputes", payment_intent=pay(api).id)
    api.disputes.list()
    api.webhook_endpoints.create({"url": "http://127.0.0.1:9/x", "enabled_events": ["charge.refunded"]})
    api.account_links.create(
        {"account": coach, "type": "account_onboarding", "refresh_url": "http://a", "return_url": "http://b"}
    )
    api.accounts.login_links.create(coach)
    api.accounts.retrieve(coach)
    api.accounts.capabilities.list(coach)
    account_in_full(api, customer)
    api.balance.retrieve()
    api.balance_settings.retrieve()
    for listing in (
        api.charges,
        api.balance_transactions,
        api.refunds,
        api.transfers,
        api.payouts,
        api.events,
        api.application_fees,
        api.checkout.sessions,
        api.payment_intents,
        api.customers,
        api.setup_intents,
    ):
        listing.list({"limit": 100})
    api.charges.list({"limit": 100}, {"stripe_account": coach})
    found: dict[str, list[dict[str, Any]]] = {}
    for entry in sandbox.get("requests")["data"]:
        for each in _objects(entry["response"]):
            found.setdefault(each["object"], []).append(each)
    return found


def account_in_full(api: Any, customer: str) -> None:
    """A custom account with its person, bank account and debit card, and what gives others access."""
    account = api.accounts.create(
        {"type": "custom", "business_type": "individual", "individual": {"first_name": "Amy"}}
    ).id
    bank = {"country": "US", "account_number": "000123456789", "routing_number": "110000000"}
    token = api.tokens.create({"bank_account": bank}).id
    api.accounts.external_accounts.create(account, {"external_account": token})
    api.accounts.external_accounts.create(account, {"external_account": "tok_visa_debit_us_transferSuccess"})
    components = {"payouts": {"enabled": True}}
    api.account_sessions.create({"account": account, "components": components})
    api.customer_sessions.create({"customer": customer, "components": {"payment_element": {"enabled": True}}})
    api.ephemeral_keys.create({"customer": customer}, {"stripe_version": "2026-08-26.dahlia"})


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        for item in value:
            yield from _objects(item)
    elif isinstance(value, dict):
        if isinstance(value.get("object"), str) and value["object"] != "list" and not value.get("deleted"):
            yield value
        for item in value.values():
            yield from _objects(item)


TYPES = (
    "account",
    "account_link",
    "account_session",
    "application_fee",
    "balance",
    "balance_settings",
    "balance_transaction",
    "bank_account",
    "capability",
    "card",
    "charge",
    "checkout.session",
    "customer",
    "customer_session",
    "dispute",
    "ephemeral_key",
    "event",
    "fee_refund",
    "login_link",
    "payment_intent",
    "payment_method",
    "payout",
    "person",
    "refund",
    "setup_intent",
    "token",
    "transfer",
    "transfer_reversal",
    "webhook_endpoint",
)


def test_every_object_has_the_fields_of_its_class(everything: dict[str, list[dict[str, Any]]]) -> None:
    faults = []
    for kind in TYPES:
        assert kind in everything, f"no {kind} came out"
        hints = shapes.annotations(kind)
        for each in everything[kind]:
            faults += [f"{kind}.{name} is not of the class" for name in each if name not in hints]
            if kind == "payment_method":
                continue  # one key for its own type, and not those of the fifty others
            missing = set(hints) - set(each) - shapes.OMITTED.get(kind, frozenset())
            faults += [f"{kind}.{name} is missing" for name in missing if type(None) not in get_args(hints[name])]
            faults += [
                f"{kind}.{name} is null"
                for name, value in each.items()
                if value is None and type(None) not in get_args(hints[name])
            ]
    assert sorted(set(faults)) == []


def test_what_a_class_names_and_stripe_sends_as_null_is_null_here_too(
    everything: dict[str, list[dict[str, Any]]],
) -> None:
    for kind in ("payment_intent", "charge", "transfer", "payout", "checkout.session", "refund"):
        for each in everything[kind]:
            assert set(shapes.skeleton(kind)) <= set(each)


def test_an_events_object_has_the_same_shape(everything: dict[str, list[dict[str, Any]]]) -> None:
    types = {event["type"] for event in everything["event"]}
    assert {"charge.captured", "transfer.created", "payment_intent.succeeded", "checkout.session.completed"} <= types
    assert all(event["data"]["object"]["object"] for event in everything["event"])
    assert json.dumps(everything["event"])
