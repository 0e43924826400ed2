"""What students see, shown to the coach beside their hours; and what may surprise in them."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from django.test import Client
from django.urls import reverse

from coaches import preview, services
from coaches.models import Coach, DateOverride, Offering
from coaches.slots import Window
from marketplace.tests.factories import CoachFactory, OfferingFactory

pytestmark = pytest.mark.django_db

MONDAY = datetime(2026, 6, 1, 4, tzinfo=UTC)  # midnight in New York
EVERY_DAY = [Window(day, time(9), time(17)) for day in range(7)]


@pytest.fixture
def hour() -> Offering:
    """An hour of a coach in New York who has no hours yet."""
    return OfferingFactory.create()


def starts(shown: preview.Preview) -> list[str]:
    return [f"{start:%a %H:%M}" for day in shown.days for start in day.starts]


def test_it_shows_the_next_free_times_by_hours_and_rules(hour: Offering) -> None:
    services.save_hours(coach=hour.coach, windows=[Window(1, time(22), time(1), ends_next_day=True)])
    Coach.objects.update(step_minutes=60)
    hour.coach.refresh_from_db()
    shown = preview.preview_of(hour, now=MONDAY)
    # 22:00, 23:00 and midnight of New York.
    assert starts(shown) == ["Wed 02:00", "Wed 03:00", "Wed 04:00"] * 2
    assert [len(day.starts) for day in shown.days] == [2, 1, 2, 1]
    assert shown.days_more == 0


def test_it_shows_the_first_days_and_counts_the_others(hour: Offering) -> None:
    services.save_hours(coach=hour.coach, windows=EVERY_DAY)
    shown = preview.preview_of(hour, now=MONDAY)
    assert [(len(day.starts), day.more) for day in shown.days] == [(6, 9)] * 5
    assert shown.days_more == 9


def test_a_day_off_is_not_among_them(hour: Offering) -> None:
    services.save_hours(coach=hour.coach, windows=EVERY_DAY)
    DateOverride.objects.create(coach=hour.coach, first_day=date(2026, 6, 1), last_day=date(2026, 6, 3))
    assert starts(preview.preview_of(hour, now=MONDAY))[0] == "Thu 13:00"


# --- what may surprise --------------------------------------------------------------------------


def warnings(coach: Coach, now: datetime = MONDAY) -> list[str]:
    return preview.warnings_of(coach, list(coach.offerings.select_related("coach")), now=now)


def test_hours_that_no_session_fits_into_are_named(hour: Offering) -> None:
    OfferingFactory.create(coach=hour.coach, minutes=90)
    services.save_hours(coach=hour.coach, windows=[Window(0, time(9), time(9, 59)), Window(1, time(9), time(10))])
    assert warnings(hour.coach) == ["On Monday, 09:00 to 09:59: no session fits in. Your shortest takes 1 hour."]


def test_short_hours_that_touch_others_are_fine_also_around_the_weeks_end(hour: Offering) -> None:
    windows = [Window(6, time(23, 30), time(0), ends_next_day=True), Window(0, time(0), time(0, 30))]
    services.save_hours(coach=hour.coach, windows=windows)
    assert warnings(hour.coach) == []


def test_without_an_offering_nothing_is_too_short(coach: Coach) -> None:
    services.save_hours(coach=coach, windows=[Window(0, time(9), time(9, 1))])
    assert warnings(coach) == []


@pytest.mark.parametrize(
    ("zone", "now", "words"),
    [
        (
            "Europe/Berlin",
            datetime(2026, 3, 1, tzinfo=UTC),
            (
                "On Sunday 29 March 2026, clocks go forward by 1 hour in Berlin time. "
                "Times that the clock skips can't be booked."
            ),
        ),
        (
            "Australia/Lord_Howe",
            datetime(2026, 4, 1, tzinfo=UTC),
            (
                "On Sunday 5 April 2026, clocks go back by 30 minutes in Lord Howe time. "
                "Times that come twice can be booked twice; students see which is which."
            ),
        ),
        (
            "America/Santiago",  # at midnight
            datetime(2026, 9, 1, tzinfo=UTC),
            (
                "On Sunday 6 September 2026, clocks go forward by 1 hour in Santiago time. "
                "Times that the clock skips can't be booked."
            ),
        ),
    ],
)
def test_days_on_which_clocks_change_are_named(zone: str, now: datetime, words: str) -> None:
    assert preview.clock_changes(CoachFactory.create(time_zone=zone), now=now) == [words]


def test_only_days_that_can_be_booked_are_named() -> None:
    coach = CoachFactory.create(time_zone="Europe/Berlin", furthest_days=27)
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert preview.clock_changes(coach, now=now) == []
    assert len(preview.clock_changes(coach, now=now + timedelta(days=1))) == 1


# --- the page -----------------------------------------------------------------------------------


def test_the_hours_page_shows_the_offering_that_is_asked_for(client: Client, offering: Offering) -> None:
    other = OfferingFactory.create(coach=offering.coach, title="Half an hour", minutes=30, price_amount=20_000)
    client.force_login(offering.coach.user)
    page = client.get(reverse("coaches:hours"))
    assert page.context["preview"].offering == offering
    assert "What students see" in page.content.decode()
    assert "Sessions that are booked" in page.content.decode()
    page = client.get(reverse("coaches:hours"), {"offering": other.pk})
    assert page.context["preview"].offering == other


@pytest.mark.parametrize("asked", ["0", "-1", "x", "", "9" * 40, "\x00"])
def test_an_offering_that_is_not_theirs_shows_the_first_one(client: Client, offering: Offering, asked: str) -> None:
    stranger = OfferingFactory.create()
    client.force_login(offering.coach.user)
    for number in (asked, str(stranger.pk)):
        page = client.get(reverse("coaches:hours"), {"offering": number})
        assert page.context["preview"].offering == offering


def test_without_an_offering_there_is_no_preview(client: Client, coach: Coach) -> None:
    client.force_login(coach.user)
    assert "What students see" not in client.get(reverse("coaches:hours")).content.decode()
