"""Payouts: by schedule, by hand, and refused by the bank."""

from collections.abc import Iterator
from typing import Any

import pytest

from .books import balance
from .conftest import Sandbox, refused

DAY = 86400


@pytest.fixture(autouse=True)
def _books_balance(sandbox: Sandbox) -> Iterator[None]:
    """After every test the kept balances are the sums of the transactions."""
    yield
    assert sandbox.get("health")["balance_errors"] == []


def test_a_schedule_pays_out_what_is_available(api: Any, sandbox: Sandbox, coach: str) -> None:
    sandbox.post("balance", amount=10000)
    api.transfers.create({"amount": 8000, "currency": "usd", "destination": coach})
    sandbox.advance(3 * DAY)
    [payout] = api.payouts.list({}, {"stripe_account": coach}).data
    assert (payout.amount, payout.automatic, payout.status, payout.reconciliation_status) == (
        8000,
        True,
        "paid",
        "completed",
    )
    assert balance(api, coach) == (0, 0)
    assert [each for each in sandbox.event_types(coach) if each.startswith("payout.")] == [
        "payout.created",
        "payout.updated",
        "payout.paid",
        "payout.reconciliation_completed",
    ]
    covered = api.balance_transactions.list({"payout": payout.id}, {"stripe_account": coach}).data
    assert [each.type for each in covered] == ["payout", "payment"]
    assert balance(api) == (2000, 0)


def test_a_monthly_anchor_past_the_month_is_its_last_day(api: Any, sandbox: Sandbox, coach: str) -> None:
    api.accounts.update(coach, {"settings": {"payouts": {"schedule": {"interval": "monthly", "monthly_anchor": 31}}}})
    sandbox.post("balance", amount=10000)
    api.transfers.create({"amount": 8000, "currency": "usd", "destination": coach})
    sandbox.post("clock", set=1803772800)  # 2027-02-28 00:00:00 UTC
    before = [each.created for each in api.payouts.list({}, {"stripe_account": coach}).data]
    sandbox.advance(120)
    made = [each.created for each in api.payouts.list({}, {"stripe_account": coach}).data]
    assert len(before) == 1  # the last day of the month in which the test runs came first
    assert len(made) == 1
    sandbox.post("balance", account=coach, amount=500)
    sandbox.post("clock", set=1806451200 + 120)  # 2027-03-31 00:02:00 UTC
    assert [each.amount for each in api.payouts.list({}, {"stripe_account": coach}).data] == [500, 8000]


def test_moved_back_the_clock_still_comes_to_each_days_payouts(api: Any, sandbox: Sandbox, coach: str) -> None:
    sandbox.advance(-40 * DAY)
    sandbox.post("balance", account=coach, amount=500)
    sandbox.advance(2 * DAY)
    sandbox.post("balance", account=coach, amount=700)
    sandbox.advance(60 * DAY)
    assert [each.amount for each in api.payouts.list({}, {"stripe_account": coach}).data] == [700, 500]


def test_a_manual_payout_needs_funds_and_can_be_cancelled(api: Any, sandbox: Sandbox) -> None:
    error = refused(lambda: api.payouts.create({"amount": 100, "currency": "usd"}))
    assert (error.code, "Your card balance is too low.  You can use" in error.user_message) == (
        "balance_insufficient",
        True,
    )
    sandbox.post("balance", amount=1000)
    payout = api.payouts.create({"amount": 600, "currency": "usd"})
    assert (payout.status, payout.automatic, balance(api)) == ("pending", False, (400, 0))
    assert api.payouts.cancel(payout.id).status == "canceled"
    assert balance(api) == (1000, 0)
    assert refused(lambda: api.payouts.create({"amount": 1, "currency": "eur"})).http_status == 400


def test_a_failed_payout_comes_back_and_stops_the_bank_account(api: Any, sandbox: Sandbox, coach: str) -> None:
    sandbox.post("balance", account=coach, amount=5000)
    sandbox.advance(DAY + 7200)
    [payout] = api.payouts.list({}, {"stripe_account": coach}).data
    sandbox.post(f"payouts/{payout.id}/fail", failure_code="account_closed")
    failed = api.payouts.retrieve(payout.id, {}, {"stripe_account": coach})
    assert (failed.status, failed.failure_code) == ("failed", "account_closed")
    assert balance(api, coach) == (5000, 0)
    assert sandbox.event_types(coach)[-3:] == [
        "payout.failed",
        "account.external_account.updated",
        "account.updated",
    ]
    sandbox.advance(3 * DAY)
    assert len(api.payouts.list({}, {"stripe_account": coach}).data) == 1
