"""Paying a balance out now, page by page: looked over, done once, and refused in words."""

import pytest
from django.test import Client
from pytest_django import Settings

from marketplace import clock
from marketplace.tests.factories import CoachFactory
from marketplace.tests.sandbox import Sandbox
from payments import payout_pollers
from payments.models import Operation, Payout, PayoutAccount
from payments.services import standstill
from payments.tests import payout_scene
from payments.tests.payout_scene import ALL, PAY_OUT, PAYOUTS, made, words

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(account: PayoutAccount) -> Client:
    """The coach's own."""
    return payout_scene.browser_of(account.coach)


# --- paying out now -----------------------------------------------------------------------------


def test_it_offers_all_that_is_available(browser: Client) -> None:
    form = browser.get(PAY_OUT).context["form"]
    assert form["money"].value() == "120.00"


def test_it_is_looked_over_before_it_is_done(sandbox: Sandbox, browser: Client) -> None:
    page = browser.post(PAY_OUT, {**ALL, "money": "100.00"})
    assert (str(page.context["money"]), str(page.context["rest"])) == ("$100.00", "$20.00")
    assert Payout.objects.count() == 0
    assert made(sandbox) == []


def test_what_was_confirmed_is_paid_out(sandbox: Sandbox, browser: Client, account: PayoutAccount) -> None:
    answer = browser.post(PAY_OUT, {**ALL, "money": "100.00", "confirm": "yes"})
    assert answer["Location"] == PAYOUTS
    payout = Payout.objects.get()
    assert (payout.account, payout.amount, payout.currency, payout.automatic) == (account, 10_000, "usd", False)
    assert [row["params"]["amount"] for row in made(sandbox)] == ["10000"]
    assert "$100.00 is on its way to your bank." in words(browser.get(PAYOUTS))


def test_what_is_on_its_way_is_not_shown_in_the_balance_as_well(browser: Client) -> None:
    browser.post(PAY_OUT, ALL | {"money": "50.00", "confirm": "yes"})
    page = browser.get(PAYOUTS)
    assert [str(balance.available) for balance in page.context["balances"]] == ["$70.00"]
    assert [str(sum_) for sum_ in page.context["on_their_way"]] == ["$50.00"]


def test_what_came_back_is_in_the_balance_with_the_next_round(
    sandbox: Sandbox, browser: Client, account: PayoutAccount
) -> None:
    payout_scene.failed(sandbox, payout_scene.pay_out(account, 5_000))
    payout_pollers.poll_balances(now=clock.now())
    page = browser.get(PAYOUTS)
    assert [str(balance.available) for balance in page.context["balances"]] == ["$120.00"]


def test_a_double_click_pays_out_once(sandbox: Sandbox, browser: Client) -> None:
    for _ in range(2):
        browser.post(PAY_OUT, {**ALL, "money": "50.00", "confirm": "yes"})
    assert Payout.objects.count() == 1
    assert len(made(sandbox)) == 1


def test_change_goes_back_with_what_was_typed(browser: Client) -> None:
    form = browser.post(PAY_OUT, {**ALL, "money": "77.50", "change": "yes"}).context["form"]
    assert form["money"].value() == "77.50"


@pytest.mark.everyday(3)
@pytest.mark.parametrize(
    "amount",
    ["0", "", "0.00", "-1", "+1", "1e2", "1_0", "NaN", "Infinity", "0x10", "12.345", "12,50", "$12", "120.01",
     "\u0661\u0662", "\uff11", "9" * 14, "9" * 5000, "\x00", "<b>1</b>"],
)  # fmt: skip
def test_an_amount_that_is_none_is_refused_beside_the_field(sandbox: Sandbox, browser: Client, amount: str) -> None:
    answer = browser.post(PAY_OUT, {**ALL, "money": amount, "confirm": "yes"})
    assert answer.status_code == 400
    assert "money" in answer.context["form"].errors
    assert Payout.objects.count() == 0
    assert Operation.objects.filter(kind="payout").count() == 0


@pytest.mark.parametrize("method", ["instant", "", "STANDARD", "\x00"])
def test_a_speed_that_is_not_offered_is_refused(browser: Client, method: str) -> None:
    assert browser.post(PAY_OUT, {**ALL, "method": method, "confirm": "yes"}).status_code == 400
    assert Payout.objects.count() == 0


@pytest.mark.parametrize("currency", ["eur", "USD", "x", "\x00", "us"])
def test_a_currency_that_the_balance_has_not_is_not_there(browser: Client, currency: str) -> None:
    assert browser.post(PAY_OUT, {**ALL, "currency": currency, "confirm": "yes"}).status_code == 404
    assert Payout.objects.count() == 0


def test_money_that_is_gone_by_now_is_not_paid_out(sandbox: Sandbox, browser: Client, account: PayoutAccount) -> None:
    sandbox.post("/_sandbox/balance", {"account": account.stripe_account_id, "amount": -5_000, "currency": "usd"})
    answer = browser.post(PAY_OUT, {**ALL, "confirm": "yes"})
    assert answer.status_code == 409
    assert "$70.00 is available" in words(answer)
    assert str(answer.context["balance"].available) == "$70.00"
    assert answer.context["form"]["money"].value() == "120.00"
    assert Payout.objects.count() == 0


def test_where_the_operator_allows_none_the_page_says_so(sandbox: Sandbox, browser: Client, settings: Settings) -> None:
    settings.PAYOUT_NOW = "no"
    assert "Payouts are made by your schedule." in words(browser.get(PAY_OUT))
    browser.post(PAY_OUT, {**ALL, "confirm": "yes"})
    assert Payout.objects.count() == 0


def test_a_paused_coach_is_told_so(sandbox: Sandbox, browser: Client, account: PayoutAccount) -> None:
    PayoutAccount.objects.update(payouts_enabled=False)
    assert "until it has the details" in words(browser.get(PAY_OUT))
    browser.post(PAY_OUT, {**ALL, "confirm": "yes"})
    assert Payout.objects.count() == 0


def test_with_nothing_there_the_page_says_so(browser: Client, account: PayoutAccount) -> None:
    PayoutAccount.objects.update(balance={"available": {"usd": -300}, "pending": {"usd": 900}})
    assert "Nothing is available" in words(browser.get(PAY_OUT))


def test_a_bank_that_sent_a_payout_back_is_not_offered_another(browser: Client, account: PayoutAccount) -> None:
    assert "Pay out now" in words(browser.get(PAYOUTS))
    account.banks.update(status="errored")
    page = words(browser.get(PAYOUTS))
    assert "Pay out now" not in page
    assert "There is no bank account that takes what is available" in page


def test_another_coach_pays_out_their_own_alone(sandbox: Sandbox, account: PayoutAccount) -> None:
    rival = payout_scene.browser_of(CoachFactory.create(payable=False))
    answer = rival.post(PAY_OUT, {**ALL, "account": account.stripe_account_id, "confirm": "yes"})
    assert answer["Location"] == PAYOUTS
    assert Payout.objects.count() == 0


# --- within minutes -----------------------------------------------------------------------------


@pytest.fixture
def fast(account: PayoutAccount, settings: Settings) -> PayoutAccount:
    """50.00 USD of what is available can be paid out within minutes."""
    settings.PAYOUT_NOW = "instant"
    balance = {**account.balance, "instant_available": {"usd": 5_000}}
    PayoutAccount.objects.update(balance=balance)
    return account


def test_a_fast_payout_is_offered_where_the_operator_and_the_balance_allow_it(
    browser: Client, fast: PayoutAccount
) -> None:
    page = browser.post(PAY_OUT, {**ALL, "money": "50.00", "method": "instant"})
    assert "within half an hour" in words(page)
    assert Payout.objects.count() == 0


def test_more_than_can_go_so_fast_is_refused(browser: Client, fast: PayoutAccount) -> None:
    answer = browser.post(PAY_OUT, {**ALL, "money": "50.01", "method": "instant", "confirm": "yes"})
    assert answer.status_code == 400
    assert answer.context["form"].errors["money"] == ["At most $50.00 can be paid out so fast."]
    assert Payout.objects.count() == 0


def test_while_nothing_is_sent_to_stripe_the_page_does_not_promise_a_minute(
    sandbox: Sandbox, browser: Client, account: PayoutAccount
) -> None:
    standstill.begin(reason="Something is odd.", actor=None, now=clock.now())
    browser.post(PAY_OUT, ALL | {"money": "50.00", "confirm": "yes"})
    page = words(browser.get(PAYOUTS))
    assert "$50.00 is asked for. We send nothing to Stripe just now" in page
    assert "in a minute" not in page
    assert made(sandbox) == []
