"""A coach's money at Stripe, for the tests of their payouts: all of it through the sandbox and the services."""

from typing import Any

from django.test import Client
from django.urls import reverse

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.money import Money
from marketplace.tests.sandbox import Sandbox
from payments import services
from payments.models import Payout, PayoutAccount
from payments.tests import stage

PAYOUTS = reverse("payments:payouts")
PAY_OUT = reverse("payments:pay_out")
ALL = {"currency": "usd", "money": "120.00", "method": "standard"}


def browser_of(coach: Coach) -> Client:
    client = Client()
    client.force_login(coach.user)
    return client


def account_with(
    sandbox: Sandbox, coach: Coach, amount: int = 12_000, currency: str = "usd", *, country: str = "US"
) -> PayoutAccount:
    """The coach's own, onboarded, with so much available at Stripe, and we know of it."""
    account = stage.onboard(sandbox, coach, country=country)
    return give(sandbox, account, amount, currency)


def give(sandbox: Sandbox, account: PayoutAccount, amount: int, currency: str = "usd") -> PayoutAccount:
    body = {"account": account.stripe_account_id, "amount": amount, "currency": currency}
    sandbox.post("/_sandbox/balance", body)
    return services.refresh_balance(account=account, now=clock.now())


def pay_out(account: PayoutAccount, amount: int) -> Payout:
    money = Money(amount, account.default_currency)
    return services.request_payout(account=account, money=money, method=Payout.Method.STANDARD, now=clock.now())


def failed(sandbox: Sandbox, payout: Payout, code: str = "account_closed") -> Payout:
    """The bank has sent it back, and we know of it."""
    sandbox.post(f"/_sandbox/payouts/{payout.stripe_payout_id}/fail", {"failure_code": code})
    services.refresh_payout(payout=payout, now=clock.now())
    payout.refresh_from_db()
    return payout


def asked_of_stripe(sandbox: Sandbox, path: str) -> list[dict[str, Any]]:
    """The requests that changed something there."""
    rows = sandbox.get("/_sandbox/requests")["data"]
    return [row for row in rows if row["method"] == "POST" and row["path"] == path and row["effect"]]


def made(sandbox: Sandbox) -> list[dict[str, Any]]:
    """The requests for payouts."""
    return asked_of_stripe(sandbox, "/v1/payouts")


def words(answer: Any) -> str:
    return str(answer.content.decode())
