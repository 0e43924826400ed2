"""What Stripe's failures are taken for, and what is never done while asking it."""

import time

import pytest
from django.db import transaction

from payments import gateway
from payments.gateway import GatewayError, NetworkInTransactionError, calls
from payments.stripe_objects import CustomerFacts
from payments.tests import stage


def api_error(**said: str) -> dict[str, object]:
    return {"error": {"type": "invalid_request_error", "message": "In Stripe's words.", **said}}


def create_customer(key: str = "key-1", **params: object) -> CustomerFacts:
    return gateway.create_customer(params={"email": "a@example.com", **params}, key=key)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(calls, "READ_TIMEOUT_SECONDS", 0.3)
    calls.client.cache_clear()
    yield
    calls.client.cache_clear()


@pytest.mark.everyday(8)
@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ({"action": "respond", "status": 400, "body": api_error(code="parameter_unknown")}, "refused"),
        ({"action": "respond", "status": 402, "body": api_error(code="card_declined")}, "refused"),
        ({"action": "respond", "status": 404, "body": api_error(code="resource_missing")}, "refused"),
        ({"action": "respond", "status": 400, "body": api_error(type="idempotency_error")}, "broken"),
        ({"action": "respond", "status": 401, "body": api_error()}, "busy"),
        ({"action": "respond", "status": 403, "body": api_error(code="account_invalid")}, "busy"),
        ({"action": "rate_limit"}, "busy"),
        ({"action": "lock_timeout"}, "busy"),
        ({"action": "conflict"}, "lost"),
        ({"action": "reset_before_effect"}, "lost"),
        ({"action": "reset_after_effect"}, "lost"),
        ({"action": "truncate_body"}, "lost"),
        ({"action": "garbage_body"}, "lost"),
        ({"action": "respond", "status": 200, "body": {"id": "cus_1"}}, "lost"),
        ({"action": "respond", "status": 200, "body": []}, "lost"),
        ({"action": "respond", "status": 400, "body": "<html>not Stripe's</html>"}, "lost"),
        ({"action": "respond", "status": 408, "body": api_error()}, "lost"),
        ({"action": "respond", "status": 502, "body": "<html>"}, "lost"),
        ({"action": "respond", "status": 503, "body": api_error()}, "lost"),
        ({"action": "respond", "status": 504, "body": ""}, "lost"),
        ({"action": "respond", "status": 500, "body": api_error()}, "broken"),
        ({"action": "respond", "status": 500, "body": "oops"}, "broken"),
        ({"action": "respond", "status": 424, "body": api_error()}, "broken"),
    ],
    ids=lambda value: "-".join(str(part) for part in value.values())[:60] if isinstance(value, dict) else value,
)
def test_each_failure_is_taken_for_what_it_is(fault, outcome, sandbox):
    stage.break_next(sandbox, path="/v1/customers", **fault)
    with pytest.raises(GatewayError) as failure:
        create_customer()
    assert failure.value.outcome == outcome
    assert failure.value.permanent == (outcome == "refused")


def test_a_stored_503_is_over_and_is_looked_up(sandbox):
    stage.break_next(sandbox, "respond", "/v1/customers", status=503, body=api_error())
    outcomes = []
    for _ in range(2):
        with pytest.raises(GatewayError) as failure:
            create_customer()
        outcomes.append(failure.value.outcome)
    assert outcomes == ["lost", "broken"]


@pytest.mark.usefixtures("impatient")
def test_a_timeout_is_lost(sandbox):
    stage.break_next(sandbox, "timeout_after", "/v1/customers", delay_ms=60_000)
    started = time.monotonic()
    with pytest.raises(GatewayError) as failure:
        create_customer()
    assert failure.value.outcome == "lost"
    assert time.monotonic() - started < 30


def test_a_connection_that_is_refused_has_had_no_effect(monkeypatch, settings, unused_port):
    settings.STRIPE_SANDBOX_URL = f"http://127.0.0.1:{unused_port}"
    calls.client.cache_clear()
    try:
        with pytest.raises(GatewayError) as failure:
            create_customer()
    finally:
        calls.client.cache_clear()
    assert failure.value.outcome == "busy"


def test_a_key_reused_with_other_parameters_is_our_bug(sandbox, caplog):
    create_customer(name="One")
    with pytest.raises(GatewayError) as failure:
        create_customer(name="Two")
    assert (failure.value.outcome, failure.value.code) == ("broken", "idempotency_error")
    assert "stripe_key_reused_with_other_parameters" in caplog.text
    assert stage.effects(sandbox, "/v1/customers") == 1


def test_a_change_is_sent_once_and_a_read_once_more(sandbox):
    stage.break_next(sandbox, "reset_before_effect", "/v1/customers", times=0)
    stage.break_next(sandbox, "reset_before_effect", "/v1/accounts/*", method="GET")
    with pytest.raises(GatewayError):
        create_customer()
    with pytest.raises(GatewayError):
        gateway.retrieve_account("acct_unknown")  # 403 at the second try
    assert len(stage.calls(sandbox, "/v1/customers")) == 1
    assert len(stage.calls(sandbox, "/v1/accounts/acct_unknown", method="GET")) == 2


def test_a_look_up_reads_every_page(sandbox, monkeypatch):
    monkeypatch.setattr(calls, "PAGE_SIZE", 2)
    wanted = create_customer("first", metadata={"operation_id": "wanted"})
    for number in range(5):
        create_customer(f"other-{number}", metadata={"operation_id": str(number)})
    assert gateway.find_customer(operation_id="wanted", email="a@example.com") == wanted
    assert gateway.find_customer(operation_id="absent", email="a@example.com") is None
    assert len(stage.calls(sandbox, "/v1/customers", method="GET")) == 6


def test_it_pins_the_version_and_sends_our_key(sandbox, settings):
    create_customer("our-key")
    (call,) = stage.calls(sandbox, "/v1/customers")
    assert call["idempotency_key"] == "our-key"
    assert call["stripe_version"] == settings.STRIPE_API_VERSION


def test_neither_parameters_nor_stripes_words_are_logged(sandbox, caplog):
    body = api_error(message="No such person: secret@example.com " * 40)
    stage.break_next(sandbox, "respond", "/v1/customers", status=401, body=body)
    with pytest.raises(GatewayError) as failure:
        create_customer(email="secret@example.com")
    assert "secret@example.com" not in caplog.text
    assert "secret@example.com" not in str(failure.value)
    assert len(failure.value.message) <= 500


@pytest.mark.django_db(transaction=True)
def test_it_refuses_to_ask_while_a_transaction_is_open(sandbox):
    with transaction.atomic(), pytest.raises(NetworkInTransactionError):
        create_customer()
    assert stage.calls(sandbox, "/v1/") == []


@pytest.mark.django_db
def test_a_test_cases_own_transaction_is_no_matter_but_one_inside_it_is(sandbox):
    create_customer()
    with transaction.atomic(), pytest.raises(NetworkInTransactionError):
        create_customer("key-2")
    assert stage.effects(sandbox, "/v1/customers") == 1
