"""Events and their deliveries: who is told, how it is signed, what happens when nobody listens."""

import json
import threading
import time
from typing import Any

import pytest
import stripe

from .conftest import Receiver, Sandbox, onboarded, pay, refused, start, stop


def listen(api: Any, receiver: Receiver, **fields: Any) -> Any:
    return api.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"], **fields})


def test_a_delivery_is_signed_as_stripe_signs(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    endpoint = listen(api, receiver, api_version="2026-08-26.dahlia")
    pay(api)
    assert sandbox.post("webhooks/settle")["settled"]
    assert receiver.types() == ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]
    event = stripe.Webhook.construct_event(*receiver.received[0], endpoint.secret)
    assert event.api_version == "2026-08-26.dahlia"
    assert event.pending_webhooks == 1
    assert "account" not in event.to_dict()
    assert api.events.retrieve(event.id).pending_webhooks == 0
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(*receiver.received[0], "whsec_other")


def test_the_secret_is_told_once(api: Any, receiver: Receiver) -> None:
    endpoint = listen(api, receiver)
    assert endpoint.secret.startswith("whsec_")
    assert "secret" not in api.webhook_endpoints.retrieve(endpoint.id).to_dict()


def test_connect_events_go_to_connect_endpoints_alone(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    endpoint = listen(api, receiver, connect=True)
    account = onboarded(api, sandbox)
    pay(api)
    sandbox.post("webhooks/settle")
    events = [stripe.Webhook.construct_event(body, header, endpoint.secret) for body, header in receiver.received]
    assert {event.account for event in events} == {account}
    assert [event.type for event in events] == sandbox.event_types(account)


def test_only_the_events_asked_for_are_sent(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    endpoint = listen(api, receiver, enabled_events=["charge.succeeded"])
    pay(api)
    sandbox.post("webhooks/settle")
    assert receiver.types() == ["charge.succeeded"]
    api.webhook_endpoints.update(endpoint.id, {"disabled": True})
    pay(api)
    sandbox.post("webhooks/settle")
    assert receiver.types() == ["charge.succeeded"]


def test_a_failed_delivery_is_retried_on_the_clock(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    listen(api, receiver, enabled_events=["customer.created"])
    receiver.status = 500
    api.customers.create({})
    sandbox.post("webhooks/settle")
    assert sandbox.get("deliveries")["data"][0]["status"] == "retrying"
    sandbox.post("clock", advance=61, settle=True)
    receiver.status = 200
    sandbox.post("clock", advance=601, settle=True)
    [row] = sandbox.get("deliveries")["data"]
    assert (row["status"], [attempt["status"] for attempt in row["attempts"]]) == ("delivered", [500, 500, 200])
    assert len({json.loads(body)["id"] for body, _ in receiver.received}) == 1


def test_an_event_sent_again_meanwhile_is_retried_only_by_its_new_schedule(
    api: Any, sandbox: Sandbox, receiver: Receiver
) -> None:
    listen(api, receiver, enabled_events=["customer.created"])
    receiver.status = 500
    api.customers.create({})
    sandbox.post("webhooks/settle")
    [row] = sandbox.get("deliveries")["data"]
    sandbox.post(f"events/{row['event']}/resend")
    sandbox.post("clock", advance=90, settle=True)  # past the first schedule, a minute, but not the second, ten
    assert len(receiver.received) == 2
    sandbox.post("clock", advance=600, settle=True)
    assert len(receiver.received) == 3


def test_retries_end(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    listen(api, receiver, enabled_events=["customer.created"])
    receiver.status = 302
    api.customers.create({})
    sandbox.post("webhooks/settle")
    for seconds in (61, 601, 3601, 86400):
        sandbox.post("clock", advance=seconds, settle=True)
    [row] = sandbox.get("deliveries")["data"]
    assert (row["status"], len(row["attempts"])) == ("failed", 4)
    assert len(api.events.list({"delivery_success": False}).data) == 1


def test_an_event_can_be_sent_again(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    listen(api, receiver, enabled_events=["customer.created"])
    api.customers.create({})
    sandbox.post("webhooks/settle")
    event = sandbox.get("events")["data"][0]["id"]
    sandbox.post(f"events/{event}/resend")
    assert [json.loads(body)["id"] for body, _ in receiver.received] == [event, event]


STEPS = ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]


@pytest.mark.parametrize(
    ("release", "expected"),
    [({"order": "kept"}, STEPS), ({"order": "reversed"}, STEPS[::-1]), ({"copies": 2}, STEPS * 2)],
)
def test_held_deliveries_are_released_in_any_order(
    api: Any, sandbox: Sandbox, receiver: Receiver, release: dict[str, Any], expected: list[str]
) -> None:
    listen(api, receiver)
    sandbox.post("webhooks/hold")
    pay(api)
    sandbox.post("webhooks/settle")
    assert receiver.received == []
    assert sandbox.post("webhooks/release", **release)["sent"] == len(expected)
    assert receiver.types() == expected


def test_a_shuffle_repeats_by_its_seed(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    listen(api, receiver)
    orders = []
    for _ in range(2):
        sandbox.post("webhooks/hold")
        pay(api)
        pay(api)
        receiver.received.clear()
        sandbox.post("webhooks/release", order="shuffled", copies=3, seed=11)
        orders.append(receiver.types())
    assert len(orders[0]) == 18
    assert orders[0] == orders[1]


def test_dropped_events_can_still_be_listed(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    listen(api, receiver)
    sandbox.post("webhooks/drop", types=["charge.*"])
    pay(api)
    sandbox.post("webhooks/settle")
    assert receiver.types() == ["payment_intent.created", "payment_intent.succeeded"]
    assert len(api.events.list({"type": "charge.*"}).data) == 1


def test_lost_events_are_nowhere(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    listen(api, receiver)
    sandbox.post("events/lost", types=["payment_intent.succeeded"])
    pay(api)
    pay(api)
    sandbox.post("webhooks/settle")
    assert receiver.types().count("payment_intent.succeeded") == 1
    assert len(api.events.list({"type": "payment_intent.succeeded"}).data) == 1


def test_deliveries_can_be_falsified(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    secret = listen(api, receiver, enabled_events=["customer.created"]).secret
    for body in (
        {"what": "secret"},
        {"what": "timestamp", "value": 1000},
        {"what": "livemode"},
        {"what": "account", "value": "acct_x"},
        {"what": "api_version", "value": "2025-03-31.basil"},
        {"what": "timestamp", "value": -1000},
    ):
        sandbox.post("webhooks/tamper", **body)
        api.customers.create({})
        sandbox.post("webhooks/settle")
    for number in (0, 1):
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(*receiver.received[number], secret)
    assert stripe.Webhook.construct_event(*receiver.received[2], secret).livemode is True
    assert stripe.Webhook.construct_event(*receiver.received[3], secret).account == "acct_x"
    assert stripe.Webhook.construct_event(*receiver.received[4], secret).api_version == "2025-03-31.basil"
    assert int(receiver.received[5][1][2:].partition(",")[0]) > time.time() + 900
    rules = sandbox.get("webhooks")["controls"]["tamper"]
    assert [(rule["left"], rule["hits"]) for rule in rules] == [(0, 1)] * 6


def test_only_so_many_of_some_types_are_falsified(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    secret = listen(api, receiver).secret
    sandbox.post("webhooks/tamper", what="secret", types=["charge.*", "customer.created"], times=2)
    pay(api)
    for _ in range(2):
        api.customers.create({})
    sandbox.post("webhooks/settle")
    genuine = []
    for delivery in receiver.received:
        try:
            genuine.append(stripe.Webhook.construct_event(*delivery, secret).type)
        except stripe.SignatureVerificationError:
            continue
    assert genuine == ["payment_intent.created", "payment_intent.succeeded", "customer.created"]


def test_controls_last_until_they_are_cleared(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    listen(api, receiver)
    sandbox.post("webhooks/drop", types=["charge.*"])
    sandbox.post("webhooks/tamper", what="livemode", times=0)
    sandbox.post("events/lost", types=["payment_intent.*"], times=0)
    for _ in range(2):
        pay(api)
        api.customers.create({})
    sandbox.post("webhooks/settle")
    assert [(event["type"], event["livemode"]) for event in bodies(receiver)] == [("customer.created", True)] * 2
    assert sandbox.get("webhooks")["controls"]["lost"][0]["hits"] == 4
    assert sandbox.post("webhooks/clear") == {"controls": {}}
    pay(api)
    sandbox.post("webhooks/settle")
    assert [(event["type"], event["livemode"]) for event in bodies(receiver)[2:]] == [(type, False) for type in STEPS]


def bodies(receiver: Receiver) -> list[Any]:
    return [json.loads(body) for body, _ in receiver.received]


def test_dropping_ends_with_an_empty_list(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    listen(api, receiver)
    for types in (["*"], []):
        sandbox.post("webhooks/drop", types=types)
        api.customers.create({})
        sandbox.post("webhooks/settle")
    assert receiver.types() == ["customer.created"]
    assert [row["status"] for row in sandbox.get("deliveries")["data"]] == ["dropped", "delivered"]


def test_copies_are_one_delivery_with_an_attempt_each(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    listen(api, receiver)
    sandbox.post("webhooks/hold")
    api.customers.create({})
    released = sandbox.post("webhooks/release", copies=3)
    [row] = sandbox.get("deliveries")["data"]
    assert (released, len(row["attempts"])) == ({"sent": 3, "settled": True, "deliveries": [row["id"]]}, 3)
    assert len({event["id"] for event in bodies(receiver)}) == 1
    api.customers.create({})  # nothing is held any more
    sandbox.post("webhooks/settle")
    assert len(receiver.received) == 4


def test_settling_says_when_its_time_is_over(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    listen(api, receiver)
    answer = threading.Event()

    def wait() -> None:
        answer.wait(9)

    receiver.meanwhile = wait
    api.customers.create({})
    assert sandbox.post("webhooks/settle", timeout=0) == {"settled": False}
    assert sandbox.get("webhooks")["in_flight"] == 1
    answer.set()
    assert sandbox.post("webhooks/settle") == {"settled": True}
    assert sandbox.get("webhooks")["in_flight"] == 0


def test_an_event_can_be_sent_to_an_endpoint_that_came_later(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    api.customers.create({})
    event = sandbox.get("events")["data"][0]["id"]
    assert sandbox.post(f"events/{event}/resend")["data"] == []
    endpoint = listen(api, receiver).id
    [row] = sandbox.post(f"events/{event}/resend", endpoint=endpoint)["data"]
    assert (row["endpoint"], row["status"]) == (endpoint, "delivered")
    assert bodies(receiver)[0]["id"] == event


def test_an_event_never_changes(api: Any, sandbox: Sandbox) -> None:
    intent = api.payment_intents.create({"amount": 500, "currency": "usd"}, {"idempotency_key": "k-9"})
    api.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa", "return_url": "http://a.test"})
    event = api.events.list({"type": "payment_intent.created"}).data[0]
    assert event.data.object.status == "requires_payment_method"
    request = event.to_dict()["request"]
    assert (request["idempotency_key"], request["id"][:4]) == ("k-9", "req_")


def test_events_are_listed_by_type_and_kept_thirty_days(api: Any, sandbox: Sandbox) -> None:
    pay(api)
    assert [
        event.type for event in api.events.list({"types": ["charge.succeeded", "payment_intent.created"]}).data
    ] == ["charge.succeeded", "payment_intent.created"]
    assert refused(lambda: api.events.list({"type": "a", "types": ["b"]})).http_status == 400
    sandbox.advance(31 * 86400)
    assert api.events.list({"type": "charge.succeeded"}).data == []


def test_endpoints_of_the_command_line_survive_a_reset(receiver: Receiver) -> None:
    sandbox = start(
        "--platform-webhook",
        receiver.url,
        "--platform-webhook-secret",
        "whsec_a",
        "--connect-webhook",
        receiver.url,
        "--connect-webhook-secret",
        "whsec_b",
    )
    try:
        sandbox.post("reset")
        api: Any = sandbox.client().v1
        assert [each.api_version for each in api.webhook_endpoints.list().data] == [stripe.api_version] * 2
        account = onboarded(api, sandbox)
        api.customers.create({})
        sandbox.post("webhooks/settle")
        own = stripe.Webhook.construct_event(*receiver.received[-1], "whsec_a")
        theirs = stripe.Webhook.construct_event(*receiver.received[0], "whsec_b")
        assert (own.type, theirs.account) == ("customer.created", account)
    finally:
        assert stop(sandbox) == 0


def test_at_most_sixteen_endpoints(api: Any) -> None:
    for number in range(16):
        api.webhook_endpoints.create({"url": f"http://a.test/{number}", "enabled_events": ["*"]})
    assert (
        "maximum"
        in refused(
            lambda: api.webhook_endpoints.create({"url": "http://a.test/x", "enabled_events": ["*"]})
        ).user_message
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"url": "ftp://a"},
        {"url": "http://"},
        {"url": "http://["},
        {"url": "a.test/hook"},
        {"enabled_events": ["no.such"]},
        {"enabled_events": ["*", "charge.succeeded"]},
    ],
)
def test_a_wrong_endpoint_is_not_made(api: Any, fields: Any) -> None:
    assert (
        refused(
            lambda: api.webhook_endpoints.create({"url": "http://a.test", "enabled_events": ["*"], **fields})
        ).http_status
        == 400
    )
    assert api.webhook_endpoints.list().data == []


def test_a_release_to_a_slow_endpoint_answers_in_time_and_goes_on(
    api: Any, sandbox: Sandbox, receiver: Receiver
) -> None:
    api.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["customer.created"]})
    sandbox.post("webhooks/hold")
    for _ in range(3):
        api.customers.create({})
    answer = threading.Event()

    def wait() -> None:
        answer.wait(9)

    receiver.meanwhile = wait
    assert sandbox.post("webhooks/release", timeout=1)["settled"] is False
    assert sandbox.post("webhooks/release")["sent"] == 0  # they are on their way already
    answer.set()
    assert sandbox.post("webhooks/settle")["settled"]
    assert [row["status"] for row in sandbox.get("deliveries")["data"]] == ["delivered"] * 3
    assert len(receiver.received) == 3
