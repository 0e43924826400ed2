"""Choosing a time in a real browser: by keyboard alone, in place where there is a script, and without any."""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.test import Client
from playwright.sync_api import Browser, Page, ViewportSize, expect
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from bookings import services
from bookings.models import Booking
from bookings.tests.factories import book, fresh, known_student, paid
from bookings.tests.pages import free
from coaches.models import Coach, DateOverride, Offering
from marketplace import clock
from marketplace.models import User

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser, pytest.mark.thorough]

PHONE: ViewportSize = {"width": 390, "height": 844}
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
MOST_STOPS = 60


@pytest.fixture
def at_home(live_server: LiveServer, page: Page, settings: Settings, browser_of_student: Client) -> Page:
    """The student's own browser, signed in."""
    settings.SITE_URL = live_server.url
    cookie = browser_of_student.cookies["sessionid"].value
    page.context.add_cookies([{"name": "sessionid", "value": cookie, "url": live_server.url}])
    return page


@pytest.fixture
def without_script(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(java_script_enabled=False, viewport=PHONE)
    yield context.new_page()
    context.close()


@pytest.fixture
def accepted(buyer: User, coach: Coach, offering: Offering) -> Booking:
    now = clock.now()
    booking = paid(book(known_student(buyer), offering, starts_at=free(offering, 60), now=now), now=now)
    services.accept(booking=booking, actor=coach.user, now=now)
    return fresh(booking)


def tab_to(page: Page, name: str) -> None:
    """Presses Tab until the focus is on what has this name."""
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        words = page.evaluate("document.activeElement.textContent.replace(/\\s+/g, ' ').trim()")
        if re.search(name, words):
            return
    pytest.fail(f"The keyboard does not reach {name!r}.")


def test_a_session_is_booked_by_keyboard_alone(at_home: Page, live_server: LiveServer, offering: Offering) -> None:
    at_home.goto(f"{live_server.url}/book/{offering.pk}/")
    month = at_home.locator("#following-month").inner_text().split()[0]
    tab_to(at_home, f"^{month}")
    at_home.keyboard.press("Enter")
    expect(at_home.locator("caption")).to_contain_text(month)
    # Where it was: on the next month again.
    assert at_home.evaluate("document.activeElement.id") == "following-month"

    tab_to(at_home, rf"^10 {month}, \d+ free times")
    at_home.keyboard.press("Enter")
    expect(at_home.locator("#times")).to_have_text(re.compile(rf"10 {month}, \d+ free times"))
    expect(at_home.locator("#times")).to_be_focused()
    at_home.keyboard.press("Tab")
    time = at_home.evaluate("document.activeElement.textContent.trim()")
    assert re.fullmatch(r"\d\d:\d\d", time)
    at_home.keyboard.press("Enter")

    at_home.wait_for_url("**/review/**")
    expect(at_home.get_by_text(f", {time} to")).to_be_visible()
    tab_to(at_home, "Continue to payment")
    at_home.keyboard.press("Enter")
    at_home.wait_for_url("**/c/pay/**")
    assert Booking.objects.get().starts_at.day in (9, 10)


def test_the_calendar_alone_changes_and_the_address_with_it(
    at_home: Page, live_server: LiveServer, offering: Offering
) -> None:
    at_home.goto(f"{live_server.url}/book/{offering.pk}/")
    at_home.evaluate("document.body.dataset.same = 'yes'")
    first = at_home.locator("caption").inner_text()
    at_home.locator("#following-month").click()
    expect(at_home.locator("caption")).not_to_have_text(first)
    at_home.wait_for_url("**?month=*")
    at_home.locator("td a").nth(2).click()
    at_home.wait_for_url("**?day=*")
    assert at_home.evaluate("document.body.dataset.same") == "yes"
    assert at_home.locator("#picker").count() == 1
    assert at_home.locator("h1").count() == 1

    at_home.evaluate("history.back()")
    # Fetched whole, by its address: two answers can't come in the wrong order.
    expect(at_home.locator("body:not([data-same])")).to_be_visible()
    at_home.wait_for_url("**?month=*")
    at_home.evaluate("history.back()")
    expect(at_home.locator("caption")).to_have_text(first)
    assert at_home.locator("h1").count() == 1


def test_a_first_visit_is_shown_by_the_clock_of_the_browser(
    page: Page, live_server: LiveServer, offering: Offering
) -> None:
    page.goto(f"{live_server.url}/book/{offering.pk}/?day=2000-01-01")
    expect(page.get_by_role("heading", name="Free times, in Berlin time")).to_be_visible()
    page.context.clear_cookies()
    page.goto(f"{live_server.url}/book/{offering.pk}/?zone=Asia/Tokyo")
    expect(page.get_by_role("heading", name="Free times, in Tokyo time")).to_be_visible()


def test_choosing_works_without_any_script(
    without_script: Page, live_server: LiveServer, browser_of_student: Client, offering: Offering
) -> None:
    page, cookie = without_script, browser_of_student.cookies["sessionid"].value
    page.context.add_cookies([{"name": "sessionid", "value": cookie, "url": live_server.url}])
    page.goto(f"{live_server.url}/book/{offering.pk}/")
    page.get_by_label("Times are shown in").select_option("Asia/Tokyo")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("heading", name="Free times, in Tokyo time")).to_be_visible()
    page.locator("#following-month").click()
    page.get_by_role("link", name=re.compile(r"^15 \w+, \d+ free times$")).click()
    time = page.locator("#picker .slot").nth(2)
    words = time.inner_text().strip()
    time.click()
    expect(page.get_by_text(re.compile(rf"15 \w+ \d+, {words} to"))).to_be_visible()
    expect(page.get_by_text("Tokyo time").first).to_be_visible()


def test_another_time_is_proposed_by_keyboard_alone(at_home: Page, live_server: LiveServer, accepted: Booking) -> None:
    at_home.goto(f"{live_server.url}/sessions/{accepted.pk}/")
    tab_to(at_home, "^Propose another time$")
    at_home.keyboard.press("Enter")
    at_home.wait_for_url("**/propose/**")
    tab_to(at_home, r"\d\d:\d\d$")
    at_home.keyboard.press("Enter")
    expect(at_home.get_by_role("heading", name="Propose this time?")).to_be_visible()
    at_home.get_by_label("Why?").focus()
    at_home.keyboard.type("My train is late.")
    tab_to(at_home, "^Propose this time$")
    at_home.keyboard.press("Enter")
    expect(at_home.get_by_text("The other time is proposed.")).to_be_visible()
    assert fresh(accepted).proposed_starts_at is not None


@pytest.mark.parametrize(("size", "scheme"), [(PHONE, "dark"), (DESKTOP, "light"), (PHONE, "light"), (DESKTOP, "dark")])
def test_every_page_of_it_is_fit_for_everyone(
    size: ViewportSize, scheme: str, at_home: Page, live_server: LiveServer, accepted: Booking, coach: Coach
) -> None:
    today = clock.now().date()
    empty = (today.replace(day=1) + timedelta(days=70)).replace(day=1)
    DateOverride.objects.create(
        coach=coach, first_day=empty - timedelta(days=2), last_day=empty + timedelta(days=33), windows=[]
    )
    at_home.set_viewport_size(size)
    at_home.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    choose, propose = f"/book/{accepted.offering_id}/", f"/sessions/{accepted.pk}/propose/"
    later = free(accepted.offering, 80).strftime("%Y-%m-%dT%H:%M:%SZ")
    for path in (choose, f"{choose}?month={empty:%Y-%m}", propose, f"{propose}?start={later}", f"{propose}?start=x"):
        at_home.goto(live_server.url + path)
        found = [(each["id"], each["nodes"][0]["html"]) for each in Axe().run(at_home).response["violations"]]
        assert found == [], path
        assert at_home.evaluate("document.documentElement.scrollWidth") == size["width"], path
        assert at_home.locator("h1").count() == 1
        small = at_home.evaluate(
            "[...document.querySelectorAll('main .slot, main .button, .calendar a')]"
            ".filter(each => each.getBoundingClientRect().height < 44).map(each => each.outerHTML)"
        )
        assert small == [], path
