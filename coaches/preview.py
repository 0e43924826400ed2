"""What a coach's hours come to, shown beside them: the next free times, and what may surprise. Nothing is changed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from coaches import selectors
from coaches.models import Coach, Offering, Weekday
from coaches.slots import Range, Rules, Window, free_slots, offered_starts
from coaches.windows import length_in_words, minutes_of_week, span_in_words
from marketplace.lib.zones import in_zone, zone_label

DAYS = 14
TIMES_SHOWN = 6
DAYS_SHOWN = 5
# A Monday, in a zone that never changes its clocks: here the week is judged by itself.
_MONDAY = datetime(2001, 1, 1, tzinfo=UTC)
_WEEK = timedelta(weeks=1)


@dataclass(frozen=True, slots=True)
class PreviewDay:
    """A date of the coach's calendar, the first starts on it, and how many more there are."""

    starts: list[datetime]
    more: int


@dataclass(frozen=True, slots=True)
class Preview:
    """`days_more` are the days with free times after the ones that are shown."""

    offering: Offering
    days: list[PreviewDay]
    days_more: int


def preview_of(offering: Offering, *, now: datetime) -> Preview:
    """The offering's next free times by the coach's rules alone: no booking and no outside calendar is looked at."""
    rules = selectors.rules_of(offering=offering, since=now.date())
    within = Range(now, now + timedelta(days=DAYS))
    starts = free_slots(
        rules=rules, duration=offering.duration, busy=(), elsewhere=(), booked=(), within=within, now=now
    )
    by_day = [list(day) for _, day in groupby(starts, lambda start: in_zone(start, rules.zone).date())]
    shown = [PreviewDay(day[:TIMES_SHOWN], max(len(day) - TIMES_SHOWN, 0)) for day in by_day[:DAYS_SHOWN]]
    return Preview(offering, shown, max(len(by_day) - DAYS_SHOWN, 0))


def warnings_of(coach: Coach, offerings: Sequence[Offering], *, now: datetime) -> list[str]:
    """In words: hours that no session fits into, and days that can be booked on which clocks change."""
    return [*_too_short(offerings), *clock_changes(coach, now=now)]


def _too_short(offerings: Sequence[Offering]) -> list[str]:
    if not offerings:
        return []
    shortest = min(offerings, key=lambda offering: offering.minutes)
    rules = replace(selectors.rules_of(offering=shortest, since=_MONDAY.date()), zone="UTC", overrides=())
    return [
        f"On {Weekday(window.weekday).label}, {span_in_words(window)}: no session fits in. "
        f"Your shortest takes {length_in_words(shortest.minutes)}."
        for window in _unused(rules, shortest.duration)
    ]


def _unused(rules: Rules, duration: timedelta) -> list[Window]:
    """The windows that no session of this length runs in, not even one that comes from the window before."""
    starts = offered_starts(rules=rules, duration=duration, within=Range(_MONDAY - _WEEK, _MONDAY + 2 * _WEEK))
    unused = []
    for window in rules.windows:
        opens, closes = (_MONDAY + timedelta(minutes=minutes) for minutes in minutes_of_week(window))
        if not any(start < closes and start + duration > opens for start in starts):
            unused.append(window)
    return unused


def clock_changes(coach: Coach, *, now: datetime) -> list[str]:
    """The days of the coach's calendar that can be booked and are shorter or longer than 24 hours."""
    today = in_zone(now, coach.time_zone).date()
    days = (today + timedelta(days=ahead) for ahead in range(coach.furthest_days + 1))
    return [words for day in days if (words := _clock_change(day, coach.time_zone))]


def _clock_change(day: date, zone: str) -> str:
    changed = _offset(day + timedelta(days=1), zone) - _offset(day, zone)
    if not changed:
        return ""
    way = "forward" if changed > timedelta(0) else "back"
    effect = (
        "Times that the clock skips can't be booked."
        if changed > timedelta(0)
        else "Times that come twice can be booked twice; students see which is which."
    )
    length = length_in_words(abs(changed) // timedelta(minutes=1))
    return f"On {day:%A} {day.day} {day:%B %Y}, clocks go {way} by {length} in {zone_label(zone)}. {effect}"


def _offset(day: date, zone: str) -> timedelta:
    offset = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).utcoffset()
    assert offset is not None  # every ZoneInfo has one
    return offset
