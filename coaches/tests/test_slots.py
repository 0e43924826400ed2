"""The slot engine: a table around clock changes, and properties against a slow oracle that asks each minute."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coaches.slots import Range, Window, free_slots

MINUTE = timedelta(minutes=1)
BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
KATHMANDU, APIA = "Asia/Kathmandu", "Pacific/Apia"


def window(day: date, starts: str, ends: str) -> Window:
    return Window(day.weekday(), time.fromisoformat(starts), time.fromisoformat(ends))


def local_day(day: date, zone: str) -> Range:
    """The local day with half a day on each side, so that only the windows decide."""
    noon = datetime.combine(day, time(12), ZoneInfo(zone)).astimezone(UTC)
    return Range(noon - timedelta(hours=18), noon + timedelta(hours=18))


def offered(
    day: date, zone: str, *windows: Window, minutes: int = 60, step: int = 30, busy: tuple[Range, ...] = ()
) -> list[str]:
    """Free starts as the local clock shows them, with the offset that tells a repeated hour apart."""
    starts = free_slots(
        windows=windows,
        zone=zone,
        duration=timedelta(minutes=minutes),
        busy=busy,
        within=local_day(day, zone),
        step=timedelta(minutes=step),
    )
    return [start.astimezone(ZoneInfo(zone)).strftime("%H:%M%z") for start in starts]


def test_it_offers_starts_from_which_the_whole_session_fits() -> None:
    day = date(2026, 11, 24)
    assert offered(day, KATHMANDU, window(day, "09:00", "11:00")) == ["09:00+0545", "09:30+0545", "10:00+0545"]


def test_it_counts_the_grid_from_each_windows_own_start() -> None:
    day = date(2026, 11, 24)
    assert offered(day, BERLIN, window(day, "09:10", "10:20"), window(day, "14:00", "15:00")) == [
        "09:10+0100",
        "14:00+0100",
    ]


def test_it_lets_a_session_run_across_two_windows_that_touch() -> None:
    day = date(2026, 11, 24)
    touching = (window(day, "09:00", "10:00"), window(day, "10:00", "11:00"))
    assert offered(day, BERLIN, *touching, minutes=120) == ["09:00+0100"]


def test_it_does_not_bridge_windows_a_minute_apart() -> None:
    day = date(2026, 11, 24)
    apart = (window(day, "09:00", "10:00"), window(day, "10:01", "11:00"))
    assert offered(day, BERLIN, *apart, minutes=120) == []


def test_it_offers_a_start_of_two_overlapping_windows_once() -> None:
    day = date(2026, 11, 24)
    overlapping = (window(day, "09:00", "11:00"), window(day, "10:00", "12:00"))
    assert offered(day, BERLIN, *overlapping, step=60) == ["09:00+0100", "10:00+0100", "11:00+0100"]


def test_it_lets_busy_time_touch_but_not_overlap() -> None:
    day = date(2026, 11, 24)
    ten, eleven = datetime(2026, 11, 24, 9, tzinfo=UTC), datetime(2026, 11, 24, 10, tzinfo=UTC)
    assert offered(day, BERLIN, window(day, "09:00", "12:00"), busy=(Range(ten, eleven),)) == [
        "09:00+0100",
        "11:00+0100",
    ]
    longer = Range(ten, eleven + MINUTE)
    assert offered(day, BERLIN, window(day, "09:00", "12:00"), busy=(longer,)) == ["09:00+0100"]


def test_it_ignores_busy_time_without_a_length() -> None:
    day = date(2026, 11, 24)
    instant = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
    assert offered(day, BERLIN, window(day, "09:00", "10:00"), busy=(Range(instant, instant),)) == ["09:00+0100"]


def test_it_offers_only_starts_within_the_asked_range_half_open() -> None:
    nine = datetime(2026, 11, 24, 8, tzinfo=UTC)
    day = date(2026, 11, 24)
    starts = free_slots(
        windows=[window(day, "08:00", "12:00")],
        zone=BERLIN,
        duration=timedelta(hours=1),
        busy=[],
        within=Range(nine, nine + timedelta(hours=1)),
        step=timedelta(minutes=30),
    )
    assert starts == [nine, nine + timedelta(minutes=30)]


def test_it_offers_nothing_without_windows() -> None:
    assert offered(date(2026, 11, 24), BERLIN) == []


@pytest.mark.parametrize(("minutes", "step"), [(0, 30), (-5, 30), (30, 0)])
def test_it_refuses_a_session_or_a_grid_without_a_length(minutes: int, step: int) -> None:
    with pytest.raises(ValueError, match="length"):
        offered(date(2026, 11, 24), BERLIN, minutes=minutes, step=step)


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
    assert offered(day, zone, window(day, *hours.split("-")), minutes=minutes) == expected


def test_it_offers_nothing_on_a_day_that_was_skipped() -> None:
    """Samoa crossed the date line: 30 December 2011 never happened there."""
    skipped = date(2011, 12, 30)
    starts = free_slots(
        windows=[window(skipped, "09:00", "10:00")],
        zone=APIA,
        duration=timedelta(hours=1),
        busy=[],
        within=Range(datetime(2011, 12, 25, tzinfo=UTC), datetime(2012, 1, 4, tzinfo=UTC)),
        step=timedelta(minutes=30),
    )
    assert starts == []


def test_it_keeps_the_wall_time_over_a_change_of_clocks() -> None:
    sunday = date(2026, 3, 22)
    starts = free_slots(
        windows=[window(sunday, "09:00", "10:00")],
        zone=BERLIN,
        duration=timedelta(hours=1),
        busy=[],
        within=Range(datetime(2026, 3, 20, tzinfo=UTC), datetime(2026, 4, 3, tzinfo=UTC)),
        step=timedelta(minutes=30),
    )
    assert starts == [datetime(2026, 3, 22, 8, tzinfo=UTC), datetime(2026, 3, 29, 7, tzinfo=UTC)]


# --- properties ---------------------------------------------------------------------------------

# Days beside which clocks change somewhere, and ordinary ones.
DAYS = [date(2026, 3, 8), date(2026, 3, 29), date(2026, 4, 5), date(2026, 10, 4), date(2026, 10, 25), date(2026, 11, 1)]
ZONES = [BERLIN, NEW_YORK, LORD_HOWE, KATHMANDU, APIA, "America/St_Johns", "Africa/Casablanca", "UTC"]

quarters = st.integers(0, 95).map(lambda quarter: time(quarter // 4, quarter % 4 * 15))


@st.composite
def rules(draw: st.DrawFn) -> list[Window]:
    pairs = draw(st.lists(st.tuples(st.integers(0, 6), quarters, quarters), max_size=8))
    return [Window(weekday, min(a, b), max(a, b)) for weekday, a, b in pairs if a != b]


@st.composite
def busy_ranges(draw: st.DrawFn, around: Range) -> list[Range]:
    pairs = draw(st.lists(st.tuples(st.integers(0, 72 * 12), st.integers(0, 40)), max_size=5))
    return [
        Range(around.start + start * 5 * MINUTE, around.start + (start + length) * 5 * MINUTE)
        for start, length in pairs
    ]


def is_open(instant: datetime, zone: ZoneInfo, windows: list[Window]) -> bool:
    local = instant.astimezone(zone)
    return any(
        each.weekday == local.weekday() and each.starts <= local.time().replace(tzinfo=None, fold=0) < each.ends
        for each in windows
    )


def on_grid(instant: datetime, zone: ZoneInfo, windows: list[Window], step: timedelta) -> bool:
    local = instant.astimezone(zone).replace(tzinfo=None, fold=0)
    return any(
        each.weekday == local.weekday()
        and each.starts <= local.time() < each.ends
        and (local - datetime.combine(local.date(), each.starts)) % step == timedelta()
        for each in windows
    )


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_it_agrees_with_asking_every_five_minutes(data: st.DataObject) -> None:
    """The oracle walks the instants and reads the local clock at each; it knows nothing of ranges or offsets."""
    name = data.draw(st.sampled_from(ZONES))
    zone = ZoneInfo(name)
    noon = datetime.combine(data.draw(st.sampled_from(DAYS)), time(12), UTC)
    within = Range(noon - timedelta(days=1), noon + timedelta(days=1))
    windows = data.draw(rules())
    busy = data.draw(busy_ranges(within))
    duration = data.draw(st.sampled_from([15, 30, 60, 90])) * MINUTE
    step = data.draw(st.sampled_from([15, 30, 45])) * MINUTE

    tick = 5 * MINUTE
    ticks = [within.start + index * tick for index in range((within.end + duration - within.start) // tick)]
    usable = {
        at for at in ticks if is_open(at, zone, windows) and not any(each.start <= at < each.end for each in busy)
    }
    expected = [
        at
        for at in ticks
        if at < within.end
        and on_grid(at, zone, windows, step)
        and all(at + index * tick in usable for index in range(duration // tick))
    ]

    assert free_slots(windows=windows, zone=name, duration=duration, busy=busy, within=within, step=step) == expected


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_taken_slot_frees_the_rest_and_only_the_rest(data: st.DataObject) -> None:
    """Booking any offered slot removes exactly the starts that overlap it."""
    name = data.draw(st.sampled_from(ZONES))
    noon = datetime.combine(data.draw(st.sampled_from(DAYS)), time(12), UTC)
    within = Range(noon - timedelta(days=3), noon + timedelta(days=3))
    windows = data.draw(rules().filter(bool))
    duration, step = timedelta(hours=1), timedelta(minutes=15)
    before = free_slots(windows=windows, zone=name, duration=duration, busy=[], within=within, step=step)
    if not before:
        return
    taken = data.draw(st.sampled_from(before))
    busy = [Range(taken, taken + duration)]

    after = free_slots(windows=windows, zone=name, duration=duration, busy=busy, within=within, step=step)

    assert after == [start for start in before if abs(start - taken) >= duration]
