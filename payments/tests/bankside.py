"""What the tests of payouts to banks share: accounts with money and banks, and how we hear of what became of it."""

from datetime import timedelta
from typing import Any

import requests
from django.conf import settings as configured

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.money import Money
from marketplace.tests.sandbox import Sandbox
from payments import operations, services
from payments.models import BankAccount, Payout, PayoutAccount, Transfer
from payments.tests import reports, stage
from payments.tests.factories_books import PaymentFactory

PAYOUTS = "/v1/payouts"
BANKS = "/v1/accounts/*/external_accounts"
FAILING = "btok_us_verified_accountClosed"
DAY = 86_400


def custom(sandbox: Sandbox, coach: Coach, settings: Any, **facts: Any) -> PayoutAccount:
    """A custom account, onboarded on Stripe's page: the bank account given there is its default.

    Paid out on no day by itself, so that it is the same on each day of the month on which the tests may run.
    """
    settings.CONNECT_ACCOUNT_TYPE = "custom"
    account = stage.onboard(sandbox, coach, **facts)
    never = {"settings[payouts][schedule][interval]": "manual"}
    stage.post_at_stripe(sandbox, f"/v1/accounts/{account.stripe_account_id}", never)
    return account


def fund(sandbox: Sandbox, account: PayoutAccount, amount: int = 50_000, currency: str = "usd") -> None:
    """Money in the coach's balance at Stripe."""
    body = {"account": account.stripe_account_id, "amount": amount, "currency": currency}
    sandbox.post("/_sandbox/balance", body)


def ask(account: PayoutAccount, amount: int = 20_000, **facts: Any) -> Payout:
    facts = {"method": Payout.Method.STANDARD, "now": clock.now(), **facts}
    return services.request_payout(account=account, money=Money(amount, facts.pop("currency", "usd")), **facts)


def make_at_stripe(sandbox: Sandbox, account: PayoutAccount | None, amount: int = 20_000, **form: Any) -> str:
    """Somebody else than us makes a payout there."""
    return str(post_as(sandbox, account, PAYOUTS, {"amount": amount, "currency": "usd", **form})["id"])


def post_as(sandbox: Sandbox, account: PayoutAccount | None, path: str, form: dict[str, Any]) -> dict[str, Any]:
    """In the account's own name, or the platform's."""
    answer = requests.post(sandbox.url + path, data=form, timeout=30, **_as(account))
    answer.raise_for_status()
    return dict(answer.json())


def _as(account: PayoutAccount | None) -> dict[str, Any]:
    headers = {"Stripe-Account": account.stripe_account_id} if account else {}
    return {"headers": headers, "auth": (configured.STRIPE_SECRET_KEY, "")}


def add_bank(coach: Coach, token: str = "btok_us_verified", **facts: Any) -> BankAccount:
    return services.add_bank(coach=coach, token=token, **{"now": clock.now(), **facts})


def hear(sandbox: Sandbox, *types: str) -> list[Any]:
    """All that the sandbox has reported so far, in its order."""
    return reports.deliver_and_work(reports.events(sandbox, *types))


def sweep(later: timedelta = timedelta()) -> None:
    """What is due, and what had to wait, if `later` says so."""
    operations.sweep(now=clock.now() + later)


def at_stripe(sandbox: Sandbox, account: PayoutAccount | None) -> list[dict[str, Any]]:
    """The payouts that Stripe has of it, newest first."""
    answer = requests.get(sandbox.url + PAYOUTS, timeout=30, **_as(account))
    answer.raise_for_status()
    return list(answer.json()["data"])


def sent_to(coach: Coach, account: PayoutAccount) -> None:
    """We have sent this coach money before."""
    payment = PaymentFactory.create(coach=coach)
    Transfer.objects.create(
        stripe_transfer_id=f"tr_{payment.pk}",
        coach=coach,
        destination=account.stripe_account_id,
        amount=1_000,
        currency="usd",
        payment=payment,
        created_at=clock.now(),
    )
