"""Which times are free: weekly rules, a zone and busy ranges in; instants out.

Pure: no database, no clock. Rules are written in local wall time; everything after `_constant_offsets`
is in UTC, where ranges are half-open and plain to compare. What opens or closes time later on (overrides,
buffers, windows over midnight) is one more span in `_openings` or one more range in `busy`.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Window:
    """Local wall time that recurs each week; Monday is 0. Half-open: `ends` itself is no longer open."""

    weekday: int
    starts: time
    ends: time


@dataclass(frozen=True, slots=True)
class Range:
    """From `start` up to, but not including, `end`."""

    start: datetime
    end: datetime


def free_slots(
    *,
    windows: Sequence[Window],
    zone: str,
    duration: timedelta,
    busy: Sequence[Range],
    within: Range,
    step: timedelta,
) -> list[datetime]:
    """The instants (UTC, sorted) at which a session of `duration` may start, out of those in `within`.

    Starts lie on a grid of `step` wall-clock time from each window's own start. The windows' union is open, so
    a session may run across two that touch; its length is real elapsed time. A local time that does not exist
    is skipped, one that happens twice is offered once for each instant. Busy ranges may touch a session.
    """
    if duration <= timedelta() or step <= timedelta():
        raise ValueError("A session and the grid both need a length.")
    around = Range(within.start - 2 * _DAY, within.end + duration + 2 * _DAY)
    openings = list(_openings(windows, around))
    opened: list[Range] = []
    starts: set[datetime] = set()
    for stretch, offset in _constant_offsets(ZoneInfo(zone), around):
        for local in openings:
            opening = Range(local.start - offset, local.end - offset)
            opened.append(Range(max(opening.start, stretch.start), min(opening.end, stretch.end)))
            starts.update(start for start in _grid(opening, step) if stretch.start <= start < stretch.end)
    free = _without(_union(opened), _union(busy))
    return sorted(
        start for start in starts if within.start <= start < within.end and _holds(free, start, start + duration)
    )


def _openings(windows: Sequence[Window], around: Range) -> Iterator[Range]:
    """Each window on each of its days, as local wall time that is labelled UTC until an offset is taken off."""
    day = around.start.date()
    while day <= around.end.date():
        for window in windows:
            if window.weekday == day.weekday():
                yield Range(datetime.combine(day, window.starts, UTC), datetime.combine(day, window.ends, UTC))
        day += _DAY


def _constant_offsets(zone: ZoneInfo, around: Range) -> Iterator[tuple[Range, timedelta]]:
    """Cuts the range where the zone's offset changes.

    A local time minus an offset is an instant of that local time exactly when it falls into a stretch with
    that offset: into none when clocks jump over it, into two when they are set back.
    """
    start = around.start
    while start < around.end:
        offset = _offset(zone, start)
        end = start
        while end < around.end and _offset(zone, end) == offset:
            end += _HOUR
        end = min(end, around.end) if _offset(zone, end) == offset else _change(zone, end - _HOUR, end)
        yield Range(start, end), offset
        start = end


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first instant, to the second, with the offset of `after`, which differs from that of `before`."""
    while after - before > _SECOND:
        middle = before + (after - before) // 2
        if _offset(zone, middle) == _offset(zone, before):
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None  # every ZoneInfo has one for an aware instant
    return offset


def _grid(opening: Range, step: timedelta) -> Iterator[datetime]:
    start = opening.start
    while start < opening.end:
        yield start
        start += step


def _union(ranges: Iterable[Range]) -> list[Range]:
    """The same time as few sorted ranges that neither overlap nor touch; empty ones are dropped."""
    merged: list[Range] = []
    for piece in sorted((piece for piece in ranges if piece.start < piece.end), key=lambda piece: piece.start):
        if merged and piece.start <= merged[-1].end:
            merged[-1] = Range(merged[-1].start, max(merged[-1].end, piece.end))
        else:
            merged.append(piece)
    return merged


def _without(opened: Sequence[Range], busy: Sequence[Range]) -> list[Range]:
    """What is left of `opened`; both are unions."""
    left: list[Range] = []
    for piece in opened:
        start = piece.start
        for taken in busy:
            if taken.start < piece.end and taken.end > start:
                left.append(Range(start, taken.start))
                start = taken.end
        left.append(Range(start, piece.end))
    return [piece for piece in left if piece.start < piece.end]


def _holds(free: Sequence[Range], start: datetime, end: datetime) -> bool:
    """Whether one range of the sorted `free` holds all of the time from start to end."""
    index = bisect_right(free, start, key=lambda piece: piece.start) - 1
    return index >= 0 and end <= free[index].end
