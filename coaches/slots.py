"""Which times are free: a coach's rules and what is taken in; instants out.

Pure: no database, no clock. Inside, times are whole microseconds since 1970, for speed: an instant counts them in
UTC, a local time as the wall clock shows them. All ranges are half-open. A local time minus an offset is an instant of
that local time exactly when it falls into a stretch of time with that offset: into none when clocks jump over it, into
two when they are set back. So each local range is cut at the changes of clocks (`_instants`), and what is left is
plain arithmetic on instants.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.toordinal()
_SECOND = 1_000_000
_HOUR = 3600 * _SECOND
_DAY = 24 * _HOUR
# Changes of clocks are looked up and remembered for so much time at once.
_BLOCK = 32 * _DAY

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Window:
    """Local wall time that recurs each week; Monday is 0. `ends` itself is no longer open.

    It belongs to the day it starts on, also where it runs over midnight, or up to it.
    """

    weekday: int
    starts: time
    ends: time
    ends_next_day: bool = False


@dataclass(frozen=True, slots=True)
class DayWindow:
    """A window of one date."""

    starts: time
    ends: time
    ends_next_day: bool = False


@dataclass(frozen=True, slots=True)
class Override:
    """What replaces the windows that start on these days, both within; without windows they are days off."""

    first_day: date
    last_day: date
    windows: tuple[DayWindow, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """How a coach's time is offered for one offering. Days and weeks are those of the coach's calendar."""

    zone: str
    windows: tuple[Window, ...]
    overrides: tuple[Override, ...]
    # Wall-clock time between starts, from each window's own start.
    step: timedelta
    buffer_before: timedelta
    buffer_after: timedelta
    # Real elapsed time; a start that is just so far away can be booked.
    notice: timedelta
    furthest_days: int
    most_a_day: int | None
    most_a_week: int | None


class Range(NamedTuple):
    """From `start` up to, but not including, `end`."""

    start: datetime
    end: datetime


class _Stretch(NamedTuple):
    """Instants with one offset from UTC."""

    start: int
    end: int
    offset: int


# --- what is asked from outside -----------------------------------------------------------------


def free_slots(
    *,
    rules: Rules,
    duration: timedelta,
    busy: Sequence[Range],
    elsewhere: Sequence[Range],
    booked: Sequence[datetime],
    within: Range,
    now: datetime,
) -> list[datetime]:
    """The instants (UTC, sorted) in `within` at which a session of `duration` may start.

    The windows' union is open, so a session may run across two that touch; its length is real elapsed time. A local
    time that does not exist is skipped, one that happens twice is offered once for each instant. The buffers around
    the session may stick out of the hours; they may touch `busy` time, not overlap it. `elsewhere` is compared with
    the session alone. `booked` are the starts that count for the most in a day and in a week from Monday.
    """
    today = _local(rules.zone, _instant(now)) // _DAY
    after_last_day = (today + rules.furthest_days + 1) * _DAY
    earliest = max(_instant(within.start), _instant(now) + _length(rules.notice))
    # Offsets are shorter than a day: nothing that starts on the last day is left out.
    latest = min(_instant(within.end), after_last_day + _DAY)
    if earliest >= latest or 0 in (rules.most_a_day, rules.most_a_week):
        return []
    stretches = _stretches(rules.zone, earliest, latest + _length(duration))
    forbidden = [
        *_conflicts(busy, _length(duration), _length(rules.buffer_before), _length(rules.buffer_after)),
        *_conflicts(elsewhere, _length(duration), 0, 0),
        *_full(rules, booked, stretches),
        *((piece.start, piece.end) for piece in _instants((after_last_day, after_last_day + 3 * _DAY), stretches)),
    ]
    starts, possible = _hours(rules, _length(duration), stretches)
    return _chosen(starts, _without(_clipped(possible, earliest, latest), _union(forbidden)))


def offered_starts(*, rules: Rules, duration: timedelta, within: Range) -> list[datetime]:
    """The starts (UTC, sorted) in `within` that the coach's hours offer, taken or not, however soon or far."""
    start, end = _instant(within.start), _instant(within.end)
    starts, possible = _hours(rules, _length(duration), _stretches(rules.zone, start, end + _length(duration)))
    return _chosen(starts, _clipped(possible, start, end))


# --- hours --------------------------------------------------------------------------------------


def _hours(rules: Rules, duration: int, stretches: Sequence[_Stretch]) -> tuple[list[int], list[Span]]:
    """The grid's starts, sorted, and where a session may start so that all of it is within open time."""
    step = _length(rules.step)
    if duration <= 0 or step <= 0:
        raise ValueError("A session and the grid both need a length.")
    starts: set[int] = set()
    opened: list[Span] = []
    for opening in _openings(rules, stretches):
        for piece in _instants(opening, stretches):
            opened.append((piece.start, piece.end))
            first = piece.start + (opening[0] - piece.offset - piece.start) % step
            starts.update(range(first, piece.end, step))
    return sorted(starts), [(start, end - duration + 1) for start, end in _union(opened) if end - start >= duration]


def _openings(rules: Rules, stretches: Sequence[_Stretch]) -> Iterator[Span]:
    """Each window on each of its days, in local time; also those of the day before, which may run over midnight."""
    first = min(stretch.start + stretch.offset for stretch in stretches) // _DAY - 1
    last = max(stretch.end + stretch.offset for stretch in stretches) // _DAY
    of_weekday: list[list[Span]] = [[] for _ in range(7)]
    for window in rules.windows:
        of_weekday[window.weekday].append(_wall(window))
    replaced = {
        day: [_wall(window) for window in override.windows]
        for override in rules.overrides
        for day in range(max(_day(override.first_day), first), min(_day(override.last_day), last) + 1)
    }
    for day in range(first, last + 1):
        # The first day of 1970 was a Thursday.
        for opens, closes in replaced.get(day, of_weekday[(day + 3) % 7]):
            yield day * _DAY + opens, day * _DAY + closes


def _wall(window: Window | DayWindow) -> Span:
    return _time(window.starts), _time(window.ends) + (_DAY if window.ends_next_day else 0)


# --- changes of clocks --------------------------------------------------------------------------


def _instants(local: Span, stretches: Sequence[_Stretch]) -> Iterator[_Stretch]:
    """The instants at which the local clock shows a time in this range."""
    for stretch in stretches:
        start, end = max(local[0] - stretch.offset, stretch.start), min(local[1] - stretch.offset, stretch.end)
        if start < end:
            yield _Stretch(start, end, stretch.offset)


def _stretches(zone: str, start: int, end: int) -> list[_Stretch]:
    """The time from start to end, cut where the zone's offset changes."""
    found: list[_Stretch] = []
    for number in range(start // _BLOCK, (end - 1) // _BLOCK + 1):
        for piece in _block(zone, number):
            low, high = max(piece.start, start), min(piece.end, end)
            if found and found[-1].offset == piece.offset:
                found[-1] = _Stretch(found[-1].start, high, piece.offset)
            elif low < high:
                found.append(_Stretch(low, high, piece.offset))
    return found


@lru_cache(maxsize=8192)
def _block(zone: str, number: int) -> tuple[_Stretch, ...]:
    """One block of time. Asked for each hour: no zone changes its clocks and back within one."""
    info = ZoneInfo(zone)
    start, block_end = number * _BLOCK, (number + 1) * _BLOCK
    found: list[_Stretch] = []
    offset = _offset(info, start)
    for hour in range(start + _HOUR, block_end + 1, _HOUR):
        changed = _offset(info, hour)
        if changed != offset:
            change = _change(info, hour - _HOUR, hour)
            found.append(_Stretch(start, change, offset))
            start, offset = change, changed
    return (*found, _Stretch(start, block_end, offset))


def _change(info: ZoneInfo, before: int, after: int) -> int:
    """The first instant, to the second, with the offset of `after`, which differs from that of `before`."""
    old = _offset(info, before)
    seconds = range(before, after + 1, _SECOND)
    return seconds[bisect_left(seconds, True, key=lambda instant: _offset(info, instant) != old)]


def _offset(info: ZoneInfo, instant: int) -> int:
    offset = _datetime(instant).astimezone(info).utcoffset()
    assert offset is not None  # every ZoneInfo has one for an aware instant
    return _length(offset)


def _local(zone: str, instant: int) -> int:
    block = _block(zone, instant // _BLOCK)
    return instant + block[bisect_left(block, (instant + 1,)) - 1].offset


# --- what is in the way -------------------------------------------------------------------------


def _conflicts(ranges: Iterable[Range], duration: int, before: int, after: int) -> Iterator[Span]:
    """The starts whose session, with these buffers around it, overlaps one of the ranges; empty ones are dropped."""
    for start, end in ranges:
        if start < end:
            yield _instant(start) - duration - after + 1, _instant(end) + before


def _full(rules: Rules, booked: Iterable[datetime], stretches: Sequence[_Stretch]) -> Iterator[Span]:
    """The days and weeks of the coach's calendar that hold as many sessions as they may."""
    days = Counter(_local(rules.zone, _instant(start)) // _DAY for start in booked)
    weeks: Counter[int] = Counter()
    for day, count in days.items():
        weeks[day - (day + 3) % 7] += count  # counted under its Monday
    for counts, length, most in ((days, 1, rules.most_a_day), (weeks, 7, rules.most_a_week)):
        for day, count in counts.items():
            if most is not None and count >= most:
                for piece in _instants((day * _DAY, (day + length) * _DAY), stretches):
                    yield piece.start, piece.end


# --- ranges of instants -------------------------------------------------------------------------


def _union(spans: Iterable[Span]) -> list[Span]:
    """The same time as few sorted spans that neither overlap nor touch."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((start, end))
    return merged


def _clipped(spans: Iterable[Span], start: int, end: int) -> list[Span]:
    return [(max(low, start), min(high, end)) for low, high in spans if low < end and high > start]


def _without(spans: Sequence[Span], taken: Sequence[Span]) -> list[Span]:
    """What is left of `spans`; both are unions."""
    left: list[Span] = []
    for start, end in spans:
        free_from = start
        for low, high in taken[bisect_right(taken, start, key=lambda span: span[1]) :]:
            if low >= end:
                break
            left.append((free_from, low))
            free_from = high
        left.append((free_from, end))
    return [(start, end) for start, end in left if start < end]


def _chosen(starts: Sequence[int], spans: Iterable[Span]) -> list[datetime]:
    """The starts that lie in one of the spans; all are sorted."""
    return [
        _datetime(start)
        for low, high in spans
        for start in starts[bisect_left(starts, low) : bisect_left(starts, high)]
    ]


# --- numbers ------------------------------------------------------------------------------------


def _instant(moment: datetime) -> int:
    return _length(moment - _EPOCH)


def _datetime(instant: int) -> datetime:
    return _EPOCH + timedelta(0, *divmod(instant, _SECOND))


def _length(delta: timedelta) -> int:
    return delta // timedelta.resolution


def _time(wall: time) -> int:
    return ((wall.hour * 60 + wall.minute) * 60 + wall.second) * _SECOND + wall.microsecond


def _day(day: date) -> int:
    return day.toordinal() - _EPOCH_DAY
