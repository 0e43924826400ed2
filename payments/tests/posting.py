"""How tests post at our webhook endpoints, as Stripe would or as others might."""

import json
from typing import Any

import stripe
from django.conf import settings
from django.test import Client

from payments.models import StripeEvent

PLATFORM = "/stripe/webhooks/"
CONNECT = "/stripe/webhooks/connect/"
JSON_TYPE = "application/json; charset=utf-8"


def event(**fields: Any) -> dict[str, Any]:
    return {
        "id": "evt_1",
        "object": "event",
        "type": "payment_intent.succeeded",
        "livemode": False,
        "data": {"object": {"id": "pi_1", "object": "payment_intent"}},
        **fields,
    }


def sign(body: str, *, secret: str = "", at: int | None = None) -> str:
    secret = secret or settings.STRIPE_WEBHOOK_SECRETS[0]
    return str(stripe.WebhookSignature.generate_signature_header(body, secret, at))


def deliver(
    body: str | bytes,
    *,
    path: str = PLATFORM,
    signature: str | None = None,
    content_type: str = JSON_TYPE,
    **extra: Any,
) -> Any:
    if signature is None:
        signature = sign(body if isinstance(body, str) else body.decode())
    return Client(enforce_csrf_checks=True).post(
        path, data=body, content_type=content_type, headers={"Stripe-Signature": signature}, **extra
    )


def stored() -> int:
    return StripeEvent.objects.count()


BODY = json.dumps(event())
