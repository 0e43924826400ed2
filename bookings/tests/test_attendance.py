"""Who was in the room, and when: by signs of life, to the second."""

from datetime import datetime
from functools import partial

import pytest

from bookings import services
from bookings.evidence import MOST_STAYS, attendance_lines
from bookings.models import Attendance, Booking
from bookings.services.attendance import there, was_there
from bookings.tests.at_once import at_once
from bookings.tests.factories import END, HOUR, SECOND, START, accepted, fresh, requested
from bookings.transition import NotAllowed
from coaches.models import Coach, Offering
from marketplace.models import User

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

MINUTE = 60 * SECOND


def stays(booking: Booking) -> list[tuple[str, datetime, datetime, datetime | None]]:
    rows = Attendance.objects.filter(booking=booking).order_by("joined_at", "pk")
    return list(rows.values_list("side", "joined_at", "seen_at", "left_at"))


def test_who_joins_is_told_where_the_call_is_and_is_on_record(booking: Booking, student: User) -> None:
    assert services.join(booking=booking, user=student, now=START) == booking.live_session.meeting_url
    assert stays(booking) == [("student", START, START, None)]


def test_the_room_is_open_from_a_quarter_before_until_an_hour_after(booking: Booking, student: User) -> None:
    opens, closes = START - 15 * MINUTE, END + HOUR
    for outside in (opens - SECOND, closes):
        with pytest.raises(services.RoomClosed):
            services.join(booking=booking, user=student, now=outside)
    assert stays(booking) == []
    services.join(booking=booking, user=student, now=opens)
    services.leave(booking=booking, user=student, now=opens)
    services.join(booking=booking, user=student, now=closes - SECOND)
    assert len(stays(booking)) == 2


def test_a_session_that_is_not_agreed_has_no_room(student: User, offering: Offering) -> None:
    with pytest.raises(services.RoomClosed):
        services.join(booking=requested(student, offering), user=student, now=START)


def test_nobody_else_gets_in(booking: Booking, stranger: User, staff: User) -> None:
    for nobody in (stranger, staff):
        for act in (services.join, services.seen, services.leave):
            with pytest.raises(NotAllowed):
                act(booking=booking, user=nobody, now=START)
    assert stays(booking) == []


def test_signs_of_life_carry_a_stay_on_until_it_is_left(booking: Booking, coach: Coach) -> None:
    services.join(booking=booking, user=coach.user, now=START)
    services.seen(booking=booking, user=coach.user, now=START + MINUTE)
    services.leave(booking=booking, user=coach.user, now=START + 2 * MINUTE)
    services.seen(booking=booking, user=coach.user, now=START + 3 * MINUTE)
    assert stays(booking) == [("coach", START, START + 2 * MINUTE, START + 2 * MINUTE)]


def test_a_page_that_was_silent_begins_another_stay(booking: Booking, coach: Coach) -> None:
    services.join(booking=booking, user=coach.user, now=START)
    again = START + 2 * MINUTE + SECOND
    services.seen(booking=booking, user=coach.user, now=again)
    assert stays(booking) == [("coach", START, START, START), ("coach", again, again, None)]


def test_two_minutes_of_silence_are_one_stay(booking: Booking, coach: Coach) -> None:
    services.join(booking=booking, user=coach.user, now=START)
    services.seen(booking=booking, user=coach.user, now=START + 2 * MINUTE)
    assert stays(booking) == [("coach", START, START + 2 * MINUTE, None)]


def test_a_page_left_open_counts_no_longer_than_the_room(booking: Booking, coach: Coach) -> None:
    services.join(booking=booking, user=coach.user, now=START)
    services.seen(booking=booking, user=coach.user, now=END + HOUR)
    assert stays(booking) == [("coach", START, START, None)]


def test_who_leaves_late_was_there_until_last_seen(booking: Booking, coach: Coach) -> None:
    services.join(booking=booking, user=coach.user, now=START)
    services.leave(booking=booking, user=coach.user, now=START + 30 * MINUTE)
    assert stays(booking) == [("coach", START, START, START)]


def test_whoever_comes_and_goes_without_end_hides_nobody_else(booking: Booking, student: User, coach: Coach) -> None:
    for second in range(MOST_STAYS + 2):
        services.join(booking=booking, user=student, now=START + second * SECOND)
        services.leave(booking=booking, user=student, now=START + second * SECOND)
    services.join(booking=booking, user=coach.user, now=START + MINUTE)
    lines = attendance_lines(booking)
    assert sum("the student" in line for line in lines) == MOST_STAYS
    assert "the coach (Carla Coach) joined" in lines[-2]
    assert lines[-1] == "2 later stays are not listed."


def test_the_room_knows_who_is_there(booking: Booking, student: User, coach: Coach) -> None:
    services.join(booking=booking, user=student, now=START)
    services.join(booking=booking, user=coach.user, now=START + MINUTE)
    assert there(booking=booking, now=START + 2 * MINUTE) == {"student", "coach"}
    assert there(booking=booking, now=START + 2 * MINUTE + SECOND) == {"coach"}
    services.leave(booking=booking, user=coach.user, now=START + 2 * MINUTE)
    assert there(booking=booking, now=START + 2 * MINUTE) == {"student"}


def test_waiting_counts_from_the_start_and_over_several_stays(booking: Booking, coach: Coach) -> None:
    user = coach.user
    services.join(booking=booking, user=user, now=START - 10 * MINUTE)
    for minute in range(-9, 6):
        services.seen(booking=booking, user=user, now=START + minute * MINUTE)
    services.leave(booking=booking, user=user, now=START + 6 * MINUTE)
    assert not was_there(booking=booking, side="coach", now=START + 20 * MINUTE)

    services.join(booking=booking, user=user, now=START + 30 * MINUTE)
    services.seen(booking=booking, user=user, now=START + 32 * MINUTE)
    services.seen(booking=booking, user=user, now=START + 34 * MINUTE - SECOND)
    assert not was_there(booking=booking, side="coach", now=START + 40 * MINUTE)
    services.seen(booking=booking, user=user, now=START + 34 * MINUTE)
    assert was_there(booking=booking, side="coach", now=START + 40 * MINUTE)


def test_waiting_after_the_end_does_not_count(booking: Booking, coach: Coach) -> None:
    services.join(booking=booking, user=coach.user, now=END - 9 * MINUTE)
    for minute in range(-8, 10):
        services.seen(booking=booking, user=coach.user, now=END + minute * MINUTE)
    assert not was_there(booking=booking, side="coach", now=END + 10 * MINUTE)


@pytest.mark.django_db(transaction=True)
def test_twenty_windows_opened_at_once_are_one_stay(student: User, offering: Offering) -> None:
    booking = accepted(student, offering)
    at_once(*[partial(services.join, booking=fresh(booking), user=student, now=START)] * 20)
    assert stays(booking) == [("student", START, START, None)]
