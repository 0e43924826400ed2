"""Secrets that are rolled, versions, and several endpoints for one event."""

import json
from typing import Any

import pytest
import stripe

from .conftest import Receiver, Refused, Sandbox, onboarded, refused

DAY = 24 * 3600


def listen(api: Any, receiver: Receiver, **fields: Any) -> Any:
    return api.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["customer.created"], **fields})


def deliver(api: Any, sandbox: Sandbox, receiver: Receiver) -> tuple[bytes, str]:
    """What the endpoint receives for the next event."""
    api.customers.create({})
    assert sandbox.post("webhooks/settle")["settled"]
    return receiver.received[-1]


def verifies(delivery: tuple[bytes, str], secret: str) -> bool:
    try:
        stripe.Webhook.construct_event(*delivery, secret)
    except stripe.SignatureVerificationError:
        return False
    return True


def test_while_a_secret_is_rolled_both_sign(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    endpoint = listen(api, receiver)
    rolled = sandbox.post(f"webhook_endpoints/{endpoint.id}/roll_secret", expires_in=DAY)
    delivery = deliver(api, sandbox, receiver)
    assert delivery[1].count("v1=") == 2
    assert verifies(delivery, endpoint.secret)
    assert verifies(delivery, rolled["secret"])
    sandbox.advance(DAY + 1)
    delivery = deliver(api, sandbox, receiver)
    assert delivery[1].count("v1=") == 1
    assert not verifies(delivery, endpoint.secret)
    assert verifies(delivery, rolled["secret"])


def test_a_secret_that_is_rolled_at_once_signs_alone(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    endpoint = listen(api, receiver)
    rolled = sandbox.post(f"webhook_endpoints/{endpoint.id}/roll_secret")
    delivery = deliver(api, sandbox, receiver)
    assert (verifies(delivery, endpoint.secret), verifies(delivery, rolled["secret"])) == (False, True)


def test_a_retry_is_signed_with_the_secrets_of_its_own_time(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    endpoint = listen(api, receiver)
    receiver.status = 500
    deliver(api, sandbox, receiver)
    rolled = sandbox.post(f"webhook_endpoints/{endpoint.id}/roll_secret")
    sandbox.post("clock", advance=61, settle=True)
    assert len(receiver.received) == 2
    assert verifies(receiver.received[0], endpoint.secret)
    assert verifies(receiver.received[1], rolled["secret"])
    assert not verifies(receiver.received[1], endpoint.secret)


@pytest.mark.parametrize("seconds", [-1, DAY + 1, "soon"])
def test_an_old_secret_lives_a_day_at_most(api: Any, sandbox: Sandbox, receiver: Receiver, seconds: Any) -> None:
    endpoint = listen(api, receiver)
    with pytest.raises(Refused) as caught:
        sandbox.post(f"webhook_endpoints/{endpoint.id}/roll_secret", expires_in=seconds)
    assert caught.value.status == 400
    assert verifies(deliver(api, sandbox, receiver), endpoint.secret)


def test_every_endpoint_gets_the_event_in_its_own_version_with_its_own_secret(
    api: Any, sandbox: Sandbox, receiver: Receiver
) -> None:
    old = listen(api, receiver, api_version="2025-03-31.basil")
    new = listen(api, receiver, api_version="2026-08-26.dahlia")
    default = listen(api, receiver)
    connect = listen(api, receiver, connect=True)
    account = onboarded(api, sandbox)
    api.customers.create({}, {"stripe_account": account})
    deliver(api, sandbox, receiver)
    heard = [
        (name, json.loads(each[0]).get("account"), json.loads(each[0])["api_version"])
        for each in receiver.received
        for name, endpoint in (("old", old), ("new", new), ("default", default), ("connect", connect))
        if verifies(each, endpoint.secret)
    ]
    assert sorted(heard, key=str) == [
        ("connect", account, "2026-08-26.dahlia"),
        ("default", None, "2026-08-26.dahlia"),
        ("new", None, "2026-08-26.dahlia"),
        ("old", None, "2025-03-31.basil"),
    ]
    assert len(receiver.received) == 4


def test_an_event_waits_for_each_endpoint_that_has_not_answered(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    listen(api, receiver)
    listen(api, receiver, url="http://127.0.0.1:9/nobody")
    deliver(api, sandbox, receiver)
    assert api.events.list({"type": "customer.created"}).data[0].pending_webhooks == 1


def test_an_endpoint_has_a_version_that_there_is(api: Any, receiver: Receiver) -> None:
    error = refused(lambda: listen(api, receiver, api_version="2025-13-31.basil"))
    assert (error.http_status, error.param) == (400, "api_version")
    assert error.user_message.startswith("Invalid api_version: must be one of 2011-01-01, ")
    assert api.webhook_endpoints.list().data == []
