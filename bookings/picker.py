"""The free times of one offering to choose from, as the viewer's calendar has them: a month of days, and one day.

Only what is shown is asked for: the month, and the next few free times.
"""

from calendar import Calendar
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bookings import selectors
from bookings.models import Booking
from coaches.models import Offering
from coaches.slots import Range
from marketplace.lib.zones import in_zone
from marketplace.models import User

SOONEST = 5
# The next free times are looked for so far ahead, before all that is open is.
_SOON = timedelta(days=14)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Day:
    date: date
    free: int


@dataclass(frozen=True, slots=True)
class Picker:
    """What the page shows. Months are named by their first day; Monday begins a week."""

    zone: str
    soonest: list[datetime]
    month: date
    weeks: list[list[Day | None]]  # None for a day of another month
    free: int  # in this month
    previous: date | None  # only months in which there can be a slot
    following: date | None
    day: date | None
    day_is_asked_for: bool
    times: list[datetime]
    instead: datetime | None  # where the month has none: the first after it, or else the first of all
    last_day: date


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose times, for whom, and by whose clock. With `but`, times to which that booking can move."""

    offering: Offering
    zone: str
    now: datetime
    user: User | None
    but: Booking | None = None

    def free(self, within: Range | None = None) -> list[datetime]:
        found = selectors.open_slots(offering=self.offering, now=self.now, user=self.user, within=within, but=self.but)
        agreed = self.but and self.but.starts_at
        return [start for start in found if start != agreed]

    def local_day(self, instant: datetime) -> date:
        return in_zone(instant, self.zone).date()


# --- a month and a day --------------------------------------------------------------------------


def picker_of(wanted: Wanted, *, month: date | None, day: date | None) -> Picker:
    """The month and the day that are asked for, or else the next ones with a free time. At most twelve queries."""
    soonest = soonest_free(wanted)
    first_day, last_day = _days_open(wanted)
    asked = day if day and first_day <= day <= last_day else None
    shown = _shown_month(wanted, asked or month, soonest)
    free = wanted.free(_range_of(shown, wanted.zone))
    count = Counter(wanted.local_day(start) for start in free)
    chosen = asked or min(count, default=None)
    return Picker(
        zone=wanted.zone,
        soonest=soonest,
        month=shown,
        weeks=_weeks_of(shown, count),
        free=len(free),
        previous=_month_of(shown - _DAY) if shown > first_day else None,
        following=_after(shown) if _after(shown) <= last_day else None,
        day=chosen,
        day_is_asked_for=asked is not None,
        times=[start for start in free if wanted.local_day(start) == chosen],
        instead=None if free else _instead(wanted, shown, soonest),
        last_day=last_day,
    )


def soonest_free(wanted: Wanted) -> list[datetime]:
    """The next few free times of all."""
    near = wanted.free(Range(wanted.now, wanted.now + _SOON))
    return (near if len(near) >= SOONEST else wanted.free())[:SOONEST]


def _days_open(wanted: Wanted) -> tuple[date, date]:
    """The first and the last day of the viewer's calendar on which there can be a slot."""
    coach = wanted.offering.coach
    first = wanted.local_day(wanted.now + selectors.notice_of(wanted.offering))
    closes = in_zone(wanted.now, coach.time_zone).date() + timedelta(days=coach.furthest_days + 1)
    last = wanted.local_day(_midnight(closes, coach.time_zone) - timedelta(seconds=1))
    return first, max(first, last)


def _shown_month(wanted: Wanted, asked: date | None, soonest: list[datetime]) -> date:
    """The month that is asked for where there can be slots, or else that of the next free time."""
    first_day, last_day = _days_open(wanted)
    if asked and _month_of(first_day) <= _month_of(asked) <= last_day:
        return _month_of(asked)
    return _month_of(wanted.local_day(soonest[0]) if soonest else first_day)


def _range_of(month: date, zone: str) -> Range:
    return Range(_midnight(month, zone), _midnight(_after(month), zone))


def _midnight(day: date, zone: str) -> datetime:
    """The beginning of the day. Where clocks jump over midnight, it is the first instant after that."""
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def _month_of(day: date) -> date:
    return day.replace(day=1)


def _after(month: date) -> date:
    return _month_of(month + timedelta(days=31))


def _weeks_of(month: date, free: Counter[date]) -> list[list[Day | None]]:
    weeks = Calendar().monthdatescalendar(month.year, month.month)
    return [[Day(day, free[day]) if _month_of(day) == month else None for day in week] for week in weeks]


def _instead(wanted: Wanted, month: date, soonest: list[datetime]) -> datetime | None:
    after = wanted.free(Range(_midnight(_after(month), wanted.zone), datetime.max.replace(tzinfo=UTC)))
    return next(iter((*after, *soonest)), None)
