"""What a restart with `--state` finds again: everything, to the last secret and to the instant of a planned retry."""

import io
import re
import threading
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import stripe

from .conftest import KEY, Receiver, Sandbox, checkout, hold, onboarded, pay, refused, start, stop

pytestmark = pytest.mark.thorough

HOUR = 3600
LISTS = (
    "accounts application_fees balance_transactions charges checkout/sessions customers disputes events files payment_intents "
    "payouts refunds setup_intents transfers webhook_endpoints radar/early_fraud_warnings"
).split()
CONTROLS = ("deliveries", "events", "faults", "requests", "webhooks")


class Upload(io.BytesIO):
    name = "receipt.pdf"


def live_a_little(sandbox: Sandbox, receiver: Receiver) -> dict[str, str]:
    """One of everything; the ids that the test asks for later."""
    api: Any = sandbox.client().v1
    endpoint = api.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["customer.created"]})
    coach = onboarded(api, sandbox)
    company = api.accounts.create({"type": "custom", "country": "US", "business_type": "company"}).id
    person = api.accounts.persons.create(company, {"first_name": "Olga", "relationship": {"owner": True}})
    number = {"country": "US", "currency": "usd", "routing_number": "110000000", "account_number": "000123456789"}
    used, fresh = (api.tokens.create({"bank_account": number}).id for _ in range(2))
    api.accounts.external_accounts.create(company, {"external_account": used})
    file = api.files.create({"purpose": "dispute_evidence", "file": Upload(b"%PDF-1.4 a receipt")})
    session = checkout(api)
    paid = pay(api, card="pm_card_bypassPending")
    held = hold(api)
    api.refunds.create({"payment_intent": paid.id, "amount": 300})
    api.transfers.create({"amount": 500, "currency": "usd", "destination": coach})
    sandbox.post("disputes", payment_intent=pay(api).id)
    sandbox.post("early_fraud_warnings", payment_intent=pay(api).id)
    sandbox.post("faults", path="/v1/topups", action="respond", times=0)
    sandbox.post("webhooks/drop", types=["charge.*"])
    receiver.status = 500
    api.customers.create({"name": "a"}, {"idempotency_key": "k"})
    sandbox.post("clock", advance=30, settle=True)
    return {
        "company": company,
        "person": person.id,
        "used": used,
        "fresh": fresh,
        "file": file.url,
        "session": session.id,
        "held": held.id,
        "endpoint": endpoint.id,
        "secret": endpoint.secret,
    }


def snapshot(sandbox: Sandbox, known: dict[str, str]) -> dict[str, Any]:
    """All that can be read, by its path."""
    seen = {name: sandbox.get(name) for name in CONTROLS}
    seen["offset"] = sandbox.get("clock")["offset"]
    paths = [f"{name}?limit=100" for name in LISTS] + [
        "balance",
        f"accounts/{known['company']}/persons/{known['person']}",
        f"accounts/{known['company']}/external_accounts",
        f"tokens/{known['used']}",
        f"tokens/{known['fresh']}",
        f"checkout/sessions/{known['session']}/line_items",
    ]
    for path in paths:
        status, seen[path], _ = sandbox.raw("GET", f"/v1/{path}")
        assert status == 200, path
    # The port differs, and so do the addresses that contain it.
    return {name: re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:port", repr(value)) for name, value in seen.items()}


def contents(sandbox: Sandbox, url: str) -> bytes:
    path = url[url.index("/v1/") :]
    request = urllib.request.Request(sandbox.url + path, headers={"Authorization": f"Bearer {KEY}"})
    with urllib.request.urlopen(request) as answer:
        return bytes(answer.read())


def test_all_that_can_be_read_is_the_same_after_a_restart(tmp_path: Path, receiver: Receiver) -> None:
    file = str(tmp_path / "state")
    sandbox = start("--state", file)
    known = live_a_little(sandbox, receiver)
    before, kept = snapshot(sandbox, known), contents(sandbox, known["file"])
    assert stop(sandbox) == 0

    again = start("--state", file)
    try:
        after = snapshot(again, known)
        before["requests"] = after["requests"]  # the first reading has added to the log
        assert after == before
        assert contents(again, known["file"]) == kept == b"%PDF-1.4 a receipt"
        goes_on(again, known, receiver)
    finally:
        stop(again)


def goes_on(sandbox: Sandbox, known: dict[str, str], receiver: Receiver) -> None:
    """Keys, tokens, limits, planned retries and secrets do after the restart what they would have done without it."""
    api: Any = sandbox.client().v1
    told = len(receiver.received)
    assert api.customers.create({"name": "a"}, {"idempotency_key": "k"}).id == api.customers.list().data[0].id
    bank = {"external_account": known["used"]}
    error = refused(lambda: api.accounts.external_accounts.create(known["company"], bank))
    assert error.code == "token_already_used"
    assert api.accounts.external_accounts.create(known["company"], {"external_account": known["fresh"]}).id
    [row] = [each for each in sandbox.get("deliveries")["data"] if each["status"] == "retrying"]
    sandbox.post("clock", set=row["next_attempt_at"] - 1, settle=True)
    planned = row["next_attempt_at"]
    sandbox.post("clock", set=planned + 1, settle=True)
    assert len(receiver.received) == told + 1
    assert sandbox.get("deliveries")["data"][row["number"]]["attempts"][-1]["at"] == planned
    assert stripe.Webhook.construct_event(*receiver.received[-1], known["secret"]).type == "customer.created"
    sandbox.advance(8 * 24 * HOUR)
    assert api.payment_intents.retrieve(known["held"]).cancellation_reason == "expired"
    assert api.checkout.sessions.retrieve(known["session"]).status == "expired"


def test_what_calls_have_set_holds_as_long_as_it_would_have(tmp_path: Path, receiver: Receiver) -> None:
    """A secret that is being rolled ends at its time; a limit holds until the reset."""
    file = str(tmp_path / "state")
    sandbox = start("--state", file)
    api: Any = sandbox.client().v1
    endpoint = api.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["customer.created"]})
    new = sandbox.post(f"webhook_endpoints/{endpoint.id}/roll_secret", expires_in=HOUR)["secret"]
    sandbox.post("rate_limit", endpoint=2)
    assert stop(sandbox) == 0

    again = start("--state", file)
    try:
        api = again.client().v1
        for signatures in (2, 1):
            api.customers.create({})
            again.post("webhooks/settle")
            body, header = receiver.received[-1]
            assert header.count("v1=") == signatures
            assert stripe.Webhook.construct_event(body, header, new).type == "customer.created"
            again.advance(HOUR + 1)
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(*receiver.received[-1], endpoint.secret)
        assert [again.raw("GET", "/v1/balance")[0] for _ in range(3)] == [200, 200, 429]
        again.post("reset")
        assert {again.raw("GET", "/v1/balance")[0] for _ in range(5)} == {200}
    finally:
        stop(again)


def test_what_was_being_sent_when_it_was_stopped_is_sent_again(tmp_path: Path, receiver: Receiver) -> None:
    file = str(tmp_path / "state")
    sandbox = start("--state", file)
    api: Any = sandbox.client().v1
    api.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["customer.created"]})
    receiver.status = 500
    api.customers.create({})
    sandbox.post("webhooks/settle")

    asked, answer, answered = threading.Event(), threading.Event(), threading.Event()

    def wait() -> None:
        asked.set()
        answer.wait(9)
        answered.set()

    receiver.meanwhile = wait
    sandbox.post("clock", advance=61)
    assert asked.wait(60)
    assert stop(sandbox) == 0
    assert not answered.is_set()  # it does not wait for that
    answer.set()
    receiver.status, receiver.meanwhile = 200, lambda: None

    again = start("--state", file)
    try:
        again.post("webhooks/settle")
        [row] = again.get("deliveries")["data"]
        assert (row["status"], [each["status"] for each in row["attempts"]]) == ("delivered", [500, 200])
        assert row["attempts"][1]["at"] == row["created"] + 60
        assert len(receiver.received) == 3
    finally:
        stop(again)
