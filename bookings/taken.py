"""Whose time is taken, and when: by sessions, by proposals of another time, and by outside calendars."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import DateTimeField, IntegerChoices, Q, QuerySet, Value

from bookings.models import Booking
from coaches.models import LONGEST_BUFFER_MINUTES, LONGEST_SESSION_MINUTES, BusyTime, Coach
from coaches.slots import Range
from marketplace.models import User

# What takes time at some instant begins less than this before it: the longest session and a buffer after it.
LONGEST_BLOCK = timedelta(minutes=LONGEST_SESSION_MINUTES + LONGEST_BUFFER_MINUTES)
# Sessions that count for the most in a day and in a week: those to come and those that took place, or should have.
COUNTED = (*Booking.LIVE, Booking.Status.COMPLETED, Booking.Status.NO_SHOW_STUDENT, Booking.Status.NO_SHOW_COACH)

# A week of any zone's calendar, and the difference between zones.
_WEEK_AROUND = timedelta(days=8)

_Row = tuple[int, datetime, datetime, datetime | None, datetime | None]


@dataclass(frozen=True, slots=True)
class Taken:
    """What is in the way of a session, as `coaches.slots` takes it."""

    busy: list[Range]
    elsewhere: list[Range]
    booked: list[datetime]


class _Kind(IntegerChoices):
    """Why a row of `taken_time` is there."""

    BUSY = 1  # the coach's: kept away from the session and its buffers
    ELSEWHERE = 2  # the student's: kept away from the session
    BOOKED = 3  # counts for the most in a day and in a week


def taken_time(*, coach: Coach, user: User | None, around: Range, now: datetime, but: Booking | None) -> Taken:
    """One query; each part of it walks along one index (booking_of_coach, booking_of_student, busy_of_coach)."""
    parts = [
        _blocked(_upcoming(now, but).filter(coach=coach), around),
        # A person who teaches and learns is in one place at a time, whichever side they are on.
        _bare(_upcoming(now, but).filter(student__user=coach.user_id), around, _Kind.BUSY),
        _outside(coach, around),
    ]
    if user is not None and user.pk != coach.user_id:
        parts += [
            _bare(_upcoming(now, but).filter(student__user=user), around, _Kind.ELSEWHERE),
            _bare(_upcoming(now, but).filter(coach__user=user), around, _Kind.ELSEWHERE),
        ]
    if coach.most_a_day is not None or coach.most_a_week is not None:
        parts.append(_booked(coach, around, now, but))
    taken = Taken([], [], [])
    for kind, start, end, other_start, other_end in parts[0].union(*parts[1:], all=True):
        ranges = [Range(start, end)]
        if other_start and other_end:
            ranges.append(Range(other_start, other_end))
        if kind == _Kind.BOOKED:
            taken.booked.extend(each.start for each in ranges)
        else:
            (taken.busy if kind == _Kind.BUSY else taken.elsewhere).extend(ranges)
    return taken


def _upcoming(now: datetime, but: Booking | None) -> QuerySet[Booking]:
    """What can be in the way of anything to come."""
    rows = Booking.objects.filter(status__in=Booking.LIVE, starts_at__gt=now - LONGEST_BLOCK)
    return rows.exclude(pk=but.pk) if but else rows


def _blocked(rows: QuerySet[Booking], around: Range) -> QuerySet[Booking, _Row]:
    """The coach's time that these take and that they may move to, buffers included."""
    overlapping = Q(blocked_from__lt=around.end, blocked_until__gt=around.start) | Q(
        proposed_blocked_from__lt=around.end, proposed_blocked_until__gt=around.start
    )
    return rows.filter(overlapping).values_list(
        Value(_Kind.BUSY), "blocked_from", "blocked_until", "proposed_blocked_from", "proposed_blocked_until"
    )


def _bare(rows: QuerySet[Booking], around: Range, kind: _Kind) -> QuerySet[Booking, _Row]:
    """The sessions alone."""
    overlapping = Q(starts_at__lt=around.end, ends_at__gt=around.start) | Q(
        proposed_starts_at__lt=around.end, proposed_ends_at__gt=around.start
    )
    return rows.filter(overlapping).values_list(
        Value(kind), "starts_at", "ends_at", "proposed_starts_at", "proposed_ends_at"
    )


def _outside(coach: Coach, around: Range) -> QuerySet[BusyTime, _Row]:
    """What the coach's other calendars say."""
    rows = BusyTime.objects.filter(coach=coach, starts_at__lt=around.end, ends_at__gt=around.start)
    nothing = Value(None, DateTimeField())
    return rows.values_list(Value(_Kind.BUSY), "starts_at", "ends_at", nothing, nothing)


def _booked(coach: Coach, around: Range, now: datetime, but: Booking | None) -> QuerySet[Booking, _Row]:
    """Of the weeks that `around` touches in any zone; a proposed start counts beside the agreed one."""
    start, end = around.start - _WEEK_AROUND, around.end + _WEEK_AROUND
    rows = Booking.objects.filter(coach=coach, status__in=COUNTED, starts_at__gt=min(start, now - LONGEST_BLOCK))
    counted = Q(starts_at__gte=start, starts_at__lt=end) | Q(proposed_starts_at__gte=start, proposed_starts_at__lt=end)
    if but is not None:
        rows = rows.exclude(pk=but.pk)
    return rows.filter(counted).values_list(
        Value(_Kind.BOOKED), "starts_at", "ends_at", "proposed_starts_at", "proposed_ends_at"
    )
