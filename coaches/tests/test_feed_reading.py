"""The program that reads calendars: whatever is in one, there is an answer within its limits, and nothing hangs."""

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from django.conf import settings

from coaches.feeds import reading
from coaches.feeds.addresses import FeedTrouble
from coaches.feeds.reading import read
from coaches.tests.calendars import calendar, event

pytestmark = pytest.mark.thorough

SINCE = datetime(2026, 6, 1, tzinfo=UTC)
UNTIL = SINCE + timedelta(days=367)
LONG_AGO = ("DTSTART:19700101T000000Z", "DURATION:PT1S")
# Far more than a calendar of any size needs to be refused in, on a machine that does much else.
PATIENCE_SECONDS = 30


def read_it(content: bytes, *, cpu_seconds: int = 20) -> list[tuple[datetime, datetime]]:
    return read(content, zone="Europe/Berlin", since=SINCE, until=UNTIL, cpu_seconds=cpu_seconds).busy


def answer_to(content: bytes, *, cpu_seconds: int) -> int | str:
    """How many busy times there are, or the words of the trouble; in any case soon."""
    begun = time.monotonic()
    try:
        return len(read_it(content, cpu_seconds=cpu_seconds))
    except FeedTrouble as trouble:
        return str(trouble)
    finally:
        assert time.monotonic() - begun < PATIENCE_SECONDS


def test_it_answers_with_half_open_ranges_in_utc() -> None:
    one = event("DTSTART:20260701T100000", "DURATION:PT1H")
    broken = event("DTSTART:never", uid="broken")
    answer = read(calendar(one, broken), zone="Europe/Berlin", since=SINCE, until=UNTIL)
    assert answer.busy == [(datetime(2026, 7, 1, 8, tzinfo=UTC), datetime(2026, 7, 1, 9, tzinfo=UTC))]
    assert answer.unclear == 1


def test_the_sites_own_bookings_are_left_out() -> None:
    own = event("DTSTART:20260701T100000Z", "DURATION:PT1H", uid=f"booking-7@{urlsplit(settings.SITE_URL).hostname}")
    assert read_it(calendar(own)) == []


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=SECONDLY",
        "FREQ=SECONDLY;COUNT=999999999",
        "FREQ=SECONDLY;UNTIL=99991231T235959Z",
        "FREQ=MINUTELY;BYSECOND=0,1,2,3,4,5,6,7,8,9",
        "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=SECONDLY;INTERVAL=999999999999999999999",
    ],
)
def test_a_recurrence_without_an_end_is_given_up(rule: str) -> None:
    # None where it was found out to be over, or was not understood.
    content = calendar(event(*LONG_AGO, f"RRULE:{rule}"))
    assert answer_to(content, cpu_seconds=1) in {0, reading.TOO_LONG, reading.BROKEN}


def test_a_recurrence_from_1970_that_does_no_harm_is_read() -> None:
    found = read_it(calendar(event("DTSTART:19700101T000000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY")))
    assert len(found) == 367


@pytest.mark.parametrize(
    "content",
    [
        calendar(
            event(*LONG_AGO, "RDATE:" + ",".join(f"2026{1 + i % 12:02}01T{i % 24:02}0000Z" for i in range(110_000)))
        ),
        calendar("BEGIN:VEVENT\r\n" * 60_000, "END:VEVENT\r\n" * 60_000),
        calendar("BEGIN:VEVENT\r\n" * 120_000),
        calendar(event("SUMMARY:" + "a" * 1_900_000)),
        calendar(event("DTSTART;" + ";".join(f"X{i}=1" for i in range(150_000)) + ":20260701T100000Z")),
        calendar(event("SUMMARY:" + "\r\n a" * 450_000)),
        b"BEGIN:VCALENDAR\r\n" * 50_000 + b"END:VCALENDAR\r\n" * 50_000,
        b"BEGIN:VCALENDAR" + bytes(range(256)) * 7_000 + b"END:VCALENDAR",
    ],
    ids=["dates", "nested", "nested without an end", "a line", "parameters", "folds", "calendars", "noise"],
)
def test_much_of_anything_is_read_or_given_up(content: bytes) -> None:
    answer = answer_to(content, cpu_seconds=3)
    assert answer <= 24 * 12 if isinstance(answer, int) else len(answer) <= 200  # as much as is kept


def test_more_memory_than_it_is_given_ends_it() -> None:
    code = "from coaches.feeds import reader; reader.limit_resources(5); bytearray(reader.MEMORY)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=settings.BASE_DIR, env={}, capture_output=True, text=True, check=False
    )
    assert "MemoryError" in done.stderr


def test_the_trouble_is_told_in_the_readers_words() -> None:
    with pytest.raises(FeedTrouble, match="something else than a calendar"):
        read_it(b"<html></html>")


def test_it_starts_without_django() -> None:
    code = "import coaches.feeds.reader, sys; print(any(name.split('.')[0] == 'django' for name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=settings.BASE_DIR, env={}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
