"""Says when a calendar is busy. A program of its own, with hard limits: what it reads may be broken or hostile.

    python -m coaches.feeds.reader ZONE SINCE UNTIL OWN_HOST CPU_SECONDS <calendar.ics

ZONE is the coach's, for times that name none; SINCE and UNTIL are whole seconds since 1970; OWN_HOST is the site whose
own bookings are left out; CPU_SECONDS is all the work it may do. It answers in
JSON: {"busy": [[start, end], ...], "unclear": 0} or {"trouble": "in words"}. Started for each calendar, so
that it must start fast: no Django.
"""

import json
import re
import resource
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import recurring_ical_events
from icalendar import Calendar, Event
from icalendar.cal import Component

MEMORY = 512 * 1024 * 1024  # bytes
MOST_BUSY_TIMES = 5_000
DAY = timedelta(days=1)

# What the time of an event hangs on: one that is broken here is not understood.
TIMES = {"DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID"}

Range = tuple[int, int]  # [start, end) in seconds since 1970


class Unreadable(Exception):
    """The calendar as a whole can't be used; the words say why."""


@dataclass(frozen=True)
class Question:
    zone: ZoneInfo
    since: datetime
    until: datetime
    own_host: str


def main() -> None:
    zone, since, until, own_host, cpu_seconds = sys.argv[1:]
    limit_resources(int(cpu_seconds))
    question = Question(
        ZoneInfo(zone), datetime.fromtimestamp(int(since), UTC), datetime.fromtimestamp(int(until), UTC), own_host
    )
    try:
        busy, unclear = read(sys.stdin.buffer.read(), question)
        json.dump({"busy": busy, "unclear": unclear}, sys.stdout)
    except Unreadable as error:
        json.dump({"trouble": str(error)}, sys.stdout)


def limit_resources(cpu_seconds: int) -> None:
    """From here on, more time or memory than this ends the program."""
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def read(content: bytes, question: Question) -> tuple[list[Range], int]:
    """The busy times, in order and without overlap, and how many events were not understood. Raises Unreadable."""
    busy: list[Range] = []
    unclear = 0
    for calendar in _calendars(content):
        busy += _published(calendar, question)
        for series in _series(calendar, question.own_host):
            try:
                damaged = any(_is_unclear(event) for event in series.subcomponents)
                busy += _occurrences(series, question)
            except MemoryError:
                raise
            except Exception:  # noqa: BLE001  # whatever one broken event trips over, the others count
                damaged = True
            unclear += damaged
    merged = _merged(busy)
    if len(merged) > MOST_BUSY_TIMES:
        raise Unreadable(f"The calendar has more than {MOST_BUSY_TIMES:,} separate busy times in a year.")
    return merged, unclear


def _calendars(content: bytes) -> list[Calendar]:
    text = content.removeprefix(b"\xef\xbb\xbf").strip()
    if not text[:15].upper().startswith(b"BEGIN:VCALENDAR"):
        raise Unreadable("There is something else than a calendar at this address.")
    # Half a file would be half of the busy times.
    if not text[-13:].upper().endswith(b"END:VCALENDAR"):
        raise Unreadable("The calendar ends in the middle.")
    try:
        calendars = list(Calendar.from_ical(text, multiple=True))
    except ValueError:
        calendars = []
    # None is complete either where something in it was begun and not ended.
    if not calendars:
        raise Unreadable("The calendar is written in a way that can't be understood.")
    return calendars


# --- events -------------------------------------------------------------------------------------


def _series(calendar: Component, own_host: str) -> Iterator[Calendar]:
    """The events by their UID, each with its exceptions a calendar of its own: one that is broken spoils no other."""
    ours = re.compile(rf"booking-[0-9]+@{re.escape(own_host)}")
    by_uid: dict[str, list[Event]] = defaultdict(list)
    for number, event in enumerate(calendar.subcomponents):
        uid = str(event.get("UID", f"without-uid-{number}"))
        # Our own bookings come back from a calendar that has subscribed to them: they block their time by themselves.
        if isinstance(event, Event) and not ours.fullmatch(uid):
            by_uid[uid].append(event)
    zone = _zone_of(calendar)
    for events in by_uid.values():
        series = Calendar()
        if zone:
            series.add("X-WR-TIMEZONE", zone)
        series.subcomponents = list(events)
        yield series


def _zone_of(calendar: Component) -> str:
    """The zone that many calendars name for times without one; empty where it is none that we know."""
    try:
        return ZoneInfo(str(calendar.get("X-WR-TIMEZONE", ""))).key
    except (ValueError, OSError, KeyError):
        return ""


def _is_unclear(event: Component) -> bool:
    """A part of its time is broken, or is said in a zone that nobody knows."""
    named = [event.get(name) for name in ("DTSTART", "DTEND")]
    lost = any(
        value is not None and "TZID" in value.params and isinstance(value.dt, datetime) and value.dt.tzinfo is None
        for value in named
    )
    return lost or any(name in TIMES for name, _ in event.errors)


def _occurrences(series: Calendar, question: Question) -> list[Range]:
    whole = [event for event in series.subcomponents if _without_broken_parts(event)]
    series.subcomponents = [event for event in whole if not _ends_before_start(event, question.zone)]
    # A day more at both ends: days and times without a zone are measured against the window as if in UTC.
    found = recurring_ical_events.of(series).between(question.since - DAY, question.until + DAY)
    return [
        taken
        for each in found
        if _takes_time(each)
        for taken in _within(each["DTSTART"].dt, each["DTEND"].dt, question)
    ]


def _without_broken_parts(event: Component) -> bool:
    """Takes out what is broken about its time; whether it can do without. More is busy then, not less."""
    broken = {name for name, _ in event.errors if name in TIMES}
    for name in broken:
        event.pop(name, None)
    return not broken & {"DTSTART", "RECURRENCE-ID"}


def _takes_time(event: Component) -> bool:
    transparent = str(event.get("TRANSP", "")).upper() == "TRANSPARENT"
    return not transparent and str(event.get("STATUS", "")).upper() != "CANCELLED"


def _ends_before_start(event: Component, zone: ZoneInfo) -> bool:
    """The library would swap the two."""
    start, end, duration = (event.get(name) for name in ("DTSTART", "DTEND", "DURATION"))
    if end is not None:
        return _instant(end.dt, zone) < _instant(start.dt, zone)
    return duration is not None and duration.dt < timedelta()


def _published(calendar: Component, question: Question) -> list[Range]:
    """What a calendar that shows only free and busy says to be busy."""
    return [
        taken
        for component in calendar.walk("VFREEBUSY")
        for period in _flat(component.get("FREEBUSY", []))
        if str(period.params.get("FBTYPE", "BUSY")).upper() != "FREE"
        for taken in _within(period.start, period.end, question)
    ]


def _flat(values: Any) -> Iterator[Any]:
    """One property with several periods is a list; several properties are a list of these."""
    for value in values if isinstance(values, list) else [values]:
        if isinstance(value, list):
            yield from _flat(value)
        else:
            yield value


# --- ranges -------------------------------------------------------------------------------------


def _within(start: date, end: date, question: Question) -> list[Range]:
    """The part inside the window; nothing where that is no time at all."""
    first = max(_instant(start, question.zone), question.since)
    last = min(_instant(end, question.zone), question.until)
    return [(int(first.timestamp()), int(last.timestamp()))] if first < last else []


def _instant(time: date, zone: ZoneInfo) -> datetime:
    """A day begins at its midnight in the coach's zone, and a time without a zone is meant in it."""
    if not isinstance(time, datetime):
        time = datetime(time.year, time.month, time.day, tzinfo=zone)
    return (time if time.tzinfo else time.replace(tzinfo=zone)).astimezone(UTC)


def _merged(ranges: Iterable[Range]) -> list[Range]:
    merged: list[Range] = []
    for start, end in sorted(ranges):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


if __name__ == "__main__":
    main()
