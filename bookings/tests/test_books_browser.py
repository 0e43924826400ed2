"""The books in a real browser: from the front page's figure to an entry, and from a booking to its money's story."""

import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import expect

from bookings.tests.desk_pages import Visit, assert_fit, completed, session_that_is_over
from coaches.models import Offering
from marketplace import clock
from marketplace.lib.months import month_of
from marketplace.tests.sandbox import Sandbox
from payments import ledger
from payments.models import LedgerAccount
from payments.tests import bank, money_back

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser, pytest.mark.thorough]


def test_from_a_booking_to_its_moneys_story_and_back(
    visit: Visit, browser_of_student: Client, bookable: Offering, sandbox: Sandbox
) -> None:
    booking = session_that_is_over(browser_of_student, bookable, sandbox)
    payment = completed(booking)
    money_back.given_back(payment, 2_500)
    dispute = bank.disputed(sandbox, payment)
    bank.decide(sandbox, dispute, "lost")

    page = visit(reverse("admin:bookings_booking_change", args=[booking.pk]))
    page.get_by_role("link", name="The whole story").click()
    page.wait_for_load_state()
    told = page.locator("ol h2").all_inner_texts()
    assert told[0] == "Opened"
    assert told.index("Taken") < told.index("Refund asked for") < told.index("Dispute: lost")
    expect(page.get_by_text("This is not in our books.")).to_have_count(0)
    assert_fit(page)
    page.get_by_role("link", name="What was paid for").click()
    expect(page.get_by_text("What became of the money")).to_be_visible()
    assert ledger.check() == []


def test_from_a_figure_to_its_entries(
    visit: Visit, browser_of_student: Client, bookable: Offering, sandbox: Sandbox
) -> None:
    completed(session_that_is_over(browser_of_student, bookable, sandbox))
    page = visit(reverse("admin:index"))
    page.get_by_role("link", name="entries", exact=True).click()
    expect(page.get_by_text("Sum of the 1 row: -$20.00")).to_be_visible()
    expect(page.get_by_role("link", name="Export these rows as CSV")).to_be_visible()

    page = visit(reverse("admin:payments_ledgeraccount_chart"))
    assert_fit(page)
    page.get_by_role("link", name="stripe_balance").click()
    assert_fit(page)
    page.get_by_role("link", name=month_of(clock.now())).click()
    assert_fit(page)
    account = LedgerAccount.objects.get(code="stripe_balance")
    expect(page.get_by_text(f"then {ledger.balance('stripe_balance', account.currency)}")).to_be_visible()
