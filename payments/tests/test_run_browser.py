"""The monthly run and its desks in a real browser: readable for everybody, and no wider than a phone."""

import re
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from marketplace import clock
from marketplace.lib.months import month_before
from marketplace.models import User
from marketplace.tests.factories import CoachFactory
from marketplace.tests.staff import browser_of
from payments import payouts
from payments.models import PayoutLine
from payments.tests.factories_books import PaymentFactory, earn
from payments.tests.test_payouts_browser import THEME, assert_fit, press
from payments.tests.test_run_desk import last_month

# And on its lists and forms.
LISTS = THEME | {"landmark-one-main", "landmark-unique"}
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser, pytest.mark.thorough]


@pytest.fixture
def desk(live_server: Any, page: Page, staff: User) -> Page:
    cookie = browser_of(staff).cookies["sessionid"].value
    page.context.add_cookies([{"name": "sessionid", "value": cookie, "url": live_server.url}])
    return page


def test_links_can_be_read_in_the_dark(live_server: Any, desk: Page) -> None:
    earn(CoachFactory.create(display_name="Ada"), release_at=last_month())
    run = payouts.open_run(month_before(clock.now()), clock.now())
    desk.emulate_media(color_scheme="dark")
    for name, arguments in (("payoutrun_watch", [run.pk]), ("ledgeraccount_chart", []), ("payoutline_changelist", [])):
        desk.goto(live_server.url + reverse(f"admin:payments_{name}", args=arguments))
        expect(desk.locator("html")).to_have_class(re.compile("dark"))
        assert_fit(desk, theme=LISTS)


def test_stripes_longest_ids_fit_a_phone(live_server: Any, desk: Page) -> None:
    session_id = "cs_test_" + "a1" * 30
    payment = PaymentFactory.create(checkout_session_id=session_id)
    desk.goto(live_server.url + reverse("admin:payments_payment_change", args=[payment.pk]))
    expect(desk.get_by_text(session_id)).to_be_visible()
    assert_fit(desk, theme=LISTS)


def test_finance_watches_a_run_and_holds_a_line_of_it(live_server: Any, desk: Page) -> None:
    """Names and reasons without a blank, and sums of millions, are no wider than the rest."""
    for name in ("Ada", "b" * 80):
        coach = CoachFactory.create(display_name=name)
        for currency in ("usd", "jpy"):
            earn(coach, amount=900_000_000, currency=currency, release_at=last_month())
    desk.goto(live_server.url + reverse("admin:payments_payoutrun_latest"))
    expect(desk.get_by_text("4 lines would be paid")).to_be_visible()
    assert_fit(desk, theme=THEME)

    run = payouts.open_run(month_before(clock.now()), clock.now())
    PayoutLine.objects.filter(currency="jpy").update(status="waiting", waiting_for="w" * 200)
    earn(CoachFactory.create(display_name="c" * 80), amount=900_000_000, release_at=last_month())
    desk.reload()
    assert_fit(desk, theme=THEME)
    desk.get_by_role("link", name="2 lines").first.click()
    expect(desk.get_by_text("Sum of the 2 rows")).to_be_visible()
    assert_fit(desk, theme=LISTS)

    line = PayoutLine.objects.filter(run=run, currency="usd").earliest("pk")
    desk.goto(live_server.url + reverse("admin:payments_payoutline_change", args=[line.pk]))
    assert_fit(desk, theme=LISTS)
    desk.get_by_role("link", name="Hold", exact=True).click()
    assert_fit(desk, theme=THEME)
    desk.get_by_label("Why").fill("To be looked at.")
    press(desk, "Hold")
    expect(desk.get_by_text("Held: nothing of it is paid")).to_be_visible()
    assert_fit(desk, theme=LISTS)
    PayoutLine.objects.filter(status="held").update(held_reason="h" * 300)
    desk.goto(live_server.url + reverse("admin:payments_payoutrun_watch", args=[run.pk]))
    expect(desk.get_by_text("h" * 300)).to_be_visible()
    assert_fit(desk, theme=THEME)
