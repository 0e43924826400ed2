"""The endpoints of a coach's payouts: their own alone, and nothing of a bank but Stripe's token."""

import logging
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from coaches.models import Coach
from marketplace import clock
from marketplace.models import User
from marketplace.tests.factories import CoachFactory
from marketplace.tests.sandbox import Sandbox
from payments.models import BankAccount, Operation, Payout, PayoutAccount
from payments.tests import payout_scene
from payments.tests.payout_scene import asked_of_stripe

pytestmark = pytest.mark.django_db

PAYOUTS = reverse("api_payouts-list")
BALANCE = reverse("api_balance")
BANKS = reverse("api_banks")
SCHEDULE = reverse("api_schedule")
PREFERENCES = reverse("api_preferences")
CARD_NUMBER = "4242424242424242"


@pytest.fixture
def custom(sandbox: Sandbox, coach: Coach, settings: Settings) -> PayoutAccount:
    """Of the type whose banks we add."""
    settings.CONNECT_ACCOUNT_TYPE = "custom"
    return payout_scene.account_with(sandbox, coach)


@pytest.fixture
def caller(coach: Coach) -> Client:
    return payout_scene.browser_of(coach)


@pytest.fixture
def rival(sandbox: Sandbox) -> PayoutAccount:
    """Another coach's, with 99.00 USD."""
    return payout_scene.account_with(sandbox, CoachFactory.create(payable=False), 9_900)


def send(client: Client, url: str, body: Any, method: str = "post") -> Any:
    return getattr(client, method)(url, body, content_type="application/json")


def one(payout: Payout) -> str:
    return reverse("api_payouts-detail", args=[payout.pk])


def codes(answer: Any) -> list[str]:
    return [error["code"] for error in answer.json()["errors"]]


# --- payouts ------------------------------------------------------------------------------------


def test_a_payout_is_asked_for_and_then_seen(sandbox: Sandbox, caller: Client, account: PayoutAccount) -> None:
    answer = send(caller, PAYOUTS, {"amount": 5_000, "currency": "usd"})
    assert answer.status_code == 201
    payout = Payout.objects.get()
    seen = caller.get(one(payout)).json()
    assert seen == answer.json()
    assert seen["money"] == {"amount": 5000, "currency": "usd", "formatted": "$50.00"}
    assert (seen["status"], seen["method"], seen["bank_last4"], seen["failure"]) == (
        "pending", "standard", "6789", None,
    )  # fmt: skip
    assert caller.get(PAYOUTS).json()["results"] == [seen]
    assert len(asked_of_stripe(sandbox, "/v1/payouts")) == 1


def test_the_same_asked_for_twice_is_one(sandbox: Sandbox, caller: Client, account: PayoutAccount) -> None:
    answers = [send(caller, PAYOUTS, {"amount": 5_000, "currency": "usd"}).json()["id"] for _ in range(2)]
    assert answers[0] == answers[1]
    assert Payout.objects.count() == 1
    assert len(asked_of_stripe(sandbox, "/v1/payouts")) == 1


def test_a_failed_one_names_the_way_out(sandbox: Sandbox, caller: Client, account: PayoutAccount) -> None:
    payout = payout_scene.failed(sandbox, payout_scene.pay_out(account, 5_000))
    seen = caller.get(one(payout)).json()
    assert seen["status"] == "failed"
    assert seen["failure"]["what"] == "The bank account has been closed."
    assert "another bank account" in seen["failure"]["way_out"]


@pytest.mark.thorough
@pytest.mark.parametrize(
    "amount",
    [None, "", 0, -1, 1.5, "1.5", "1e3", True, "NaN", "\u0665\u0660", [], {}, 10**13, 10**400, "9" * 5000, "\x00"],
)
def test_an_amount_that_is_none_is_refused(
    sandbox: Sandbox, caller: Client, account: PayoutAccount, amount: object
) -> None:
    assert send(caller, PAYOUTS, {"amount": amount, "currency": "usd"}).status_code == 400
    assert Payout.objects.count() == 0


@pytest.mark.thorough
@pytest.mark.parametrize("currency", [None, "", "USD", "us", "usd\n", "\x00\x00\x00", 5, "eur€"])
def test_a_currency_that_is_none_is_refused(caller: Client, account: PayoutAccount, currency: object) -> None:
    assert send(caller, PAYOUTS, {"amount": 100, "currency": currency}).status_code == 400
    assert Payout.objects.count() == 0


@pytest.mark.parametrize(("amount", "currency"), [(12_001, "usd"), (999_999_999_999, "usd"), (100, "eur")])
def test_more_than_there_is_is_refused(caller: Client, account: PayoutAccount, amount: int, currency: str) -> None:
    answer = send(caller, PAYOUTS, {"amount": amount, "currency": currency})
    assert (answer.status_code, codes(answer)) == (409, ["balance_too_low"])
    assert Payout.objects.count() == 0


def test_where_the_operator_allows_none_it_is_refused(
    caller: Client, account: PayoutAccount, settings: Settings
) -> None:
    settings.PAYOUT_NOW = "no"
    answer = send(caller, PAYOUTS, {"amount": 100, "currency": "usd"})
    assert (answer.status_code, codes(answer)) == (409, ["payout_not_allowed"])


def test_lists_come_in_pages(caller: Client, account: PayoutAccount) -> None:
    for number in range(25):
        now = clock.now()
        Payout.objects.create(
            account=account, amount=number + 1, currency="usd", status="paid", created_at=now, recorded_at=now
        )
    first = caller.get(PAYOUTS).json()
    assert (first["count"], len(first["results"])) == (25, 20)
    assert len(caller.get(PAYOUTS, {"page": 2}).json()["results"]) == 5


# --- the balance --------------------------------------------------------------------------------


def test_the_balance_is_as_it_was_read(sandbox: Sandbox, caller: Client, account: PayoutAccount) -> None:
    sandbox.post("/_sandbox/balance", {"account": account.stripe_account_id, "amount": 500, "currency": "usd"})
    known = caller.get(BALANCE).json()
    assert [row["available"]["amount"] for row in known["balances"]] == [12_000]
    assert [row["available"]["amount"] for row in caller.post(BALANCE).json()["balances"]] == [12_500]


# --- banks --------------------------------------------------------------------------------------


def test_a_bank_is_added_by_token_made_the_default_and_removed(caller: Client, custom: PayoutAccount) -> None:
    first = caller.get(BANKS).json()[0]
    answer = send(caller, BANKS, {"token": "btok_us_verified"})
    assert answer.status_code == 201
    assert [bank["is_default"] for bank in caller.get(BANKS).json()] == [True, False]
    assert caller.get(BANKS).json()[0]["id"] == answer.json()["id"]

    again = caller.post(reverse("api_default_bank", args=[first["id"]]))
    assert again.json()["is_default"] is True
    assert caller.delete(reverse("api_bank", args=[answer.json()["id"]])).status_code == 204
    assert [bank["id"] for bank in caller.get(BANKS).json()] == [first["id"]]
    assert set(first) == {"id", "kind", "name", "last4", "currency", "is_default", "status"}


def test_the_one_that_payouts_go_to_stays(caller: Client, custom: PayoutAccount) -> None:
    bank = caller.get(BANKS).json()[0]
    answer = caller.delete(reverse("api_bank", args=[bank["id"]]))
    assert (answer.status_code, codes(answer)) == (409, ["bank_needed"])
    assert BankAccount.objects.filter(removed_at=None).count() == 1


@pytest.mark.everyday(2)
@pytest.mark.parametrize(
    "token",
    [CARD_NUMBER, f"tok_{CARD_NUMBER}", "4242 4242 4242 4242", "4242-4242-4242-4242", "DE89370400440532013000",
     "000123456789", "btok_x\n", "btok_../..", "acct_123", "", " ", "\x00", "x" * 5_000],
)  # fmt: skip
def test_what_is_no_token_is_refused_and_repeated_nowhere(
    sandbox: Sandbox, caller: Client, custom: PayoutAccount, caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str], token: str,
) -> None:  # fmt: skip
    with caplog.at_level(logging.DEBUG):
        answer = send(caller, BANKS, {"token": token})
    assert answer.status_code == 400
    assert Operation.objects.filter(kind="add_bank").count() == 0
    if len(token.strip("\x00 ")) > 3:
        told = answer.content.decode() + caplog.text + "".join(capsys.readouterr())
        assert token not in told
        assert CARD_NUMBER not in told


@pytest.mark.everyday(3)
@pytest.mark.parametrize("body", [{}, {"token": None}, {"token": 42}, {"token": ["btok_us_verified"]}, [], "x", None])
def test_a_body_that_is_none_is_refused(caller: Client, custom: PayoutAccount, body: object) -> None:
    assert send(caller, BANKS, body).status_code == 400


def test_a_number_in_place_of_a_token_goes_nowhere(sandbox: Sandbox, caller: Client, custom: PayoutAccount) -> None:
    """A client that sends it raw: neither in an operation, nor at Stripe."""
    send(caller, BANKS, {"token": CARD_NUMBER, "external_account": {"object": "card", "number": CARD_NUMBER}})
    assert not any(CARD_NUMBER in str(row) for row in sandbox.get("/_sandbox/requests")["data"])
    assert not any(CARD_NUMBER in str(operation.params) for operation in Operation.objects.all())


def test_banks_of_an_express_account_are_changed_at_stripe(caller: Client, account: PayoutAccount) -> None:
    answer = send(caller, BANKS, {"token": "btok_us_verified"})
    assert (answer.status_code, codes(answer)) == (409, ["banks_kept_at_stripe"])


# --- schedule and preferences -------------------------------------------------------------------


def test_the_schedule_is_seen_and_changed(caller: Client, account: PayoutAccount) -> None:
    assert caller.get(SCHEDULE).json() == {
        "interval": "monthly", "monthly_anchor": 5, "weekly_anchor": "", "words": "On day 5 of each month",
        "intervals": ["monthly"],
    }  # fmt: skip
    answer = send(caller, SCHEDULE, {"interval": "monthly", "monthly_anchor": 30}, "put")
    assert (answer.status_code, answer.json()["monthly_anchor"]) == (200, 30)
    account.refresh_from_db()
    assert account.schedule_monthly_anchor == 30


@pytest.mark.everyday(2)
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"interval": "manual"},
        {"interval": "monthly"},
        {"interval": "weekly", "weekly_anchor": "monday"},
        {"interval": "daily"},
        {"interval": "monthly", "monthly_anchor": 0},
        {"interval": "monthly", "monthly_anchor": 32},
        {"interval": "monthly", "monthly_anchor": "x"},
        {"interval": "monthly", "monthly_anchor": 10**400},
        {"interval": "weekly", "weekly_anchor": "sunday"},
    ],
)
def test_a_schedule_out_of_bounds_is_refused(
    sandbox: Sandbox, caller: Client, account: PayoutAccount, body: dict[str, Any]
) -> None:
    assert send(caller, SCHEDULE, body, "put").status_code == 400
    assert asked_of_stripe(sandbox, f"/v1/accounts/{account.stripe_account_id}") == []


def test_preferences_are_changed_one_by_one(caller: Client, account: PayoutAccount) -> None:
    assert caller.get(PREFERENCES).json() == {"settlement_mode": "monthly", "payout_method": "stripe"}
    answer = send(caller, PREFERENCES, {"settlement_mode": "per_session"}, "patch")
    assert answer.json() == {"settlement_mode": "per_session", "payout_method": "stripe"}
    answer = send(caller, PREFERENCES, {"payout_method": "later"}, "patch")
    assert answer.json() == {"settlement_mode": "per_session", "payout_method": "later"}
    assert send(caller, PREFERENCES, {"payout_method": "paypal"}, "patch").status_code == 400


# --- whose business it is -----------------------------------------------------------------------


def test_what_is_another_coachs_does_not_exist(
    sandbox: Sandbox, caller: Client, account: PayoutAccount, rival: PayoutAccount
) -> None:
    payout, bank = payout_scene.pay_out(rival, 5_000), BankAccount.objects.get(account=rival)
    assert caller.get(one(payout)).status_code == 404
    assert caller.get(PAYOUTS).json()["count"] == 0
    assert caller.delete(reverse("api_bank", args=[bank.pk])).status_code == 404
    assert caller.post(reverse("api_default_bank", args=[bank.pk])).status_code == 404
    assert [row["id"] for row in caller.get(BANKS).json()] != [bank.pk]
    assert BankAccount.objects.get(pk=bank.pk).removed_at is None


@pytest.mark.parametrize("number", ["0", "999999999999999999", "9" * 40])
def test_a_bank_or_payout_that_is_not_there_is_not_found(caller: Client, account: PayoutAccount, number: str) -> None:
    assert caller.delete(f"{BANKS}{number}/").status_code == 404
    assert caller.get(f"{PAYOUTS}{number}/").status_code == 404


@pytest.mark.parametrize("url", [BALANCE, BANKS, SCHEDULE, PREFERENCES])
def test_those_without_an_account_find_nothing(caller: Client, coach: Coach, stranger: User, url: str) -> None:
    assert caller.get(url).status_code == 404
    caller.force_login(stranger)
    assert caller.get(url).status_code == 404
    assert caller.get(PAYOUTS).json()["count"] == 0
    assert send(caller, PAYOUTS, {"amount": 1, "currency": "usd"}).status_code == 404


@pytest.mark.parametrize("url", [PAYOUTS, BALANCE, BANKS, SCHEDULE, PREFERENCES])
def test_it_needs_a_login(client: Client, url: str) -> None:
    assert client.get(url).status_code in {401, 403}
    assert client.post(url).status_code in {401, 403}


@pytest.mark.parametrize("url", [PAYOUTS, BALANCE, BANKS])
def test_a_form_from_another_site_is_refused(sandbox: Sandbox, account: PayoutAccount, url: str) -> None:
    guarded = Client(enforce_csrf_checks=True)
    guarded.force_login(account.coach.user)
    assert send(guarded, url, {"amount": 100, "currency": "usd", "token": "btok_us_verified"}).status_code == 403
    assert Payout.objects.count() == 0


def test_a_silent_stripe_is_said_to_be_silent(sandbox: Sandbox, caller: Client, account: PayoutAccount) -> None:
    sandbox.post("/_sandbox/faults", {"method": "GET", "path": "/v1/balance", "action": "refuse", "times": 0})
    caller.raise_request_exception = False
    assert caller.post(BALANCE).status_code == 503
    assert send(caller, PAYOUTS, {"amount": 100, "currency": "usd"}).status_code == 503
    assert Payout.objects.count() == 0
