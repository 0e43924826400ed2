"""Hours as a coach types them: which of them overlap, and how they are said. Pure."""

from collections.abc import Sequence
from datetime import date, time
from itertools import pairwise

from coaches.models import Weekday
from coaches.slots import DayWindow, Window

_DAY_MINUTES = 24 * 60
_WEEK_MINUTES = 7 * _DAY_MINUTES


def overlaps(windows: Sequence[Window]) -> list[tuple[Window, Window]]:
    """Neighbours that share time, as (earlier, later); empty if and only if no two windows overlap.

    The week is a circle: after its last window comes the first one again.
    """
    ordered = sorted(windows, key=minutes_of_week)
    found = [
        (earlier, later)
        for earlier, later in pairwise(ordered)
        if minutes_of_week(later)[0] < minutes_of_week(earlier)[1]
    ]
    if len(ordered) > 1 and minutes_of_week(ordered[0])[0] + _WEEK_MINUTES < minutes_of_week(ordered[-1])[1]:
        found.append((ordered[-1], ordered[0]))
    return found


def overlaps_of_day(windows: Sequence[DayWindow]) -> list[tuple[DayWindow, DayWindow]]:
    """The same for windows that all start on one date."""
    on_one_day = {Window(0, each.starts, each.ends, each.ends_next_day): each for each in windows}
    if len(on_one_day) < len(windows):
        twice = next(each for index, each in enumerate(windows) if each in windows[:index])
        return [(twice, twice)]
    return [(on_one_day[earlier], on_one_day[later]) for earlier, later in overlaps(list(on_one_day))]


def minutes_of_week(window: Window) -> tuple[int, int]:
    """From and to, in minutes of wall time since Monday 00:00; the end may lie in the next week."""
    midnight = window.weekday * _DAY_MINUTES
    return midnight + _minutes(window.starts), midnight + _minutes(window.ends) + window.ends_next_day * _DAY_MINUTES


def overlap_in_words(earlier: Window, later: Window) -> str:
    day = Weekday(later.weekday).label
    whose = "" if earlier.weekday == later.weekday else f"{Weekday(earlier.weekday).label}'s "
    return f"On {day}, {span_in_words(later)} overlaps {whose}{span_in_words(earlier)}."


def span_in_words(window: Window | DayWindow) -> str:
    """`09:00 to 12:30`, `20:00 to midnight`, `22:00 to 02:00 the next day`."""
    if window.ends_next_day and window.ends == time(0):
        return f"{window.starts:%H:%M} to midnight"
    return f"{window.starts:%H:%M} to {window.ends:%H:%M}{' the next day' if window.ends_next_day else ''}"


def days_in_words(first: date, last: date) -> str:
    """`Thu 24 Dec 2026`, `Thu 24 Dec 2026 to Sat 2 Jan 2027`."""
    words = [f"{day:%a} {day.day} {day:%b %Y}" for day in (first, last)]
    return words[0] if first == last else " to ".join(words)


def length_in_words(minutes: int) -> str:
    """`none`, `45 minutes`, `1 hour 30 minutes`, `2 days`."""
    hours, rest = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "day"), (hours, "hour"), (rest, "minute")]
    return " ".join(f"{count} {unit}{'' if count == 1 else 's'}" for count, unit in parts if count) or "none"


def _minutes(wall: time) -> int:
    return wall.hour * 60 + wall.minute
