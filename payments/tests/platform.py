"""What the platform's owner may have done at Stripe's dashboard, for the tests of the set-up."""

from typing import Any

import requests
from django.conf import settings

from marketplace.tests.sandbox import Sandbox


def register(sandbox: Sandbox, url: str, events: list[str], version: str) -> None:
    """An endpoint that somebody has registered before."""
    _post(sandbox, "/v1/webhook_endpoints", {"url": url, "enabled_events[]": events, "api_version": version})


def pay_out_daily(sandbox: Sandbox) -> None:
    """The platform's own payouts, as Stripe sets them for a new account."""
    _post(sandbox, "/v1/balance_settings", {"payments[payouts][schedule][interval]": "daily"})


def _post(sandbox: Sandbox, path: str, form: dict[str, Any]) -> None:
    answer = requests.post(sandbox.url + path, data=form, auth=(settings.STRIPE_SECRET_KEY, ""), timeout=30)
    answer.raise_for_status()
