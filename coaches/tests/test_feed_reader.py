"""When a calendar is busy: as calendars are really written, in every zone, and as they are broken."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from coaches.feeds.reader import MOST_BUSY_TIMES, Question, Unreadable, read
from coaches.tests.calendars import calendar, event

pytestmark = pytest.mark.thorough

NEW_YORK = ZoneInfo("America/New_York")
WINDOW = Question(NEW_YORK, datetime(2026, 6, 1, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC), "coaching.example")
HOUR = ("DTSTART:20260701T100000Z", "DTEND:20260701T110000Z")


def busy(content: bytes, question: Question = WINDOW) -> list[str]:
    """As "0701 10:00-11:00", in UTC."""
    ranges, unclear = read(content, question)
    assert unclear == 0
    return [in_words(*each) for each in ranges]


def in_words(start: int, end: int) -> str:
    first, last = (datetime.fromtimestamp(each, UTC) for each in (start, end))
    until = f"{last:%H:%M}" if first.date() == last.date() else f"{last:%m%d %H:%M}"
    return f"{first:%m%d %H:%M}-{until}"


# --- times and zones ----------------------------------------------------------------------------

OWN_ZONE = (
    "BEGIN:VTIMEZONE\r\nTZID:Office\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\n"
    "TZOFFSETFROM:+0330\r\nTZOFFSETTO:+0330\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"
)


@pytest.mark.parametrize(
    ("lines", "extra", "taken"),
    [
        (HOUR, "", "0701 10:00-11:00"),
        (("DTSTART:20260701T100000Z", "DURATION:PT90M"), "", "0701 10:00-11:30"),
        (
            ("DTSTART;TZID=Europe/Berlin:20260701T100000", "DTEND;TZID=Asia/Tokyo:20260701T180000"),
            "",
            "0701 08:00-09:00",
        ),
        (("DTSTART;TZID=Office:20260701T100000", "DURATION:PT1H"), OWN_ZONE, "0701 06:30-07:30"),
        (("DTSTART;TZID=W. Europe Standard Time:20260701T100000", "DURATION:PT1H"), "", "0701 08:00-09:00"),
        (("DTSTART:20260701T100000", "DURATION:PT1H"), "", "0701 14:00-15:00"),
        (("DTSTART:20260701T100000", "DURATION:PT1H"), "X-WR-TIMEZONE:Asia/Tokyo\r\n", "0701 01:00-02:00"),
        (("DTSTART:20260701T100000", "DURATION:PT1H"), "X-WR-TIMEZONE:Mars/Base\r\n", "0701 14:00-15:00"),
        (("DTSTART;VALUE=DATE:20260701",), "", "0701 04:00-0702 04:00"),
        (("DTSTART;VALUE=DATE:20260701", "DTEND;VALUE=DATE:20260704"), "", "0701 04:00-0704 04:00"),
        # The day on which the clocks of New York go back has 25 hours.
        (("DTSTART;VALUE=DATE:20261101",), "", "1101 04:00-1102 05:00"),
    ],
)
def test_a_time_is_meant_in_the_zone_it_names_or_else_in_the_coachs(
    lines: tuple[str, ...], extra: str, taken: str
) -> None:
    assert busy(calendar(event(*lines), extra=extra)) == [taken]


def test_a_weekly_event_keeps_its_wall_clock_over_a_change_of_clocks() -> None:
    weekly = event("DTSTART;TZID=America/New_York:20261025T090000", "DURATION:PT1H", "RRULE:FREQ=WEEKLY;COUNT=2")
    assert busy(calendar(weekly)) == ["1025 13:00-14:00", "1101 14:00-15:00"]


def test_only_what_is_inside_the_window_counts() -> None:
    content = calendar(
        event("DTSTART:20260531T230000Z", "DTEND:20260601T000000Z", uid="touches its beginning"),
        event("DTSTART:20260531T230000Z", "DTEND:20260601T010000Z", uid="reaches in"),
        event("DTSTART:20270531T230000Z", "DTEND:20270601T010000Z", uid="reaches out"),
        event("DTSTART:20270601T000000Z", "DTEND:20270601T010000Z", uid="begins at its end"),
        event("DTSTART:20250601T000000Z", "DTEND:20250601T010000Z", uid="long over"),
    )
    assert busy(content) == ["0601 00:00-01:00", "0531 23:00-0601 00:00"]


def test_times_that_overlap_or_touch_become_one() -> None:
    content = calendar(
        event("DTSTART:20260701T100000Z", "DTEND:20260701T110000Z", uid="a"),
        event("DTSTART:20260701T110000Z", "DTEND:20260701T113000Z", uid="b"),
        event("DTSTART:20260701T090000Z", "DTEND:20260701T100001Z", uid="c"),
        event("DTSTART:20260701T113001Z", "DTEND:20260701T120000Z", uid="d"),
    )
    assert busy(content) == ["0701 09:00-11:30", "0701 11:30-12:00"]


# --- recurrence ---------------------------------------------------------------------------------

DAILY = event(*HOUR, "RRULE:FREQ=DAILY;COUNT=3", "EXDATE:20260702T100000Z")


def test_an_excepted_date_is_free() -> None:
    assert busy(calendar(DAILY)) == ["0701 10:00-11:00", "0703 10:00-11:00"]


@pytest.mark.parametrize(
    ("change", "taken"),
    [
        (("DTSTART:20260703T150000Z", "DTEND:20260703T160000Z"), ["0701 10:00-11:00", "0703 15:00-16:00"]),
        (("DTSTART:20260703T100000Z", "DTEND:20260703T110000Z", "STATUS:CANCELLED"), ["0701 10:00-11:00"]),
        (("DTSTART:20260703T100000Z", "DTEND:20260703T110000Z", "TRANSP:TRANSPARENT"), ["0701 10:00-11:00"]),
    ],
)
def test_one_of_a_series_may_differ(change: tuple[str, ...], taken: list[str]) -> None:
    assert busy(calendar(DAILY, event("RECURRENCE-ID:20260703T100000Z", *change))) == taken


def test_extra_dates_and_periods_count() -> None:
    extra = event(*HOUR, "RDATE:20260801T100000Z", "RDATE;VALUE=PERIOD:20260901T100000Z/PT3H")
    assert busy(calendar(extra)) == ["0701 10:00-11:00", "0801 10:00-11:00", "0901 10:00-13:00"]


# --- what takes no time -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines",
    [
        (*HOUR, "TRANSP:TRANSPARENT"),
        (*HOUR, "transp:transparent"),
        (*HOUR, "STATUS:CANCELLED"),
        ("DTSTART:20260701T100000Z",),
        ("DTSTART:20260701T100000Z", "DTEND:20260701T100000Z"),
        ("DTSTART:20260701T100000Z", "DTEND:20260701T090000Z"),
        ("DTSTART;TZID=Europe/Berlin:20260701T100000", "DTEND:20260701T070000Z"),
        ("DTSTART;VALUE=DATE:20260702", "DTEND;VALUE=DATE:20260701"),
        ("DTSTART:20260701T100000Z", "DURATION:-PT1H"),
        ("DTSTART:20260701T100000Z", "DTEND:20260701T090000Z", "RRULE:FREQ=DAILY"),
    ],
)
def test_free_cancelled_empty_and_backward_events_are_not_busy(lines: tuple[str, ...]) -> None:
    assert busy(calendar(event(*lines))) == []


@pytest.mark.parametrize("lines", [(*HOUR, "STATUS:TENTATIVE"), (*HOUR, "TRANSP:OPAQUE")])
def test_what_is_not_said_to_be_free_is_busy(lines: tuple[str, ...]) -> None:
    assert busy(calendar(event(*lines))) == ["0701 10:00-11:00"]


def test_our_own_bookings_that_come_back_block_nothing() -> None:
    content = calendar(
        event(*HOUR, uid="booking-12@coaching.example"),
        event("DTSTART:20260702T100000Z", "DURATION:PT1H", uid="booking-12@elsewhere.example"),
        event("DTSTART:20260703T100000Z", "DURATION:PT1H", uid="xbooking-12@coaching.example"),
        event("DTSTART:20260704T100000Z", "DURATION:PT1H", uid="booking-12@coachingXexample"),
    )
    assert busy(content) == ["0702 10:00-11:00", "0703 10:00-11:00", "0704 10:00-11:00"]


def test_a_calendar_that_shows_only_free_and_busy_is_read_too() -> None:
    content = calendar(
        "BEGIN:VFREEBUSY\r\nUID:1\r\n"
        "FREEBUSY:20260701T100000Z/PT1H,20260702T100000Z/20260702T110000Z\r\n"
        "FREEBUSY;FBTYPE=FREE:20260703T100000Z/PT1H\r\n"
        "FREEBUSY;FBTYPE=BUSY-UNAVAILABLE:20260704T100000Z/PT1H\r\nEND:VFREEBUSY\r\n"
    )
    assert busy(content) == ["0701 10:00-11:00", "0702 10:00-11:00", "0704 10:00-11:00"]


# --- what is broken -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("DTSTART:tomorrow",),
        ("DTSTART:20260732T100000Z", "DURATION:PT1H"),
        ("DTSTART:20260702T100000Z", "DTEND:later"),
        ("DTSTART:20260702T100000Z", "DURATION:P99999999999D"),
        ("DTSTART:20260702T100000Z", "DURATION:PT1H", "RRULE:FREQ=SOMETIMES"),
        ("DTSTART:20260702T100000Z", "DURATION:PT1H", "RRULE:FREQ=WEEKLY;BYDAY=XX"),
        ("DTSTART:20260702T100000Z", "DTSTART:20260702T110000Z"),
        ("DTSTART:00010101T000000Z", "DTEND:99991231T235959Z"),
    ],
)
def test_a_broken_event_is_counted_and_spoils_no_other(lines: tuple[str, ...]) -> None:
    ranges, unclear = read(calendar(event(*lines, uid="broken"), event(*HOUR)), WINDOW)
    assert "0701 10:00-11:00" in [in_words(*each) for each in ranges]
    assert unclear == 1


@pytest.mark.parametrize(
    "lines",
    [("RECURRENCE-ID:20260703T100000Z", "DTSTART:later"), ("RECURRENCE-ID:later", "DTSTART:20260703T150000Z")],
)
def test_a_broken_exception_opens_nothing_of_its_series(lines: tuple[str, ...]) -> None:
    ranges, unclear = read(calendar(DAILY, event(*lines, "DURATION:PT1H")), WINDOW)
    assert [in_words(*each) for each in ranges] == ["0701 10:00-11:00", "0703 10:00-11:00"]
    assert unclear == 1


def test_a_broken_excepted_date_is_busy() -> None:
    ranges, unclear = read(calendar(event(*HOUR, "RRULE:FREQ=DAILY;COUNT=2", "EXDATE:never")), WINDOW)
    assert [in_words(*each) for each in ranges] == ["0701 10:00-11:00", "0702 10:00-11:00"]
    assert unclear == 1


def test_a_zone_that_nobody_knows_is_taken_for_the_coachs_and_said_to_be_unclear() -> None:
    ranges, unclear = read(calendar(event("DTSTART;TZID=Mars/Base:20260701T100000", "DURATION:PT1H")), WINDOW)
    assert [in_words(*each) for each in ranges] == ["0701 14:00-15:00"]
    assert unclear == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<!doctype html><title>Sign in</title>",
        b"\x00\xff\xfe",
        b"BEGIN:VCALENDAR",
        calendar(event(*HOUR))[:-20],
        calendar(event(*HOUR), extra="this is no line of a calendar\r\n"),
        calendar("BEGIN:VEVENT\r\n"),
    ],
)
def test_a_file_that_is_no_whole_calendar_is_unreadable(content: bytes) -> None:
    with pytest.raises(Unreadable):
        read(content, WINDOW)


def test_a_byte_order_mark_and_blank_lines_do_no_harm() -> None:
    assert busy(b"\xef\xbb\xbf\r\n" + calendar(event(*HOUR)) + b"\r\n\r\n") == ["0701 10:00-11:00"]


def test_an_empty_calendar_is_free() -> None:
    assert busy(calendar()) == []


def test_more_busy_times_than_are_kept_are_refused_not_cut_off() -> None:
    hourly = event("DTSTART:20260701T100000Z", "DURATION:PT1M", f"RRULE:FREQ=HOURLY;COUNT={MOST_BUSY_TIMES + 1}")
    with pytest.raises(Unreadable, match="5,000"):
        read(calendar(hourly), WINDOW)
