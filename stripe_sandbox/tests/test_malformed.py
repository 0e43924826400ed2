"""Whatever comes in: a JSON error with the right status, and the sandbox answers the next one as if nothing had been."""

import http.client
import json
import random
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from .conftest import KEY, Refused, Sandbox, hold, onboarded, pay, refused

pytestmark = pytest.mark.thorough

STATUSES = {200, 400, 401, 402, 403, 404, 413}
HEADERS = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/x-www-form-urlencoded"}
NAMES = (
    "amount currency customer payment_method payment_method_types[0] confirm capture_method metadata metadata[a] metadata[] expand[] "
    "expand[x] limit starting_after ending_before created created[gte] destination charge payment_intent transfer_data[destination] mode "
    "line_items line_items[0][quantity] line_items[0][price_data][unit_amount] success_url url enabled_events[] type country reason "
    "individual[dob][day] settings[payouts][schedule][interval] account a] [ a[ a[]b email description source_transaction requested"
).split()
VALUES = ["", "0", "-1", "1e9", "9" * 40, "true", "usd", "%ff", "%00", "%zz", "x" * 6000, "[]", "{}", "card", "1000"]
FIELDS = (
    "advance set payment_method authenticate email outcome deadline payment_intent reason inquiry failure_code account amount currency "
    "available endpoint order copies seed types what value times succeeded expires_in method path action headers nth delay_ms stored body"
).split()
THINGS: list[Any] = [
    None,
    True,
    -1,
    10**30,
    1.5,
    "",
    "x",
    "usd",
    "\ud800",
    [],
    [1],
    {},
    {"a": 1},
    "complete",
    "won",
    "kept",
]


def ask(sandbox: Sandbox, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(urlsplit(sandbox.url).netloc, timeout=20)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@pytest.mark.parametrize("seed", range(3))
def test_the_api_answers_anything_with_json_and_a_status_of_stripes(api: Any, sandbox: Sandbox, seed: int) -> None:
    made = random.Random(seed)
    ids = [
        onboarded(api, sandbox),
        pay(api).id,
        hold(api).latest_charge,
        api.customers.create({}).id,
        "no/such%2F",
        "%00",
    ]
    endpoints = [each.split() for each in sandbox.get("health")["endpoints"]]
    for _ in range(250):
        method, pattern = made.choice(endpoints)
        path = "/".join(made.choice(ids) if part.startswith("{") else part for part in pattern.split("/"))
        form = "&".join(f"{made.choice(NAMES)}={made.choice(VALUES + ids)}" for _ in range(made.randrange(5)))
        body: bytes | None = made.randbytes(80) if made.random() < 0.1 else form.encode()
        if method != "POST":
            path, body = f"{path}?{form}", None
        headers = HEADERS | ({"Idempotency-Key": made.choice(["k", "", "x" * 300])} if made.random() < 0.2 else {})
        status, answer = ask(sandbox, method, path, body, headers)
        assert status in STATUSES, (method, path, body, answer)
        assert status == 200 or answer["error"]["type"], (method, path, body, answer)
    assert sandbox.get("health")["balance_errors"] == []


def test_the_control_plane_answers_anything_with_json(api: Any, sandbox: Sandbox) -> None:
    made = random.Random(7)
    ids = [onboarded(api, sandbox), pay(api).id, hold(api).id, sandbox.get("events")["data"][0]["id"]]
    with pytest.raises(Refused) as caught:
        sandbox.get("nowhere")
    calls = [each.split() for each in caught.value.body["known"] if "settle" not in each and "rate_limit" not in each]
    for _ in range(500):
        method, pattern = made.choice(calls)
        path = "/".join(made.choice(ids) if part == "*" else part for part in pattern.split("/"))
        given = {made.choice(FIELDS): made.choice(THINGS) for _ in range(made.randrange(4))}
        body = made.randbytes(30) if made.random() < 0.1 else json.dumps(given).encode()
        status, answer = ask(sandbox, method, path, body if method == "POST" else None, {})
        assert status in (200, 400, 402, 404), (method, path, body, answer)
        assert status == 200 or answer["error"], (method, path, body, answer)
    assert sandbox.get("health")["balance_errors"] == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("clock", {"advance": 10**12}),
        ("clock", {"set": -1}),
        ("clock", {"set": 1.5}),
        ("webhooks/release", {"copies": 10**9}),
        ("webhooks/release", {"copies": 0}),
        ("webhooks/release", {"seed": []}),
        ("webhooks/tamper", {"what": "timestamp", "value": "old"}),
        ("events/lost", {"times": -1}),
        ("balance", {"amount": 10**30}),
        ("balance", {"amount": 1, "account": ["acct"]}),
        ("balance", {"amount": 1, "currency": 7}),
        ("faults", {}),
        ("faults", {"action": "respond", "status": 99}),
        ("faults", {"action": "respond", "headers": {"X": 1}}),
        ("faults", {"action": "respond", "headers": {"X\r\nY": "1"}}),
        ("faults", {"action": "refuse", "path": None}),
        ("faults", {"action": "refuse", "method": 1}),
        ("faults", {"action": "refuse", "nth": True}),
        ("faults", {"action": "refuse", "hits": []}),
        ("faults", {"action": ["refuse"]}),
        ("faults", {"action": "respond", "body": "\ud800"}),
    ],
)
def test_a_control_call_with_a_wrong_value_changes_nothing(sandbox: Sandbox, path: str, body: Any) -> None:
    before = sandbox.get("clock")["offset"]
    with pytest.raises(Refused) as caught:
        sandbox.post(path, **body)
    assert caught.value.status == 400
    assert isinstance(caught.value.body["error"], str)
    assert sandbox.get("faults")["data"] == []
    assert sandbox.get("clock")["offset"] == before


@pytest.mark.parametrize(
    ("path", "body"),
    [("clock", b"[" * 100_000), ("faults", b'{"action": "respond", "body": ' + b"[" * 900 + b"]" * 900 + b"}")],
    ids=["broken", "stored"],
)
def test_a_deeply_nested_control_body_is_a_400(sandbox: Sandbox, path: str, body: bytes) -> None:
    assert ask(sandbox, "POST", f"/_sandbox/{path}", body, {}) == (400, {"error": "The body is nested too deeply."})
    assert sandbox.get("faults")["data"] == []


def test_an_index_of_thousands_of_digits_is_a_400(api: Any, sandbox: Sandbox) -> None:
    status, answer = ask(sandbox, "POST", "/v1/customers", b"preferred_locales[%s]=en" % (b"9" * 5000), HEADERS)
    assert (status, answer["error"]["param"]) == (400, "preferred_locales")
    assert api.customers.list().data == []


def test_a_key_that_is_no_ascii_is_no_key(sandbox: Sandbox) -> None:
    status, answer = ask(sandbox, "GET", "/v1/balance", None, {"Authorization": "Basic \xe9"})
    assert (status, answer["error"]["type"]) == (401, "invalid_request_error")


def test_half_a_body_has_no_effect(api: Any, sandbox: Sandbox) -> None:
    address = urlsplit(sandbox.url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10) as connection:
        head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
        connection.sendall(f"POST /v1/customers HTTP/1.1\r\n{head}Content-Length: 99\r\n\r\nname=half".encode())
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(4096) == b""
    assert api.customers.list().data == []
    assert [entry["method"] for entry in sandbox.get("requests")["data"]] == ["GET"]


@pytest.mark.parametrize(
    "kind", ["application/json", "text/plain", "multipart/form-data", "multipart/form-data; boundary=x", ";"]
)
def test_a_wrong_content_type_is_a_400(api: Any, sandbox: Sandbox, kind: str) -> None:
    status, answer = ask(sandbox, "POST", "/v1/customers", b"name=a", HEADERS | {"Content-Type": kind})
    assert (status, answer["error"]["type"]) == (400, "invalid_request_error")
    assert api.customers.list().data == []


@pytest.mark.parametrize("version", ["2026-13-01", "2026-08-26", "2027-01-01.eucalypt", "latest"])
def test_a_version_that_never_was_is_named(sandbox: Sandbox, version: str) -> None:
    status, answer = ask(sandbox, "GET", "/v1/balance", None, HEADERS | {"Stripe-Version": version})
    assert (status, answer["error"]["message"]) == (400, f"Invalid Stripe API version: {version}")


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /v1/balance HTTP/9.9\r\n\r\n",
        b"\x00\x01\x02\r\n\r\n",
        b"POST /v1/customers HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
        b"POST /v1/customers HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_broken_http_is_a_400_and_the_end_of_the_connection(sandbox: Sandbox, raw: bytes) -> None:
    address = urlsplit(sandbox.url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10) as connection:
        connection.sendall(raw)
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert sandbox.get("health")["status"] == "ok"


def test_a_body_that_never_ends_is_not_read_to_its_end(sandbox: Sandbox) -> None:
    assert (
        sandbox.raw("POST", "/v1/customers", b"name=" + b"x" * 3_000_000)[1]["error"]["type"] == "invalid_request_error"
    )
    with pytest.raises(Refused) as caught:
        sandbox.post("faults", action="x" * 3_000_000)
    assert caught.value.status == 413


@pytest.mark.parametrize(
    ("params", "param", "most"),
    [
        ({"name": "x" * 151}, "name", 150),
        ({"email": "x" * 513}, "email", 512),
        ({"description": "x" * 5001}, "description", 5000),
    ],
)
def test_a_string_has_a_length(api: Any, params: Any, param: str, most: int) -> None:
    error = refused(lambda: api.customers.create(params))
    assert (error.http_status, error.param) == (400, param)
    assert error.user_message == f"Invalid string: xxxx...xxxx; must be at most {most} characters"
    assert api.customers.create({param: params[param][1:]}).id


def test_a_statement_descriptor_has_twenty_two_characters(api: Any, sandbox: Sandbox) -> None:
    sandbox.post("balance", amount=5000)
    error = refused(lambda: api.payouts.create({"amount": 100, "currency": "usd", "statement_descriptor": "A" * 23}))
    assert (error.http_status, error.param) == (400, "statement_descriptor")
    assert api.payouts.list().data == []


def test_a_body_that_is_too_large_is_refused_in_json(sandbox: Sandbox) -> None:
    status, answer, headers = sandbox.raw("POST", "/v1/customers", b"name=" + b"x" * 3_000_000)
    assert (status, answer["error"]["message"]) == (413, "Request body too large.")
    assert headers["content-type"] == "application/json"
