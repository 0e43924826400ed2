"""Which times are free, rule by rule, and around changes of clocks."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from coaches.slots import DayWindow, Override, Range, Rules, Window, free_slots, offered_starts

MINUTE, DAYS = timedelta(minutes=1), timedelta(days=1)
BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
KATHMANDU, APIA = "Asia/Kathmandu", "Pacific/Apia"


DAY = date(2026, 11, 24)  # a Tuesday without a change of clocks anywhere
# Nothing is too soon or too far, unless a test says so.
LONG_AGO = datetime(1960, 1, 1, tzinfo=UTC)


def window(day: date, hours: str) -> Window:
    """`09:00-17:00`, or over midnight where it ends before it starts."""
    starts, ends = (time.fromisoformat(each) for each in hours.split("-"))
    return Window(day.weekday(), starts, ends, ends_next_day=ends <= starts)


def override(first: date, last: date, *windows: str) -> Override:
    parsed = [window(first, each) for each in windows]
    return Override(first, last, tuple(DayWindow(each.starts, each.ends, each.ends_next_day) for each in parsed))


def rules(zone: str, *windows: Window, step: int = 30, **changes: Any) -> Rules:
    plain: dict[str, Any] = {
        "overrides": (),
        "buffer_before": timedelta(),
        "buffer_after": timedelta(),
        "notice": timedelta(),
        "furthest_days": 36500,
        "most_a_day": None,
        "most_a_week": None,
    }
    return Rules(zone=zone, windows=windows, step=timedelta(minutes=step), **(plain | changes))


def local_day(day: date, zone: str) -> Range:
    """The local day with half a day on each side, so that only the windows decide."""
    noon = datetime.combine(day, time(12), ZoneInfo(zone)).astimezone(UTC)
    return Range(noon - timedelta(hours=18), noon + timedelta(hours=18))


def free(
    given: Rules,
    within: Range,
    *,
    minutes: int = 60,
    busy: Sequence[Range] = (),
    elsewhere: Sequence[Range] = (),
    booked: Sequence[datetime] = (),
    now: datetime = LONG_AGO,
) -> list[datetime]:
    return free_slots(
        rules=given,
        duration=timedelta(minutes=minutes),
        busy=busy,
        elsewhere=elsewhere,
        booked=booked,
        within=within,
        now=now,
    )


def shown(starts: list[datetime], zone: str) -> list[str]:
    """As the local clock shows them, with the offset that tells a repeated hour apart."""
    return [start.astimezone(ZoneInfo(zone)).strftime("%H:%M%z") for start in starts]


def offered(day: date, zone: str, *hours: str, **asked: Any) -> list[str]:
    """What a coach with these hours on that weekday offers around that day."""
    windows = [window(day, each) for each in hours]
    changes = {name: asked.pop(name) for name in ("step", "buffer_before", "buffer_after") if name in asked}
    return shown(free(rules(zone, *windows, **changes), local_day(day, zone), **asked), zone)


def berlin(hour: int, minute: int = 0, *, day: date = DAY) -> datetime:
    return datetime.combine(day, time(hour, minute), ZoneInfo(BERLIN)).astimezone(UTC)


def test_it_offers_starts_from_which_the_whole_session_fits() -> None:
    assert offered(DAY, KATHMANDU, "09:00-11:00") == ["09:00+0545", "09:30+0545", "10:00+0545"]


def test_it_counts_the_grid_from_each_windows_own_start() -> None:
    assert offered(DAY, BERLIN, "09:10-10:20", "14:00-15:00") == [
        "09:10+0100",
        "14:00+0100",
    ]


def test_it_lets_a_session_run_across_two_windows_that_touch() -> None:
    touching = ("09:00-10:00", "10:00-11:00")
    assert offered(DAY, BERLIN, *touching, minutes=120) == ["09:00+0100"]


def test_it_does_not_bridge_windows_a_minute_apart() -> None:
    apart = ("09:00-10:00", "10:01-11:00")
    assert offered(DAY, BERLIN, *apart, minutes=120) == []


def test_it_offers_a_start_of_two_overlapping_windows_once() -> None:
    overlapping = ("09:00-11:00", "10:00-12:00")
    assert offered(DAY, BERLIN, *overlapping, step=60) == ["09:00+0100", "10:00+0100", "11:00+0100"]


def test_it_lets_busy_time_touch_but_not_overlap() -> None:
    ten, eleven = datetime(2026, 11, 24, 9, tzinfo=UTC), datetime(2026, 11, 24, 10, tzinfo=UTC)
    assert offered(DAY, BERLIN, "09:00-12:00", busy=(Range(ten, eleven),)) == [
        "09:00+0100",
        "11:00+0100",
    ]
    longer = Range(ten, eleven + MINUTE)
    assert offered(DAY, BERLIN, "09:00-12:00", busy=(longer,)) == ["09:00+0100"]


def test_it_ignores_busy_time_without_a_length() -> None:
    instant = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
    assert offered(DAY, BERLIN, "09:00-10:00", busy=(Range(instant, instant),)) == ["09:00+0100"]


def test_it_offers_only_starts_within_the_asked_range_half_open() -> None:
    given = rules(BERLIN, window(DAY, "08:00-12:00"))
    assert free(given, Range(berlin(9), berlin(10))) == [berlin(9), berlin(9, 30)]


def test_it_offers_nothing_in_a_range_without_a_length() -> None:
    given = rules(BERLIN, window(DAY, "08:00-12:00"))
    assert free(given, Range(berlin(9), berlin(9))) == []
    assert free(given, Range(berlin(10), berlin(9))) == []


def test_it_offers_nothing_without_windows() -> None:
    assert offered(DAY, BERLIN) == []


@pytest.mark.parametrize(("minutes", "step"), [(0, 30), (-5, 30), (30, 0)])
def test_it_refuses_a_session_or_a_grid_without_a_length(minutes: int, step: int) -> None:
    with pytest.raises(ValueError, match="length"):
        offered(DAY, BERLIN, minutes=minutes, step=step)


@pytest.mark.parametrize(
    ("zone", "day", "hours", "minutes", "expected"),
    [
        # Spring: 02:00 to 03:00 does not exist; a session runs on across the jump in real minutes.
        (BERLIN, date(2026, 3, 29), "01:00-04:00", 60, ["01:00+0100", "01:30+0100", "03:00+0200"]),
        (BERLIN, date(2026, 3, 29), "02:00-03:00", 30, []),
        (BERLIN, date(2026, 3, 29), "02:15-04:00", 30, ["03:15+0200"]),
        (NEW_YORK, date(2026, 3, 8), "01:30-03:30", 60, ["01:30-0500"]),
        # Autumn: the repeated hour is open twice, and its times are offered once per instant.
        (BERLIN, date(2026, 10, 25), "02:00-03:00", 30, ["02:00+0200", "02:30+0200", "02:00+0100", "02:30+0100"]),
        (BERLIN, date(2026, 10, 25), "02:00-03:00", 120, ["02:00+0200"]),
        (NEW_YORK, date(2026, 11, 1), "01:30-02:00", 30, ["01:30-0400", "01:30-0500"]),
        # A window that ends inside the repeated hour is open in two pieces with a break between them.
        (BERLIN, date(2026, 10, 25), "01:30-02:30", 60, ["01:30+0200"]),
        (BERLIN, date(2026, 10, 25), "01:30-02:30", 30, ["01:30+0200", "02:00+0200", "02:00+0100"]),
        # Lord Howe moves its clocks by half an hour.
        (LORD_HOWE, date(2026, 10, 4), "01:30-03:00", 30, ["01:30+1030", "02:30+1100"]),
        (LORD_HOWE, date(2026, 4, 5), "01:30-02:00", 30, ["01:30+1100", "01:30+1030"]),
        (LORD_HOWE, date(2026, 4, 5), "01:30-02:00", 60, ["01:30+1100"]),
        # No change of clocks, and an offset of three quarters of an hour.
        (KATHMANDU, date(2026, 3, 29), "02:00-03:00", 60, ["02:00+0545"]),
        (APIA, date(2026, 3, 29), "09:00-10:00", 60, ["09:00+1300"]),
    ],
)  # fmt: skip
def test_it_follows_the_local_clock_through_its_changes(
    zone: str, day: date, hours: str, minutes: int, expected: list[str]
) -> None:
    assert offered(day, zone, hours, minutes=minutes) == expected


def test_it_offers_nothing_on_a_day_that_was_skipped() -> None:
    """Samoa crossed the date line: 30 December 2011, a Friday, never happened there."""
    given = rules(APIA, window(date(2011, 12, 30), "09:00-10:00"))
    assert free(given, Range(datetime(2011, 12, 25, tzinfo=UTC), datetime(2012, 1, 4, tzinfo=UTC))) == []


def test_it_keeps_the_wall_time_over_a_change_of_clocks() -> None:
    given = rules(BERLIN, window(date(2026, 3, 22), "09:00-10:00"))
    starts = free(given, Range(datetime(2026, 3, 20, tzinfo=UTC), datetime(2026, 4, 3, tzinfo=UTC)))
    assert starts == [datetime(2026, 3, 22, 8, tzinfo=UTC), datetime(2026, 3, 29, 7, tzinfo=UTC)]


# --- over midnight ------------------------------------------------------------------------------


def test_a_window_runs_over_midnight() -> None:
    assert offered(DAY, BERLIN, "22:30-00:30") == ["22:30+0100", "23:00+0100", "23:30+0100"]


def test_a_session_runs_from_one_day_into_a_window_of_the_next() -> None:
    given = rules(BERLIN, window(DAY, "23:00-00:00"), window(DAY + DAYS, "00:00-01:00"))
    assert shown(free(given, local_day(DAY, BERLIN), minutes=120), BERLIN) == ["23:00+0100"]


def test_a_window_may_last_a_whole_day_and_meet_itself_the_next() -> None:
    given = rules(BERLIN, *(window(DAY + index * DAYS, "06:00-06:00") for index in range(7)), step=60)
    assert len(free(given, Range(berlin(0), berlin(0) + DAYS), minutes=720)) == 24


def test_the_grid_of_a_window_over_midnight_is_counted_from_its_own_start() -> None:
    assert offered(DAY, BERLIN, "23:10-01:00", step=45, minutes=30) == ["23:10+0100", "23:55+0100"]


# --- overrides ----------------------------------------------------------------------------------


def test_a_day_off_offers_nothing_and_leaves_its_neighbours() -> None:
    week = [window(DAY + index * DAYS, "09:00-10:00") for index in range(7)]
    given = rules(BERLIN, *week, overrides=(override(DAY, DAY),))
    assert free(given, Range(berlin(0) - DAYS, berlin(0) + 2 * DAYS)) == [berlin(9) - DAYS, berlin(9) + DAYS]


def test_other_hours_of_a_date_replace_the_weeks() -> None:
    given = rules(BERLIN, window(DAY, "09:00-12:00"), overrides=(override(DAY, DAY, "15:00-16:00", "18:00-19:00"),))
    assert free(given, local_day(DAY, BERLIN)) == [berlin(15), berlin(18)]


def test_holidays_last_through_their_last_day() -> None:
    week = [window(DAY + index * DAYS, "09:00-10:00") for index in range(7)]
    given = rules(BERLIN, *week, overrides=(override(DAY, DAY + 4 * DAYS),))
    starts = free(given, Range(berlin(0) - DAYS, berlin(0) + 6 * DAYS))
    assert starts == [berlin(9) - DAYS, berlin(9) + 5 * DAYS]


def test_a_day_off_leaves_what_runs_into_it_from_the_day_before() -> None:
    """A window belongs to the day it starts on: the night's end is the day before's, and its own night is gone."""
    given = rules(
        BERLIN,
        window(DAY - DAYS, "23:00-02:00"),
        window(DAY, "23:00-02:00"),
        overrides=(override(DAY, DAY),),
    )
    starts = free(given, Range(berlin(0), berlin(0) + 2 * DAYS), minutes=30)
    assert starts == [berlin(0), berlin(0, 30), berlin(1), berlin(1, 30)]


def test_the_other_hours_of_a_date_may_run_over_midnight() -> None:
    given = rules(BERLIN, overrides=(override(DAY, DAY, "23:30-00:30"),))
    assert free(given, local_day(DAY, BERLIN), minutes=30) == [berlin(23, 30), berlin(23, 30) + 30 * MINUTE]


# --- buffers, the student's own sessions --------------------------------------------------------


def test_buffers_may_stick_out_of_the_hours() -> None:
    buffers = {"buffer_before": timedelta(hours=2), "buffer_after": timedelta(hours=3)}
    assert offered(DAY, BERLIN, "09:00-10:00", **buffers) == ["09:00+0100"]


def test_buffers_may_touch_busy_time_but_not_overlap_it() -> None:
    given = rules(BERLIN, window(DAY, "09:00-10:00"), buffer_before=10 * MINUTE, buffer_after=20 * MINUTE)
    before, after = Range(berlin(8), berlin(8, 50)), Range(berlin(10, 20), berlin(11))
    assert free(given, local_day(DAY, BERLIN), busy=[before, after]) == [berlin(9)]
    later = Range(before.start, before.end + timedelta(microseconds=1))
    earlier = Range(after.start - timedelta(microseconds=1), after.end)
    assert free(given, local_day(DAY, BERLIN), busy=[later]) == []
    assert free(given, local_day(DAY, BERLIN), busy=[earlier]) == []


def test_the_students_own_sessions_are_kept_from_the_session_not_from_its_buffers() -> None:
    given = rules(BERLIN, window(DAY, "09:00-12:00"), buffer_before=30 * MINUTE, buffer_after=30 * MINUTE)
    own = [Range(berlin(10), berlin(11))]
    assert free(given, local_day(DAY, BERLIN), elsewhere=own) == [berlin(9), berlin(11)]
    assert free(given, local_day(DAY, BERLIN), busy=own) == []


# --- notice and the furthest day ----------------------------------------------------------------


def test_notice_is_real_time_and_may_just_be_kept() -> None:
    """Two hours before 03:30 of the summer's first day, it is 00:30."""
    day = date(2026, 3, 29)
    given = rules(BERLIN, window(day, "03:30-04:30"), notice=timedelta(hours=2))
    now = datetime(2026, 3, 28, 23, 30, tzinfo=UTC)
    assert shown(free(given, local_day(day, BERLIN), now=now), BERLIN) == ["03:30+0200"]
    assert free(given, local_day(day, BERLIN), now=now + timedelta(microseconds=1)) == []


@pytest.mark.parametrize(("hour", "last"), [(22, 26), (23, 27)])
def test_the_furthest_day_is_counted_by_the_coachs_calendar(hour: int, last: int) -> None:
    """At 23:00 UTC it is the next day in Berlin."""
    week = [window(DAY + index * DAYS, "00:00-00:00") for index in range(7)]
    given = rules(BERLIN, *week, furthest_days=2, step=60)
    now = datetime(2026, 11, 24, hour, tzinfo=UTC)
    starts = free(given, Range(now, now + 9 * DAYS), now=now)
    assert starts[-1] == berlin(23, day=date(2026, 11, last))


def test_a_session_that_starts_on_the_furthest_day_may_end_on_the_next() -> None:
    week = [window(DAY + index * DAYS, "00:00-00:00") for index in range(7)]
    given = rules(BERLIN, *week, furthest_days=1)
    starts = free(given, Range(berlin(0), berlin(0) + 9 * DAYS), now=berlin(12), minutes=240)
    assert starts[-1] == berlin(23, 30) + DAYS


# --- the most in a day and in a week ------------------------------------------------------------


def test_a_full_day_offers_nothing_more() -> None:
    week = [window(DAY + index * DAYS, "09:00-10:00") for index in range(7)]
    given = rules(BERLIN, *week, most_a_day=2)
    around = Range(berlin(0), berlin(0) + 2 * DAYS)
    assert free(given, around, booked=[berlin(12)]) == [berlin(9), berlin(9) + DAYS]
    assert free(given, around, booked=[berlin(12), berlin(23, 59)]) == [berlin(9) + DAYS]


def test_a_day_is_full_by_the_coachs_calendar() -> None:
    """A session at 00:00 in Berlin counts for that day, which is not begun in UTC."""
    given = rules(BERLIN, window(DAY, "09:00-10:00"), most_a_day=1)
    assert free(given, local_day(DAY, BERLIN), booked=[berlin(0)]) == []
    assert free(given, local_day(DAY, BERLIN), booked=[berlin(0) - MINUTE]) == [berlin(9)]
    assert free(given, local_day(DAY, BERLIN), booked=[berlin(0) + DAYS]) == [berlin(9)]


def test_a_full_week_runs_from_monday_to_sunday() -> None:
    week = [window(DAY + index * DAYS, "09:00-10:00") for index in range(7)]
    given = rules(BERLIN, *week, most_a_week=1)
    monday = berlin(0) - DAYS
    around = Range(monday - DAYS, monday + 8 * DAYS)
    outside = [monday + timedelta(hours=9) - DAYS, monday + timedelta(hours=9) + 7 * DAYS]
    assert free(given, around, booked=[monday]) == outside
    assert free(given, around, booked=[monday + 7 * DAYS - MINUTE]) == outside


def test_a_coach_who_takes_nobody_today_offers_nothing() -> None:
    given = rules(BERLIN, window(DAY, "09:00-10:00"), most_a_day=0)
    assert free(given, local_day(DAY, BERLIN)) == []


# --- what the hours offer -----------------------------------------------------------------------


def test_what_the_hours_offer_asks_for_nothing_else() -> None:
    given = rules(BERLIN, window(DAY, "09:00-10:30"), notice=timedelta(days=9), furthest_days=1, most_a_day=0)
    starts = offered_starts(rules=given, duration=timedelta(hours=1), within=local_day(DAY, BERLIN))
    assert starts == [berlin(9), berlin(9, 30)]
