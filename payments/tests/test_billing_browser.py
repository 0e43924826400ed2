"""The pages of invoices in a real browser."""

from typing import TYPE_CHECKING, Any

import pytest
from django.urls import reverse

from coaches.models import BillingDetails, Coach
from marketplace.tests.test_pages_browser import DESKTOP, PHONE, assert_fit, sign_in, with_password
from payments import statements
from payments.models import FeeInvoice
from payments.tests.month_books import CLOSING_TIME, IN_NOVEMBER, refund, session

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.thorough]


@pytest.mark.parametrize(
    ("viewport", "scheme"), [(PHONE, "light"), (DESKTOP, "dark")], ids=["phone, light", "desktop, dark"]
)
def test_the_pages_of_invoices_are_fit_for_everyone(
    live_server: Any, coach: Coach, page: "Page", viewport: Any, scheme: Any, settings: Any
) -> None:
    settings.FEE_TAX_BPS = 1_900
    payment = session(coach)
    statements.close_due_months(CLOSING_TIME)
    refund(payment, IN_NOVEMBER, coach=8_000, fee=2_000)
    statements.close_due_months(CLOSING_TIME.replace(month=12))
    page.set_viewport_size(viewport)
    page.emulate_media(color_scheme=scheme)
    sign_in(page, live_server.url, with_password(coach.user))
    for address in (
        reverse("payments:billing"),
        reverse("payments:statements"),
        reverse("payments:fee_invoice", args=[FeeInvoice.objects.get(month="2026-11").number]),
    ):
        page.goto(live_server.url + address)
        assert page.locator("h1").count() == 1
        assert_fit(page, address)


def test_details_are_said_by_keyboard_and_what_is_wrong_stays_typed(
    live_server: Any, coach: Coach, page: "Page"
) -> None:
    sign_in(page, live_server.url, with_password(coach.user))
    page.goto(live_server.url + reverse("payments:billing"))
    page.get_by_label("Street and town").fill("1 Main Street\n10115 Berlin")
    page.get_by_label("Country").select_option("DE")
    page.get_by_label("Tax or VAT id").fill("none")
    page.keyboard.press("Enter")
    page.get_by_text("Write it in plain letters and digits").wait_for()
    assert page.get_by_label("Street and town").input_value() == "1 Main Street\n10115 Berlin"
    assert_fit(page, "a wrong tax id")
    page.get_by_label("Tax or VAT id").fill("DE123456789")
    page.keyboard.press("Enter")
    page.get_by_text("Your details are saved.").wait_for()
    assert page.get_by_text("Missing").count() == 0
    assert BillingDetails.objects.get().address == "1 Main Street\n10115 Berlin"
