"""The pages of a coach's time in a real browser: fit for everyone, by keyboard and without a script too."""

from datetime import date, time, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.urls import reverse

from coaches import selectors, services
from coaches.models import Coach, DateOverride, Offering
from coaches.slots import DayWindow, Window
from marketplace import clock
from marketplace.lib.zones import in_zone
from marketplace.tests.factories import OfferingFactory
from marketplace.tests.test_pages_browser import IN_BOTH, PHONE, assert_fit, open_window, sign_in, with_password

if TYPE_CHECKING:
    from marketplace.tests.test_pages_browser import Open

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.thorough]

__all__ = ["open_window"]  # a fixture

WEEK = [
    Window(0, time(9), time(12, 30)),
    Window(0, time(14), time(18)),
    Window(3, time(22), time(2), ends_next_day=True),
    Window(4, time(9), time(9, 15)),
]


def in_days(days: int, coach: Coach) -> date:
    return in_zone(clock.now(), coach.time_zone).date() + timedelta(days=days)


def plan(coach: Coach, first: int, last: int, note: str, *windows: DayWindow) -> DateOverride:
    return services.save_override(
        coach=coach,
        override=None,
        first_day=in_days(first, coach),
        last_day=in_days(last, coach),
        windows=windows,
        note=note,
        now=clock.now(),
    )


@IN_BOTH
def test_the_pages_of_a_coachs_time_are_fit_for_everyone(
    live_server: Any, offering: Offering, open_window: "Open", viewport: dict[str, int], scheme: str
) -> None:
    coach = offering.coach
    OfferingFactory.create(coach=coach, title="A second, longer one", minutes=120, notice_minutes=1440)
    page = open_window(viewport=viewport, color_scheme=scheme)
    sign_in(page, live_server.url, with_password(coach.user))
    page.goto(live_server.url + reverse("coaches:overrides"))
    assert_fit(page, "no days yet")
    services.save_hours(coach=coach, windows=WEEK)
    plan(coach, 2, 12, "Holidays with everyone and " + "x" * 90)
    override = plan(coach, 20, 20, "", DayWindow(time(9), time(12)), DayWindow(time(20), time(2), ends_next_day=True))
    for address in [
        reverse("coaches:hours"),
        reverse("coaches:overrides"),
        reverse("coaches:new_override"),
        reverse("coaches:edit_override", args=[override.pk]),
        reverse("coaches:rules"),
        reverse("coaches:edit_offering", args=[offering.pk]),
        reverse("coaches:offerings"),
    ]:
        page.goto(live_server.url + address)
        for closed in page.locator("details:not([open]) > summary").all():
            closed.click()
        assert page.locator("h1").count() == 1, address
        assert_fit(page, address)


@IN_BOTH
def test_refused_hours_are_fit_for_everyone_without_a_script(
    live_server: Any, coach: Coach, open_window: "Open", viewport: dict[str, int], scheme: str
) -> None:
    services.save_hours(coach=coach, windows=[])
    page = open_window(viewport=viewport, color_scheme=scheme, java_script_enabled=False)
    sign_in(page, live_server.url, with_password(coach.user))
    page.goto(live_server.url + reverse("coaches:hours"))
    sunday, monday = page.get_by_role("group", name="Sunday"), page.get_by_role("group", name="Monday")
    sunday.get_by_label("From").fill("22:00")
    sunday.get_by_label("To").fill("02:00")
    page.get_by_role("button", name="Save the week").last.click()
    sunday.get_by_text("tick “Next day”").wait_for()
    assert sunday.get_by_label("From").input_value() == "22:00"
    sunday.get_by_label("Next day").check()
    monday.get_by_label("From").fill("01:00")
    monday.get_by_label("To").fill("03:00")
    page.get_by_role("button", name="Save the week").last.click()
    monday.get_by_text("overlaps Sunday's 22:00 to 02:00 the next day").wait_for()
    assert sunday.get_by_label("Next day").is_checked()
    monday.get_by_label("From").fill("02:00")
    page.get_by_role("button", name="Save the week").last.click()
    page.get_by_text("Your weekly hours are saved.").wait_for()
    assert selectors.windows_of(coach) == [
        Window(0, time(2), time(3)),
        Window(6, time(22), time(2), ends_next_day=True),
    ]


def test_refused_days_are_fit_for_everyone(live_server: Any, coach: Coach, open_window: "Open") -> None:
    page = open_window(viewport=PHONE)
    sign_in(page, live_server.url, with_password(coach.user))
    page.goto(live_server.url + reverse("coaches:new_override"))
    page.get_by_label("First day").fill(str(in_days(3, coach)))
    page.get_by_label("Last day").fill(str(in_days(2, coach)))
    page.get_by_label("Other hours").check()
    page.get_by_label("From").fill("12:00")
    page.get_by_label("To").fill("09:00")
    page.get_by_role("button", name="Save").last.click()
    page.get_by_text("The last day is before the first one.").wait_for()
    assert_fit(page, "refused days")
    page.get_by_label("Last day").fill("")
    page.get_by_label("Next day").check()
    page.keyboard.press("Enter")  # "save", not "add hours"
    page.get_by_text("12:00 to 09:00 the next day").wait_for()
    assert DateOverride.objects.get().first_day == in_days(3, coach)
