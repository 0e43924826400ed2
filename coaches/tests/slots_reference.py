"""The rules of free times again, minute by minute: slow, and plain to compare with the words they come from.

It knows no ranges of instants and no offsets. It looks at the wall clock at one minute after the other, and shares
nothing with what it judges but the shape of the questions. Whole minutes only.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from coaches.slots import DayWindow, Range, Rules, Window

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


class Reference:
    """Answers as `free_slots` should, for one coach's rules."""

    def __init__(self, rules: Rules, duration: timedelta) -> None:
        self.rules = rules
        self.duration = duration
        self.zone = ZoneInfo(rules.zone)
        self.open_minutes: dict[datetime, bool] = {}

    def free_slots(
        self,
        *,
        busy: Sequence[Range],
        elsewhere: Sequence[Range],
        booked: Sequence[datetime],
        within: Range,
        now: datetime,
    ) -> list[datetime]:
        found = []
        start = within.start
        while start < within.end:
            if (
                self.is_on_the_grid(start)
                and start - now >= self.rules.notice
                and (self.wall(start).date() - self.wall(now).date()).days <= self.rules.furthest_days
                and not self.is_full(start, booked)
                and not any(self.collides(start, each) for each in elsewhere)
                and not any(self.collides_with_buffers(start, each) for each in busy)
                and self.is_open_throughout(start)
            ):
                found.append(start)
            start += MINUTE
        return found

    def wall(self, instant: datetime) -> datetime:
        """What a clock on the wall shows: a time without a zone."""
        return instant.astimezone(self.zone).replace(tzinfo=None, fold=0)

    def windows_that_start_on(self, day: date) -> Sequence[Window | DayWindow]:
        for override in self.rules.overrides:
            if override.first_day <= day <= override.last_day:
                return override.windows
        return [window for window in self.rules.windows if window.weekday == day.weekday()]

    def windows_around(self, wall: datetime) -> list[tuple[datetime, datetime]]:
        """The windows that hold this time on the wall, as times on the wall: of its own day or the day before."""
        around = []
        for day in (wall.date() - DAY, wall.date()):
            for window in self.windows_that_start_on(day):
                starts = datetime.combine(day, window.starts)
                ends = datetime.combine(day + DAY if window.ends_next_day else day, window.ends)
                if starts <= wall < ends:
                    around.append((starts, ends))
        return around

    def is_on_the_grid(self, start: datetime) -> bool:
        wall = self.wall(start)
        return any((wall - starts) % self.rules.step == timedelta() for starts, _ in self.windows_around(wall))

    def is_open(self, minute: datetime) -> bool:
        if minute not in self.open_minutes:
            self.open_minutes[minute] = bool(self.windows_around(self.wall(minute)))
        return self.open_minutes[minute]

    def is_open_throughout(self, start: datetime) -> bool:
        return all(self.is_open(start + index * MINUTE) for index in range(self.duration // MINUTE))

    def collides(self, start: datetime, other: Range) -> bool:
        return _overlap(Range(start, start + self.duration), other)

    def collides_with_buffers(self, start: datetime, other: Range) -> bool:
        before, after = self.rules.buffer_before, self.rules.buffer_after
        return _overlap(Range(start - before, start + self.duration + after), other)

    def is_full(self, start: datetime, booked: Sequence[datetime]) -> bool:
        day = self.wall(start).date()
        days = [self.wall(each).date() for each in booked]
        on_this_day = days.count(day)
        in_this_week = [each.isocalendar()[:2] for each in days].count(day.isocalendar()[:2])
        most_a_day, most_a_week = self.rules.most_a_day, self.rules.most_a_week
        return (most_a_day is not None and on_this_day >= most_a_day) or (
            most_a_week is not None and in_this_week >= most_a_week
        )


def _overlap(one: Range, other: Range) -> bool:
    """Whether some minute is in both."""
    return other.start < other.end and one.start < other.end and other.start < one.end


def days_of_change(zone: str, first: date, last: date) -> list[date]:
    """The days in UTC in which the zone's offset is another at the end than at the beginning."""
    info, midnight = ZoneInfo(zone), datetime.combine(first, time(), UTC)
    changed, before = [], midnight.astimezone(info).utcoffset()
    while midnight.date() <= last:
        after = (midnight + DAY).astimezone(info).utcoffset()
        if before != after:
            changed.append(midnight.date())
        midnight, before = midnight + DAY, after
    return changed
