"""Booking in a real browser: the return page follows the state by itself, and a taken time costs no typing."""

import pytest
from django.test import Client
from playwright.sync_api import Page, ViewportSize, expect
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from bookings.models import Booking
from bookings.tests.factories import book, known_student
from bookings.tests.pages import free, learn
from coaches.models import Offering
from marketplace import clock
from marketplace.models import User
from marketplace.tests.factories import UserFactory

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]

PHONE: ViewportSize = {"width": 390, "height": 844}


@pytest.fixture
def at_home(live_server: LiveServer, page: Page, settings: Settings, browser_of_student: Client) -> Page:
    """The student's own browser, signed in."""
    settings.SITE_URL = live_server.url
    cookie = browser_of_student.cookies["sessionid"].value
    page.context.add_cookies([{"name": "sessionid", "value": cookie, "url": live_server.url}])
    return page


def go(page: Page, live_server: LiveServer, path: str) -> None:
    page.goto(live_server.url + path)


def test_the_return_page_turns_into_the_result_by_itself(
    at_home: Page, live_server: LiveServer, offering: Offering
) -> None:
    go(at_home, live_server, f"/book/{offering.pk}/")
    at_home.locator(".slot").nth(3).click()
    at_home.get_by_label("What would you like to work on?").fill("Scales.")
    at_home.get_by_role("button", name="Continue to payment").click()
    at_home.locator("[value=pm_card_visa]").click()
    expect(at_home.get_by_text("We are confirming your payment")).to_be_visible()

    learn(Booking.objects.get())
    expect(at_home.get_by_role("heading", name="Your request is with Carla Coach")).to_be_visible()


def test_a_taken_time_is_replaced_by_one_click_with_the_words_kept(
    at_home: Page, live_server: LiveServer, offering: Offering
) -> None:
    start = free(offering)
    go(at_home, live_server, f"/book/{offering.pk}/review/?start={start:%Y-%m-%dT%H:%M:%SZ}")
    at_home.get_by_label("What would you like to work on?").fill("My own words")
    book(known_student(UserFactory.create()), offering, starts_at=start, now=clock.now())
    at_home.get_by_role("button", name="Continue to payment").click()
    expect(at_home.get_by_text("This time has just been taken.")).to_be_visible()

    at_home.locator("button[name=start]").first.click()
    at_home.wait_for_url("**/c/pay/**")
    mine = Booking.objects.get(note="My own words")
    assert mine.starts_at != start


def test_no_page_is_wider_than_a_phone(at_home: Page, live_server: LiveServer, buyer: User, offering: Offering) -> None:
    booking = book(known_student(buyer), offering, starts_at=free(offering), now=clock.now())
    at_home.set_viewport_size(PHONE)
    own = f"/sessions/{booking.pk}/"
    for path in (f"/book/{offering.pk}/", "/sessions/", "/sessions/?earlier", own, f"{own}paid/"):
        go(at_home, live_server, path)
        assert at_home.evaluate("document.documentElement.scrollWidth") == PHONE["width"], path
