"""How many requests a second are let through, and who is counted."""

import json
from typing import Any

import pytest
import stripe

from .conftest import Sandbox, onboarded, refused, start, stop


def answers(sandbox: Sandbox, path: str, times: int, account: str = "acct_1SandboxPlatform") -> list[int]:
    return [sandbox.raw("GET", path, Stripe_Account=account)[0] for _ in range(times)]


def test_without_a_limit_everything_is_let_through(sandbox: Sandbox) -> None:
    assert set(answers(sandbox, "/v1/balance", 60)) == {200}


def test_too_many_requests_are_a_429_that_says_why(sandbox: Sandbox) -> None:
    sandbox.post("rate_limit", account=1)
    answers(sandbox, "/v1/balance", 1)
    status, body, headers = sandbox.raw("GET", "/v1/customers")
    assert (status, body["error"]["code"], body["error"]["type"]) == (429, "rate_limit", "invalid_request_error")
    assert headers["stripe-rate-limited-reason"] == "global-rate"


def test_the_library_takes_it_for_a_rate_limit_and_does_not_retry(sandbox: Sandbox) -> None:
    sandbox.post("rate_limit", account=1)
    api: Any = sandbox.client(max_network_retries=2).v1
    api.balance.retrieve()
    assert isinstance(refused(api.balance.retrieve), stripe.RateLimitError)
    assert [entry["status"] for entry in sandbox.get("requests")["data"]] == [200, 429]


def test_an_endpoint_has_a_limit_of_its_own(api: Any, sandbox: Sandbox) -> None:
    ids = [api.customers.create({}).id for _ in range(2)]
    sandbox.post("rate_limit", endpoint=1)
    assert answers(sandbox, f"/v1/customers/{ids[0]}", 1) == [200]
    status, _, headers = sandbox.raw("GET", f"/v1/customers/{ids[1]}")
    assert (status, headers["stripe-rate-limited-reason"]) == (429, "endpoint-rate")
    assert answers(sandbox, "/v1/balance", 1) == [200]


def test_each_account_is_counted_for_itself(api: Any, sandbox: Sandbox) -> None:
    account = onboarded(api, sandbox)
    sandbox.post("rate_limit", account=1)
    assert answers(sandbox, "/v1/balance", 2) == [200, 429]
    assert answers(sandbox, "/v1/balance", 2, account) == [200, 429]


def test_a_refusal_is_not_remembered_by_its_key_and_has_no_effect(sandbox: Sandbox) -> None:
    sandbox.post("rate_limit", endpoint=1)
    assert sandbox.raw("POST", "/v1/customers", b"name=a", Idempotency_Key="a")[0] == 200
    assert sandbox.raw("POST", "/v1/customers", b"name=b", Idempotency_Key="b")[0] == 429
    sandbox.post("rate_limit")
    status, _, headers = sandbox.raw("POST", "/v1/customers", b"name=b", Idempotency_Key="b")
    assert (status, "idempotent-replayed" in headers) == (200, False)


def test_the_command_line_sets_limits_that_a_reset_keeps() -> None:
    sandbox = start("--rate-limit", "2", "--endpoint-rate-limit", "1")
    try:
        for _ in range(2):
            sandbox.post("reset")
            assert answers(sandbox, "/v1/balance", 2) == [200, 429]
    finally:
        assert stop(sandbox) == 0


@pytest.mark.parametrize("body", [{"account": -1}, {"account": "many"}, {"endpoint": True}])
def test_a_limit_is_a_whole_number(sandbox: Sandbox, body: dict[str, Any]) -> None:
    assert sandbox.raw("POST", "/_sandbox/rate_limit", json.dumps(body).encode())[0] == 400
