"""The pages of outside calendars in a real browser."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.urls import reverse

from coaches.models import CalendarFeed, Coach
from coaches.tests.test_calendar_pages import make_feed
from marketplace import clock
from marketplace.tests.test_pages_browser import DESKTOP, PHONE, assert_fit, sign_in, with_password

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.thorough]


@pytest.mark.parametrize(
    ("viewport", "scheme"), [(PHONE, "light"), (DESKTOP, "dark")], ids=["phone, light", "desktop, dark"]
)
def test_the_pages_of_calendars_are_fit_for_everyone(
    live_server: Any, coach: Coach, page: "Page", viewport: Any, scheme: Any
) -> None:
    now = clock.now()
    page.set_viewport_size(viewport)
    page.emulate_media(color_scheme=scheme)
    sign_in(page, live_server.url, with_password(coach.user))
    page.goto(live_server.url + reverse("coaches:calendars"))
    assert_fit(page, "no calendar yet")
    feed = make_feed(coach, name="A" * 60)
    make_feed(coach, name="In trouble", trouble="The calendar's server answers too slowly.")
    make_feed(coach, name="Stale", read_at=now - timedelta(days=3), trouble="There is no calendar any more.")
    make_feed(coach, name="New", read_at=None, tried_at=None, next_read_at=now)
    for address in (reverse("coaches:calendars"), reverse("coaches:edit_calendar", args=[feed.pk])):
        page.goto(live_server.url + address)
        assert page.locator("h1").count() == 1
        assert_fit(page, address)


def test_a_calendar_is_added_by_keyboard_and_the_page_follows_by_itself(
    live_server: Any, coach: Coach, page: "Page"
) -> None:
    sign_in(page, live_server.url, with_password(coach.user))
    page.goto(live_server.url + reverse("coaches:calendars"))
    page.get_by_label("What you call it").fill("Family")
    page.get_by_label("Its address").fill("webcal://calendar.example/a.ics")
    page.keyboard.press("Enter")
    page.get_by_text("Being read").wait_for()
    now = clock.now()
    CalendarFeed.objects.update(read_at=now, tried_at=now, next_read_at=now + timedelta(minutes=10))
    page.get_by_text("Read just now; no busy times in the next 90 days").wait_for()
    page.get_by_role("button", name="Read now the calendar Family").wait_for()
    assert page.get_by_text("Being read").count() == 0
