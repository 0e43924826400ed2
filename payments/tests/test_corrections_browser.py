"""Correcting the books in a real browser, by two people of finance: readable for all, and no wider than a phone."""

from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Browser, Page, expect

from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from marketplace.tests.staff import browser_of
from payments.models import Correction, Difference
from payments.reconcile import open_differences
from payments.tests import money_back
from payments.tests.correcting import compare, of_finance, on_suspense, unknown_at_stripe
from payments.tests.test_payouts_browser import THEME, assert_fit, press
from payments.tests.test_run_browser import LISTS

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser, pytest.mark.thorough]


def sign_in(page: Page, person: User, live_server: Any) -> None:
    cookie = browser_of(person).cookies["sessionid"].value
    page.context.add_cookies([{"name": "sessionid", "value": cookie, "url": live_server.url}])


def test_one_proposes_and_another_approves(live_server: Any, page: Page, browser: Browser, sandbox: Sandbox) -> None:
    ada, bo = of_finance("Ada"), of_finance("Bo")
    unknown_at_stripe(sandbox, -1_234)
    [shown] = open_differences()
    sign_in(page, ada, live_server)
    page.goto(live_server.url + reverse("admin:payments_difference_explain", args=[shown.pk]))
    assert_fit(page, theme=THEME)
    page.get_by_role("link", name="Move $12.34 from suspense").click()
    expect(page.get_by_label("Amount in USD")).to_have_value("12.34")
    page.get_by_label("To", exact=True).select_option("stripe_fees")
    press(page, "Propose it")
    expect(page.get_by_text("This field is required.")).to_be_visible()
    assert_fit(page, theme=THEME)
    page.get_by_label("Why").fill("Trees were bought. " * 15)
    press(page, "Propose it")
    expect(page.get_by_text("it waits for a second person")).to_be_visible()
    assert_fit(page, theme=LISTS)
    page.get_by_role("link", name="Approve or decline").click()
    expect(page.get_by_role("button", name="Withdraw it")).to_be_visible()
    expect(page.get_by_role("button", name="Approve: book it")).to_have_count(0)
    assert_fit(page, theme=THEME)

    with browser.new_context() as context:
        second = context.new_page()
        sign_in(second, bo, live_server)
        second.goto(live_server.url + reverse("admin:bookings_at_risk"))
        second.get_by_role("link", name="Approve or decline").click()
        second.get_by_label("Why").fill("As the letter says.")
        press(second, "Approve: book it")
        expect(second.get_by_text("It is booked.")).to_be_visible()
        assert_fit(second, theme=LISTS)

    correction = Correction.objects.get()
    assert (correction.status, correction.proposed_by, correction.decided_by) == ("done", ada, bo)
    assert Difference.objects.get().state == Difference.State.EXPLAINED
    money_back.assert_agreed(sandbox)
    compare()
    assert not open_differences().exists()
    page.goto(live_server.url + reverse("admin:payments_ledgertransaction_change", args=[correction.booked_id]))
    expect(page.get_by_text("Bo: As the letter says.")).to_be_visible()
    assert_fit(page, theme=LISTS)


def test_what_is_on_suspense_is_listed_and_moved_by_hand(live_server: Any, page: Page) -> None:
    sign_in(page, of_finance("Ada"), live_server)
    for number in range(3):
        on_suspense(900_000_000 + number, f"txn_{number}" + "x" * 55)
    page.goto(live_server.url + reverse("admin:payments_ledgeraccount_chart"))
    assert_fit(page, theme=THEME)
    page.get_by_role("link", name="Correct the books").click()
    expect(page.get_by_role("link", name="Move it")).to_have_count(3)
    assert_fit(page, theme=THEME)
    page.get_by_label("From", exact=True).select_option("bank")
    page.get_by_label("To", exact=True).select_option("coach_payable")
    page.get_by_label("Currency").select_option("usd")
    page.get_by_label("Amount").fill("5")
    page.get_by_label("Why").fill("A slip.")
    press(page, "Propose it")
    expect(page.get_by_text("Say whose account it is.")).to_be_visible()
    page.get_by_label("To", exact=True).select_option("reserves")
    press(page, "Propose it")
    expect(page.get_by_text("$5.00 from bank to reserves: it waits for a second person.")).to_be_visible()
