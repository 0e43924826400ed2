"""Which times can be booked: what the selectors read, and that booking keeps to the same."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from django.db.models import F
from pytest_django import DjangoAssertNumQueries

from bookings import selectors
from bookings.models import Booking
from bookings.services import SlotTooFar, SlotTooSoon, SlotUnavailable
from bookings.tests.at_once import at_once, refusals
from bookings.tests.factories import END, HOUR, NOW, START, book, known_student, many_students, paid, payable, unpaid
from coaches.models import BusyTime, CalendarFeed, Coach, DateOverride, Offering
from coaches.slots import Range
from marketplace.models import User
from marketplace.tests.factories import CoachFactory, OfferingFactory, WeeklyHoursFactory, open_all_week

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
AROUND = Range(START - 3 * HOUR, START + 4 * HOUR)
Status = Booking.Status


def free(offering: Offering, within: Range = AROUND, **asked: Any) -> list[datetime]:
    return selectors.open_slots(offering=_fresh(offering), now=NOW, within=within, **asked)


def _fresh(offering: Offering) -> Offering:
    return Offering.objects.select_related("coach__user").get(pk=offering.pk)


def every_hour(coach: Coach, **rules: Any) -> None:
    Coach.objects.filter(pk=coach.pk).update(step_minutes=60, **rules)


def second_coach(user: User) -> Offering:
    coach = CoachFactory.create(user=user)
    open_all_week(coach)
    every_hour(coach)
    return OfferingFactory.create(coach=payable(coach))


def outside(coach: Coach, start: datetime, end: datetime) -> None:
    feed, _ = CalendarFeed.objects.get_or_create(
        coach=coach, address="https://example.com/me.ics", defaults={"next_read_at": NOW, "created_at": NOW}
    )
    BusyTime.objects.create(feed=feed, coach=coach, starts_at=start, ends_at=end)


def propose(booking: Booking, shift: timedelta) -> None:
    Booking.objects.filter(pk=booking.pk).update(
        proposed_starts_at=F("starts_at") + shift,
        proposed_ends_at=F("ends_at") + shift,
        proposed_blocked_from=F("blocked_from") + shift,
        proposed_blocked_until=F("blocked_until") + shift,
        proposed_by="student",
        proposal_due_at=NOW + HOUR,
    )


def hours(*differences: float) -> list[datetime]:
    return [START + difference * HOUR for difference in differences]


# --- how it is read -----------------------------------------------------------------------------


@pytest.mark.parametrize("most_a_day", [None, 5])
def test_it_takes_three_queries_whoever_asks(
    student: User,
    stranger: User,
    offering: Offering,
    most_a_day: int | None,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    booking = book(student, offering)
    for index in range(1, 3):
        book(stranger, offering, starts_at=START + index * HOUR)
    Coach.objects.update(most_a_day=most_a_day)
    DateOverride.objects.create(coach=offering.coach, first_day=date(2026, 12, 1), last_day=date(2026, 12, 9))
    offering = _fresh(offering)
    for asked in ({}, {"user": student}, {"user": offering.coach.user}, {"user": student, "but": booking}):
        with django_assert_num_queries(3):
            assert selectors.open_slots(offering=offering, now=NOW, **asked)


def test_a_range_in_the_past_or_out_of_reach_asks_nothing(
    offering: Offering, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    offering = _fresh(offering)
    ages = [datetime(1, 1, 1, tzinfo=UTC), NOW, datetime(9999, 12, 30, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
    with django_assert_num_queries(0):
        for start, end in ((ages[0], ages[1]), (ages[2], ages[3]), (ages[3], ages[0])):
            assert selectors.open_slots(offering=offering, now=NOW, within=Range(start, end)) == []


def test_the_grid_is_the_offerings_own_where_it_has_one(offering: Offering) -> None:
    within = Range(START, START + HOUR)
    assert len(free(offering, within)) == 2
    Offering.objects.update(step_minutes=15)
    assert len(free(offering, within)) == 4
    assert selectors.is_on_grid(offering=_fresh(offering), starts_at=START + 45 * MINUTE)


def test_a_session_may_be_asked_for_at_another_length(coach: Coach, offering: Offering) -> None:
    coach.weekly_hours.all().delete()
    WeeklyHoursFactory.create(coach=coach, weekday=5, starts=time(10), ends=time(11))
    assert selectors.is_on_grid(offering=offering, starts_at=START)
    assert not selectors.is_on_grid(offering=offering, starts_at=START, minutes=90)


def test_hours_over_midnight_and_other_hours_of_a_date_are_read(coach: Coach, offering: Offering) -> None:
    every_hour(coach)
    coach.weekly_hours.all().delete()
    WeeklyHoursFactory.create(coach=coach, weekday=4, starts=time(23), ends=time(1), ends_next_day=True)
    WeeklyHoursFactory.create(coach=coach, weekday=5, starts=time(9), ends=time(17))
    DateOverride.objects.create(
        coach=coach,
        first_day=date(2026, 11, 21),
        last_day=date(2026, 11, 21),
        windows=[{"starts": "22:00", "ends": "00:00", "ends_next_day": True}, {"starts": "10:00", "ends": "11:00"}],
    )
    friday_night = datetime(2026, 11, 21, 4, tzinfo=UTC)  # 23:00 in New York
    starts = free(offering, Range(NOW, NOW + 2 * DAY))
    assert starts == [friday_night, friday_night + HOUR, START, friday_night + 23 * HOUR, friday_night + 24 * HOUR]


# --- what is in the way -------------------------------------------------------------------------


def test_neighbours_buffers_add(student: User, coach: Coach, offering: Offering) -> None:
    every_hour(coach, buffer_before_minutes=30, buffer_after_minutes=40)
    booking = book(student, _fresh(offering))
    assert (booking.blocked_from, booking.blocked_until) == (START - 30 * MINUTE, END + 40 * MINUTE)
    assert free(offering) == hours(-3, 3)


def test_an_offering_may_have_no_buffers_where_its_coach_has(student: User, coach: Coach, offering: Offering) -> None:
    every_hour(coach, buffer_before_minutes=30, buffer_after_minutes=40)
    Offering.objects.update(buffer_before_minutes=0, buffer_after_minutes=0)
    booking = book(student, _fresh(offering))
    assert (booking.blocked_from, booking.blocked_until) == (START, END)
    assert free(offering) == hours(-3, -2, -1, 1, 2, 3)


def test_a_booking_keeps_the_buffers_it_was_made_with(student: User, coach: Coach, offering: Offering) -> None:
    every_hour(coach, buffer_before_minutes=60, buffer_after_minutes=60)
    book(student, _fresh(offering))
    every_hour(coach, buffer_before_minutes=0, buffer_after_minutes=0)
    assert free(offering) == hours(-3, -2, 2, 3)


def test_what_has_ended_without_a_session_is_in_nobodys_way(student: User, coach: Coach, offering: Offering) -> None:
    every_hour(coach)
    unpaid(book(student, offering))
    assert free(offering) == hours(-3, -2, -1, 0, 1, 2, 3)


def test_a_proposed_time_is_kept_beside_the_agreed_one(
    student: User, stranger: User, coach: Coach, offering: Offering
) -> None:
    every_hour(coach)
    booking = book(student, offering)
    propose(booking, 2 * HOUR)
    assert free(offering) == hours(-3, -2, -1, 1, 3)
    assert free(second_coach(stranger), user=student) == hours(-3, -2, -1, 1, 3)


def test_a_proposal_for_another_week_is_seen_there(student: User, coach: Coach, offering: Offering) -> None:
    every_hour(coach)
    propose(book(student, offering), 21 * DAY)
    there = Range(AROUND.start + 21 * DAY, AROUND.end + 21 * DAY)
    assert free(offering, there) == [start + 21 * DAY for start in hours(-3, -2, -1, 1, 2, 3)]


def test_an_outside_calendar_is_kept_from_the_buffers_too(coach: Coach, stranger: User, offering: Offering) -> None:
    every_hour(coach, buffer_after_minutes=30)
    outside(coach, START, START + 30 * MINUTE)
    outside(second_coach(stranger).coach, START + 2 * HOUR, START + 3 * HOUR)
    assert free(offering) == hours(-3, -2, 1, 2, 3)


def test_an_outside_calendar_refuses_a_booking_with_the_nearest_times(
    student: User, coach: Coach, offering: Offering
) -> None:
    every_hour(coach)
    outside(coach, START - 10 * DAY, START + 10 * MINUTE)
    with pytest.raises(SlotUnavailable) as refusal:
        book(student, _fresh(offering))
    assert refusal.value.nearest == hours(1, 2, 3)
    assert not Booking.objects.exists()


def test_the_nearest_times_may_be_far_away(student: User, coach: Coach, offering: Offering) -> None:
    every_hour(coach)
    outside(coach, START - 10 * DAY, START + 20 * DAY)
    nearest = selectors.nearest_free(offering=_fresh(offering), starts_at=START, now=NOW, user=student)
    assert nearest == [START + 20 * DAY + index * HOUR for index in range(3)]


def test_the_viewers_own_sessions_are_kept_from_the_session_alone(
    student: User, stranger: User, coach: Coach, offering: Offering
) -> None:
    every_hour(coach, buffer_before_minutes=60, buffer_after_minutes=60)
    book(student, second_coach(stranger))
    assert free(offering, user=student) == hours(-3, -2, -1, 1, 2, 3)
    assert free(offering, user=stranger) == hours(-3, -2, -1, 1, 2, 3)  # who teaches then
    assert free(offering) == hours(-3, -2, -1, 0, 1, 2, 3)


def test_a_coach_who_learns_is_in_one_place_at_a_time(stranger: User, coach: Coach, offering: Offering) -> None:
    every_hour(coach, buffer_after_minutes=30)
    book(known_student(coach.user), second_coach(stranger))
    assert free(offering) == hours(-3, -2, 1, 2, 3)


def test_a_booking_that_is_to_move_is_not_in_its_own_way(student: User, coach: Coach, offering: Offering) -> None:
    """It keeps its length and buffers, whatever the offering's are by now."""
    every_hour(coach, buffer_after_minutes=60)
    booking = book(student, _fresh(offering))
    every_hour(coach, buffer_after_minutes=0)
    Offering.objects.update(minutes=30)
    outside(coach, START + 3 * HOUR, START + 4 * HOUR)
    assert free(offering) == hours(-3, -2, -1, 2)
    assert free(offering, user=student, but=booking) == hours(-3, -2, -1, 0, 1)


def test_the_coachs_new_zone_moves_no_booking(student: User, coach: Coach, offering: Offering) -> None:
    every_hour(coach)
    coach.weekly_hours.all().delete()
    WeeklyHoursFactory.create(coach=coach, weekday=5, starts=time(10), ends=time(12))
    booking = book(student, _fresh(offering))
    Coach.objects.update(time_zone="America/Chicago")  # an hour behind New York
    booking.refresh_from_db()
    assert (booking.starts_at, booking.ends_at, booking.agreed_zone) == (START, END, "Europe/Berlin")
    assert free(offering) == hours(1, 2)


# --- notice, the furthest day -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("instant", "of_coach", "own", "minutes"),
    [(False, 0, None, 180), (True, 0, None, 60), (True, 90, None, 90), (False, 600, 240, 240), (False, 600, 0, 180)],
)
def test_the_longest_notice_counts(
    student: User, offering: Offering, instant: bool, of_coach: int, own: int | None, minutes: int
) -> None:
    Coach.objects.update(notice_minutes=of_coach)
    Offering.objects.update(instant=instant, notice_minutes=own, step_minutes=5)
    offering = _fresh(offering)
    first = NOW + minutes * MINUTE
    assert free(offering, Range(NOW, NOW + DAY))[0] == first
    with pytest.raises(SlotTooSoon):
        book(student, offering, starts_at=first - 5 * MINUTE)
    assert book(student, offering, starts_at=first).starts_at == first


def test_the_furthest_day_needs_no_local_date_for_the_end_of_time(student: User, offering: Offering) -> None:
    Coach.objects.update(time_zone="Pacific/Kiritimati")
    with pytest.raises(SlotTooFar):
        book(student, _fresh(offering), starts_at=datetime.max.replace(tzinfo=UTC))


# --- the most in a day and in a week ------------------------------------------------------------


@pytest.mark.parametrize("most", ["most_a_day", "most_a_week"])
def test_a_full_day_or_week_is_refused(student: User, stranger: User, offering: Offering, most: str) -> None:
    Coach.objects.update(**{most: 1})
    book(student, _fresh(offering))
    with pytest.raises(SlotUnavailable) as refusal:
        book(stranger, _fresh(offering), starts_at=START + 2 * HOUR)
    assert all(abs(start - START) > 7 * HOUR for start in refusal.value.nearest)
    assert Booking.objects.count() == 1


def test_a_session_that_took_place_has_used_up_its_day(student: User, coach: Coach, offering: Offering) -> None:
    every_hour(coach, most_a_day=1)
    booking = book(student, _fresh(offering), starts_at=START - 5 * HOUR)
    for status, expected in (
        (Status.COMPLETED, []),
        (Status.NO_SHOW_STUDENT, []),
        (Status.CANCELLED, hours(0, 1, 2)),
        (Status.ABANDONED, hours(0, 1, 2)),
    ):
        Booking.objects.filter(pk=booking.pk).update(status=status)
        assert free(offering, Range(START, START + 3 * HOUR)) == expected


def test_a_booking_moves_within_a_day_that_it_fills(student: User, coach: Coach, offering: Offering) -> None:
    every_hour(coach, most_a_day=1, most_a_week=1)
    booking = book(student, _fresh(offering))
    assert free(offering) == []
    assert free(offering, but=booking) == hours(-3, -2, -1, 0, 1, 2, 3)


def test_a_proposed_start_counts_for_its_day(student: User, coach: Coach, offering: Offering) -> None:
    every_hour(coach, most_a_day=1)
    propose(book(student, _fresh(offering)), 10 * DAY)
    assert free(offering, Range(AROUND.start + 10 * DAY, AROUND.end + 10 * DAY)) == []


@pytest.mark.django_db(transaction=True)
def test_the_last_place_of_a_day_goes_to_one(offering: Offering) -> None:
    """Different times, so that no constraint would stop them."""
    Coach.objects.update(most_a_day=1)
    offering = _fresh(offering)
    acts = [
        lambda who=who, start=START + index * HOUR: book(who, offering, starts_at=start)
        for index, who in enumerate(many_students(4))
    ]
    assert refusals(at_once(*acts)) == [SlotUnavailable] * 3
    assert Booking.objects.count() == 1


# --- paid late ----------------------------------------------------------------------------------


def test_what_an_outside_calendar_says_does_not_undo_a_time_that_is_kept(
    student: User, coach: Coach, offering: Offering
) -> None:
    booking = book(student, offering)
    outside(coach, START, END)
    assert paid(booking).status == Status.REQUESTED


def test_a_time_that_was_given_up_is_gone_once_an_outside_calendar_has_it(
    student: User, coach: Coach, offering: Offering
) -> None:
    booking = unpaid(book(student, offering))
    outside(coach, START, END)
    assert paid(booking).status == Status.ABANDONED
