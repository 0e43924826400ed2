"""The coach's payouts, page by page: where the money is, and whose business it is."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries, Settings

from coaches.models import Coach
from marketplace import clock
from marketplace.models import User
from marketplace.tests.factories import CoachFactory
from marketplace.tests.sandbox import Sandbox
from payments.models import BankAccount, Dispute, Payout, PayoutAccount, PayoutLine, PayoutRun
from payments.tests import payout_scene
from payments.tests.factories_books import earn
from payments.tests.payout_scene import ALL, PAY_OUT, PAYOUTS, asked_of_stripe, made, words

pytestmark = pytest.mark.django_db

BANK = reverse("payments:change_bank")
BALANCE = reverse("payments:read_balance")


@pytest.fixture
def browser(account: PayoutAccount) -> Client:
    """The coach's own."""
    return payout_scene.browser_of(account.coach)


# --- where the money is -------------------------------------------------------------------------


def test_it_shows_what_is_at_stripe_and_where_it_goes(browser: Client) -> None:
    page = browser.get(PAYOUTS)
    assert [str(balance.available) for balance in page.context["balances"]] == ["$120.00"]
    assert "On day 5 of each month" in words(page)
    assert "ending in 6789" in words(page)
    assert "no-store" in page["Cache-Control"]


def test_what_waits_with_us_is_told_by_month_and_state(browser: Client, account: PayoutAccount) -> None:
    coach, now = account.coach, clock.now()
    due = earn(coach, amount=10_000, release_at=now - timedelta(days=40))
    earn(coach, amount=5_000, release_at=now - timedelta(seconds=1))
    earn(coach, amount=5_000, release_at=now + timedelta(days=40))
    frozen = earn(coach, amount=20_000, release_at=now - timedelta(seconds=1))
    type(frozen).objects.filter(pk=frozen.pk).update(frozen=True)
    run = PayoutRun.objects.create(month="2026-08", opened_at=now)
    line = PayoutLine.objects.create(
        run=run, coach=coach, amount=8_000, currency="usd", status="waiting", waiting_for="Stripe has paused you."
    )
    type(due).objects.filter(pk=due.pk).update(line=line)

    rows = browser.get(PAYOUTS).context["waiting"]
    assert [(row.state, str(row.money)) for row in rows] == [
        ("waits", "$80.00"), ("released", "$30.00"), ("kept_back", "$180.00"), ("coming", "$30.00"),
    ]  # fmt: skip
    assert rows[0].detail == "Stripe has paused you."
    assert [str(sum_) for sum_ in browser.get(PAYOUTS).context["waiting_sums"]] == ["$320.00"]


@pytest.mark.parametrize(("status", "state"), [("needs_response", "kept_back"), ("warning_needs_response", "released")])
def test_what_the_students_bank_disputes_is_not_promised(
    browser: Client, account: PayoutAccount, status: str, state: str
) -> None:
    earning = earn(account.coach, release_at=clock.now() - timedelta(days=40))
    Dispute.objects.create(
        stripe_dispute_id="dp_1", payment=earning.paid_for, amount=10_000, currency="usd", reason="fraudulent",
        status=status, opened_at=clock.now(),
    )  # fmt: skip
    assert [row.state for row in browser.get(PAYOUTS).context["waiting"]] == [state]


def test_what_finance_says_of_a_held_line_is_not_for_the_coach(browser: Client, account: PayoutAccount) -> None:
    earning = earn(account.coach)
    run = PayoutRun.objects.create(month="2026-08", opened_at=clock.now())
    line = PayoutLine.objects.create(
        run=run, coach=account.coach, amount=8_000, currency="usd", status="held", held_at=clock.now(),
        held_reason="Smells of fraud.", waiting_for="Smells of fraud.",
    )  # fmt: skip
    type(earning).objects.filter(pk=earning.pk).update(line=line)
    page = words(browser.get(PAYOUTS))
    assert "Smells of fraud" not in page
    assert "The transfer to your Stripe balance waits." in page
    assert "On the transfer" not in page


def test_another_coachs_money_is_nowhere_on_the_page(sandbox: Sandbox, browser: Client) -> None:
    rival = payout_scene.account_with(sandbox, CoachFactory.create(payable=False), 77_700)
    payout = payout_scene.pay_out(rival, 55_500)
    earn(rival.coach, amount=33_300)
    page = words(browser.get(PAYOUTS, {"coach": str(rival.coach_id), "account": rival.stripe_account_id}))
    for amount in ("777", "555", "222", str(payout.stripe_payout_id), rival.stripe_account_id):
        assert amount not in page


def test_payouts_are_listed_in_pages_newest_first(browser: Client, account: PayoutAccount) -> None:
    write_down(account, 12)
    first, second = browser.get(PAYOUTS), browser.get(PAYOUTS, {"page": 2})
    assert [row.payout.amount for row in first.context["rows"]] == list(range(1_200, 200, -100))
    assert [row.payout.amount for row in second.context["rows"]] == [200, 100]


@pytest.mark.everyday(1)
@pytest.mark.parametrize("page", ["99", "0", "-1", "x", "", "٢", "9" * 5000])
def test_a_page_that_is_not_there_is_one_that_is(browser: Client, account: PayoutAccount, page: str) -> None:
    write_down(account, 1)
    assert browser.get(PAYOUTS, {"page": page}).status_code == 200


def test_however_much_there_is_to_show_takes_as_many_queries(
    browser: Client, account: PayoutAccount, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    write_down(account, 1)
    with CaptureQueriesContext(
        connection,
    ) as few:
        browser.get(PAYOUTS)
    write_down(account, 11)
    for month in range(6):
        earn(account.coach, release_at=clock.now() + timedelta(days=30 * month))
    with django_assert_num_queries(len(few)):
        browser.get(PAYOUTS)


def write_down(account: PayoutAccount, count: int) -> None:
    """Payouts of 1.00, 2.00 and so on, a day after another."""
    for number in range(1, count + 1):
        at = clock.now() + timedelta(days=number)
        Payout.objects.create(
            account=account, amount=number * 100, currency="usd", status="paid", created_at=at, recorded_at=at
        )


# --- a payout that came back --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("account_closed", "The bank account has been closed."),
        ("no_account", "The bank could not find the account."),
        ("one_that_stripe_invents_tomorrow", "did not reach the bank"),
    ],
)
def test_a_failed_payout_says_why_and_leads_to_stripe(
    sandbox: Sandbox, browser: Client, account: PayoutAccount, code: str, said: str
) -> None:
    payout = payout_scene.pay_out(account, 12_000)
    Payout.objects.filter(pk=payout.pk).update(status="failed", failure_code=code, failed_at=clock.now())
    page = words(browser.get(PAYOUTS))
    assert said in page
    assert "Your bank sent $120.00 back" in page

    answer = browser.post(BANK)
    assert answer.status_code == 302
    assert answer["Location"].startswith(f"{sandbox.url}/express/{account.stripe_account_id}")
    assert answer["Referrer-Policy"] == "no-referrer"
    assert "no-store" in answer["Cache-Control"]


def test_a_later_payout_that_went_well_ends_the_alarm(browser: Client, account: PayoutAccount) -> None:
    write_down(account, 2)
    Payout.objects.filter(amount=100).update(status="failed", failure_code="account_closed")
    page = browser.get(PAYOUTS)
    assert page.context["to_mend"] is None
    assert "The bank account has been closed." in words(page)


def test_one_that_was_never_made_ends_no_alarm(browser: Client, account: PayoutAccount) -> None:
    """Stripe refuses all payouts to a bank that has sent one back."""
    write_down(account, 3)
    Payout.objects.filter(amount=100).update(status="failed", failure_code="account_closed")
    Payout.objects.filter(amount=200).update(status="refused", failure_code="bank_account_unusable")
    Payout.objects.filter(amount=300).update(status="requested")
    assert browser.get(PAYOUTS).context["to_mend"].payout.amount == 100


def test_one_in_another_currency_ends_no_alarm(browser: Client, account: PayoutAccount) -> None:
    write_down(account, 2)
    Payout.objects.filter(amount=100).update(status="failed", failure_code="account_closed")
    Payout.objects.filter(amount=200).update(currency="eur")
    assert browser.get(PAYOUTS).context["to_mend"].payout.amount == 100


def test_another_bank_ends_the_alarm(browser: Client, account: PayoutAccount) -> None:
    write_down(account, 1)
    Payout.objects.update(status="failed", failure_code="account_closed", failed_at=clock.now())
    assert browser.get(PAYOUTS).context["to_mend"] is not None
    BankAccount.objects.create(
        account=account, stripe_bank_id="ba_2", kind="bank_account", last4="4321", currency="usd",
        created_at=clock.now() + timedelta(seconds=1),
    )  # fmt: skip
    assert browser.get(PAYOUTS).context["to_mend"] is None


def test_an_account_without_a_dashboard_is_led_to_stripes_page_for_it(
    sandbox: Sandbox, coach: Coach, settings: Settings
) -> None:
    settings.CONNECT_ACCOUNT_TYPE = "custom"
    account = payout_scene.account_with(sandbox, coach)
    answer = payout_scene.browser_of(coach).post(BANK)
    [link] = asked_of_stripe(sandbox, "/v1/account_links")
    assert (link["params"]["type"], link["params"]["account"]) == ("account_update", account.stripe_account_id)
    assert answer["Location"].startswith(f"{sandbox.url}/setup/")
    assert answer["Referrer-Policy"] == "no-referrer"


def test_a_bank_is_changed_by_nobody_else(sandbox: Sandbox, account: PayoutAccount) -> None:
    rival = payout_scene.browser_of(CoachFactory.create(payable=False))
    assert rival.post(BANK, {"account": account.stripe_account_id})["Location"] == PAYOUTS
    assert not any("login_links" in row["path"] for row in sandbox.get("/_sandbox/requests")["data"])


def test_when_stripe_is_silent_the_bank_stays_and_the_coach_is_told(sandbox: Sandbox, browser: Client) -> None:
    sandbox.post("/_sandbox/faults", {"method": "POST", "path": "/v1/accounts/*/login_links", "action": "refuse"})
    assert "Please try again in a minute" in words(browser.post(BANK, follow=True))


# --- the balance --------------------------------------------------------------------------------


def test_the_balance_is_read_again_when_asked(sandbox: Sandbox, browser: Client, account: PayoutAccount) -> None:
    body = {"account": account.stripe_account_id, "amount": 500, "currency": "usd"}
    sandbox.post("/_sandbox/balance", body)
    assert [str(row.available) for row in browser.get(PAYOUTS).context["balances"]] == ["$120.00"]
    page = browser.post(BALANCE, follow=True)
    assert [str(row.available) for row in page.context["balances"]] == ["$125.00"]


def test_a_silent_stripe_leaves_the_balance_as_it_was(sandbox: Sandbox, browser: Client) -> None:
    sandbox.post("/_sandbox/faults", {"method": "GET", "path": "/v1/balance", "action": "refuse", "times": 0})
    page = browser.post(BALANCE, follow=True)
    assert [str(row.available) for row in page.context["balances"]] == ["$120.00"]
    assert "try again in a minute" in words(page)


# --- guards of all of them ----------------------------------------------------------------------


@pytest.mark.parametrize("url", [BANK, BALANCE])
def test_a_visit_changes_nothing(sandbox: Sandbox, browser: Client, url: str) -> None:
    before = len(sandbox.get("/_sandbox/requests")["data"])
    assert browser.get(url).status_code == 405
    assert len(sandbox.get("/_sandbox/requests")["data"]) == before


@pytest.mark.parametrize("url", [BANK, BALANCE, PAY_OUT])
def test_a_form_from_another_site_is_refused(sandbox: Sandbox, account: PayoutAccount, url: str) -> None:
    guarded = Client(enforce_csrf_checks=True)
    guarded.force_login(account.coach.user)
    assert guarded.post(url, {**ALL, "confirm": "yes"}).status_code == 403
    assert made(sandbox) == []


@pytest.mark.parametrize("url", [BANK, BALANCE, PAY_OUT])
def test_it_needs_a_login(client: Client, url: str) -> None:
    assert client.post(url)["Location"] == f"{reverse('account_login')}?next={url}"


@pytest.mark.parametrize("url", [BANK, BALANCE, PAY_OUT])
def test_someone_who_does_not_teach_is_led_back(client: Client, stranger: User, url: str) -> None:
    client.force_login(stranger)
    assert client.post(url)["Location"] == PAYOUTS
    assert PayoutAccount.objects.count() == 0
