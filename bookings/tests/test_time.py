"""Clocks that change, zones that move, and what must hold of every booking at any time."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from bookings import selectors, services
from bookings.forms import InstantField
from bookings.models import Booking
from bookings.services import OutsideHours, SlotUnavailable
from bookings.tests.factories import (
    END,
    HOUR,
    NOW,
    SECOND,
    START,
    accepted,
    book,
    fresh,
    intent,
    paid,
    payment_of,
    requested,
)
from coaches.models import Coach, Offering, Weekday
from marketplace.lib.zones import in_zone
from marketplace.models import User
from marketplace.tests.factories import WeeklyHoursFactory
from payments import services as payment_services
from payments.errors import StripeMismatchError
from payments.models import Operation, Payment

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

Status = Booking.Status
SPRING, AUTUMN = datetime(2027, 3, 28, tzinfo=UTC), datetime(2027, 10, 31, tzinfo=UTC)  # Berlin's clocks, at 1:00 UTC


def berlin_at_night(offering: Offering, minutes: int = 30) -> Offering:
    """Sundays from 1:00 to 4:00 by Berlin's clock."""
    Coach.objects.update(time_zone="Europe/Berlin")
    offering.coach.weekly_hours.all().delete()
    WeeklyHoursFactory.create(coach=offering.coach, weekday=Weekday.SUNDAY, starts=time(1), ends=time(4))
    Offering.objects.update(minutes=minutes)
    return Offering.objects.select_related("coach").get(pk=offering.pk)


def clock_of(starts: list[datetime]) -> list[str]:
    return [f"{in_zone(start, 'Europe/Berlin'):%H:%M%z}" for start in starts]


# --- clocks -------------------------------------------------------------------------------------


def test_a_time_that_does_not_exist_is_neither_offered_nor_shifted(student: User, offering: Offering) -> None:
    offering, now = berlin_at_night(offering), SPRING - timedelta(days=2)
    free = selectors.open_slots(offering=offering, now=now)
    night = [start for start in free if start < SPRING + 4 * HOUR]
    assert clock_of(night) == ["01:00+0100", "01:30+0100", "03:00+0200", "03:30+0200"]
    for start in night:
        assert book(student, offering, starts_at=start, now=now).starts_at == start
        Booking.objects.update(status=Status.ABANDONED)


@pytest.mark.parametrize("text", ["2027-03-28T02:30", "2027-10-31T02:30:00"])
def test_f64_a_wall_time_that_may_mean_none_or_two_instants_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        InstantField().clean(text)


def test_a_time_that_happens_twice_is_two_times(student: User, stranger: User, offering: Offering) -> None:
    offering, now = berlin_at_night(offering), AUTUMN - timedelta(days=2)
    free = selectors.open_slots(offering=offering, now=now)
    twice = [start for start in free if f"{in_zone(start, 'Europe/Berlin'):%d %H:%M}" == "31 02:30"]
    assert clock_of(twice) == ["02:30+0200", "02:30+0100"]
    assert twice[1] - twice[0] == HOUR
    for start in twice:
        assert book(student, offering, starts_at=start, now=now).starts_at == start


def test_sessions_that_overlap_are_seen_across_the_change(student: User, stranger: User, offering: Offering) -> None:
    offering, now = berlin_at_night(offering, minutes=60), AUTUMN - timedelta(days=2)
    second = datetime(2027, 10, 31, 1, tzinfo=UTC)  # 2:00 for the second time
    book(student, offering, starts_at=second - HOUR / 2, now=now)  # 2:30 for the first time
    with pytest.raises(SlotUnavailable):
        book(stranger, offering, starts_at=second, now=now)


def test_a_coach_who_moves_moves_no_session(student: User, offering: Offering) -> None:
    booking = accepted(student, offering)
    Coach.objects.update(time_zone="Pacific/Auckland")
    User.objects.update(time_zone="Asia/Kathmandu")
    after = fresh(booking)
    assert (after.starts_at, after.ends_at, after.agreed_zone) == (START, END, booking.agreed_zone)
    services.run_due_transitions(now=START - 24 * HOUR)
    assert booking.events.latest("pk").transition == "remind_day_before"


def test_new_rules_for_a_zone_move_no_session(student: User, offering: Offering) -> None:
    """As if the coach's place had given up its clock change since: another offset at the same local time."""
    starts_at = datetime(2026, 11, 2, 15, tzinfo=UTC)
    booking = book(student, offering, starts_at=starts_at, now=starts_at - timedelta(days=3))
    Coach.objects.update(time_zone="Etc/GMT+4")  # New York, had it kept its summer time
    assert fresh(booking).starts_at == starts_at
    with pytest.raises(SlotUnavailable):
        book(student, Offering.objects.get(), starts_at=starts_at + HOUR / 2, now=starts_at - timedelta(days=3))


def test_a_clock_that_jumped_back_fires_nothing_again(student: User, offering: Offering) -> None:
    booking = accepted(student, offering)
    services.run_due_transitions(now=END + 24 * HOUR)
    assert services.run_due_transitions(now=END + 23 * HOUR) == 0
    assert services.run_due_transitions(now=END + 24 * HOUR) == 0
    assert booking.events.filter(transition="complete").count() == 1
    assert Operation.objects.filter(kind=Operation.Kind.CAPTURE).count() == 1


# --- what always holds --------------------------------------------------------------------------


def test_only_a_hold_that_is_what_we_asked_for_confirms(student: User, offering: Offering) -> None:
    booking = book(student, offering)
    payment = payment_of(booking)
    facts = intent(payment)
    wrong = (
        replace(facts, amount=9_999),
        replace(facts, currency="eur"),
        replace(facts, customer="cus_other"),
        replace(facts, metadata={}),
    )
    for each in wrong:
        with pytest.raises(StripeMismatchError):
            payment_services.record_hold(payment=payment, intent=each, now=NOW)
    for status in ("requires_payment_method", "requires_action", "processing"):
        payment_services.record_intent(payment=payment, intent=intent(payment, status=status), now=NOW)
    assert fresh(booking).status == Status.AWAITING_PAYMENT
    payment_services.record_intent(payment=payment, intent=facts, now=NOW)
    assert fresh(booking).status == Status.REQUESTED
    assert payment_of(booking).payment_intent_id == facts.id


@pytest.mark.parametrize(
    "wrong",
    [{"ends_at": START}, {"ends_at": START - SECOND}, {"price_amount": 0}, {"blocked_from": START + SECOND}],
)
def test_the_database_refuses_a_session_that_makes_no_sense(
    wrong: dict[str, object], student: User, offering: Offering
) -> None:
    booking = book(student, offering)
    with pytest.raises(IntegrityError), transaction.atomic():
        Booking.objects.filter(pk=booking.pk).update(**wrong)
    assert (booking.ends_at - booking.starts_at, booking.agreed_zone) == (offering.duration, student.time_zone)


@pytest.mark.everyday(2)
@pytest.mark.parametrize("lives", [timedelta(hours=30), timedelta(hours=50), timedelta(days=3), timedelta(days=7)])
def test_a_hold_outlives_its_session_or_a_new_one_is_asked_for_while_it_lives(
    lives: timedelta, student: User, offering: Offering
) -> None:
    booking = accepted(student, offering)
    Payment.objects.update(capture_before=NOW + lives)
    reaches = NOW + lives >= END + 54 * HOUR
    instant = NOW
    while instant < min(NOW + lives, END):
        services.run_due_transitions(now=instant)
        instant += HOUR
    assert Operation.objects.filter(kind=Operation.Kind.HOLD).count() == (0 if reaches else 1)
    assert payment_of(booking).status == Payment.Status.HELD


def test_without_a_card_the_student_is_asked_once_while_the_hold_still_lives(student: User, offering: Offering) -> None:
    booking = accepted(student, offering)
    Payment.objects.update(capture_before=START, card=None)
    for minutes in range(5):
        services.run_due_transitions(now=NOW + 25 * HOUR + timedelta(minutes=minutes))
    assert fresh(booking).pay_due_at == START - HOUR
    assert booking.events.filter(transition="ask_for_payment").count() == 1


def test_paid_after_the_start_of_an_unpaid_session_it_goes_back(student: User, offering: Offering) -> None:
    booking = paid(book(student, offering), now=START)
    assert booking.status == Status.ABANDONED
    assert payment_of(booking).status == Payment.Status.RELEASING
    assert booking.events.latest("pk").notices.get().template == "paid_too_late-student"


def test_what_was_agreed_to_is_frozen(student: User, offering: Offering) -> None:
    booking = requested(student, offering)
    Offering.objects.update(
        price_amount=99_900, minutes=30, title="Other", cancellation="strict", instant=True, buffer_after_minutes=30
    )
    Coach.objects.update(buffer_before_minutes=30)
    services.accept(booking=fresh(booking), actor=offering.coach.user, now=NOW)
    after = fresh(booking)
    assert (after.price_amount, after.minutes, after.title, after.policy) == (10_000, 60, booking.title, "flexible")
    assert (after.blocked_from, after.blocked_until, after.instant) == (START, END, False)
    assert payment_of(after).amount == 10_000


def test_outside_hours_means_outside_by_the_coach_s_own_clock(student: User, offering: Offering) -> None:
    offering, now = berlin_at_night(offering), AUTUMN - timedelta(days=2)
    with pytest.raises(OutsideHours):
        book(student, offering, starts_at=AUTUMN + 3 * HOUR, now=now)  # 4:00, after the change
