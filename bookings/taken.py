"""Whose time is taken, and when: by sessions, by proposals of another time, and by outside calendars.

Written in SQL: Django takes longer to put such a statement together than PostgreSQL takes to answer it, and every page
with free times asks it (`bin/bench slots`). Each part walks along one index: booking_of_coach, booking_of_student,
busy_of_coach.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from bookings.models import Booking
from coaches.models import LONGEST_BUFFER_MINUTES, LONGEST_SESSION_MINUTES, Coach
from coaches.slots import Range
from marketplace.models import User

# What takes time at some instant begins less than this before it: the longest session and a buffer after it.
LONGEST_BLOCK = timedelta(minutes=LONGEST_SESSION_MINUTES + LONGEST_BUFFER_MINUTES)
# A week of any zone's calendar, and the difference between zones.
WEEK_AROUND = timedelta(days=8)

# The kinds of rows, as the statements below number them. The coach's time is kept from the session and its buffers,
# the viewer's from the session alone; what is booked counts for the most in a day and in a week.
BUSY, ELSEWHERE, BOOKED = 1, 2, 3

# The coach's sessions, and where they may move to, buffers included.
_GIVEN = """
SELECT 1, blocked_from, blocked_until, proposed_blocked_from, proposed_blocked_until FROM bookings_booking
WHERE coach_id = %(coach)s
  AND starts_at > %(since)s AND status IN ('awaiting_payment', 'requested', 'accepted') AND id <> %(but)s
  AND (blocked_from < %(end)s AND blocked_until > %(start)s
       OR proposed_blocked_from < %(end)s AND proposed_blocked_until > %(start)s)
"""
_OUTSIDE = """
SELECT 1, starts_at, ends_at, NULL, NULL FROM coaches_busytime
WHERE coach_id = %(coach)s AND ends_at > %(start)s AND starts_at < %(end)s
"""
# A person who teaches and learns is in one place at a time, whichever side they are on.
_COACH_LEARNS = """
SELECT 1, starts_at, ends_at, proposed_starts_at, proposed_ends_at FROM bookings_booking
WHERE student_id = (SELECT id FROM bookings_student WHERE user_id = %(coach_user)s)
  AND starts_at > %(since)s AND status IN ('awaiting_payment', 'requested', 'accepted') AND id <> %(but)s
  AND (starts_at < %(end)s AND ends_at > %(start)s OR proposed_starts_at < %(end)s AND proposed_ends_at > %(start)s)
"""
_VIEWER_LEARNS = """
SELECT 2, starts_at, ends_at, proposed_starts_at, proposed_ends_at FROM bookings_booking
WHERE student_id = (SELECT id FROM bookings_student WHERE user_id = %(viewer)s)
  AND starts_at > %(since)s AND status IN ('awaiting_payment', 'requested', 'accepted') AND id <> %(but)s
  AND (starts_at < %(end)s AND ends_at > %(start)s OR proposed_starts_at < %(end)s AND proposed_ends_at > %(start)s)
"""
_VIEWER_TEACHES = """
SELECT 2, starts_at, ends_at, proposed_starts_at, proposed_ends_at FROM bookings_booking
WHERE coach_id = (SELECT id FROM coaches_coach WHERE user_id = %(viewer)s)
  AND starts_at > %(since)s AND status IN ('awaiting_payment', 'requested', 'accepted') AND id <> %(but)s
  AND (starts_at < %(end)s AND ends_at > %(start)s OR proposed_starts_at < %(end)s AND proposed_ends_at > %(start)s)
"""
# To come and past: what took place, or should have, has used up its share of the day. A proposed start counts, too.
_BOOKED = """
SELECT 3, starts_at, ends_at, proposed_starts_at, proposed_ends_at FROM bookings_booking
WHERE coach_id = %(coach)s AND starts_at > %(counted_since)s AND id <> %(but)s
  AND status IN ('awaiting_payment', 'requested', 'accepted', 'completed', 'no_show_student', 'no_show_coach')
  AND (starts_at < %(counted_until)s OR proposed_starts_at < %(counted_until)s)
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """What is in the way of a session, as `coaches.slots` takes it."""

    busy: list[Range]
    elsewhere: list[Range]
    booked: list[datetime]


def taken_time(*, coach: Coach, user: User | None, around: Range, now: datetime, but: Booking | None) -> Taken:
    """Of the coach and, where it is known who asks, of that person; `but` leaves one booking out. One query."""
    parts = [_GIVEN, _COACH_LEARNS, _OUTSIDE]
    if user is not None and user.pk != coach.user_id:
        parts += [_VIEWER_LEARNS, _VIEWER_TEACHES]
    if coach.most_a_day is not None or coach.most_a_week is not None:
        parts.append(_BOOKED)
    since = now - LONGEST_BLOCK
    moments = {
        "since": since,
        "start": around.start,
        "end": around.end,
        "counted_since": min(around.start - WEEK_AROUND, since),
        "counted_until": around.end + WEEK_AROUND,
    }
    who: dict[str, Any] = {
        "coach": coach.pk,
        "coach_user": coach.user_id,
        "viewer": user.pk if user is not None else None,
        "but": but.pk if but is not None else 0,
    }
    with connection.cursor() as cursor:
        adapted = {name: connection.ops.adapt_datetimefield_value(moment) for name, moment in moments.items()}
        cursor.execute(" UNION ALL ".join(parts), who | adapted)
        return _sorted_out(cursor.fetchall())


def _sorted_out(rows: list[tuple[Any, ...]]) -> Taken:
    ranges: dict[int, list[Range]] = {BUSY: [], ELSEWHERE: [], BOOKED: []}
    for kind, start, end, other_start, other_end in rows:
        ranges[kind].append(Range(_moment(start), _moment(end)))
        if other_start is not None:
            ranges[kind].append(Range(_moment(other_start), _moment(other_end)))
    return Taken(ranges[BUSY], ranges[ELSEWHERE], [each.start for each in ranges[BOOKED]])


def _moment(value: datetime) -> datetime:
    """SQLite keeps times in UTC without saying so."""
    return value if value.tzinfo else value.replace(tzinfo=UTC)
