"""What a coach chooses about being paid: the schedule within the operator's limits, the way, and per session or not."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from coaches.models import Coach
from marketplace.models import User
from marketplace.tests.factories import CoachFactory
from marketplace.tests.sandbox import Sandbox
from payments.models import Operation, Payment, PayoutAccount, PayoutMethod, SettlementMode
from payments.tests import payout_scene, stage
from payments.tests.payout_scene import PAYOUTS, asked_of_stripe, words

pytestmark = pytest.mark.django_db

SCHEDULE = reverse("payments:schedule")
PREFERENCES = reverse("payments:preferences")
BOTH = {"mode": "per_session", "method": "stripe"}


@pytest.fixture
def account(sandbox: Sandbox, coach: Coach) -> PayoutAccount:
    return stage.onboard(sandbox, coach)


@pytest.fixture
def browser(account: PayoutAccount) -> Client:
    """The coach's own."""
    return payout_scene.browser_of(account.coach)


def changes(sandbox: Sandbox, account: PayoutAccount) -> list[dict[str, Any]]:
    return asked_of_stripe(sandbox, f"/v1/accounts/{account.stripe_account_id}")


# --- the schedule -------------------------------------------------------------------------------


def test_it_begins_with_what_is(browser: Client, account: PayoutAccount) -> None:
    form = browser.get(SCHEDULE).context["form"]
    assert form["monthly_anchor"].value() == 5
    assert "weekly_anchor" not in form.fields


def test_another_day_is_chosen(sandbox: Sandbox, browser: Client, account: PayoutAccount) -> None:
    page = browser.post(SCHEDULE, {"interval": "monthly", "monthly_anchor": "31"}, follow=True)
    account.refresh_from_db()
    assert (account.schedule_interval, account.schedule_monthly_anchor) == ("monthly", 31)
    assert "on day 31 of each month, or the last day of a shorter one" in words(page)
    assert len(changes(sandbox, account)) == 1


def test_other_rhythms_are_offered_where_the_operator_does(
    sandbox: Sandbox, browser: Client, account: PayoutAccount, settings: Settings
) -> None:
    settings.PAYOUT_INTERVALS = ["monthly", "weekly", "daily"]
    browser.post(SCHEDULE, {"interval": "weekly", "weekly_anchor": "friday", "monthly_anchor": "77"})
    account.refresh_from_db()
    assert (account.schedule_interval, account.schedule_weekly_anchor) == ("weekly", "friday")
    page = words(browser.get(PAYOUTS))
    assert "Every Friday" in page
    assert "Sent: every Friday" in page
    browser.post(SCHEDULE, {"interval": "daily"})
    account.refresh_from_db()
    assert account.schedule_interval == "daily"
    assert "Every day" in words(browser.get(PAYOUTS))


@pytest.mark.thorough
@pytest.mark.parametrize(
    "sent",
    [
        {"interval": ""},
        {"interval": "monthly"},
        {"interval": "monthly", "monthly_anchor": "0"},
        {"interval": "monthly", "monthly_anchor": "32"},
        {"interval": "monthly", "monthly_anchor": "-1"},
        {"interval": "monthly", "monthly_anchor": "5.0"},
        {"interval": "monthly", "monthly_anchor": "1e1"},
        {"interval": "monthly", "monthly_anchor": "\u0665"},
        {"interval": "monthly", "monthly_anchor": "9" * 5000},
        {"interval": "monthly", "monthly_anchor": "\x00"},
        {"interval": "weekly", "weekly_anchor": "monday"},
        {"interval": "daily"},
        {"interval": "manual"},
        {"interval": "MONTHLY", "monthly_anchor": "5"},
    ],
)
def test_what_is_out_of_bounds_is_refused(
    sandbox: Sandbox, browser: Client, account: PayoutAccount, sent: dict[str, str]
) -> None:
    answer = browser.post(SCHEDULE, sent)
    assert answer.status_code == 400
    assert answer.context["form"].errors
    assert 'class="wrong"' in answer.content.decode() or 'role="alert"' in answer.content.decode()
    assert changes(sandbox, account) == []
    assert Operation.objects.filter(kind="update_account").count() == 0


def test_the_operators_days_are_the_only_ones(
    sandbox: Sandbox, browser: Client, account: PayoutAccount, settings: Settings
) -> None:
    settings.PAYOUT_EARLIEST_DAY, settings.PAYOUT_LATEST_DAY = 3, 20
    days = [value for value, _ in browser.get(SCHEDULE).context["form"]["monthly_anchor"].field.choices]
    assert days == list(range(3, 21))
    assert browser.post(SCHEDULE, {"interval": "monthly", "monthly_anchor": "2"}).status_code == 400
    assert browser.post(SCHEDULE, {"interval": "monthly", "monthly_anchor": "21"}).status_code == 400
    assert changes(sandbox, account) == []


def test_on_a_day_that_is_not_one_the_rest_stays_as_typed(
    browser: Client, account: PayoutAccount, settings: Settings
) -> None:
    settings.PAYOUT_INTERVALS = ["monthly", "weekly"]
    form = browser.post(SCHEDULE, {"interval": "weekly", "weekly_anchor": "sunday"}).context["form"]
    assert form["interval"].value() == "weekly"
    assert list(form.errors) == ["weekly_anchor"]


def test_a_silent_stripe_loses_nothing(sandbox: Sandbox, browser: Client, account: PayoutAccount) -> None:
    fault = {"method": "POST", "path": "/v1/accounts/*", "action": "reset_before_effect", "times": 0}
    sandbox.post("/_sandbox/faults", fault)
    answer = browser.post(SCHEDULE, {"interval": "monthly", "monthly_anchor": "12"})
    assert answer.status_code == 503
    assert answer.context["form"]["monthly_anchor"].value() == "12"
    account.refresh_from_db()
    assert account.schedule_monthly_anchor == 5


# --- how and when -------------------------------------------------------------------------------


def test_a_coach_chooses_to_be_paid_after_each_session(browser: Client, account: PayoutAccount) -> None:
    assert account.settlement_mode == SettlementMode.MONTHLY
    page = words(browser.post(PREFERENCES, BOTH, follow=True))
    assert "New bookings will be paid out after each session." in page
    assert PayoutAccount.objects.get().settlement_mode == SettlementMode.PER_SESSION


def test_what_is_under_way_keeps_its_mode(
    sandbox: Sandbox, browser: Client, account: PayoutAccount, student: User, heard: list[Any]
) -> None:
    before = stage.hold(sandbox, student, account.coach)
    browser.post(PREFERENCES, BOTH)
    after = stage.open_page(student, account.coach, reference="booking:2")
    before.refresh_from_db()
    assert (before.settlement_mode, after.settlement_mode) == ("monthly", "per_session")
    assert Payment.objects.count() == 2


def test_a_coach_chooses_no_way_and_the_page_says_that_money_waits(browser: Client, account: PayoutAccount) -> None:
    page = words(browser.post(PREFERENCES, {"mode": "monthly", "method": "later"}, follow=True))
    assert PayoutAccount.objects.get().payout_method == PayoutMethod.NONE
    assert "not sent for now" in page
    browser.post(PREFERENCES, {"mode": "monthly", "method": "stripe"})
    assert PayoutAccount.objects.get().payout_method == PayoutMethod.STRIPE


def test_without_a_way_new_bookings_are_paid_to_us(browser: Client, account: PayoutAccount, student: User) -> None:
    browser.post(PREFERENCES, {"mode": "per_session", "method": "later"})
    payment = stage.open_page(student, account.coach)
    assert (payment.settlement_mode, payment.destination) == ("monthly", "")


@pytest.mark.everyday(2)
@pytest.mark.parametrize(
    "sent",
    [
        {"mode": "", "method": "stripe"},
        {"mode": "weekly", "method": "stripe"},
        {"mode": "MONTHLY", "method": "stripe"},
        {"mode": "\x00", "method": "stripe"},
        {"mode": "per_session"},
        {"mode": "per_session", "method": ""},
        {"mode": "per_session", "method": "paypal"},
        {"mode": "per_session", "method": "\x00"},
    ],
)
def test_a_choice_that_is_none_is_refused_and_changes_nothing(
    browser: Client, account: PayoutAccount, sent: dict[str, str]
) -> None:
    assert browser.post(PREFERENCES, sent).status_code == 400
    account = PayoutAccount.objects.get()
    assert (account.settlement_mode, account.payout_method) == ("monthly", "stripe")


# --- guards -------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", [SCHEDULE, PREFERENCES])
def test_without_an_account_there_is_nothing_to_choose(client: Client, url: str) -> None:
    client.force_login(CoachFactory.create(payable=False).user)
    assert client.get(url)["Location"] == PAYOUTS
    assert client.post(url, BOTH)["Location"] == PAYOUTS
    assert PayoutAccount.objects.count() == 0


@pytest.mark.parametrize("url", [SCHEDULE, PREFERENCES])
def test_it_needs_a_login(client: Client, url: str) -> None:
    assert client.post(url)["Location"] == f"{reverse('account_login')}?next={url}"


@pytest.mark.parametrize("url", [SCHEDULE, PREFERENCES])
def test_a_form_from_another_site_is_refused(sandbox: Sandbox, account: PayoutAccount, url: str) -> None:
    guarded = Client(enforce_csrf_checks=True)
    guarded.force_login(account.coach.user)
    sent = {**BOTH, "interval": "monthly", "monthly_anchor": "9"}
    assert guarded.post(url, sent).status_code == 403
    assert changes(sandbox, account) == []
    assert PayoutAccount.objects.get().settlement_mode == SettlementMode.MONTHLY


@pytest.mark.parametrize("url", [SCHEDULE, PREFERENCES])
def test_nobody_changes_another_coachs(sandbox: Sandbox, account: PayoutAccount, url: str) -> None:
    rival = payout_scene.browser_of(CoachFactory.create(payable=False))
    sent = {**BOTH, "interval": "monthly", "monthly_anchor": "9", "coach": account.coach_id, "account": account.pk}
    assert rival.post(url, sent)["Location"] == PAYOUTS
    assert changes(sandbox, account) == []
    assert PayoutAccount.objects.get().settlement_mode == SettlementMode.MONTHLY
