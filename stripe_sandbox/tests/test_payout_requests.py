"""What can be asked of payouts and their schedules: descriptions, sources, instant ones, reversals, and the refusals."""

from collections.abc import Iterator
from typing import Any

import pytest

from .books import balance
from .conftest import Sandbox, onboarded, refused

pytestmark = pytest.mark.thorough

DAY = 86400
USD = {"amount": 600, "currency": "usd"}
CARD = "tok_visa_debit_us_transferSuccess"


@pytest.fixture(autouse=True)
def _books_balance(sandbox: Sandbox) -> Iterator[None]:
    yield
    assert sandbox.get("health")["balance_errors"] == []


def test_a_payout_made_by_hand_goes_its_way_step_by_step(api: Any, sandbox: Sandbox) -> None:
    sandbox.post("balance", amount=1000)
    payout = api.payouts.create({**USD, "description": "Rent", "metadata": {"month": "5"}})
    assert (payout.description, payout.metadata["month"], payout.source_type, payout.type) == (
        "Rent",
        "5",
        "card",
        "bank_account",
    )
    assert (payout.trace_id.status, payout.failure_code, payout.reversed_by) == ("pending", None, None)
    row = api.balance_transactions.retrieve(payout.balance_transaction)
    assert (row.type, row.amount, row.source, row.status) == ("payout", -600, payout.id, "available")
    assert api.payouts.update(payout.id, {"metadata": {"month": ""}}).metadata.to_dict() == {}
    sandbox.advance(3600)
    assert api.payouts.retrieve(payout.id).status == "in_transit"
    assert refused(lambda: api.payouts.cancel(payout.id)).http_status == 400
    sandbox.post("clock", set=payout.arrival_date)
    paid = api.payouts.retrieve(payout.id)
    assert (paid.status, paid.trace_id.status, paid.trace_id.value is None) == ("paid", "supported", False)
    told = [each for each in sandbox.get("events")["data"] if each["type"].startswith("payout.")]
    assert [(each["type"], each["data"]["object"]["status"]) for each in told] == [
        ("payout.created", "pending"),
        ("payout.updated", "pending"),
        ("payout.updated", "in_transit"),
        ("payout.paid", "paid"),
    ]
    assert told[1]["data"]["previous_attributes"] == {"metadata": {"month": "5"}}
    assert told[2]["data"]["previous_attributes"] == {"status": "pending"}


def test_an_instant_payout_tells_the_same_steps(api: Any, sandbox: Sandbox) -> None:
    custom = onboarded(api, sandbox, type="custom")
    api.accounts.update(custom, {"external_account": CARD})
    sandbox.post("balance", account=custom, amount=600)
    before = len(sandbox.event_types(custom))
    api.payouts.create({**USD, "method": "instant"}, {"stripe_account": custom})
    sandbox.advance(1800)
    assert sandbox.event_types(custom)[before:] == ["payout.created", "payout.updated", "payout.paid"]
    assert balance(api, custom) == (0, 0)


@pytest.mark.parametrize(
    ("given", "code", "param"),
    [
        ({"amount": 0, "currency": "usd"}, "parameter_invalid_integer", "amount"),
        ({"amount": 100}, "parameter_missing", "currency"),
        ({"amount": 100, "currency": "xxx"}, None, "currency"),
        ({"amount": 100, "currency": "eur"}, None, None),
        ({**USD, "destination": "ba_nope"}, "resource_missing", "destination"),
        ({**USD, "amount": 1001}, "balance_insufficient", None),
        ({**USD, "source_type": "bank_account"}, "balance_insufficient", None),
        ({**USD, "method": "slow"}, None, "method"),
    ],
)
def test_a_payout_that_cannot_be_is_refused(
    api: Any, sandbox: Sandbox, given: Any, code: str | None, param: str | None
) -> None:
    sandbox.post("balance", amount=1000)
    error = refused(lambda: api.payouts.create(given))
    assert (error.http_status, error.code, error.param) == (400, code, param)
    assert balance(api) == (1000, 0)
    assert sandbox.event_types() == []


def test_no_bank_account_of_a_currency_is_said_in_stripes_words(api: Any, sandbox: Sandbox) -> None:
    sandbox.post("balance", amount=1000, currency="eur")
    error = refused(lambda: api.payouts.create({"amount": 600, "currency": "eur"}))
    assert error.user_message == "Sorry, you don't have any external accounts in that currency (eur)."


@pytest.mark.parametrize(("country", "currency", "possible"), [("CA", "cad", True), ("GB", "gbp", False)])
def test_payouts_are_reversed_in_north_america_alone(
    api: Any, sandbox: Sandbox, country: str, currency: str, possible: bool
) -> None:
    there = {"stripe_account": onboarded(api, sandbox, country=country)}
    sandbox.post("balance", account=there["stripe_account"], amount=600, currency=currency)
    sandbox.advance(2 * DAY)
    [payout] = api.payouts.list({"status": "paid"}, there).data
    if possible:
        assert api.payouts.reverse(payout.id, {}, there).original_payout == payout.id
    else:
        assert refused(lambda: api.payouts.reverse(payout.id, {}, there)).http_status == 400


def test_somebody_elses_payout_is_unknown(api: Any, sandbox: Sandbox, coach: str) -> None:
    sandbox.post("balance", amount=1000)
    payout = api.payouts.create(USD).id
    error = refused(lambda: api.payouts.retrieve(payout, {}, {"stripe_account": coach}))
    assert (error.http_status, error.code, error.param) == (404, "resource_missing", "payout")


@pytest.mark.parametrize("day", ["saturday", "sunday"])
def test_no_schedule_pays_on_a_weekend(api: Any, day: str) -> None:
    schedule = {"interval": "weekly", "weekly_payout_days": [day]}
    error = refused(lambda: api.balance_settings.update({"payments": {"payouts": {"schedule": schedule}}}))
    assert error.param == "payments[payouts][schedule][weekly_payout_days][0]"
