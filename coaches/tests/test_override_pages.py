"""Dates with other hours, or none: what a coach types, and what is wrong with it in words."""

import threading
from datetime import UTC, date, datetime, time, timedelta

import pytest
from django.db import connections
from django.test import Client
from django.urls import reverse

from coaches import selectors, services
from coaches.models import Coach, DateOverride
from coaches.slots import DayWindow
from coaches.windows import days_in_words
from marketplace import clock
from marketplace.lib.zones import in_zone
from marketplace.tests.factories import CoachFactory

pytestmark = pytest.mark.django_db

NEW = "/teach/dates/new/"


@pytest.fixture
def own(client: Client, coach: Coach) -> Client:
    """The coach, signed in."""
    client.force_login(coach.user)
    return client


def ahead(days: int, coach: Coach) -> date:
    """That many days from today of the coach's calendar."""
    return in_zone(clock.now(), coach.time_zone).date() + timedelta(days=days)


def off(coach: Coach, first: int, last: int, note: str = "") -> DateOverride:
    return DateOverride.objects.create(
        coach=coach, first_day=ahead(first, coach), last_day=ahead(last, coach), note=note, windows=[]
    )


def typed(coach: Coach, first: int, last: int | None = None, *hours: str, **more: str) -> dict[str, str]:
    """A plus after the hours ticks "Next day"."""
    data = {
        "first_day": str(ahead(first, coach)),
        "last_day": "" if last is None else str(ahead(last, coach)),
        "kind": "hours" if hours else "off",
        "note": "",
        "hours-0-starts": "",
        "hours-0-ends": "",
        **more,
    }
    for index, span in enumerate(hours):
        starts, _, ends = span.removesuffix("+").partition("-")
        data |= {f"hours-{index}-starts": starts, f"hours-{index}-ends": ends}
        if span.endswith("+"):
            data[f"hours-{index}-ends_next_day"] = "on"
    return data


def kept(coach: Coach) -> list[tuple[date, date, list[DayWindow], str]]:
    return [
        (each.first_day, each.last_day, selectors.override_windows(each), each.note)
        for each in DateOverride.objects.filter(coach=coach).order_by("first_day")
    ]


# --- adding and changing ------------------------------------------------------------------------


def test_one_day_off_needs_one_date_alone(own: Client, coach: Coach) -> None:
    answer = own.post(NEW, typed(coach, 3))
    assert answer["Location"] == reverse("coaches:overrides")
    assert kept(coach) == [(ahead(3, coach), ahead(3, coach), [], "")]


def test_holidays_are_a_range_with_a_note_and_leave_the_week_alone(own: Client, coach: Coach) -> None:
    week = selectors.windows_of(coach)
    own.post(NEW, typed(coach, 3, 12, note="Holidays"))
    assert kept(coach) == [(ahead(3, coach), ahead(12, coach), [], "Holidays")]
    assert selectors.windows_of(coach) == week


def test_other_hours_may_be_several_and_run_over_midnight(own: Client, coach: Coach) -> None:
    own.post(NEW, typed(coach, 3, 4, "20:00-00:00+", "09:00-12:00"))
    windows = [DayWindow(time(9), time(12)), DayWindow(time(20), time(0), ends_next_day=True)]
    assert kept(coach) == [(ahead(3, coach), ahead(4, coach), windows, "")]


def test_hours_that_run_into_the_next_day_may_meet_those_of_the_next_day(own: Client, coach: Coach) -> None:
    own.post(NEW, typed(coach, 3, 9, "22:00-02:00+", "01:00-03:00"))
    assert len(kept(coach)) == 1


def test_an_override_is_changed_in_place(own: Client, coach: Coach) -> None:
    override = off(coach, 3, 5)
    url = reverse("coaches:edit_override", args=[override.pk])
    assert f'value="{ahead(5, coach)}"' in own.get(url).content.decode()
    own.post(url, typed(coach, 4, 6, "10:00-11:00"))
    assert kept(coach) == [(ahead(4, coach), ahead(6, coach), [DayWindow(time(10), time(11))], "")]
    assert 'value="10:00"' in own.get(url).content.decode()


def test_holidays_that_are_under_way_can_be_changed(own: Client, coach: Coach) -> None:
    override = off(coach, -3, 5)
    own.post(reverse("coaches:edit_override", args=[override.pk]), typed(coach, -3, 1))
    assert kept(coach) == [(ahead(-3, coach), ahead(1, coach), [], "")]


def test_an_override_is_removed_by_a_button_not_by_a_visit(own: Client, coach: Coach) -> None:
    url = reverse("coaches:remove_override", args=[off(coach, 3, 5).pk])
    assert own.get(url).status_code == 405
    assert len(kept(coach)) == 1
    assert own.post(url)["Location"] == reverse("coaches:overrides")
    assert kept(coach) == []


def test_asking_for_more_hours_keeps_what_was_typed_and_saves_nothing(own: Client, coach: Coach) -> None:
    data = typed(coach, 3, 5, "22:00-02:00+", "10:00-", note="Fair", another="yes")
    page = own.post(NEW, data).content.decode()
    for value in (f'value="{ahead(3, coach)}"', f'value="{ahead(5, coach)}"', 'value="22:00"', 'value="10:00"'):
        assert value in page
    assert 'value="Fair"' in page
    assert 'name="hours-2-starts"' in page
    assert page.count(" checked") == 2  # "other hours", and "next day"
    assert kept(coach) == []


def test_hours_typed_for_days_off_do_not_count(own: Client, coach: Coach) -> None:
    own.post(NEW, {**typed(coach, 3, None, "10:00-11:00"), "kind": "off"})
    assert kept(coach) == [(ahead(3, coach), ahead(3, coach), [], "")]


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.everyday(3)
@pytest.mark.parametrize(
    ("first", "last", "hours", "words"),
    [
        (5, 4, [], "The last day is before the first one."),
        (-3, -1, [], "This is over already."),
        (-1, None, [], "This is over already."),
        (1, 367, [], "Choose at most 366 days at once."),
        (800, None, [], "Choose days in the next two years."),
        (3, None, ["12:00-09:00"], "tick “Next day”"),
        (3, None, ["09:00-17:00+"], "longer than 24 hours"),
        (3, None, ["09:00-12:00", "11:00-13:00"], "11:00 to 13:00 overlaps 09:00 to 12:00."),
        (3, None, ["22:00-02:00+", "23:00-23:30"], "23:00 to 23:30 overlaps 22:00 to 02:00 the next day."),
        (3, None, ["09:00-12:00", "09:00-12:00"], "overlaps"),
        (3, None, ["09:00-"], "Say when it ends."),
        (3, None, ["-"], "Type the hours below, or choose “Not available”."),
    ],
)
def test_it_refuses_days_and_hours_in_words_and_keeps_what_was_typed(
    own: Client, coach: Coach, first: int, last: int | None, hours: list[str], words: str
) -> None:
    page = own.post(NEW, typed(coach, first, last, *hours, note="Fair")).content.decode()
    assert words in page
    assert f'value="{ahead(first, coach)}"' in page
    assert 'value="Fair"' in page
    assert kept(coach) == []


def test_other_hours_without_a_row_of_hours_are_refused_in_words(own: Client, coach: Coach) -> None:
    answer = own.post(NEW, {"first_day": str(ahead(3, coach)), "kind": "hours"})
    assert answer.context["form"].errors == {"kind": ["Type the hours below, or choose “Not available”."]}
    assert kept(coach) == []


@pytest.mark.everyday(3)
@pytest.mark.parametrize(
    "day", ["", "soon", "12/24/2026", "2026-13-01", "0001-01-01", "9999-12-31", "2026-02-30", "\x00", "9" * 400]
)
def test_it_refuses_what_is_no_day_to_plan_for(own: Client, coach: Coach, day: str) -> None:
    answer = own.post(NEW, {**typed(coach, 3), "first_day": day})
    assert "first_day" in answer.context["form"].errors
    assert kept(coach) == []


def test_the_longest_range_is_366_days(own: Client, coach: Coach) -> None:
    own.post(NEW, typed(coach, 1, 366))
    assert len(kept(coach)) == 1


@pytest.mark.parametrize(("first", "last"), [(5, 5), (1, 3), (5, 9), (1, 9), (4, 4)])
def test_days_that_have_other_hours_already_are_refused_and_named(
    own: Client, coach: Coach, first: int, last: int
) -> None:
    other = off(coach, 3, 5, "Holidays")
    page = own.post(NEW, typed(coach, first, last)).content.decode()
    days = days_in_words(other.first_day, other.last_day)
    assert f"You already have other hours for {days} (Holidays)." in page
    assert len(kept(coach)) == 1


def test_days_beside_it_and_days_of_another_coach_are_free(own: Client, coach: Coach) -> None:
    off(coach, 3, 5)
    off(CoachFactory.create(), 6, 8)
    own.post(NEW, typed(coach, 6, 8))
    assert len(kept(coach)) == 2


def test_an_override_does_not_stand_in_its_own_way(own: Client, coach: Coach) -> None:
    override = off(coach, 3, 5)
    own.post(reverse("coaches:edit_override", args=[override.pk]), typed(coach, 4, 7))
    assert kept(coach) == [(ahead(4, coach), ahead(7, coach), [], "")]


def test_so_many_dates_ahead_and_no_more(own: Client, coach: Coach) -> None:
    DateOverride.objects.bulk_create(
        DateOverride(coach=coach, first_day=ahead(2 * n, coach), last_day=ahead(2 * n, coach))
        for n in range(services.MOST_COMING_OVERRIDES)
    )
    page = own.post(NEW, typed(coach, 301)).content.decode()
    assert "You have 100 dates with other hours ahead" in page
    assert DateOverride.objects.count() == services.MOST_COMING_OVERRIDES
    assert "the most there can be" in own.get(reverse("coaches:overrides")).content.decode()


@pytest.mark.parametrize("name", ["edit_override", "remove_override"])
def test_another_coachs_dates_are_not_found(own: Client, name: str) -> None:
    other = off(CoachFactory.create(), 3, 5)
    assert own.post(reverse(f"coaches:{name}", args=[other.pk]), typed(other.coach, 3)).status_code == 404
    assert len(kept(other.coach)) == 1


@pytest.mark.django_db(transaction=True)
def test_two_saves_at_once_do_not_share_a_day() -> None:
    coach, refused = CoachFactory.create(), []
    barrier = threading.Barrier(4)

    def save() -> None:
        barrier.wait(timeout=60)
        try:
            services.save_override(
                coach=coach,
                override=None,
                first_day=date(2030, 1, 1),
                last_day=date(2030, 1, 2),
                windows=[],
                note="",
                now=datetime(2029, 12, 1, tzinfo=UTC),
            )
        except services.OverridesOverlapError as error:
            refused.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=save) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(refused) == 3
    assert DateOverride.objects.count() == 1


# --- what is shown ------------------------------------------------------------------------------


def test_what_is_over_is_not_shown_and_what_ends_today_is(own: Client, coach: Coach) -> None:
    off(coach, -9, -1, "Long ago")
    off(coach, 0, 0, "Today")
    DateOverride.objects.create(
        coach=coach,
        first_day=ahead(2, coach),
        last_day=ahead(2, coach),
        windows=[{"starts": "22:00", "ends": "02:00", "ends_next_day": True}],
    )
    page = own.get(reverse("coaches:overrides")).content.decode()
    assert "Long ago" not in page
    assert page.index("Today") < page.index("22:00 to 02:00 the next day")
    assert "What is booked stays as it is." in page
