"""`manage.py stripe_setup`: registers our webhook endpoints and checks what the product relies on at Stripe.

Safe to repeat. Exit status 1 where something needs a person, with what to do.
"""

import uuid
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse

from payments import gateway, webhooks
from payments.errors import StandingStill
from payments.gateway import GatewayError
from payments.lookout import is_standing_still
from payments.services.accounts import V1_REFUSAL

V1_SWITCH = "https://dashboard.stripe.com/settings/developers/api-policies/feat_accounts_v1_support"
# No country has this code, so the probe for the switch can't make an account.
NO_COUNTRY = "XX"


class Command(BaseCommand):
    help = "Register the webhook endpoints at SITE_URL, and check key, payout schedule, currencies and Accounts v1."

    def handle(self, *_args: Any, **_options: Any) -> None:
        if is_standing_still():
            raise CommandError(StandingStill.message)
        try:
            problems = list(self._set_up())
        except GatewayError as error:
            raise CommandError(f"Stripe did not do it ({error}): {error.message}") from error
        if problems:
            raise CommandError("\n".join(["Not ready:", *(f"- {problem}" for problem in problems)]))
        self.stdout.write("Ready.")

    def _set_up(self) -> Iterator[str]:
        platform = gateway.retrieve_platform()
        # Where a restricted key may not read these, nothing would ever be sent.
        gateway.list_newest_calls(limit=1)
        yield from self._check_key(platform)
        yield from self._register("payments:stripe_webhook", list(webhooks.PLATFORM_HANDLERS), connect=False)
        yield from self._register("payments:stripe_connect_webhook", list(webhooks.CONNECT_HANDLERS), connect=True)
        yield from self._make_payouts_manual()
        yield from self._check_currencies(platform)
        yield from self._check_accounts_v1()

    def _check_key(self, platform: dict[str, Any]) -> Iterator[str]:
        balance = gateway.retrieve_balance()
        mode = "live" if balance["livemode"] else "test"
        self.stdout.write(f"Account {platform['id']}, {mode} mode.")
        if balance["livemode"] != settings.STRIPE_LIVE_MODE:
            yield f"STRIPE_SECRET_KEY looks like another mode than {mode}, which Stripe says it is."

    # --- endpoints ---

    def _register(self, view: str, events: list[str], *, connect: bool) -> Iterator[str]:
        url = settings.SITE_URL + reverse(view)
        known = [endpoint for endpoint in gateway.list_webhook_endpoints() if endpoint["url"] == url]
        if not known:
            self._create(url, events, connect=connect)
        elif len(known) > 1:
            yield f"{len(known)} endpoints have the address {url}: delete all but one in Stripe's dashboard."
        elif known[0]["api_version"] != settings.STRIPE_API_VERSION:
            # Stripe can't change the version of an endpoint.
            yield (
                f"The endpoint {url} has the API version {known[0]['api_version']}, not {settings.STRIPE_API_VERSION}: "
                "delete it in Stripe's dashboard and run this again."
            )
        else:
            self._update(known[0], events)

    def _create(self, url: str, events: list[str], *, connect: bool) -> None:
        params = {
            "url": url,
            "enabled_events": events,
            "api_version": settings.STRIPE_API_VERSION,
            "connect": connect,
            "description": f"{settings.SITE_NAME} ({'connected accounts' if connect else 'platform'})",
        }
        made = gateway.create_webhook_endpoint(params=params, key=str(uuid.uuid4()))
        name = "STRIPE_CONNECT_WEBHOOK_SECRETS" if connect else "STRIPE_WEBHOOK_SECRETS"
        self.stdout.write(f"Registered {url} for {len(events)} events. Its secret is shown this once:")
        self.stdout.write(f"{name}={made['secret']}")

    def _update(self, endpoint: dict[str, Any], events: list[str]) -> None:
        if sorted(endpoint["enabled_events"]) == sorted(events) and endpoint["status"] == "enabled":
            self.stdout.write(f"{endpoint['url']} is registered for exactly our {len(events)} events.")
            return
        params = {"enabled_events": events, "disabled": False}
        gateway.update_webhook_endpoint(endpoint["id"], params=params, key=str(uuid.uuid4()))
        self.stdout.write(f"Updated {endpoint['url']} to our {len(events)} events.")

    # --- money ---

    def _make_payouts_manual(self) -> Iterator[str]:
        """An automatic payout would empty the balance that the monthly transfers are drawn on."""
        if _payout_interval(gateway.retrieve_balance_settings()) != "manual":
            manual = {"payments": {"payouts": {"schedule": {"interval": "manual"}}}}
            gateway.update_balance_settings(params=manual, key=str(uuid.uuid4()))
            self.stdout.write("Switched the platform's own payouts to manual.")
        interval = _payout_interval(gateway.retrieve_balance_settings())
        if interval == "manual":
            self.stdout.write("The platform's own payouts are manual.")
        else:
            yield f"The platform's own payouts are {interval}: make them manual in Stripe's dashboard."

    def _check_currencies(self, platform: dict[str, Any]) -> Iterator[str]:
        settled = _settled_currencies(platform)
        for currency in settings.CURRENCIES:
            if currency not in settled:
                yield (
                    f"{currency.upper()} is in CURRENCIES, but we can't see that Stripe settles it for you: add a bank "
                    f"account for {currency.upper()} in Stripe's dashboard, or take it out of CURRENCIES."
                )
        self.stdout.write(f"Settled currencies: {', '.join(sorted(settled)).upper()}.")

    # --- connected accounts ---

    def _check_accounts_v1(self) -> Iterator[str]:
        """Only the refusal can be seen: a request that can't succeed is refused for one reason or the other."""
        try:
            gateway.create_account(params={"type": "express", "country": NO_COUNTRY}, key=str(uuid.uuid4()))
        except GatewayError as error:
            if error.outcome != "refused":
                raise
            if error.message.startswith(V1_REFUSAL):
                yield f"Stripe refuses to make Accounts v1 for you: switch on 'Accounts v1 support' at {V1_SWITCH}"
                return
        self.stdout.write("No sign that Stripe refuses Accounts v1.")


def _payout_interval(balance_settings: dict[str, Any]) -> str:
    return str(balance_settings["payments"]["payouts"]["schedule"]["interval"])


def _settled_currencies(platform: dict[str, Any]) -> set[str]:
    """Currencies that Stripe keeps a balance in for us, or that we have a bank account for."""
    balance = gateway.retrieve_balance()
    banks = (platform.get("external_accounts") or {}).get("data") or []
    rows = [*balance["available"], *balance["pending"], *banks]
    return {platform["default_currency"], *(row["currency"] for row in rows)}
