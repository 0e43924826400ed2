"""The month and the day to choose a time from: whose clock, which months, what is said where nothing is free."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bookings import selectors
from bookings.models import Booking
from bookings.picker import Day, Picker, Wanted, picker_of
from bookings.tests.factories import NOW, START, book, known_student
from bookings.tests.pages import free, post_booking, text
from coaches.models import Coach, DateOverride, Offering, WeeklyHours
from coaches.slots import Range
from marketplace import clock
from marketplace.lib.zones import in_zone
from marketplace.models import User
from marketplace.tests.factories import UserFactory
from marketplace.tests.sandbox import Sandbox

pytestmark = pytest.mark.django_db

BERLIN = "Europe/Berlin"


def look(
    offering: Offering,
    *,
    zone: str = BERLIN,
    now: datetime = NOW,
    month: date | None = None,
    day: date | None = None,
    user: User | None = None,
) -> Picker:
    return picker_of(Wanted(offering=offering, zone=zone, now=now, user=user), month=month, day=day)


def free_days(picker: Picker) -> list[int]:
    return [day.date.day for week in picker.weeks for day in week if day and day.free]


def closed(coach: Coach, first_day: date, last_day: date) -> None:
    DateOverride.objects.create(coach=coach, first_day=first_day, last_day=last_day, windows=[])


def page(client: Client, offering: Offering, **query: str) -> str:
    return text(client.get(reverse("bookings:choose_slot", args=[offering.pk]), query))


# --- a month and a day --------------------------------------------------------------------------


def test_it_opens_at_the_next_free_time(offering: Offering) -> None:
    seen = look(offering)
    assert (seen.month, seen.day, seen.day_is_asked_for) == (date(2026, 11, 1), date(2026, 11, 20), False)
    # Three hours ahead at least, by the clock of Berlin.
    assert [in_zone(start, BERLIN).strftime("%d %H:%M") for start in seen.soonest] == [
        "20 16:00",
        "20 16:30",
        "20 17:00",
        "20 17:30",
        "20 18:00",
    ]
    assert seen.times[0] == seen.soonest[0]
    assert seen.previous is None
    assert seen.following == date(2026, 12, 1)


def test_it_opens_in_the_next_month_where_this_one_is_over(offering: Offering) -> None:
    late = datetime(2026, 11, 30, 21, 30, tzinfo=UTC)  # 22:30 in Berlin
    seen = look(offering, now=late)
    assert (seen.month, seen.day, seen.previous) == (date(2026, 12, 1), date(2026, 12, 1), None)


def test_a_month_is_whole_weeks_from_monday(offering: Offering) -> None:
    weeks = look(offering, month=date(2026, 12, 1)).weeks
    assert all(len(week) == 7 for week in weeks)
    assert weeks[0][0] is None  # 30 November
    assert weeks[0][1] is not None
    assert weeks[0][1].date == date(2026, 12, 1)
    days = [day.date.day for week in weeks for day in week if day]
    assert days == list(range(1, 32))


def test_a_month_counts_what_is_free_on_each_day_of_the_viewers_calendar(offering: Offering) -> None:
    for zone in (BERLIN, "Pacific/Kiritimati", "America/Los_Angeles"):
        expected: dict[date, int] = {}
        for start in selectors.open_slots(offering=offering, now=NOW):
            day = in_zone(start, zone).date()
            expected[day] = expected.get(day, 0) + 1
        seen = [day for week in look(offering, zone=zone, month=date(2026, 12, 1)).weeks for day in week if day]
        assert seen == [Day(date(2026, 12, n), expected[date(2026, 12, n)]) for n in range(1, 32)]


def test_the_times_of_a_day_are_those_that_begin_on_it(offering: Offering) -> None:
    seen = look(offering, day=date(2026, 12, 5))
    assert (seen.day, seen.day_is_asked_for) == (date(2026, 12, 5), True)
    whole = Range(datetime(2026, 12, 4, 23, tzinfo=UTC), datetime(2026, 12, 5, 23, tzinfo=UTC))
    assert seen.times == selectors.open_slots(offering=offering, now=NOW, within=whole)


def test_months_are_offered_up_to_the_coachs_last_day(offering: Offering, coach: Coach) -> None:
    december, new_york, tokyo = date(2026, 12, 1), "America/New_York", "Asia/Tokyo"
    coach.furthest_days = 40  # to 30 December in New York
    coach.save(update_fields=["furthest_days"])
    offering.refresh_from_db()
    assert look(offering, zone=tokyo).last_day == date(2026, 12, 31)
    assert look(offering, zone=tokyo, month=december).following is None

    coach.furthest_days = 41  # to New Year's Eve, whose evening is the next year in Tokyo
    coach.save(update_fields=["furthest_days"])
    offering.refresh_from_db()
    assert look(offering, zone=new_york, month=december).following is None
    assert look(offering, zone=tokyo, month=december).following == date(2027, 1, 1)
    january = look(offering, zone=tokyo, month=date(2027, 1, 1))
    assert (free_days(january), january.previous, january.following) == ([1], december, None)


@pytest.mark.parametrize("month", [date(2026, 10, 1), date(2027, 3, 1), date(1, 1, 1), date(9999, 12, 1)])
def test_a_month_without_any_possible_time_is_not_shown(month: date, offering: Offering) -> None:
    assert look(offering, month=month).month == date(2026, 11, 1)
    assert look(offering, day=month).month == date(2026, 11, 1)


def test_it_knows_where_to_go_on_from_a_month_without_free_times(offering: Offering, coach: Coach) -> None:
    closed(coach, date(2026, 11, 30), date(2027, 1, 4))
    december = look(offering, month=date(2026, 12, 1))
    assert (december.free, december.times, december.day) == (0, [], None)
    assert december.instead is not None
    assert in_zone(december.instead, coach.time_zone).date() == date(2027, 1, 5)

    closed(coach, date(2027, 1, 5), date(2027, 12, 31))
    december = look(offering, month=date(2026, 12, 1))
    assert december.instead == december.soonest[0]


def test_a_day_off_has_no_times(offering: Offering, coach: Coach) -> None:
    closed(coach, date(2026, 12, 10), date(2026, 12, 11))
    days = free_days(look(offering, zone=coach.time_zone, month=date(2026, 12, 1)))
    assert days == [*range(1, 10), *range(12, 32)]


def test_ones_own_sessions_are_left_out(offering: Offering, student: User) -> None:
    book(student, offering, starts_at=START)
    other = Offering.objects.create(
        coach=Coach.objects.create(
            user=UserFactory.create(), slug="b", display_name="B", headline="b", bio="b", subject="b", time_zone="UTC"
        ),
        title="Other",
        minutes=60,
        price_amount=5_000,
        currency="usd",
    )
    WeeklyHours.objects.create(coach=other.coach, weekday=START.weekday(), starts="00:00", ends="23:59")
    day = in_zone(START, BERLIN).date()
    assert START in look(other, day=day).times
    assert START not in look(other, day=day, user=student).times


@pytest.mark.parametrize(
    "zone", ["America/Havana", "Africa/Cairo", "Asia/Beirut", "Pacific/Apia", "Australia/Lord_Howe"]
)
def test_months_neither_overlap_nor_leave_anything_out(zone: str, offering: Offering, coach: Coach) -> None:
    coach.furthest_days = 200
    coach.save(update_fields=["furthest_days"])
    offering.refresh_from_db()
    everything = selectors.open_slots(offering=offering, now=NOW)
    counted = 0
    month: date | None = look(offering, zone=zone).month
    while month:
        seen = look(offering, zone=zone, month=month)
        counted, month = counted + seen.free, seen.following
        assert sum(day.free for week in seen.weeks for day in week if day) == seen.free
    assert counted == len(everything)


def test_the_cost_does_not_grow_with_the_bookings(client: Client, offering: Offering, sandbox: Sandbox) -> None:
    counts = []
    for index in (5, 9, 13):
        with CaptureQueriesContext(connection) as queries:
            page(client, offering)
        counts.append(len(queries))
        book(known_student(UserFactory.create()), offering, starts_at=free(offering, index), now=clock.now())
    assert counts[0] == counts[1] == counts[2] <= 12


# --- the page -----------------------------------------------------------------------------------


def test_the_page_names_the_zone_and_says_how_many_times_a_day_has(client: Client, offering: Offering) -> None:
    seen = page(client, offering, zone="Asia/Tokyo")
    assert "Free times, in Tokyo time" in seen
    assert re.search(r'<span class="visually-hidden"> \w+, \d+ free times</span>', seen)
    assert seen.count('scope="col"') == 7
    assert '<abbr title="Monday">Mon</abbr>' in seen


def test_days_without_free_times_are_plain_text(client: Client, offering: Offering, coach: Coach) -> None:
    WeeklyHours.objects.filter(coach=coach).exclude(weekday=2).delete()
    following = (in_zone(clock.now(), BERLIN).date().replace(day=1) + timedelta(days=32)).replace(day=1)
    answer = client.get(reverse("bookings:choose_slot", args=[offering.pk]), {"month": f"{following:%Y-%m}"})
    (picker,) = [answer.context["picker"]]
    linked = re.findall(r"\?day=([0-9-]+)", text(answer))
    assert linked == [f"{following.replace(day=day)}" for day in free_days(picker)]
    assert 4 <= len(linked) <= 10
    assert "<td><span>" in text(answer)


def test_a_full_month_says_where_the_next_time_is(client: Client, offering: Offering, coach: Coach) -> None:
    month = (in_zone(clock.now(), BERLIN).date().replace(day=1) + timedelta(days=32)).replace(day=1)
    after = (month + timedelta(days=32)).replace(day=1)
    closed(coach, month - timedelta(days=1), after)
    seen = page(client, offering, month=f"{month:%Y-%m}", zone=BERLIN)
    assert f"No free times in {month:%B}. The next is <a" in seen
    assert "calendar" in seen


def test_a_coach_without_any_free_time_is_told_in_words(client: Client, offering: Offering, coach: Coach) -> None:
    today = in_zone(clock.now(), BERLIN).date()
    closed(coach, today - timedelta(days=2), today + timedelta(days=400))
    seen = page(client, offering)
    assert "There is no free time up to" in seen
    assert "Next free times" not in seen


def test_a_day_that_has_filled_up_is_told_in_words(client: Client, offering: Offering, coach: Coach) -> None:
    day = in_zone(clock.now(), BERLIN).date() + timedelta(days=10)
    closed(coach, day - timedelta(days=1), day + timedelta(days=1))
    seen = page(client, offering, day=day.isoformat(), zone=BERLIN)
    assert f"There is no free time on {day:%A} {day.day} {day:%B}." in seen


@pytest.mark.everyday(4)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("month", value) for value in ("0000-13", "2026-13", "9999-12", "0001-01", "x", "", "2026-12-01", "\x00")),
        *(("day", value) for value in ("abc", "2026-02-30", "0000-00-00", "9999-12-31", "-1", "25:61", "١٢")),
        *(("zone", value) for value in ("../../", "Mars/Olympus", "/etc/passwd", "", "\x00", "a" * 5000)),
    ],
)
def test_a_broken_address_shows_the_next_free_time(name: str, value: str, client: Client, offering: Offering) -> None:
    answer = client.get(reverse("bookings:choose_slot", args=[offering.pk]), {name: value})
    assert answer.status_code == 200
    assert answer.context["picker"].times
    assert answer.context["picker"].zone == "UTC"


@pytest.mark.everyday(2)
@pytest.mark.parametrize(
    "start",
    [
        "",
        "x",
        "2026-12-01T10:00",  # whose clock?
        "2026-11-01T01:30",  # twice in New York
        "2027-03-14T02:30",  # never in New York
        "2026-12-01T25:61:00Z",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "10000-01-01T00:00:00Z",
    ],
)
def test_a_time_that_means_no_instant_is_asked_for_again(
    start: str, browser_of_student: Client, offering: Offering
) -> None:
    zone = {"zone": "America/New_York"}
    looked = browser_of_student.get(reverse("bookings:review", args=[offering.pk]), {"start": start, **zone})
    sent = post_booking(browser_of_student, offering, start, **zone)
    for answer in (looked, sent):
        assert answer.status_code == 400
        assert "Please choose a time from the list." in text(answer)
        assert f'action="{reverse("bookings:choose_slot", args=[offering.pk])}"' in text(answer)
        assert answer.context["picker"].times
    assert not Booking.objects.exists()


def test_a_time_that_is_not_offered_is_refused_with_the_nearest_that_are(
    browser_of_student: Client, offering: Offering, coach: Coach
) -> None:
    now = clock.now()
    off_day = in_zone(now, coach.time_zone).date() + timedelta(days=10)
    closed(coach, off_day, off_day)
    noon = datetime(off_day.year, off_day.month, off_day.day, 17, tzinfo=UTC)
    wrong = {
        "over": now - timedelta(days=1),
        "short notice": now + timedelta(minutes=5),
        "too far": now + timedelta(days=3650),
        "does not offer": free(offering) + timedelta(minutes=7),
        "not offer this time": noon,
    }
    for words, start in wrong.items():
        answer = post_booking(browser_of_student, offering, start, note="My own words")
        assert answer.status_code in (400, 409)
        assert words in text(answer)
        assert "My own words" in text(answer)
        assert len(answer.context["nearest"]) == 3
        assert set(answer.context["nearest"]) <= set(selectors.open_slots(offering=offering, now=now))
    assert not Booking.objects.exists()
