"""How tests deliver what the sandbox has to report: signed, over our own endpoints, in whatever order they like."""

import json
import uuid
from collections.abc import Iterable
from typing import Any

import stripe
from django.conf import settings
from django.test import Client

from marketplace import clock
from marketplace.tests.sandbox import Sandbox
from payments import webhooks
from payments.models import StripeEvent


def events(sandbox: Sandbox, *types: str) -> list[dict[str, Any]]:
    """The sandbox's events, oldest first; of these types where any are named."""
    rows = sandbox.get("/_sandbox/events")["data"]
    found = []
    for row in rows:
        event = {key: value for key, value in row.items() if key != "account" or value}
        if not types or event["type"] in types:
            found.append(event)
    return found


def deliver(event: dict[str, Any]) -> StripeEvent:
    """Post the event to the endpoint it belongs to; returns its row."""
    connect = "account" in event
    secrets = settings.STRIPE_CONNECT_WEBHOOK_SECRETS if connect else settings.STRIPE_WEBHOOK_SECRETS
    body = json.dumps(event)
    answer = Client().post(
        "/stripe/webhooks/connect/" if connect else "/stripe/webhooks/",
        data=body,
        content_type="application/json",
        headers={"Stripe-Signature": stripe.WebhookSignature.generate_signature_header(body, secrets[0])},
    )
    assert answer.status_code == 200
    return StripeEvent.objects.get(event_id=event["id"])


def work(*delivered: StripeEvent) -> None:
    """Let the worker take these, whether their time has come or not."""
    for row in delivered:
        webhooks.process_event(row.pk, now=clock.now())
        row.refresh_from_db()


def deliver_and_work(reported: Iterable[dict[str, Any]]) -> list[StripeEvent]:
    rows = [deliver(event) for event in reported]
    work(*rows)
    return rows


def made_up(event_type: str, stripe_object: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """An event that the sandbox did not send."""
    return {
        "id": f"evt_{uuid.uuid4().hex}",
        "object": "event",
        "type": event_type,
        "livemode": False,
        "data": {"object": stripe_object},
        **fields,
    }
