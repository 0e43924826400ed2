"""Keys, URLs, parameters, lists, expansion, metadata, idempotency: what is the same for every endpoint."""

import base64
import threading
from typing import Any

import pytest

from .conftest import KEY, Sandbox, pay, refused


def test_it_wants_a_key(sandbox: Sandbox) -> None:
    status, body, headers = sandbox.raw("GET", "/v1/balance", Authorization="")
    assert status == 401
    assert body["error"]["type"] == "invalid_request_error"
    assert body["error"]["message"].startswith("You did not provide an API key.")
    assert headers["request-id"].startswith("req_")


def test_it_refuses_a_key_that_is_none_of_its_own(sandbox: Sandbox) -> None:
    status, body, _ = sandbox.raw("GET", "/v1/balance", Authorization="Bearer sk_live_0123456789abcdef")
    assert (status, body["error"]["message"]) == (401, "Invalid API Key provided: sk_live_012*********cdef")


def test_it_refuses_a_publishable_key(sandbox: Sandbox) -> None:
    status, body, _ = sandbox.raw("GET", "/v1/balance", Authorization="Bearer pk_test_x")
    assert status == 401
    assert "publishable API key" in body["error"]["message"]


def test_it_takes_the_key_as_basic_user_name(sandbox: Sandbox) -> None:
    basic = base64.b64encode(f"{KEY}:".encode()).decode()
    assert sandbox.raw("GET", "/v1/balance", Authorization=f"Basic {basic}")[0] == 200


def test_it_does_not_know_a_url_that_is_not_built(api: Any) -> None:
    error = refused(api.subscriptions.list)
    assert error.http_status == 404
    assert error.user_message.startswith(
        "Unrecognized request URL (GET: /v1/subscriptions). If you are trying to list objects"
    )


def test_it_refuses_a_foreign_account(api: Any) -> None:
    error = refused(lambda: api.balance.retrieve({}, {"stripe_account": "acct_foreign"}))
    assert error.__class__.__name__ == "PermissionError"
    assert (error.http_status, error.error.code) == (403, "account_invalid")


def test_the_platforms_own_id_as_stripe_account_changes_nothing(api: Any) -> None:
    assert api.accounts.retrieve_current({}, {"stripe_account": "acct_1SandboxPlatform"}).id == "acct_1SandboxPlatform"


def test_an_error_has_stripes_envelope(sandbox: Sandbox) -> None:
    _, body, headers = sandbox.raw("GET", "/v1/payment_intents/pi_x")
    assert body == {
        "error": {
            "code": "resource_missing",
            "doc_url": "https://stripe.com/docs/error-codes/resource-missing",
            "message": "No such payment_intent: 'pi_x'",
            "param": "intent",
            "request_log_url": "https://dashboard.stripe.com/acct_1SandboxPlatform/test/workbench/logs?object="
            + headers["request-id"],
            "type": "invalid_request_error",
        }
    }


def test_it_names_an_unknown_parameter_before_anything_else(api: Any) -> None:
    error = refused(lambda: api.payment_intents.create({"amount": "x", "shoe_size": 9}))
    assert (error.code, error.param, error.user_message) == (
        "parameter_unknown",
        "shoe_size",
        "Received unknown parameter: shoe_size",
    )


def test_it_names_a_nested_unknown_parameter(api: Any) -> None:
    error = refused(
        lambda: api.payment_intents.create(
            {"amount": 100, "currency": "usd", "transfer_data": {"destination": "a", "b": 1}}
        )
    )
    assert (error.code, error.param) == ("parameter_unknown", "transfer_data[b]")


@pytest.mark.parametrize(
    ("params", "code", "param", "message"),
    [
        ({"currency": "usd"}, "parameter_missing", "amount", "Missing required param: amount."),
        (
            {"amount": 100, "currency": "usd", "transfer_data": {"amount": 5}},
            "parameter_missing",
            "transfer_data[destination]",
            "Missing required param: transfer_data[destination].",
        ),
        ({"amount": "abc", "currency": "usd"}, "parameter_invalid_integer", "amount", "Invalid integer: abc"),
        ({"amount": 0, "currency": "usd"}, "parameter_invalid_integer", "amount", "Invalid positive integer"),
        ({"amount": 10, "currency": "usd"}, "amount_too_small", "amount", "Amount must be at least $0.50 usd"),
        (
            {"amount": 100_000_000, "currency": "usd"},
            "amount_too_large",
            "amount",
            "Amount must be no more than $999,999.99",
        ),
        (
            {"amount": 100, "currency": "usd", "capture_method": "later"},
            None,
            "capture_method",
            "Invalid capture_method: must be one of automatic, automatic_async, or manual",
        ),
        ({"amount": 100, "currency": "usd", "confirm": "perhaps"}, None, "confirm", "Invalid boolean: perhaps"),
        ({"amount": 100, "currency": ""}, "parameter_invalid_empty", "currency", None),
        (
            {"amount": 100, "currency": "usd", "customer": "cus_x"},
            "resource_missing",
            "customer",
            "No such customer: 'cus_x'",
        ),
        ({"amount": 100, "currency": "usd", "metadata": "x"}, None, "metadata", "Invalid object"),
    ],
)
def test_it_says_what_is_wrong_with_a_parameter(
    api: Any, params: Any, code: str | None, param: str, message: str | None
) -> None:
    error = refused(lambda: api.payment_intents.create(params))
    assert (error.http_status, error.code, error.param) == (400, code, param)
    assert message is None or error.user_message == message
    assert api.payment_intents.list().data == []


def test_it_reads_arrays_with_and_without_indexes(sandbox: Sandbox) -> None:
    for body in (
        b"amount=500&currency=usd&payment_method_types[]=card",
        b"amount=500&currency=usd&payment_method_types%5B0%5D=card",
    ):
        status, made, _ = sandbox.raw("POST", "/v1/payment_intents", body)
        assert (status, made["payment_method_types"], made["automatic_payment_methods"]) == (200, ["card"], None)


@pytest.mark.parametrize(
    "body",
    [
        b"amount=%ff%fe&currency=usd",
        b"a[b][c][d][e][f][g][h][i][j][k][l][m][n]=1",
        b"amount=1&amount[x]=2",
        b"\xff=1",
        b"[]=1",
        b"=&==&&",
    ],
)
def test_a_broken_form_is_a_400(sandbox: Sandbox, body: bytes) -> None:
    status, answer, _ = sandbox.raw("POST", "/v1/payment_intents", body)
    assert (status, answer["error"]["type"]) == (400, "invalid_request_error")


def test_json_is_not_a_form(sandbox: Sandbox) -> None:
    status, answer, _ = sandbox.raw("POST", "/v1/customers", b"{}", Content_Type="application/json")
    assert status == 400
    assert "application/x-www-form-urlencoded" in answer["error"]["message"]


def test_a_huge_body_is_a_413(sandbox: Sandbox) -> None:
    assert sandbox.raw("POST", "/v1/customers", b"name=" + b"x" * 3_000_000)[0] == 413


def test_an_unknown_version_is_refused_and_a_known_one_echoed(sandbox: Sandbox) -> None:
    assert sandbox.raw("GET", "/v1/balance", Stripe_Version="tomorrow")[0] == 400
    assert (
        sandbox.raw("GET", "/v1/balance", Stripe_Version="2025-03-31.basil")[2]["stripe-version"] == "2025-03-31.basil"
    )


def test_a_list_is_newest_first_and_pages_both_ways(api: Any) -> None:
    made = [api.customers.create({"name": str(number)}).id for number in range(5)]
    newest = made[::-1]
    first = api.customers.list({"limit": 2})
    second = api.customers.list({"limit": 2, "starting_after": newest[1]})
    back = api.customers.list({"limit": 2, "ending_before": newest[3]})
    assert ([each.id for each in first.data], first.has_more) == (newest[:2], True)
    assert ([each.id for each in second.data], second.has_more) == (newest[2:4], True)
    assert ([each.id for each in back.data], back.has_more) == (newest[1:3], True)
    assert [each.id for each in api.customers.list({"limit": 3}).auto_paging_iter()] == newest


def test_a_list_filters_by_time_and_by_field(api: Any, sandbox: Sandbox) -> None:
    early = api.customers.create({"email": "a@example.com"})
    sandbox.advance(1000)
    late = api.customers.create({"email": "b@example.com"})
    assert [each.id for each in api.customers.list({"created": {"gt": early.created}}).data] == [late.id]
    assert [each.id for each in api.customers.list({"created": {"lte": early.created}}).data] == [early.id]
    assert [each.id for each in api.customers.list({"email": "a@example.com"}).data] == [early.id]


def test_a_list_refuses_wrong_cursors(api: Any) -> None:
    error = refused(lambda: api.customers.list({"starting_after": "cus_x"}))
    assert (error.http_status, error.code, error.param) == (400, "resource_missing", "starting_after")
    assert (
        "both starting_after and ending_before"
        in refused(lambda: api.customers.list({"starting_after": "a", "ending_before": "b"})).user_message
    )


def test_limit_is_clamped_not_refused(api: Any) -> None:
    api.customers.create({})
    assert len(api.customers.list({"limit": 1000}).data) == 1
    assert len(api.customers.list({"limit": 0}).data) == 1


def test_expansion_goes_through_objects_and_lists(api: Any) -> None:
    customer = api.customers.create({"email": "s@example.com"})
    intent = pay(api, customer=customer.id)
    shown = api.payment_intents.retrieve(intent.id, {"expand": ["latest_charge.balance_transaction", "customer"]})
    assert shown.latest_charge.balance_transaction.net == 10000 - 320
    assert shown.customer.email == "s@example.com"
    listed = api.payment_intents.list({"expand": ["data.latest_charge"]})
    assert listed.data[0].latest_charge.id == intent.latest_charge
    assert api.payment_intents.retrieve(intent.id).latest_charge == intent.latest_charge


def test_refunds_of_a_charge_are_there_only_when_expanded(api: Any) -> None:
    charge = pay(api).latest_charge
    assert "refunds" not in api.charges.retrieve(charge).to_dict()
    assert api.charges.retrieve(charge, {"expand": ["refunds"]}).refunds.data == []


def test_an_effect_is_not_repeated_because_its_answer_could_not_be_expanded(api: Any) -> None:
    for _ in range(2):
        refused(lambda: api.customers.create({"expand": ["metadata"]}, {"idempotency_key": "k"}))
    assert len(api.customers.list().data) == 1


def test_expansion_refuses_what_cannot_be_expanded(api: Any) -> None:
    intent = pay(api)
    error = refused(lambda: api.payment_intents.retrieve(intent.id, {"expand": ["metadata"]}))
    assert error.user_message == "This property cannot be expanded (metadata)."
    error = refused(lambda: api.payment_intents.retrieve(intent.id, {"expand": ["a.b.c.d.e"]}))
    assert error.code == "property_expansion_max_depth"


def test_metadata_is_merged_emptied_and_limited(api: Any) -> None:
    customer = api.customers.create({"metadata": {"a": "1", "b": "2"}}).id
    assert api.customers.update(customer, {"metadata": {"b": "", "c": "3"}}).metadata.to_dict() == {"a": "1", "c": "3"}
    assert api.customers.update(customer, {"metadata": ""}).metadata.to_dict() == {}
    assert (
        "40 characters" in refused(lambda: api.customers.update(customer, {"metadata": {"x" * 41: "1"}})).user_message
    )
    assert (
        "500 characters" in refused(lambda: api.customers.update(customer, {"metadata": {"x": "1" * 501}})).user_message
    )
    assert (
        "50 keys"
        in refused(lambda: api.customers.update(customer, {"metadata": {f"k{n}": "1" for n in range(51)}})).user_message
    )
    assert api.customers.update(customer, {"metadata": {"0": "zero"}}).metadata.to_dict() == {"0": "zero"}


# Idempotency


def test_the_same_key_gives_the_same_answer_once_done(sandbox: Sandbox) -> None:
    first = sandbox.raw("POST", "/v1/customers", b"name=a", Idempotency_Key="k")
    again = sandbox.raw("POST", "/v1/customers", b"name=a", Idempotency_Key="k")
    assert again[1] == first[1]
    assert again[2]["idempotent-replayed"] == "true"
    assert again[2]["original-request"] == first[2]["request-id"]
    assert again[2]["request-id"] != first[2]["request-id"]
    assert "idempotent-replayed" not in first[2]
    assert [(entry["replayed"], entry["effect"]) for entry in sandbox.get("requests")["data"]] == [
        (False, True),
        (True, False),
    ]


@pytest.mark.parametrize(("path", "body"), [("/v1/customers", b"name=b"), ("/v1/payment_intents", b"name=a")])
def test_the_same_key_for_something_else_is_refused(sandbox: Sandbox, path: str, body: bytes) -> None:
    sandbox.raw("POST", "/v1/customers", b"name=a", Idempotency_Key="k")
    status, answer, _ = sandbox.raw("POST", path, body, Idempotency_Key="k")
    assert (status, answer["error"]["type"]) == (400, "idempotency_error")
    assert "code" not in answer["error"]
    assert answer["error"]["message"].startswith(
        "Keys for idempotent requests can only be used with the same parameters"
    )
    assert len(sandbox.raw("GET", "/v1/customers")[1]["data"]) == 1


def test_a_validation_failure_is_not_remembered(sandbox: Sandbox) -> None:
    assert sandbox.raw("POST", "/v1/customers", b"shoe=1", Idempotency_Key="k")[0] == 400
    assert sandbox.raw("POST", "/v1/customers", b"name=a", Idempotency_Key="k")[0] == 200


def test_a_decline_is_remembered(api: Any) -> None:
    def attempt() -> Any:
        return api.payment_intents.create(
            {
                "amount": 500,
                "currency": "usd",
                "confirm": True,
                "payment_method": "pm_card_chargeDeclined",
                "payment_method_types": ["card"],
            },
            {"idempotency_key": "k"},
        )

    first, again = refused(attempt), refused(attempt)
    assert first.error.payment_intent.id == again.error.payment_intent.id
    assert len(api.payment_intents.list().data) == 1


def test_a_key_in_use_is_a_409(sandbox: Sandbox) -> None:
    sandbox.post("faults", path="/v1/customers", action="delay_before", delay_ms=60_000)
    slow = threading.Thread(
        target=sandbox.raw, args=("POST", "/v1/customers", b"name=a"), kwargs={"Idempotency_Key": "k"}
    )
    slow.start()
    sandbox.await_hit()
    status, answer, _ = sandbox.raw("POST", "/v1/customers", b"name=a", Idempotency_Key="k")
    sandbox.post("faults/release")
    slow.join()
    assert (status, answer["error"]["code"], answer["error"]["type"]) == (
        409,
        "idempotency_key_in_use",
        "idempotency_error",
    )
    assert len(sandbox.raw("GET", "/v1/customers")[1]["data"]) == 1


def test_a_key_is_forgotten_after_a_day(api: Any, sandbox: Sandbox) -> None:
    first = api.customers.create({}, {"idempotency_key": "k"}).id
    sandbox.advance(24 * 3600 - 10)
    assert api.customers.create({}, {"idempotency_key": "k"}).id == first
    sandbox.advance(20)
    assert api.customers.create({}, {"idempotency_key": "k"}).id != first


def test_a_key_belongs_to_one_account(api: Any, coach: str) -> None:
    own = api.customers.create({"name": "x"}, {"idempotency_key": "k"})
    theirs = api.customers.create({"name": "x"}, {"idempotency_key": "k", "stripe_account": coach})
    assert own.id != theirs.id


def test_an_empty_key_is_refused(sandbox: Sandbox) -> None:
    status, answer, _ = sandbox.raw("POST", "/v1/customers", b"", Idempotency_Key="")
    assert (status, answer["error"]["message"]) == (400, "Idempotency Key must be a non-empty string.")
    assert sandbox.raw("POST", "/v1/customers", b"", Idempotency_Key="x" * 256)[0] == 400
