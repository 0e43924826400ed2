"""Misuse of every control call: always JSON with words and the right status, and nothing has happened."""

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from .conftest import Refused, Sandbox, checkout, hold, onboarded, pay

pytestmark = pytest.mark.thorough

# A control call -> what the body of a right one may have, and the kind of object that its path names.
CALLS = {
    "POST accounts/*/deauthorize": ("", "account"),
    "POST accounts/*/onboard": ("outcome", "account"),
    "POST accounts/*/restrict": ("deadline", "account"),
    "POST accounts_v1": ("refused", ""),
    "POST balance": ("account amount currency available", ""),
    "POST balance_transactions": ("account type amount fee currency source created available", ""),
    "POST checkout/*/abandon": ("", "session"),
    "POST checkout/*/pay": ("payment_method authenticate email", "session"),
    "POST clock": ("advance set settle timeout", ""),
    "POST disputes": ("payment_intent reason inquiry amount", ""),
    "POST disputes/*/escalate": ("", "dispute"),
    "POST disputes/*/resolve": ("outcome", "dispute"),
    "POST early_fraud_warnings": ("payment_intent fraud_type", ""),
    "POST events/*/resend": ("endpoint", "event"),
    "POST events/lost": ("types times", ""),
    "POST faults": ("action method path account idempotency_key nth times status headers stored delay_ms", ""),
    "DELETE faults": ("", ""),
    "POST faults/release": ("", ""),
    "POST idempotency/prune": ("", ""),
    "POST objects/*/copy": ("count numbered", "anything"),
    "POST objects/*/erase": ("", "anything"),
    "POST objects/*/tamper": ("set", "anything"),
    "POST payment_intents/*/authenticate": ("succeeded", "intent"),
    "POST payment_intents/*/lapse": ("", "intent"),
    "POST payouts/*/fail": ("failure_code", "payout"),
    "POST rate_limit": ("account endpoint", ""),
    "POST refunds/*/fail": ("failure_reason", "refund"),
    "POST refunds/*/require_action": ("", "refund"),
    "POST reset": ("accounts_v1_refused", ""),
    "POST setup_intents/*/authenticate": ("succeeded", "setup"),
    "POST webhook_endpoints/*/roll_secret": ("expires_in", "endpoint"),
    "POST webhooks/clear": ("", ""),
    "POST webhooks/drop": ("types", ""),
    "POST webhooks/hold": ("", ""),
    "POST webhooks/release": ("order copies seed timeout", ""),
    "POST webhooks/settle": ("timeout", ""),
    "POST webhooks/tamper": ("what value types times", ""),
}
# What else a call needs to be a right one, but for what is wrong with it: a value, or the kind of an id.
RIGHT: dict[str, dict[str, Any]] = {
    "POST balance": {"amount": 1},
    "POST balance_transactions": {"amount": 1},
    "POST clock": {"advance": 0},
    "POST disputes": {"payment_intent": "refunded"},
    "POST early_fraud_warnings": {"payment_intent": "refunded"},
    "POST faults": {"action": "refuse"},
    "POST webhooks/tamper": {"what": "secret"},
}
READS = {f"GET {name}" for name in "clock deliveries events faults health requests requests/heads webhooks".split()}


@pytest.fixture
def ids(api: Any, sandbox: Sandbox) -> dict[str, str]:
    """One object of each kind that a control call names."""
    account = onboarded(api, sandbox)
    sandbox.post("balance", amount=50000)
    paid = pay(api)
    endpoint = api.webhook_endpoints.create({"url": "http://127.0.0.1:9/nobody", "enabled_events": ["plan.created"]})
    return {
        "account": account,
        "anything": paid.id,
        "refunded": paid.id,
        "session": checkout(api).id,
        "intent": hold(api).id,
        "setup": api.setup_intents.create({}).id,
        "dispute": sandbox.post("disputes", payment_intent=pay(api).id, inquiry=True)["id"],
        "payout": api.payouts.create({"amount": 100, "currency": "usd"}).id,
        "refund": api.refunds.create({"payment_intent": paid.id, "amount": 100}).id,
        "event": sandbox.get("events")["data"][0]["id"],
        "endpoint": endpoint.id,
    }


def state(sandbox: Sandbox) -> Any:
    """All that a call could have changed, but for the time."""
    return [
        *(sandbox.get(name)["data"] for name in ("deliveries", "events", "faults")),
        sandbox.get("webhooks")["controls"],
        sandbox.get("clock")["offset"],
        *(sandbox.raw("GET", f"/v1/{name}")[1] for name in ("balance", "webhook_endpoints")),
    ]


def path_of(call: str, ids: dict[str, str]) -> tuple[str, str]:
    method, path = call.split()
    return method, path.replace("*", ids.get(CALLS[call][1], ""))


def refusal(sandbox: Sandbox, method: str, path: str, body: Any = None) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        sandbox.control(method, path, body)
    error = caught.value.body["error"]
    return caught.value.status, error if isinstance(error, str) else error["message"]


def test_the_table_is_complete(sandbox: Sandbox) -> None:
    with pytest.raises(Refused) as caught:
        sandbox.get("nowhere")
    known = {each.replace("/_sandbox/", "") for each in caught.value.body["known"]}
    assert known == set(CALLS) | READS


def test_a_value_of_a_wrong_type_is_named(sandbox: Sandbox, ids: dict[str, str]) -> None:
    before = state(sandbox)
    for call, (names, _) in CALLS.items():
        method, path = path_of(call, ids)
        right = {name: ids.get(value, value) for name, value in RIGHT.get(call, {}).items()}
        for name in names.split():
            status, words = refusal(sandbox, method, path, {**right, name: {"a": 1}})
            assert status == 400, (call, name, words)
            assert words
    assert state(sandbox) == before


def test_a_name_that_a_call_does_not_take_is_told(sandbox: Sandbox, ids: dict[str, str]) -> None:
    before = state(sandbox)
    for call, (names, _) in CALLS.items():
        status, words = refusal(sandbox, *path_of(call, ids), {"colour": "red"})
        assert (status, words.startswith("Unknown: colour. This call takes ")) == (400, True), call
        assert all(name in words for name in names.split()), call
    assert state(sandbox) == before


@pytest.mark.parametrize("raw", [b"{", b"[]", b"7", b"null", b"\xff", b'{"advance": NaN}', b'{"a": 1e999}', b"a=b"])
def test_a_body_that_is_no_json_object_is_a_400(sandbox: Sandbox, ids: dict[str, str], raw: bytes) -> None:
    before = state(sandbox)
    for call in CALLS:
        method, path = path_of(call, ids)
        if method == "POST":
            status, answer, headers = sandbox.raw(method, f"/_sandbox/{path}", raw)
            assert (status, type(answer["error"]), headers["content-type"]) == (400, str, "application/json"), call
    assert state(sandbox) == before


def test_an_object_that_there_is_not_is_a_404(sandbox: Sandbox, ids: dict[str, str]) -> None:
    """Neither an id that nobody has, nor one of another kind, nor one that no URL can carry as it is."""
    before = state(sandbox)
    for call, (_, kind) in CALLS.items():
        if kind:
            other = ids["account"] if kind != "account" else ids["intent"]
            for id in ("x", "%00", "a%20b", *([other] if kind != "anything" else [])):
                method, path = call.split()
                status, _ = refusal(sandbox, method, path.replace("*", id))
                assert status == 404, (call, id)
    assert state(sandbox) == before


def test_a_call_by_another_method_is_a_405(sandbox: Sandbox, ids: dict[str, str]) -> None:
    known = {(*call.split(),) for call in set(CALLS) | READS}
    for _, path in sorted(known):
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            if (method, path) not in known:
                status, answer, _ = sandbox.raw(method, f"/_sandbox/{path.replace('*', 'x')}")
                assert (status, answer["error"]) == (405, f"There is no {method} /_sandbox/{path.replace('*', 'x')}.")
    assert sandbox.raw("PUT", "/_sandbox/nowhere")[0] == 404


def test_a_huge_body_is_a_413(sandbox: Sandbox, ids: dict[str, str]) -> None:
    huge = json.dumps({"a": "x" * 2_200_000}).encode()
    for call in CALLS:
        method, path = path_of(call, ids)
        if method == "POST":
            assert sandbox.raw(method, f"/_sandbox/{path}", huge)[0] == 413, call


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("payment_intents/{refunded}/lapse", {}, "The payment_intent is succeeded: it has no hold that could lapse."),
        ("payment_intents/{refunded}/authenticate", {}, "The payment_intent is succeeded: its bank asks nothing."),
        ("payouts/{payout}/fail", {"failure_code": "bored"}, "failure_code must be one of account_closed, "),
        ("accounts/{account}/onboard", {"outcome": "maybe"}, "outcome must be one of complete, "),
        ("disputes", {"payment_intent": "{refunded}", "reason": "bored"}, "Invalid reason: must be one of "),
        ("early_fraud_warnings", {"payment_intent": "{intent}", "fraud_type": "bored"}, "fraud_type must be one of "),
        ("webhooks/tamper", {"what": "secret", "value": "whsec_x"}, "value must be left out or null for secret."),
        ("webhooks/tamper", {"what": "timestamp", "value": "old"}, "value must be a whole number or null for timest"),
        ("webhooks/tamper", {"what": "timestamp", "value": True}, "value must be a whole number or null for timest"),
        ("webhooks/tamper", {"what": "timestamp", "value": 10**13}, "value must be between"),
        ("webhooks/tamper", {"what": "livemode", "value": 1}, "value must be true, false or null for livemode."),
        ("webhooks/tamper", {"what": "account", "value": 7}, "value must be a string or null for account."),
        ("webhooks/tamper", {"what": "api_version", "value": []}, "value must be a string or null for api_version."),
        ("webhooks/tamper", {}, "what must be one of secret, timestamp, livemode, api_version, account."),
        ("webhooks/drop", {"types": [7]}, "types must be a list such as"),
        ("clock", {"advance": 1, "settle": "yes"}, "settle must be true or false."),
        ("clock", {"advance": 1, "settle": True, "timeout": 601}, "timeout must be between 0 and 600."),
        ("faults", {"action": "refuse", "stored": 1}, "stored must be true or false"),
        ("events/{event}/resend", {"endpoint": "we_x"}, "No such webhook_endpoint: 'we_x'"),
        ("checkout/{session}/pay", {"authenticate": "yes"}, "authenticate must be true or false."),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(
    sandbox: Sandbox, ids: dict[str, str], path: str, body: dict[str, Any], words: str
) -> None:
    before = state(sandbox)
    given = {name: value.format(**ids) if isinstance(value, str) else value for name, value in body.items()}
    status, told = refusal(sandbox, "POST", path.format(**ids), given)
    assert status in (400, 404)
    assert told.startswith(words)
    assert state(sandbox) == before


def test_an_error_outside_the_api_names_no_request(sandbox: Sandbox) -> None:
    with pytest.raises(Refused) as caught:
        sandbox.post("checkout/cs_x/pay")
    assert caught.value.body["error"]["code"] == "resource_missing"
    assert "request_log_url" not in caught.value.body["error"]
    status, answer, _ = sandbox.raw("GET", "/nowhere")
    assert (status, "request_log_url" in answer["error"]) == (404, False)
    assert "request_log_url" in sandbox.raw("GET", "/v1/nowhere")[1]["error"]


def test_a_button_for_an_event_wants_an_event(sandbox: Sandbox, ids: dict[str, str]) -> None:
    status, text = page(sandbox, f"room/events/{ids['account']}")
    assert status == 404
    assert "No such event" in text


def page(sandbox: Sandbox, path: str) -> tuple[int, str]:
    """What a button's form answers."""
    try:
        answer = urllib.request.urlopen(urllib.request.Request(f"{sandbox.url}/{path}", data=b"", method="POST"))
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return answer.status, answer.read().decode()


@pytest.mark.parametrize("call", ["onboard", "restrict", "deauthorize"])
def test_the_platform_is_no_account_of_its_own(sandbox: Sandbox, call: str) -> None:
    platform = sandbox.get("health")["platform"]
    before = state(sandbox)
    status, words = refusal(sandbox, "POST", f"accounts/{platform}/{call}")
    assert (status, words) == (404, f"No such account: '{platform}'")
    assert state(sandbox) == before
