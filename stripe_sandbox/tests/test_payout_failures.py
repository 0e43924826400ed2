"""How payouts end: each code of failure, in each state, to banks and cards; and what is then booked and told."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from stripe_sandbox.resources.payout_failures import MESSAGES

from .books import balance, rows
from .conftest import Refused, Sandbox, onboarded, refused

pytestmark = pytest.mark.thorough

DAY, HOUR = 86400, 3600
USD = {"amount": 600, "currency": "usd"}


@pytest.fixture(autouse=True)
def _books_balance(sandbox: Sandbox) -> Iterator[None]:
    yield
    assert sandbox.get("health")["balance_errors"] == []


@pytest.mark.parametrize("code", sorted(MESSAGES))
def test_each_code_of_failure_has_its_words(api: Any, sandbox: Sandbox, code: str) -> None:
    sandbox.post("balance", amount=1000)
    payout = api.payouts.create(USD).id
    sandbox.post(f"payouts/{payout}/fail", failure_code=code)
    failed = api.payouts.retrieve(payout)
    assert (failed.status, failed.failure_code, failed.failure_message) == ("failed", code, MESSAGES[code])
    assert balance(api) == (1000, 0)


@pytest.mark.parametrize("wait", [0, HOUR, 2 * DAY])
def test_a_payout_can_fail_in_each_state_but_only_once(api: Any, sandbox: Sandbox, wait: int) -> None:
    sandbox.post("balance", amount=1000)
    payout = api.payouts.create(USD).id
    sandbox.advance(wait)
    status = {0: "pending", HOUR: "in_transit", 2 * DAY: "paid"}[wait]
    assert api.payouts.retrieve(payout).status == status
    sandbox.post(f"payouts/{payout}/fail", failure_code="account_closed")
    steps = ["payout.created", "payout.updated", "payout.paid"][: 1 + ("pending", "in_transit", "paid").index(status)]
    assert sandbox.event_types() == [*steps, "payout.failed", "account.external_account.updated"]
    assert [each[:2] for each in rows(api)] == [("topup", 1000), ("payout", -600), ("payout_failure", 600)]
    with pytest.raises(Refused):
        sandbox.post(f"payouts/{payout}/fail")
    sandbox.advance(2 * DAY)
    assert api.payouts.retrieve(payout).status == "failed"
    assert balance(api) == (1000, 0)


def test_a_cancelled_payout_neither_leaves_nor_fails(api: Any, sandbox: Sandbox) -> None:
    sandbox.post("balance", amount=1000)
    payout = api.payouts.create(USD).id
    assert api.payouts.cancel(payout).status == "canceled"
    with pytest.raises(Refused):
        sandbox.post(f"payouts/{payout}/fail")
    assert refused(lambda: api.payouts.cancel(payout)).http_status == 400
    assert refused(lambda: api.payouts.reverse(payout)).http_status == 400
    sandbox.advance(2 * DAY)
    assert api.payouts.retrieve(payout).status == "canceled"
    assert sandbox.event_types() == ["payout.created", "payout.canceled"]
    assert [each[:2] for each in rows(api)] == [("topup", 1000), ("payout", -600), ("payout_cancel", 600)]


def test_a_refused_debit_card_pauses_payouts_until_it_is_replaced(api: Any, sandbox: Sandbox) -> None:
    custom = onboarded(api, sandbox, type="custom")
    there = {"stripe_account": custom}
    api.accounts.update(custom, {"external_account": "tok_visa_debit_us_transferFail"})
    sandbox.post("balance", account=custom, amount=1000)
    sandbox.advance(5 * DAY)
    [payout] = api.payouts.list({}, there).data
    assert (payout.type, payout.status, payout.failure_code) == ("card", "failed", "could_not_process")
    [card] = api.accounts.external_accounts.list(custom).data
    assert card.status == "errored"
    assert api.accounts.retrieve(custom).requirements.currently_due == ["external_account"]
    assert refused(lambda: api.payouts.create(USD, there)).code == "bank_account_unusable"
    api.accounts.update(custom, {"external_account": "tok_visa_debit_us_transferSuccess"})
    assert api.accounts.retrieve(custom).requirements.currently_due == []
    sandbox.advance(3 * DAY)
    assert [each.status for each in api.payouts.list({}, there).data] == ["paid", "failed"]
    assert balance(api, custom) == (0, 0)


def test_what_a_failed_automatic_payout_brought_back_is_paid_out_by_the_next(api: Any, sandbox: Sandbox) -> None:
    custom = onboarded(api, sandbox, type="custom")
    there = {"stripe_account": custom}
    sandbox.post("balance", account=custom, amount=1000)
    sandbox.advance(DAY)
    [payout] = api.payouts.list({}, there).data
    sandbox.post(f"payouts/{payout.id}/fail", failure_code="account_frozen")
    assert refused(lambda: api.payouts.cancel(payout.id, {}, there)).http_status == 400
    api.accounts.update(custom, {"external_account": "btok_us_verified"})
    sandbox.advance(3 * DAY)
    latest = api.payouts.list({}, there).data[0]
    assert (latest.amount, latest.status, latest.reconciliation_status) == (1000, "paid", "completed")
    covered = api.balance_transactions.list({"payout": latest.id}, there).data
    assert sorted((each.type, each.amount) for each in covered) == [("payout", -1000), ("payout_failure", 1000)]


def test_payouts_are_not_for_an_account_that_may_not(api: Any, sandbox: Sandbox, coach: str) -> None:
    sandbox.post("balance", account=coach, amount=1000)
    sandbox.post(f"accounts/{coach}/restrict")
    there = {"stripe_account": coach}
    assert refused(lambda: api.payouts.create(USD, there)).code == "payouts_not_allowed"
    sandbox.advance(3 * DAY)
    assert api.payouts.list({}, there).data == []


def test_forints_are_paid_out_in_whole_units(api: Any, sandbox: Sandbox) -> None:
    hungarian = onboarded(api, sandbox, country="HU")
    there = {"stripe_account": hungarian}
    sandbox.post("balance", account=hungarian, amount=12345, currency="huf")
    error = refused(lambda: api.payouts.create({"amount": 150, "currency": "huf"}, there))
    assert (error.http_status, error.param) == (400, "amount")
    sandbox.advance(DAY)
    assert [each.amount for each in api.payouts.list({}, there).data] == [12300]
    assert balance(api, hungarian, "huf") == (45, 0)


@pytest.mark.parametrize(
    ("anchor", "days"),
    [
        (28, ["01-28", "02-28", "03-28", "04-28"]),
        (29, ["01-29", "02-28", "03-29", "04-29"]),
        (30, ["01-30", "02-28", "03-30", "04-30"]),
        (31, ["01-31", "02-28", "03-31", "04-30"]),
    ],
)
def test_a_monthly_anchor_falls_on_the_last_day_of_a_short_month(
    api: Any, sandbox: Sandbox, coach: str, anchor: int, days: list[str]
) -> None:
    schedule = {"interval": "monthly", "monthly_anchor": anchor}
    sandbox.post("clock", set=int(datetime(2027, 1, 4, 12, tzinfo=UTC).timestamp()))
    api.accounts.update(coach, {"settings": {"payouts": {"schedule": schedule}}})
    for month in (2, 3, 4, 5):
        sandbox.post("balance", account=coach, amount=100)
        sandbox.post("clock", set=int(datetime(2027, month, 4, 12, tzinfo=UTC).timestamp()))
    made = api.payouts.list({}, {"stripe_account": coach}).data[::-1]
    assert [datetime.fromtimestamp(each.created, UTC).strftime("%m-%d") for each in made] == days


@pytest.mark.parametrize("given", [{"interval": "monthly"}, {"interval": "monthly", "monthly_anchor": 32}])
def test_a_month_without_a_day_is_no_schedule(api: Any, coach: str, given: dict[str, Any]) -> None:
    error = refused(lambda: api.accounts.update(coach, {"settings": {"payouts": {"schedule": given}}}))
    assert error.param == "settings[payouts][schedule][monthly_anchor]"
    assert api.accounts.retrieve(coach).settings.payouts.schedule.interval == "daily"


def test_an_anchor_is_shown_with_its_own_interval_alone(api: Any, coach: str) -> None:
    def schedule(**given: Any) -> dict[str, Any]:
        changed = api.accounts.update(coach, {"settings": {"payouts": {"schedule": given}}})
        shown: dict[str, Any] = changed.settings.payouts.schedule.to_dict()
        return shown

    assert schedule(interval="weekly", weekly_anchor="friday") == {
        "delay_days": 2,
        "interval": "weekly",
        "weekly_anchor": "friday",
    }
    assert schedule(interval="monthly", monthly_anchor=15)["monthly_anchor"] == 15
    assert schedule(interval="daily", delay_days=7) == {"delay_days": 7, "interval": "daily"}
    assert schedule(delay_days="minimum") == {"delay_days": 2, "interval": "daily"}
