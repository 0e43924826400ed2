"""The edges of idempotency: what a key is of, what it remembers, and when it forgets."""

import threading
from typing import Any

import pytest

from .conftest import Sandbox, onboarded, refused


def test_a_key_means_nothing_to_a_get_or_a_delete(api: Any, sandbox: Sandbox) -> None:
    customer = api.customers.create({}).id
    for method, path in (("GET", "/v1/customers"), ("GET", "/v1/balance"), ("DELETE", f"/v1/customers/{customer}")):
        status, _, headers = sandbox.raw(method, path, Idempotency_Key="k")
        assert (status, "idempotent-replayed" in headers) == (200, False)
    assert sandbox.raw("POST", "/v1/customers", b"name=a", Idempotency_Key="k")[0] == 200


def test_the_platforms_own_id_is_the_same_scope_as_none(sandbox: Sandbox) -> None:
    first = sandbox.raw("POST", "/v1/customers", b"name=a", Idempotency_Key="k")[1]
    again = sandbox.raw(
        "POST", "/v1/customers", b"name=a", Idempotency_Key="k", Stripe_Account="acct_1SandboxPlatform"
    )[1]
    assert first == again


def test_the_order_of_parameters_is_not_compared(sandbox: Sandbox) -> None:
    first = sandbox.raw("POST", "/v1/customers", b"name=a&email=b", Idempotency_Key="k")[1]
    assert sandbox.raw("POST", "/v1/customers", b"email=b&name=a", Idempotency_Key="k")[1] == first


def test_a_500_is_remembered_and_forgotten_only_by_pruning(api: Any, sandbox: Sandbox) -> None:
    sandbox.post("faults", path="/v1/customers", method="POST", action="respond", status=500)
    key = {"idempotency_key": "k"}
    for _ in range(3):
        assert refused(lambda: api.customers.create({}, key)).http_status == 500
    assert api.customers.list().data == []
    assert sandbox.post("idempotency/prune") == {"pruned": 1}
    assert api.customers.create({}, key).id


def test_an_unknown_account_or_key_leaves_no_trace(api: Any, sandbox: Sandbox) -> None:
    account = onboarded(api, sandbox)
    for headers in ({"Stripe_Account": "acct_x"}, {"Authorization": "Bearer sk_live_x"}):
        assert sandbox.raw("POST", "/v1/customers", b"", Idempotency_Key="k", **headers)[0] in (401, 403)
    assert "idempotent-replayed" not in sandbox.raw("POST", "/v1/customers", b"", Idempotency_Key="k")[2]
    theirs = sandbox.raw("POST", "/v1/customers", b"", Idempotency_Key="k", Stripe_Account=account)
    assert "idempotent-replayed" not in theirs[2]


def test_a_key_of_the_greatest_length_is_taken(sandbox: Sandbox) -> None:
    assert sandbox.raw("POST", "/v1/customers", b"", Idempotency_Key="x" * 255)[0] == 200


def test_other_parameters_are_refused_in_stripes_words(sandbox: Sandbox) -> None:
    sandbox.raw("POST", "/v1/customers", b"name=a", Idempotency_Key="k")
    status, answer, headers = sandbox.raw("POST", "/v1/customers", b"name=b", Idempotency_Key="k")
    assert status == 400
    assert answer["error"]["message"] == (
        "Keys for idempotent requests can only be used with the same parameters they were first used with. "
        "Try using a key other than 'k' if you meant to execute a different request."
    )
    assert "idempotent-replayed" not in headers
    assert sandbox.raw("POST", "/v1/customers", b"name=a", Idempotency_Key="k")[0] == 200  # the first is still known


def test_who_loses_a_race_may_ask_again_and_gets_the_winners_answer(sandbox: Sandbox) -> None:
    sandbox.post("faults", path="/v1/customers", action="delay_before", delay_ms=60_000)
    won = []
    slow = threading.Thread(
        target=lambda: won.append(sandbox.raw("POST", "/v1/customers", b"name=a", Idempotency_Key="k"))
    )
    slow.start()
    sandbox.await_hit()
    status, answer, _ = sandbox.raw("POST", "/v1/customers", b"name=a", Idempotency_Key="k")
    sandbox.post("faults/release")
    slow.join()
    assert status == 409
    assert answer["error"]["message"] == (
        "There is currently another in-progress request using this Idempotent Key (that probably means you submitted twice, "
        "and the other request is still going through): k. Please try again later."
    )
    _, again, headers = sandbox.raw("POST", "/v1/customers", b"name=a", Idempotency_Key="k")
    assert again == won[0][1]
    assert headers["original-request"] == won[0][2]["request-id"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/transfers", b"amount=500&currency=usd&destination={account}", 400),  # there is no money
        ("/v1/payment_intents/pi_x/capture", b"", 404),
        ("/v1/refunds", b"payment_intent=pi_x", 400),
    ],
)
def test_what_failed_once_it_was_begun_goes_on_failing(
    api: Any, sandbox: Sandbox, path: str, body: bytes, status: int
) -> None:
    account = onboarded(api, sandbox)
    given = body.replace(b"{account}", account.encode())
    first = sandbox.raw("POST", path, given, Idempotency_Key="k")
    sandbox.post("balance", amount=5000)
    again = sandbox.raw("POST", path, given, Idempotency_Key="k")
    assert (first[0], again[0], again[1]) == (status, status, first[1])
    assert again[2]["idempotent-replayed"] == "true"


@pytest.mark.parametrize("body", [b"amount=x&currency=usd", b"currency=usd", b"amount=500&currency=usd&shoe=1"])
def test_parameters_that_are_refused_leave_the_key_free(sandbox: Sandbox, body: bytes) -> None:
    assert sandbox.raw("POST", "/v1/payment_intents", body, Idempotency_Key="k")[0] == 400
    status, _, headers = sandbox.raw("POST", "/v1/payment_intents", b"amount=500&currency=usd", Idempotency_Key="k")
    assert (status, "idempotent-replayed" in headers) == (200, False)


def test_a_replay_tells_no_event_a_second_time(sandbox: Sandbox) -> None:
    for _ in range(3):
        sandbox.raw("POST", "/v1/customers", b"name=a", Idempotency_Key="k")
    assert sandbox.event_types() == ["customer.created"]


def test_a_key_used_again_after_it_was_forgotten_lives_a_day_of_its_own(api: Any, sandbox: Sandbox) -> None:
    key = {"idempotency_key": "k"}
    first = api.customers.create({}, key).id
    sandbox.advance(12 * 3600)
    sandbox.post("idempotency/prune")
    second = api.customers.create({}, key).id
    sandbox.advance(13 * 3600)  # a day after the first
    assert api.customers.create({}, key).id == second != first


def test_a_request_from_before_a_reset_has_no_effect_after_it(api: Any, sandbox: Sandbox) -> None:
    sandbox.post("faults", path="/v1/customers", method="POST", action="delay_before", delay_ms=60_000)
    answers = []
    late = threading.Thread(
        target=lambda: answers.append(sandbox.raw("POST", "/v1/customers", b"name=old", Idempotency_Key="k")[0])
    )
    late.start()
    sandbox.await_hit()
    sandbox.post("reset")
    sandbox.post("faults/release")
    late.join()
    assert answers == [500]
    assert api.customers.list().data == []
    assert api.customers.create({"name": "new"}, {"idempotency_key": "k"}).name == "new"
