"""Payouts of every kind: by weekday and day of the month, instant, reversed, refused; and the settings behind them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from .books import balance, rows
from .conftest import Refused, Sandbox, onboarded, refused

pytestmark = pytest.mark.thorough

DAY = 86400
JANUARY = int(datetime(2027, 1, 4, 12, tzinfo=UTC).timestamp())  # a Monday


@pytest.fixture(autouse=True)
def _books_balance(sandbox: Sandbox) -> Iterator[None]:
    yield
    assert sandbox.get("health")["balance_errors"] == []


def schedule(api: Any, coach: str, **fields: Any) -> Any:
    given = {"payments": {"payouts": {"schedule": fields}}}
    return api.balance_settings.update(given, {"stripe_account": coach}).payments.payouts.schedule


def days_paid(api: Any, sandbox: Sandbox, coach: str, days: int) -> list[str]:
    """The dates of the payouts over so many days, when each day brings some money."""
    for _ in range(days):
        sandbox.post("balance", account=coach, amount=100)
        sandbox.advance(DAY)
    made = api.payouts.list({"limit": 100}, {"stripe_account": coach}).data[::-1]
    return [datetime.fromtimestamp(each.created, UTC).strftime("%m-%d") for each in made]


def test_weekdays_are_kept(api: Any, sandbox: Sandbox, coach: str) -> None:
    sandbox.post("clock", set=JANUARY)
    shown = schedule(api, coach, interval="weekly", weekly_payout_days=["tuesday", "friday"])
    assert (shown.interval, shown.weekly_payout_days) == ("weekly", ["tuesday", "friday"])
    assert days_paid(api, sandbox, coach, 14) == ["01-05", "01-08", "01-12", "01-15"]


@pytest.mark.parametrize(("anchor", "days"), [("monday", ["01-11", "01-18"]), ("sunday", ["01-10", "01-17"])])
def test_a_weekly_anchor_is_kept(api: Any, sandbox: Sandbox, coach: str, anchor: str, days: list[str]) -> None:
    sandbox.post("clock", set=JANUARY)
    given = {"interval": "weekly", "weekly_anchor": anchor}
    api.accounts.update(coach, {"settings": {"payouts": {"schedule": given}}})
    assert days_paid(api, sandbox, coach, 14) == days


def test_a_daily_schedule_pays_each_day_what_came_before(api: Any, sandbox: Sandbox, coach: str) -> None:
    sandbox.post("clock", set=JANUARY)
    assert days_paid(api, sandbox, coach, 3) == ["01-05", "01-06", "01-07"]
    assert balance(api, coach) == (0, 0)


def test_days_of_the_month_are_kept_and_the_31st_is_the_last(api: Any, sandbox: Sandbox, coach: str) -> None:
    sandbox.post("clock", set=JANUARY)
    schedule(api, coach, interval="monthly", monthly_payout_days=[10, 31])
    assert days_paid(api, sandbox, coach, 60) == ["01-10", "01-31", "02-10", "02-28"]


def test_a_manual_schedule_pays_nothing_by_itself(api: Any, sandbox: Sandbox, coach: str) -> None:
    schedule(api, coach, interval="manual")
    assert days_paid(api, sandbox, coach, 5) == []
    assert balance(api, coach) == (500, 0)


def test_a_minimum_balance_stays(api: Any, sandbox: Sandbox, coach: str) -> None:
    on = {"stripe_account": coach}
    given = {"payments": {"payouts": {"minimum_balance_by_currency": {"usd": 1500}}}}
    kept = api.balance_settings.update(given, on).payments.payouts.minimum_balance_by_currency
    assert kept.to_dict() == {"usd": 1500}
    assert sandbox.event_types(coach)[-1] == "balance_settings.updated"
    sandbox.post("balance", account=coach, amount=2000)
    sandbox.advance(2 * DAY)
    assert [each.amount for each in api.payouts.list({}, on).data] == [500]
    cleared = api.balance_settings.update({"payments": {"payouts": {"minimum_balance_by_currency": ""}}}, on)
    assert cleared.payments.payouts.minimum_balance_by_currency is None
    wrong = {"payments": {"payouts": {"minimum_balance_by_currency": {"usd": -1}}}}
    assert refused(lambda: api.balance_settings.update(wrong, on)).http_status == 400


def test_the_delay_can_be_overridden_and_given_back(api: Any, coach: str) -> None:
    on = {"stripe_account": coach}
    longer = api.balance_settings.update({"payments": {"settlement_timing": {"delay_days_override": 9}}}, on)
    timing = longer.payments.settlement_timing
    assert (timing.delay_days, timing.delay_days_override) == (9, 9)
    back = api.balance_settings.update({"payments": {"settlement_timing": {"delay_days_override": ""}}}, on)
    timing = back.payments.settlement_timing
    assert (timing.delay_days, timing.delay_days_override) == (2, None)


def test_a_negative_balance_pays_nothing(api: Any, sandbox: Sandbox, coach: str) -> None:
    sandbox.post("balance", account=coach, amount=-500)
    sandbox.advance(3 * DAY)
    assert api.payouts.list({}, {"stripe_account": coach}).data == []


def test_a_paid_payout_can_be_reversed_once(api: Any, sandbox: Sandbox) -> None:
    sandbox.post("balance", amount=1000)
    payout = api.payouts.create({"amount": 600, "currency": "usd"})
    assert refused(lambda: api.payouts.reverse(payout.id)).http_status == 400
    sandbox.advance(2 * DAY)
    reversal = api.payouts.reverse(payout.id, {"metadata": {"why": "wrong bank"}})
    assert (reversal.amount, reversal.original_payout, reversal.status) == (-600, payout.id, "pending")
    assert api.payouts.retrieve(payout.id).reversed_by == reversal.id
    assert (balance(api), rows(api)[-1]) == ((400, 600), ("payout", 600, 0, "payout_reversal"))
    assert sandbox.event_types()[-2:] == ["payout.created", "payout.updated"]
    assert refused(lambda: api.payouts.reverse(payout.id)).http_status == 400
    with pytest.raises(Refused):
        sandbox.post(f"payouts/{payout.id}/fail")
    sandbox.advance(2 * DAY)
    assert (api.payouts.retrieve(reversal.id).status, balance(api)) == ("paid", (1000, 0))


def test_instant_payouts_need_somewhere_instant(api: Any, sandbox: Sandbox) -> None:
    sandbox.post("balance", amount=1000)
    error = refused(lambda: api.payouts.create({"amount": 600, "currency": "usd", "method": "instant"}))
    assert (error.code, error.param) == ("instant_payouts_unsupported", "method")
    assert balance(api) == (1000, 0)


def test_an_instant_payout_reaches_a_debit_card_within_the_hour(api: Any, sandbox: Sandbox) -> None:
    custom = onboarded(api, sandbox, type="custom")
    on = {"stripe_account": custom}
    card = api.accounts.external_accounts.create(custom, {"external_account": "tok_visa_debit_us_transferSuccess"}).id
    sandbox.post("balance", account=custom, amount=1000)
    fields = {"amount": 600, "currency": "usd", "method": "instant", "destination": card}
    payout = api.payouts.create(fields, on)
    assert (payout.method, payout.type, payout.arrival_date - payout.created) == ("instant", "card", 1800)
    sandbox.advance(1801)
    assert (api.payouts.retrieve(payout.id, {}, on).status, balance(api, custom)) == ("paid", (400, 0))
    assert refused(lambda: api.payouts.reverse(payout.id, {}, on)).http_status == 400


def test_a_visit_to_onboarding_replaces_a_refused_bank_account(api: Any, sandbox: Sandbox, coach: str) -> None:
    on = {"stripe_account": coach}
    sandbox.post("balance", account=coach, amount=5000)
    payout = api.payouts.create({"amount": 5000, "currency": "usd"}, on)
    sandbox.post(f"payouts/{payout.id}/fail")
    sandbox.post(f"accounts/{coach}/onboard", outcome="complete")
    account = api.accounts.retrieve(coach)
    assert account.requirements.currently_due == []
    banks = [(each.status, each.default_for_currency) for each in account.external_accounts.data]
    assert banks == [("errored", False), ("new", True)]
    assert api.payouts.create({"amount": 5000, "currency": "usd"}, on).destination != payout.destination


def test_a_statement_descriptor_has_22_characters(api: Any, sandbox: Sandbox) -> None:
    sandbox.post("balance", amount=1000)
    fields = {"amount": 600, "currency": "usd"}
    assert refused(lambda: api.payouts.create({**fields, "statement_descriptor": "x" * 23})).http_status == 400
    assert api.payouts.create({**fields, "statement_descriptor": "x" * 22}).statement_descriptor == "x" * 22


def test_a_refused_payout_pauses_what_follows(api: Any, sandbox: Sandbox, coach: str) -> None:
    on = {"stripe_account": coach}
    sandbox.post("balance", account=coach, amount=5000)
    sandbox.advance(DAY + 7200)
    [payout] = api.payouts.list({}, on).data
    sandbox.post(f"payouts/{payout.id}/fail", failure_code="no_account")
    failed = api.payouts.retrieve(payout.id, {"expand": ["failure_balance_transaction"]}, on)
    assert failed.failure_message.startswith("The bank account details on file are probably incorrect.")
    row = failed.failure_balance_transaction
    assert (row.type, row.amount, row.source) == ("payout_failure", 5000, payout.id)
    assert api.accounts.retrieve(coach).requirements.currently_due == ["external_account"]
    assert sandbox.event_types(coach)[-3:] == [
        "payout.failed",
        "account.external_account.updated",
        "account.updated",
    ]
    error = refused(lambda: api.payouts.create({"amount": 100, "currency": "usd"}, on))
    assert error.code == "bank_account_unusable"
    assert balance(api, coach) == (5000, 0)


def test_cancelling_is_for_pending_payouts_made_by_hand(api: Any, sandbox: Sandbox, coach: str) -> None:
    sandbox.post("balance", amount=1000)
    payout = api.payouts.create({"amount": 600, "currency": "usd"})
    sandbox.advance(7200)
    assert refused(lambda: api.payouts.cancel(payout.id)).http_status == 400
    assert [each.type for each in api.balance_transactions.list({"type": "payout"}).data] == ["payout"]
    assert api.balance_transactions.list({"source": payout.id}).data[0].amount == -600
    assert api.balance_transactions.list({"currency": "eur"}).data == []
    assert refused(lambda: api.balance_transactions.list({"payout": payout.id})).param == "payout"


def test_payouts_are_listed_by_state_and_arrival(api: Any, sandbox: Sandbox) -> None:
    sandbox.post("balance", amount=1000)
    first = api.payouts.create({"amount": 100, "currency": "usd"})
    sandbox.advance(2 * DAY)
    second = api.payouts.create({"amount": 200, "currency": "usd"})
    assert [each.id for each in api.payouts.list({"status": "paid"}).data] == [first.id]
    assert [each.id for each in api.payouts.list({"arrival_date": {"gt": first.arrival_date}}).data] == [second.id]
    assert len(api.payouts.list({"destination": first.destination}).data) == 2
