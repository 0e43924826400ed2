"""Which hours of a week overlap, judged against every minute of it."""

from datetime import date, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coaches.slots import DayWindow, Window
from coaches.windows import (
    days_in_words,
    length_in_words,
    minutes_of_week,
    overlap_in_words,
    overlaps,
    overlaps_of_day,
    span_in_words,
)

WEEK = 7 * 24 * 60


def of(weekday: int, opens: int, length: int) -> Window:
    """Hours that last so many minutes, from a minute of that day on."""
    ends = opens + length
    day = 24 * 60
    return Window(weekday, time(*divmod(opens, 60)), time(*divmod(ends % day, 60)), ends_next_day=ends >= day)


HOURS = st.builds(of, st.integers(0, 6), st.integers(0, 1439), st.integers(1, 1440))


@given(st.lists(HOURS, max_size=6))
def test_hours_overlap_when_some_minute_of_the_week_is_in_two_of_them(windows: list[Window]) -> None:
    minutes = [minute % WEEK for window in windows for minute in range(*minutes_of_week(window))]
    assert bool(overlaps(windows)) == (len(minutes) > len(set(minutes)))


def test_the_week_is_a_circle() -> None:
    sunday, monday = Window(6, time(22), time(2), ends_next_day=True), Window(0, time(1), time(3))
    assert overlaps([monday, sunday]) == [(sunday, monday)]
    assert (
        overlap_in_words(sunday, monday) == "On Monday, 01:00 to 03:00 overlaps Sunday's 22:00 to 02:00 the next day."
    )


def test_a_week_of_whole_days_has_no_overlap() -> None:
    assert overlaps([of(day, 9 * 60, 24 * 60) for day in range(7)]) == []


def test_the_same_hours_on_two_days_do_not_overlap() -> None:
    assert overlaps([of(0, 540, 180), of(1, 540, 180)]) == []


def test_the_hours_of_a_date_are_compared_among_themselves() -> None:
    night, late = DayWindow(time(22), time(2), ends_next_day=True), DayWindow(time(23), time(23, 30))
    early = DayWindow(time(1), time(3))
    assert overlaps_of_day([night, late]) == [(night, late)]
    assert overlaps_of_day([night, early]) == []
    assert overlaps_of_day([early, early]) == [(early, early)]


@pytest.mark.parametrize(
    ("window", "words"),
    [
        (DayWindow(time(9), time(12, 30)), "09:00 to 12:30"),
        (DayWindow(time(20), time(0), ends_next_day=True), "20:00 to midnight"),
        (DayWindow(time(22), time(2), ends_next_day=True), "22:00 to 02:00 the next day"),
    ],
)
def test_hours_are_said_as_people_say_them(window: DayWindow, words: str) -> None:
    assert span_in_words(window) == words


def test_days_are_said_with_their_weekday() -> None:
    first = date(2026, 12, 31)
    assert days_in_words(first, first) == "Thu 31 Dec 2026"
    assert days_in_words(first, first + timedelta(days=1)) == "Thu 31 Dec 2026 to Fri 1 Jan 2027"


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(0, "none"), (1, "1 minute"), (90, "1 hour 30 minutes"), (1440, "1 day"), (20160, "14 days")],
)
def test_lengths_are_said_in_the_units_of_people(minutes: int, words: str) -> None:
    assert length_in_words(minutes) == words
