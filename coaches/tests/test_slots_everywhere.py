"""Free times in all zones of the tz database, on every day on which their clocks change, against a slow reference."""

import os
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coaches.slots import DayWindow, Override, Range, Rules, Window, free_slots
from coaches.tests.slots_reference import DAY, MINUTE, Reference, days_of_change

pytestmark = pytest.mark.thorough

FULL_SWEEP = os.environ.get("FULL_SWEEP") == "true"

# `localtime` is no zone of the database, but whatever this machine is set to.
ZONES = sorted(available_timezones() - {"localtime"})
# With FULL_SWEEP=true it is each of them.
FEW_ZONES = ["UTC", "Europe/Dublin", "Africa/Casablanca", "Antarctica/Troll", "Australia/Lord_Howe"]
YEARS = date(2025, 1, 1), date(2027, 12, 31)
# Clocks that do what none does in these years: a skipped day, a repeated day, a change at a minute past midnight, an
# offset in minutes, a whole day of the calendar moved by a country's choice.
ODD_DAYS = [
    ("Pacific/Apia", date(2011, 12, 30)),
    ("Pacific/Fakaofo", date(2011, 12, 30)),
    ("Pacific/Kwajalein", date(1993, 8, 21)),
    ("Pacific/Kwajalein", date(1969, 9, 30)),
    ("Pacific/Enderbury", date(1994, 12, 31)),
    ("America/St_Johns", date(2006, 4, 2)),
    ("America/St_Johns", date(2006, 10, 29)),
    ("Asia/Pyongyang", date(2018, 5, 4)),
    ("America/Caracas", date(2016, 5, 1)),
    ("Antarctica/Troll", date(2026, 3, 29)),
    ("Antarctica/Casey", date(2020, 10, 3)),
    ("Europe/Dublin", date(1971, 10, 31)),
]


@cache
def changes(zone: str) -> list[date]:
    return days_of_change(zone, *YEARS)


@cache
def distinct_changes() -> list[tuple[str, date]]:
    """One zone and day for each way in which clocks change in these years: from, to, and at what time of the day."""
    found: dict[object, tuple[str, date]] = {}
    for zone in ZONES:
        for day in changes(zone):
            found.setdefault(_manner(zone, day), (zone, day))
    return list(found.values())


def _manner(zone: str, day: date) -> object:
    """The local times at the full quarters of that day in UTC, without the date."""
    begin, info = datetime.combine(day, time(), UTC), ZoneInfo(zone)
    return tuple((begin + index * 15 * MINUTE).astimezone(info).strftime("%H:%M%z") for index in range(97))


def around(day: date) -> Range:
    """The day of the change with half a day on each side."""
    begin = datetime.combine(day, time(), UTC)
    return Range(begin - DAY / 2, begin + 1.5 * DAY)


def agree(rules: Rules, duration: timedelta, **question: Any) -> list[datetime]:
    answer = free_slots(rules=rules, duration=duration, **question)
    assert answer == Reference(rules, duration).free_slots(**question)
    return answer


# --- one rich week, at every kind of change -----------------------------------------------------


def rich_week(zone: str, day: date) -> Rules:
    """Open nearly around the clock, by windows that touch, overlap, run over midnight and lie off the quarters."""
    windows = [
        window
        for weekday in range(7)
        for window in (
            Window(weekday, time(0, 20), time(2, 30)),
            Window(weekday, time(2, 30), time(3, 45)),
            Window(weekday, time(3, 10), time(11)),
            Window(weekday, time(22, 45), time(0, 10), ends_next_day=True),
        )
    ]
    return Rules(
        zone=zone,
        windows=tuple(windows),
        overrides=(Override(day + DAY, day + DAY, (DayWindow(time(1), time(1), ends_next_day=True),)),),
        step=timedelta(minutes=25),
        buffer_before=10 * MINUTE,
        buffer_after=5 * MINUTE,
        notice=timedelta(hours=3),
        furthest_days=1,
        most_a_day=None,
        most_a_week=None,
    )


def one_rich_question(zone: str, day: date) -> list[datetime]:
    within = around(day)
    busy = [Range(within.start + hours * 60 * MINUTE, within.start + (hours * 60 + 35) * MINUTE) for hours in (9, 21)]
    own = [Range(within.start + 15 * 60 * MINUTE, within.start + 16 * 60 * MINUTE)]
    rules = rich_week(zone, day)
    return agree(rules, 40 * MINUTE, busy=busy, elsewhere=own, booked=[], within=within, now=within.start)


def test_it_agrees_at_every_kind_of_change_of_three_years() -> None:
    kinds = distinct_changes()
    assert len(kinds) > 50
    assert all(one_rich_question(zone, day) for zone, day in kinds)


@pytest.mark.parametrize(("zone", "day"), ODD_DAYS)
def test_it_agrees_where_clocks_did_what_they_seldom_do(zone: str, day: date) -> None:
    assert days_of_change(zone, day - DAY, day + DAY)
    assert one_rich_question(zone, day)


@pytest.mark.parametrize("zone", ["Africa/Casablanca", "Europe/Dublin", "Australia/Lord_Howe"])
def test_it_agrees_at_each_change_of_zones_with_ways_of_their_own(zone: str) -> None:
    """Ramadan's two changes more, a winter time that is the exception, half an hour."""
    assert len(changes(zone)) == 6
    assert all(one_rich_question(zone, day) for day in changes(zone))


# --- any rules, anywhere ------------------------------------------------------------------------

minutes_of_day = st.integers(0, 287).map(lambda index: time(index // 12, index % 12 * 5))
few_minutes = st.integers(0, 12).map(lambda index: index * 5 * MINUTE)


@st.composite
def day_windows(draw: st.DrawFn) -> DayWindow:
    starts, ends = draw(minutes_of_day), draw(minutes_of_day)
    return DayWindow(starts, ends, ends_next_day=ends <= starts)


@st.composite
def overrides(draw: st.DrawFn, day: date) -> tuple[Override, ...]:
    """None to three, of days of their own."""
    days = draw(st.lists(st.integers(-2, 3), max_size=3, unique=True))
    windows = st.lists(day_windows(), max_size=2).map(tuple)
    return tuple(Override(day + index * DAY, day + index * DAY, draw(windows)) for index in days)


@st.composite
def any_rules(draw: st.DrawFn, zone: str, day: date) -> Rules:
    daily = draw(st.lists(st.tuples(st.integers(0, 6), day_windows()), max_size=9))
    limits = st.none() | st.integers(0, 3)
    return Rules(
        zone=zone,
        windows=tuple(Window(weekday, each.starts, each.ends, each.ends_next_day) for weekday, each in daily),
        overrides=draw(overrides(day)),
        step=draw(st.sampled_from([5, 15, 20, 30, 45, 60, 90])) * MINUTE,
        buffer_before=draw(few_minutes),
        buffer_after=draw(few_minutes),
        notice=draw(st.sampled_from([0, 60, 185, 1440])) * MINUTE,
        furthest_days=draw(st.sampled_from([1, 2, 90])),
        most_a_day=draw(limits),
        most_a_week=draw(limits),
    )


@st.composite
def ranges(draw: st.DrawFn, within: Range) -> list[Range]:
    pairs = draw(st.lists(st.tuples(st.integers(-60, 60 * 11), st.integers(0, 60)), max_size=4))
    return [
        Range(within.start + start * 5 * MINUTE, within.start + (start + more) * 5 * MINUTE) for start, more in pairs
    ]


@st.composite
def questions(draw: st.DrawFn, within: Range) -> dict[str, Any]:
    booked = draw(st.lists(st.integers(-7 * 24, 9 * 24), max_size=6))
    ask_late = draw(st.integers(-2 * 24 * 12, 12 * 12))
    return {
        "busy": draw(ranges(within)),
        "elsewhere": draw(ranges(within)),
        "booked": [within.start + hours * 60 * MINUTE for hours in booked],
        "within": within,
        "now": within.start + ask_late * 5 * MINUTE,
    }


def any_question(data: st.DataObject, zone: str, day: date) -> None:
    rules, duration = data.draw(any_rules(zone, day)), data.draw(st.sampled_from([5, 30, 60, 95, 240])) * MINUTE
    agree(rules, duration, **data.draw(questions(around(day))))


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_it_agrees_anywhere_at_any_change_of_three_years(data: st.DataObject) -> None:
    zone = data.draw(st.sampled_from(ZONES))
    any_question(data, zone, data.draw(st.sampled_from(changes(zone) or [date(2026, 6, 15)])))


@pytest.mark.parametrize("zone", ZONES if FULL_SWEEP else FEW_ZONES)
def test_it_agrees_in_each_zone_on_every_day_of_change(zone: str) -> None:
    for day in changes(zone) or [date(2026, 6, 15)]:
        one_rich_question(zone, day)
        some_questions(zone, day)


def some_questions(zone: str, day: date) -> None:
    @settings(max_examples=8, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def ask(data: st.DataObject) -> None:
        any_question(data, zone, day)

    ask()


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_taken_slot_frees_the_rest_and_only_the_rest(data: st.DataObject) -> None:
    """Booking any offered slot removes exactly the starts that come too near to it."""
    zone, day = data.draw(st.sampled_from(distinct_changes()))
    rules, within, duration = rich_week(zone, day), around(day), 40 * MINUTE
    plain: dict[str, Any] = {"elsewhere": [], "booked": [], "within": within, "now": within.start}
    before = free_slots(rules=rules, duration=duration, busy=[], **plain)
    taken = data.draw(st.sampled_from(before))
    blocked = Range(taken - rules.buffer_before, taken + duration + rules.buffer_after)

    after = free_slots(rules=rules, duration=duration, busy=[blocked], **plain)

    kept_apart = duration + rules.buffer_before + rules.buffer_after
    assert after == [start for start in before if abs(start - taken) >= kept_apart]
