"""Faults: each does what it says, and an effect happens once or not at all, whatever becomes of the client."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from typing import Any

import pytest
import stripe

from .conftest import KEY, Refused, Sandbox, pay, refused, until

CALL = b"name=a"
HEADERS = {
    "Authorization": f"Bearer {KEY}",
    "Content-Type": "application/x-www-form-urlencoded",
    "Idempotency-Key": "k",
}


def customers(sandbox: Sandbox) -> int:
    return len(sandbox.raw("GET", "/v1/customers")[1]["data"])


def fault(sandbox: Sandbox, action: str, **rule: Any) -> None:
    sandbox.control("POST", "faults", {"method": "POST", "path": "/v1/customers", "action": action, **rule})


def send(sandbox: Sandbox, timeout: float = 10) -> tuple[int, bytes]:
    """One plain request, without the library's retries."""
    host, port = sandbox.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=timeout)
    try:
        connection.request("POST", "/v1/customers", CALL, HEADERS)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("action", "effects"),
    [("refuse", 0), ("reset_before_effect", 0), ("reset_after_effect", 1), ("timeout_before", 0), ("timeout_after", 1)],
)
def test_a_lost_answer(sandbox: Sandbox, action: str, effects: int) -> None:
    fault(sandbox, action, delay_ms=50)
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        send(sandbox)
    assert customers(sandbox) == effects
    assert send(sandbox)[0] == 200  # the same key: done now, or replayed
    assert customers(sandbox) == 1


@pytest.mark.parametrize("action", ["refuse", "reset_before_effect", "reset_after_effect"])
def test_a_reset_is_a_real_reset(sandbox: Sandbox, action: str) -> None:
    fault(sandbox, action)
    with pytest.raises(ConnectionResetError):
        send(sandbox)


@pytest.mark.parametrize("action", ["timeout_before", "timeout_after"])
def test_a_timeout_is_silence_and_then_an_orderly_end(sandbox: Sandbox, action: str) -> None:
    fault(sandbox, action, delay_ms=300)
    started = time.perf_counter()
    with pytest.raises(http.client.RemoteDisconnected):
        send(sandbox)
    assert time.perf_counter() - started >= 0.3  # and less than what `send` would wait


def test_an_effect_before_a_timeout_is_there_while_it_lasts(sandbox: Sandbox) -> None:
    fault(sandbox, "timeout_after", delay_ms=20_000)
    with pytest.raises(TimeoutError):
        send(sandbox, timeout=0.2)
    sandbox.await_hit()
    assert customers(sandbox) == 1
    assert send(sandbox)[0] == 200  # replayed at once, though the first request is not over
    assert customers(sandbox) == 1


@pytest.mark.parametrize(
    ("action", "status", "code"),
    [
        ("conflict", 409, "idempotency_key_in_use"),
        ("rate_limit", 429, "rate_limit"),
        ("lock_timeout", 429, "lock_timeout"),
    ],
)
def test_a_refusal_without_effect_is_not_remembered(sandbox: Sandbox, action: str, status: int, code: str) -> None:
    fault(sandbox, action)
    answer, body = send(sandbox)
    assert (answer, json.loads(body)["error"]["code"]) == (status, code)
    assert customers(sandbox) == 0
    assert send(sandbox)[0] == 200


def test_a_server_error_sticks_to_its_key(sandbox: Sandbox) -> None:
    fault(sandbox, "respond", status=500)
    assert [send(sandbox)[0], send(sandbox)[0]] == [500, 500]
    assert customers(sandbox) == 0


def test_a_server_error_may_also_be_forgotten(sandbox: Sandbox) -> None:
    fault(sandbox, "respond", status=503, stored=False, body={"error": {"message": "upstream", "type": "api_error"}})
    assert [send(sandbox)[0], send(sandbox)[0]] == [503, 200]


def test_a_server_error_after_the_effect(sandbox: Sandbox) -> None:
    fault(sandbox, "respond_after_effect", status=500)
    assert [send(sandbox)[0], send(sandbox)[0]] == [500, 500]
    assert customers(sandbox) == 1


def test_a_broken_body(sandbox: Sandbox) -> None:
    fault(sandbox, "truncate_body")
    with pytest.raises(http.client.IncompleteRead) as caught:
        send(sandbox)
    assert caught.value.partial.startswith(b"{")
    assert customers(sandbox) == 1
    sandbox.control("DELETE", "faults")
    fault(sandbox, "garbage_body")
    status, body = send(sandbox)
    assert (status, body[:6]) == (200, b"<html>")
    assert customers(sandbox) == 1


def test_an_answer_is_given_as_it_is_written(sandbox: Sandbox) -> None:
    headers = {"X-Edge": "7", "Retry-After": "3"}
    for action, effects in (("respond", 0), ("respond_after_effect", 1)):
        sandbox.post("reset")
        fault(sandbox, action, status=418, body={"tea": "pot"}, headers=headers)
        status, answer, given = sandbox.raw("POST", "/v1/customers", CALL)
        assert (status, answer, given["x-edge"], given["retry-after"]) == (418, {"tea": "pot"}, "7", "3")
        assert customers(sandbox) == effects


def test_an_answer_may_be_no_json(sandbox: Sandbox) -> None:
    fault(sandbox, "respond", status=502, body="Bad gateway", stored=False)
    assert send(sandbox) == (502, b"Bad gateway")


def test_every_action_is_told_with_its_words(sandbox: Sandbox) -> None:
    assert set(sandbox.get("faults")["actions"]) == {
        *("refuse", "reset_before_effect", "reset_after_effect", "timeout_before", "timeout_after"),
        *("delay_before", "delay_after", "respond", "respond_after_effect"),
        *("truncate_body", "garbage_body", "slow_drip", "conflict", "rate_limit", "lock_timeout", "prune_keys"),
    }


def test_a_slow_drip_arrives_in_the_end(sandbox: Sandbox) -> None:
    fault(sandbox, "slow_drip", delay_ms=400)
    started = time.perf_counter()
    status, body = send(sandbox)
    assert (status, json.loads(body)["object"]) == (200, "customer")
    assert time.perf_counter() - started > 0.3
    assert customers(sandbox) == 1


@pytest.mark.parametrize("action", ["delay_before", "delay_after"])
def test_a_delay_answers_in_the_end(sandbox: Sandbox, action: str) -> None:
    fault(sandbox, action, delay_ms=60_000)
    with pytest.raises(socket.timeout):
        send(sandbox, timeout=0.1)
    sandbox.await_hit()
    assert customers(sandbox) == (1 if action == "delay_after" else 0)
    sandbox.post("faults/release")  # a client that has left does not stop what it has asked for
    until(lambda: customers(sandbox))
    assert customers(sandbox) == 1


def test_who_comes_after_a_release_waits_as_ever(sandbox: Sandbox) -> None:
    sandbox.post("faults/release")
    fault(sandbox, "delay_before", delay_ms=60_000)
    with pytest.raises(socket.timeout):
        send(sandbox, timeout=0.1)
    sandbox.await_hit()
    assert customers(sandbox) == 0
    sandbox.post("faults/release")


def test_the_nth_call_and_only_so_many(sandbox: Sandbox) -> None:
    fault(sandbox, "respond", nth=2, times=2, stored=False)
    assert [send(sandbox)[0] for _ in range(4)] == [200, 500, 500, 200]
    assert len(sandbox.get("faults")["data"][0]["hits"]) == 2


def test_a_fault_is_for_an_account_or_a_key(api: Any, sandbox: Sandbox, coach: str) -> None:
    fault(sandbox, "respond", account=coach, times=0, stored=False)
    api.customers.create({})
    refused(lambda: api.customers.create({}, {"stripe_account": coach}))
    sandbox.control("DELETE", "faults")
    fault(sandbox, "respond", idempotency_key="pay-*", times=0)
    api.customers.create({}, {"idempotency_key": "other"})
    refused(lambda: api.customers.create({}, {"idempotency_key": "pay-7"}))


def test_a_fault_is_for_a_method_and_a_path(api: Any, sandbox: Sandbox) -> None:
    sandbox.post("faults", method="GET", path="/v1/customers/*", action="lock_timeout", times=0)
    customer = api.customers.create({}).id
    assert api.customers.list().data[0].id == customer
    assert refused(lambda: api.customers.retrieve(customer)).error.code == "lock_timeout"
    assert sandbox.control("DELETE", "faults") == {"data": []}
    assert api.customers.retrieve(customer).id == customer


def test_the_first_rule_that_matches_strikes(sandbox: Sandbox) -> None:
    for action in ("conflict", "rate_limit"):
        fault(sandbox, action)
    assert [send(sandbox)[0] for _ in range(3)] == [409, 429, 200]


def test_pruned_keys_execute_again(sandbox: Sandbox) -> None:
    send(sandbox)
    fault(sandbox, "prune_keys")
    send(sandbox)
    assert customers(sandbox) == 2


def test_the_librarys_own_retry_is_replayed(sandbox: Sandbox) -> None:
    fault(sandbox, "reset_after_effect")
    made: Any = sandbox.client(max_network_retries=2).v1.customers.create({"name": "a"})
    assert made.name == "a"
    assert customers(sandbox) == 1
    log = [entry for entry in sandbox.get("requests")["data"] if entry["method"] == "POST"]
    assert [(entry["effect"], entry["replayed"], entry["fault"]) for entry in log] == [
        (True, False, "reset_after_effect"),
        (False, True, None),
    ]
    assert log[0]["idempotency_key"] == log[1]["idempotency_key"]


@pytest.mark.parametrize(("action", "effects"), [("timeout_before", 0), ("timeout_after", 1)])
def test_a_client_can_be_killed_on_either_side_of_an_effect(sandbox: Sandbox, action: str, effects: int) -> None:
    fault(sandbox, action, delay_ms=20_000)
    script = (
        "import stripe, sys; stripe.StripeClient(sys.argv[1], base_addresses={'api': sys.argv[2]})"
        ".v1.customers.create({'name': 'a'}, {'idempotency_key': 'k'})"
    )
    child = subprocess.Popen([sys.executable, "-c", script, KEY, sandbox.url])
    sandbox.await_hit()
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert customers(sandbox) == effects


def test_the_log_shows_what_was_asked_and_answered(api: Any, sandbox: Sandbox, coach: str) -> None:
    intent = pay(api)
    refused(
        lambda: api.payment_intents.create(
            {
                "amount": 500,
                "currency": "usd",
                "confirm": True,
                "payment_method": "pm_card_chargeDeclined",
                "payment_method_types": ["card"],
            }
        )
    )
    api.balance.retrieve({}, {"stripe_account": coach})
    log = sandbox.get("requests")["data"][-3:]
    assert [(entry["method"], entry["path"], entry["status"], entry["effect"], entry["account"]) for entry in log] == [
        ("POST", "/v1/payment_intents", 200, True, None),
        ("POST", "/v1/payment_intents", 402, True, None),
        ("GET", "/v1/balance", 200, False, coach),
    ]
    assert log[0]["params"]["payment_method_types"] == ["card"]
    assert log[0]["response"]["id"] == intent.id


@pytest.mark.parametrize(
    "rule", [{"action": "explode"}, {"action": "refuse", "colour": "red"}, {"action": "refuse", "nth": "two"}]
)
def test_a_wrong_fault_is_refused(sandbox: Sandbox, rule: Any) -> None:
    with pytest.raises(Refused) as caught:
        sandbox.control("POST", "faults", rule)
    assert caught.value.status == 400
    assert sandbox.get("faults")["data"] == []


def test_an_error_of_the_endpoint_leaves_no_key_behind_it(api: Any, sandbox: Sandbox) -> None:
    error = refused(lambda: api.customers.create({"nope": 1}, {"idempotency_key": "k"}))
    assert isinstance(error, stripe.InvalidRequestError)
    assert api.customers.create({}, {"idempotency_key": "k"}).object == "customer"
