"""Payouts in a real browser: a coach's schedule, payout and way out when one comes back; and the platform's own."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse
from playwright.sync_api import Page, expect
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.months import month_of
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from marketplace.tests.staff import browser_of
from payments import ledger, operations, services
from payments.models import BankAccount, Payment, Payout
from payments.tests import payout_scene, stage

# What the theme itself leaves open on each of its pages, ours or not.
THEME = frozenset({"region"})
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser, pytest.mark.thorough]


@pytest.fixture
def at_home(live_server: LiveServer, page: Page, settings: Settings, coach: Coach) -> Page:
    """The coach's own browser, signed in."""
    settings.SITE_URL = live_server.url
    cookie = payout_scene.browser_of(coach).cookies["sessionid"].value
    page.context.add_cookies([{"name": "sessionid", "value": cookie, "url": live_server.url}])
    return page


def assert_fit(page: Page, *, theme: frozenset[str] = frozenset()) -> None:
    """Nothing for axe to say but what the admin's theme leaves open everywhere, and no wider than a phone."""
    page.wait_for_load_state()  # a click is over when the next page has begun
    assert {each["id"] for each in Axe().run(page).response["violations"]} <= theme, page.url
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.set_viewport_size({"width": 1280, "height": 900})


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def test_a_coach_steers_their_payouts_and_mends_one_that_came_back(
    at_home: Page, live_server: LiveServer, sandbox: Sandbox, coach: Coach, settings: Settings
) -> None:
    settings.CONNECT_ACCOUNT_TYPE = "express"
    account = payout_scene.account_with(sandbox, coach)
    at_home.goto(live_server.url + reverse("payments:payouts"))
    assert_fit(at_home)

    at_home.get_by_role("link", name="Change the schedule").click()
    at_home.get_by_label("Day of the month").select_option("31")
    assert_fit(at_home)
    press(at_home, "Save the schedule")
    expect(at_home.get_by_role("status")).to_contain_text("on day 31 of each month, or the last day of a shorter one")

    at_home.get_by_role("link", name="Pay out now").click()
    amount = at_home.get_by_label("Amount in USD")
    expect(amount).to_have_value("120.00")
    amount.fill("999")
    press(at_home, "Look it over")
    expect(at_home.get_by_text("At most $120.00 can be paid out.")).to_be_visible()
    expect(amount).to_have_value("999")
    assert_fit(at_home)
    amount.fill("80")
    press(at_home, "Look it over")
    assert_fit(at_home)
    press(at_home, "Pay out $80.00")
    expect(at_home.get_by_role("status")).to_contain_text("$80.00 is on its way to your bank.")

    payout_scene.failed(sandbox, Payout.objects.get())
    services.refresh_payout_account(account=account, now=clock.now())
    at_home.reload()
    expect(at_home.get_by_role("heading", name="Your bank sent $80.00 back")).to_be_visible()
    assert_fit(at_home)
    press(at_home, "Change where it goes")
    at_home.wait_for_url(f"{sandbox.url}/express/**")
    assert BankAccount.objects.get(account=account).status == "errored"


def test_it_works_without_script(
    live_server: LiveServer, page: Page, sandbox: Sandbox, coach: Coach, settings: Settings
) -> None:
    assert page.context.browser is not None
    settings.SITE_URL, settings.PAYOUT_INTERVALS = live_server.url, ["monthly", "weekly"]
    account = payout_scene.account_with(sandbox, coach)
    cookie = payout_scene.browser_of(coach).cookies["sessionid"].value
    plain = page.context.browser.new_context(java_script_enabled=False)
    plain.add_cookies([{"name": "sessionid", "value": cookie, "url": live_server.url}])
    paper = plain.new_page()
    paper.goto(live_server.url + reverse("payments:schedule"))
    paper.get_by_label("Once a week").check()
    paper.get_by_label("Day of the week").select_option("friday")
    press(paper, "Save the schedule")
    expect(paper.get_by_text("Every Friday").first).to_be_visible()
    paper.get_by_role("link", name="Change this").click()
    paper.get_by_label("After each session").check()
    press(paper, "Save")
    expect(paper.get_by_text("After each session, by Stripe.")).to_be_visible()
    account.refresh_from_db()
    assert (account.schedule_weekly_anchor, account.settlement_mode) == ("friday", "per_session")
    plain.close()


def test_the_platform_is_paid_out(
    live_server: LiveServer, page: Page, sandbox: Sandbox, held: Payment, staff: User
) -> None:
    stage.request_capture(held, clock.now())
    operations.sweep(now=clock.now())
    sandbox.advance(5 * 86_400)
    cookie = browser_of(staff).cookies["sessionid"].value
    page.context.add_cookies([{"name": "sessionid", "value": cookie, "url": live_server.url}])
    page.goto(live_server.url + reverse("admin:index"))
    page.get_by_role("link", name="Pay out what is ours", exact=True).click()
    page.get_by_label("Amount in USD").fill("17")
    page.get_by_label("Why").fill("The rent.")
    press(page, "See what it means")
    expect(page.get_by_text("Not more than $16.80 is the platform's own")).to_be_visible()
    expect(page.get_by_label("Why")).to_have_value("The rent.")
    assert_fit(page, theme=THEME)
    page.get_by_label("Amount in USD").fill("16.80")
    press(page, "See what it means")
    assert_fit(page, theme=THEME)
    press(page, "Pay out $16.80")
    expect(page.get_by_text("Nothing may be paid out")).to_be_visible()
    assert_fit(page, theme=THEME)
    page.get_by_role("link", name="$16.80").click()
    expect(page.get_by_text("platform payout (The rent.)")).to_be_visible()
    assert ledger.check() == []


def test_a_coach_whose_account_has_left_us_reads_what_we_know(
    at_home: Page, live_server: LiveServer, sandbox: Sandbox, coach: Coach
) -> None:
    account = payout_scene.account_with(sandbox, coach)
    payout_scene.pay_out(account, 5_000)
    services.record_deauthorised(stripe_account_id=account.stripe_account_id, now=clock.now())
    at_home.goto(live_server.url + reverse("payments:payouts"))
    expect(at_home.get_by_text("Out of our sight")).to_be_visible()
    assert_fit(at_home)
    left = Payout.objects.get().untracked_at
    assert left is not None
    at_home.goto(live_server.url + reverse("payments:statement", args=[month_of(left), "usd"]))
    expect(at_home.get_by_text("Out of our sight")).to_be_visible()
    assert_fit(at_home)
