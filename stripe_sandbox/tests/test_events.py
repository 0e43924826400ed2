"""Events and endpoints, rule by rule: what an event holds, whom it belongs to, how it is listed, how it is sent."""

import hashlib
import hmac
import json
import time
from typing import Any, get_args

import pytest
import stripe

from stripe_sandbox import shapes

from . import long_day
from .conftest import Receiver, Sandbox, checkout, hold, onboarded, pay, refused

DAY = 86400
FIELDS = {
    "id",
    "object",
    "api_version",
    "context",
    "created",
    "data",
    "livemode",
    "pending_webhooks",
    "request",
    "type",
}


@pytest.fixture(scope="module")
def told() -> list[dict[str, Any]]:
    """Every event of a long day."""
    return long_day.lived().events


def known_types() -> set[str]:
    """As the package lists them."""
    return set(get_args(shapes.annotations("event")["type"]))


def test_every_type_is_one_of_stripes(told: list[dict[str, Any]]) -> None:
    assert {"transfer.paid", "transfer.failed", "payment.created"} & known_types() == set()  # there were such once
    assert {event["type"] for event in told} - known_types() == set()
    assert len({event["type"] for event in told}) >= 30


def test_an_event_has_its_fields_and_an_account_only_when_it_is_of_one(told: list[dict[str, Any]]) -> None:
    for event in told:
        assert set(event) - {"account"} <= FIELDS, event["type"]
        assert FIELDS - {"context"} <= set(event), event["type"]
        assert event.get("account", "acct_").startswith("acct_"), event["type"]
        assert (event["object"], event["livemode"], event["api_version"]) == ("event", False, stripe.api_version)
        assert event["id"].startswith("evt_")


def test_old_values_are_told_only_of_what_was_updated(told: list[dict[str, Any]]) -> None:
    """Of the others, events of a charge are known to tell them in practice."""
    changed = [event for event in told if "previous_attributes" in event["data"]]
    assert changed
    for event in changed:
        assert event["type"].endswith(".updated") or event["type"].startswith("charge."), event["type"]
        now = event["data"]["object"]
        for name, old in event["data"]["previous_attributes"].items():
            assert now[name] != old, (event["type"], name)


def test_a_changed_list_is_told_whole(api: Any, sandbox: Sandbox) -> None:
    account = onboarded(api, sandbox)
    sandbox.post(f"accounts/{account}/restrict")
    first = api.accounts.retrieve(account).to_dict()["requirements"]["past_due"]
    sandbox.post(f"accounts/{account}/onboard")
    updates = [event for event in sandbox.get("events")["data"] if event["type"] == "account.updated"]
    old = [event["data"]["previous_attributes"].get("requirements", {}).get("past_due") for event in updates]
    assert first
    assert first in old


def test_an_event_names_the_request_that_caused_it(sandbox: Sandbox) -> None:
    _, _, headers = sandbox.raw("POST", "/v1/customers", b"name=a", Idempotency_Key="k")
    _, _, without = sandbox.raw("POST", "/v1/customers", b"name=a")
    requests = [event["request"] for event in sandbox.get("events")["data"]]
    assert requests == [
        {"id": headers["request-id"], "idempotency_key": "k"},
        {"id": without["request-id"], "idempotency_key": None},
    ]


def keys_of(sandbox: Sandbox, type: str) -> list[str | None]:
    return [event["request"]["idempotency_key"] for event in sandbox.get("events")["data"] if event["type"] == type]


def test_calls_that_make_no_object_leave_their_key_on_the_event(api: Any, sandbox: Sandbox) -> None:
    """Nothing else says who has asked for these: no object of theirs bears the asker's metadata."""
    saved = api.payment_methods.attach("pm_card_visa", {"customer": api.customers.create({}).id})
    answered, accepted = pay(api, card="pm_card_createDispute").id, pay(api, card="pm_card_createDispute").id
    sandbox.advance(2)
    disputes = {each.payment_intent: each.id for each in api.disputes.list().data}
    calls = {
        "charge.captured": lambda key: api.payment_intents.capture(hold(api).id, {}, key),
        "payment_intent.canceled": lambda key: api.payment_intents.cancel(hold(api).id, {}, key),
        "charge.dispute.updated": lambda key: api.disputes.update(disputes[answered], {"metadata": {"a": "1"}}, key),
        "charge.dispute.closed": lambda key: api.disputes.close(disputes[accepted], {}, key),
        "payment_method.detached": lambda key: api.payment_methods.detach(saved.id, {}, key),
    }
    for type, call in calls.items():
        call({"idempotency_key": f"of {type}"})
        assert keys_of(sandbox, type) == [f"of {type}"]


def test_a_call_repeated_under_its_key_is_told_once(api: Any, sandbox: Sandbox) -> None:
    intent = hold(api).id
    for _ in range(3):
        api.payment_intents.capture(intent, {}, {"idempotency_key": "k"})
    assert keys_of(sandbox, "charge.captured") == ["k"]


def test_what_the_control_plane_does_names_no_request(api: Any, sandbox: Sandbox) -> None:
    dispute = sandbox.post("disputes", payment_intent=pay(api).id)["id"]
    sandbox.post(f"disputes/{dispute}/resolve", outcome="won")
    hold(api)
    sandbox.advance(8 * DAY)
    for type in ("charge.dispute.created", "charge.dispute.closed", "charge.expired", "payment_intent.canceled"):
        assert keys_of(sandbox, type) == [None], type


def test_what_stripe_does_by_itself_names_no_request(api: Any, sandbox: Sandbox) -> None:
    session = checkout(api)
    sandbox.advance(DAY + 1)
    [event] = sandbox.get("events")["data"]
    assert (event["type"], event["data"]["object"]["id"]) == ("checkout.session.expired", session.id)
    assert event["request"] == {"id": None, "idempotency_key": None}


def test_a_late_delivery_has_the_data_of_its_event(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    api.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["customer.created"]})
    receiver.status = 500
    customer = api.customers.create({"name": "before"}).id
    sandbox.post("webhooks/settle")
    api.customers.update(customer, {"name": "after"})
    sandbox.post("clock", advance=61, settle=True)
    first, again = (json.loads(body) for body, _ in receiver.received)
    assert (again["id"], again["data"]["object"]["name"]) == (first["id"], "before")
    assert again == first


# Which account an event belongs to


def test_what_happens_to_an_account_is_told_as_its_own(api: Any, sandbox: Sandbox, coach: str) -> None:
    assert sandbox.event_types() == []
    assert {"account.updated", "capability.updated"} <= set(sandbox.event_types(coach))


def test_a_payment_for_an_account_is_told_to_the_platform(api: Any, sandbox: Sandbox, coach: str) -> None:
    before = sandbox.event_types(coach)
    pay(api, transfer_data={"destination": coach}, application_fee_amount=100)
    assert {"payment_intent.succeeded", "charge.succeeded", "transfer.created", "application_fee.created"} <= set(
        sandbox.event_types()
    )
    assert not [type for type in sandbox.event_types(coach)[len(before) :] if type.startswith("payment_intent.")]


def test_a_direct_payment_is_told_as_the_accounts(api: Any, sandbox: Sandbox) -> None:
    wanted = {name: {"requested": True} for name in ("card_payments", "transfers")}
    account = onboarded(api, sandbox, capabilities=wanted)
    params = {
        "amount": 1000,
        "currency": "usd",
        "confirm": True,
        "payment_method": "pm_card_visa",
        "payment_method_types": ["card"],
        "application_fee_amount": 100,
    }
    api.payment_intents.create(params, {"stripe_account": account})
    assert sandbox.event_types() == ["application_fee.created"]
    assert {"payment_intent.succeeded", "charge.succeeded"} <= set(sandbox.event_types(account))


# Lists


def test_each_account_lists_its_own_events(api: Any, sandbox: Sandbox, coach: str) -> None:
    own = api.customers.create({}).id
    [event] = api.events.list().data
    assert event.data.object.id == own
    theirs = api.events.list({}, {"stripe_account": coach}).data
    assert {each.account for each in theirs} == {coach}
    assert refused(lambda: api.events.retrieve(theirs[0].id)).http_status == 404


def test_an_event_can_be_read_for_thirty_days(api: Any, sandbox: Sandbox) -> None:
    api.customers.create({})
    event = api.events.list().data[0].id
    sandbox.advance(30 * DAY - 5)
    assert api.events.retrieve(event).id == event
    sandbox.advance(10)
    assert api.events.list().data == []
    assert refused(lambda: api.events.retrieve(event)).http_status == 404


def test_at_most_twenty_types_are_listed_at_once(api: Any) -> None:
    types = sorted(known_types())[:21]
    assert api.events.list({"types": types[:20]}).data == []
    assert refused(lambda: api.events.list({"types": types})).param == "types"


def test_events_are_listed_by_what_became_of_their_deliveries(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    endpoint = {"url": receiver.url, "enabled_events": ["customer.created", "customer.updated"]}
    api.webhook_endpoints.create(endpoint)
    customer = api.customers.create({}).id
    sandbox.post("webhooks/settle")
    receiver.status = 500
    api.customers.update(customer, {"name": "a"})
    sandbox.post("webhooks/settle")
    assert [event.type for event in api.events.list({"delivery_success": True}).data] == ["customer.created"]
    assert [event.type for event in api.events.list({"delivery_success": False}).data] == ["customer.updated"]


# Sending


def test_the_signature_is_made_of_secret_machine_time_and_body(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    secret = api.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]}).secret
    sandbox.advance(DAY)
    api.customers.create({})
    sandbox.post("webhooks/settle")
    [(body, header)] = receiver.received
    parts = [part.partition("=")[::2] for part in header.split(",")]
    assert [name for name, _ in parts] == ["t", "v1", "v0"]
    signed = f"{parts[0][1]}.".encode() + body
    assert parts[1][1] == hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    assert abs(int(parts[0][1]) - time.time()) < 30


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, "delivered"),
        (204, "delivered"),
        (299, "delivered"),
        (302, "retrying"),
        (410, "retrying"),
        (500, "retrying"),
    ],
)
def test_any_2xx_is_an_acknowledgement(
    api: Any, sandbox: Sandbox, receiver: Receiver, status: int, outcome: str
) -> None:
    api.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
    receiver.status = status
    api.customers.create({})
    sandbox.post("webhooks/settle")
    [row] = sandbox.get("deliveries")["data"]
    assert (row["status"], [attempt["status"] for attempt in row["attempts"]]) == (outcome, [status])
    assert api.events.list().data[0].pending_webhooks == int(outcome != "delivered")


def test_an_endpoint_is_made_changed_and_deleted(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    made = api.webhook_endpoints.create(
        {
            "url": "http://127.0.0.1:9/nobody",
            "enabled_events": ["charge.succeeded"],
            "description": "ours",
            "metadata": {"a": "1"},
        }
    ).to_dict()
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert made == api.webhook_endpoints.retrieve(made["id"]).to_dict()
    shown = {name: made[name] for name in ("object", "api_version", "application", "description", "livemode", "status")}
    assert shown == {
        "object": "webhook_endpoint",
        "api_version": None,
        "application": None,
        "description": "ours",
        "livemode": False,
        "status": "enabled",
    }
    change = {"url": receiver.url, "enabled_events": ["customer.created"], "description": "", "metadata": {"a": ""}}
    changed = api.webhook_endpoints.update(made["id"], change).to_dict()
    assert (changed["description"], changed["metadata"], "secret" in changed) == (None, {}, False)
    api.customers.create({})
    sandbox.post("webhooks/settle")
    assert stripe.Webhook.construct_event(*receiver.received[0], secret).type == "customer.created"
    gone = api.webhook_endpoints.delete(made["id"]).to_dict()
    assert gone == {"id": made["id"], "object": "webhook_endpoint", "deleted": True}
    assert refused(lambda: api.webhook_endpoints.retrieve(made["id"])).http_status == 404
    api.customers.create({})
    sandbox.post("webhooks/settle")
    assert len(receiver.received) == 1
    assert api.webhook_endpoints.list().data == []


def test_the_platforms_own_events_do_not_go_to_a_connect_endpoint(
    api: Any, sandbox: Sandbox, receiver: Receiver
) -> None:
    api.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"], "connect": True})
    api.customers.create({})
    sandbox.post("webhooks/settle")
    assert receiver.received == []
    assert sandbox.get("deliveries")["data"] == []
