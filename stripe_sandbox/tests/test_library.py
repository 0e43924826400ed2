"""The `stripe` library itself against the sandbox: where it points, what it raises, what it repeats."""

from typing import Any

import pytest
import stripe
from stripe._http_client import HTTPClient

from .conftest import KEY, Sandbox, pay, refused

pytestmark = pytest.mark.thorough


@pytest.fixture(autouse=True)
def _without_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library waits half a second and more before it repeats a request."""
    monkeypatch.setattr(HTTPClient, "_sleep_time_seconds", lambda *_: 0)


@pytest.fixture
def module(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module-level API, pointed at the sandbox."""
    monkeypatch.setattr(stripe, "api_key", KEY)
    for name in ("api_base", "connect_api_base", "upload_api_base"):
        monkeypatch.setattr(stripe, name, sandbox.url)
    return stripe


def fail(sandbox: Sandbox, action: str = "respond", **rule: Any) -> None:
    sandbox.post("faults", method="POST", path="/v1/customers", action=action, **rule)


def attempts(sandbox: Sandbox) -> list[str]:
    """The idempotency keys of the attempts to make a customer."""
    return [row["idempotency_key"] for row in sandbox.get("requests")["data"] if row["path"] == "/v1/customers"]


BUSY = {"error": {"type": "invalid_request_error", "code": "rate_limit", "message": "Too many."}}
# What is played once, the retries of the client, whether the call goes through, and how often it was tried.
REPEATED: list[tuple[dict[str, Any], int, bool, int]] = [
    ({"status": 500, "stored": False}, 0, False, 1),
    ({"status": 500, "stored": False}, 2, True, 2),
    ({"status": 503, "stored": False}, 2, True, 2),
    ({"action": "conflict"}, 0, False, 1),
    ({"action": "conflict"}, 2, True, 2),
    ({"action": "conflict", "times": 3}, 2, False, 3),
    ({"action": "reset_before_effect"}, 0, False, 1),
    ({"action": "reset_before_effect"}, 2, True, 2),
    ({"action": "reset_after_effect"}, 2, True, 2),
    ({"action": "rate_limit"}, 2, False, 1),
    ({"action": "rate_limit", "headers": {"Stripe-Should-Retry": "true"}}, 2, True, 2),
    ({"action": "rate_limit", "headers": {"Stripe-Should-Retry": "true"}}, 0, False, 1),
    ({"status": 429, "body": BUSY, "stored": False, "headers": {"Stripe-Should-Retry": "true"}}, 2, True, 2),
    ({"status": 500, "stored": False, "headers": {"Stripe-Should-Retry": "false"}}, 2, False, 1),
]


@pytest.mark.parametrize(("rule", "retries", "goes_through", "tried"), REPEATED)
def test_it_repeats_what_may_be_repeated_with_one_key(
    sandbox: Sandbox, rule: dict[str, Any], retries: int, goes_through: bool, tried: int
) -> None:
    fail(sandbox, **rule)
    api = sandbox.client(max_network_retries=retries).v1
    if goes_through:
        api.customers.create({})
    else:
        refused(lambda: api.customers.create({}))
    keys = attempts(sandbox)
    assert (len(keys), len(set(keys))) == (tried, 1)
    assert len(sandbox.raw("GET", "/v1/customers")[1]["data"]) == int(goes_through)


def test_a_client_repeats_nothing_by_itself_and_the_module_twice(sandbox: Sandbox, module: Any) -> None:
    fail(sandbox, status=500, stored=False, times=3)
    refused(lambda: sandbox.client().v1.customers.create({}))
    assert len(attempts(sandbox)) == 1
    assert module.Customer.create().id
    assert len(attempts(sandbox)) == 1 + 3


@pytest.mark.parametrize(("default", "given", "tried"), [(0, 2, 2), (2, 0, 1)])
def test_one_request_may_say_how_often(sandbox: Sandbox, default: int, given: int, tried: int) -> None:
    fail(sandbox, status=500, stored=False)
    api = sandbox.client(max_network_retries=default).v1
    if given:
        api.customers.create({}, {"max_network_retries": given})
    else:
        refused(lambda: api.customers.create({}, {"max_network_retries": given}))
    assert len(attempts(sandbox)) == tried


def test_each_call_has_a_key_of_its_own(api: Any, sandbox: Sandbox) -> None:
    api.customers.create({})
    api.customers.create({})
    assert len(set(attempts(sandbox))) == 2
    assert {len(key) for key in attempts(sandbox)} == {36}


@pytest.mark.parametrize(
    ("status", "type_", "kind"),
    [
        (400, "invalid_request_error", stripe.InvalidRequestError),
        (404, "invalid_request_error", stripe.InvalidRequestError),
        (400, "idempotency_error", stripe.IdempotencyError),
        (401, "invalid_request_error", stripe.AuthenticationError),
        (402, "card_error", stripe.CardError),
        (403, "invalid_request_error", stripe.PermissionError),
        (409, "idempotency_error", stripe.APIError),
        (424, "api_error", stripe.APIError),
        (429, "invalid_request_error", stripe.RateLimitError),
        (500, "api_error", stripe.APIError),
        (503, "api_error", stripe.APIError),
    ],
)
def test_a_status_becomes_an_exception(
    api: Any, sandbox: Sandbox, status: int, type_: str, kind: type[stripe.StripeError]
) -> None:
    body = {"error": {"type": type_, "code": "some_code", "message": "No."}}
    fail(sandbox, status=status, body=body)
    error = refused(lambda: api.customers.create({}))
    assert (error.http_status, error.error.code) == (status, "some_code")
    assert str(error) == f"Request {error.request_id}: No."
    assert error.__class__ is kind


def test_a_code_is_at_the_error_of_every_exception(api: Any, sandbox: Sandbox) -> None:
    fail(sandbox, "conflict")
    error = refused(lambda: api.customers.create({}))
    assert (error.__class__, error.error.code) == (stripe.APIError, "idempotency_key_in_use")
    error = refused(lambda: pay(api, card="pm_card_chargeDeclined"))
    assert (error.code, error.error.code, error.error.payment_intent.object) == (
        "card_declined",
        "card_declined",
        "payment_intent",
    )


def test_no_json_is_an_api_error(api: Any, sandbox: Sandbox) -> None:
    fail(sandbox, "garbage_body")
    assert type(refused(lambda: api.customers.create({}))) is stripe.APIError


def test_a_cut_connection_is_a_connection_error(api: Any, sandbox: Sandbox) -> None:
    fail(sandbox, "refuse")
    assert type(refused(lambda: api.customers.create({}))) is stripe.APIConnectionError


def test_the_modules_own_api_works_unchanged(sandbox: Sandbox, module: Any) -> None:
    customer = module.Customer.create(email="s@example.com", metadata={"a": "1"})
    method = module.PaymentMethod.attach("pm_card_visa", customer=customer.id)
    intent = module.PaymentIntent.create(
        amount=1000,
        currency="usd",
        customer=customer.id,
        payment_method=method.id,
        payment_method_types=["card"],
        capture_method="manual",
        confirm=True,
        expand=["latest_charge"],
    )
    assert intent.latest_charge.payment_method_details.card.brand == "visa"
    assert intent.capture(amount_to_capture=700).amount_received == 700
    assert module.Customer.modify(customer.id, metadata={"a": ""}).metadata.to_dict() == {}
    assert [each.id for each in module.Customer.list_payment_methods(customer.id)] == [method.id]
    assert module.Account.retrieve().id == "acct_1SandboxPlatform"
    assert [each.id for each in module.PaymentIntent.search(query="status:'succeeded'").auto_paging_iter()] == [
        intent.id
    ]
    assert module.Refund.create(payment_intent=intent.id).amount == 700
    key = module.EphemeralKey.create(customer=customer.id, stripe_version="2025-03-31.basil")
    assert key.secret.startswith("ek_test_")


def test_what_a_call_leaves_empty_is_not_sent(api: Any, sandbox: Sandbox) -> None:
    api.customers.create({"name": None, "metadata": {}, "preferred_locales": [], "description": "x"})
    assert sandbox.get("requests")["data"][-1]["params"] == {"description": "x"}


def test_the_headers_of_a_call_arrive(api: Any, sandbox: Sandbox, coach: str) -> None:
    options = {"stripe_account": coach, "idempotency_key": "k1", "stripe_version": "2025-03-31.basil"}
    made = api.customers.create({}, options)
    row = sandbox.get("requests")["data"][-1]
    assert (row["account"], row["idempotency_key"], row["stripe_version"]) == (coach, "k1", "2025-03-31.basil")
    assert made.last_response.headers["Stripe-Version"] == "2025-03-31.basil"
    assert made.last_response.request_id.startswith("req_")


def test_a_notice_becomes_a_warning(api: Any, sandbox: Sandbox) -> None:
    fail(
        sandbox,
        status=200,
        body={"id": "cus_1", "object": "customer"},
        headers={"Stripe-Notice": "This is going away."},
    )
    with pytest.warns(UserWarning, match="going away"):
        api.customers.create({})
