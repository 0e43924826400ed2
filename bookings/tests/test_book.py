"""Booking: what is kept, what is refused, and that a refusal leaves nothing behind."""

from datetime import UTC, datetime, time, timedelta

import pytest

from bookings import policy, selectors, services
from bookings.models import Booking, BookingEvent, Notice, Student
from bookings.services import (
    CoachNotBookable,
    OutsideHours,
    OwnBooking,
    PriceChanged,
    SlotInPast,
    SlotTooFar,
    SlotTooSoon,
    SlotUnavailable,
    TooManyBookings,
    TooManyUnpaid,
    UnknownZone,
)
from bookings.tests.factories import END, HOUR, NOW, SECOND, START, book, known_student, paid, payable, unpaid
from coaches.models import Coach, Offering
from marketplace.lib.money import Money
from marketplace.models import User
from marketplace.tests.factories import CoachFactory, OfferingFactory, WeeklyHoursFactory, open_all_week
from payments.errors import CoachNotPayable
from payments.models import Operation, Payment, PayoutAccount

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]


def nothing_was_made() -> bool:
    return not Booking.objects.exists() and not Payment.objects.exists() and not Operation.objects.exists()


def test_it_keeps_the_time_and_freezes_what_was_agreed(student: User, offering: Offering) -> None:
    booking = book(student, offering, note="Scales, please.")
    OfferingFactory._meta.model.objects.update(price_amount=99_900, title="Dearer", minutes=30)

    booking.refresh_from_db()
    assert booking.status == Booking.Status.AWAITING_PAYMENT
    assert (booking.starts_at, booking.ends_at) == (START, END)
    assert (booking.title, booking.price, booking.note) == (
        "One hour of piano",
        Money(10_000, "usd"),
        "Scales, please.",
    )
    assert booking.agreed_zone == "Europe/Berlin"
    assert booking.payment_due_at == NOW + timedelta(minutes=30)


def test_it_commits_payment_event_and_operation_with_the_booking(student: User, offering: Offering) -> None:
    booking = book(student, offering)
    payment = Payment.objects.get()
    assert (booking.payment, payment.reference, payment.status) == (payment, f"booking:{booking.pk}", "open")
    assert (payment.amount, payment.platform_fee, payment.service_ends_at) == (10_000, 2_000, END)
    assert Operation.objects.get().kind == Operation.Kind.CHECKOUT
    event = BookingEvent.objects.get()
    assert (event.transition, event.status_before, event.status_after) == ("book", "", "awaiting_payment")
    assert (event.actor, event.actor_role, event.at) == (student, "student", NOW)
    assert not Notice.objects.exists()


def test_it_sends_stripe_back_to_our_own_pages_only(student: User, offering: Offering) -> None:
    booking = book(student, offering)
    params = Operation.objects.get().params
    assert params["success_url"] == f"http://127.0.0.1:8000/sessions/{booking.pk}/paid/"
    assert params["cancel_url"] == f"http://127.0.0.1:8000/sessions/{booking.pk}/"
    assert params["metadata"]["booking_id"] == str(booking.pk)


def test_asked_twice_it_makes_one_booking(student: User, offering: Offering) -> None:
    first = book(student, offering)
    second = book(student, offering)
    assert first == second
    assert (Booking.objects.count(), Payment.objects.count(), Operation.objects.count()) == (1, 1, 1)


@pytest.mark.parametrize("change", [{"price_amount": 5_000}, {"minutes": 30}])
def test_what_was_kept_on_other_terms_is_not_what_one_agrees_to_now(
    student: User, offering: Offering, change: dict[str, object]
) -> None:
    book(student, offering)
    Offering.objects.update(**change)
    offering.refresh_from_db()
    with pytest.raises(SlotUnavailable):
        book(student, offering)
    assert (Booking.objects.count(), Payment.objects.count(), Operation.objects.count()) == (1, 1, 1)


def test_once_paid_the_same_time_is_taken_even_for_the_same_student(student: User, offering: Offering) -> None:
    paid(book(student, offering))
    with pytest.raises(SlotUnavailable):
        book(student, offering)
    assert Booking.objects.count() == 1


def test_a_taken_time_is_refused_with_the_nearest_free_ones(student: User, stranger: User, offering: Offering) -> None:
    book(student, offering)
    with pytest.raises(SlotUnavailable) as refusal:
        book(stranger, offering, starts_at=START + timedelta(minutes=30))
    assert refusal.value.nearest == [START - HOUR, START + HOUR, START + 1.5 * HOUR]
    assert not Payment.objects.filter(payer=stranger).exists()


def test_sessions_may_touch(student: User, stranger: User, offering: Offering) -> None:
    book(student, offering)
    book(stranger, offering, starts_at=END)
    book(stranger, offering, starts_at=START - HOUR)
    assert Booking.objects.count() == 3


def test_a_student_is_in_one_place_at_a_time(student: User, offering: Offering, stranger: User) -> None:
    other = OfferingFactory.create(coach=_second_coach(stranger))
    book(student, offering)
    with pytest.raises(SlotUnavailable):
        book(student, other)


def test_a_coach_who_learns_is_in_one_place_at_a_time(
    student: User, coach: Coach, offering: Offering, stranger: User
) -> None:
    other = OfferingFactory.create(coach=_second_coach(stranger))
    book(known_student(coach.user), other)
    with pytest.raises(SlotUnavailable):
        book(student, offering)


def _second_coach(user: User) -> Coach:
    coach = CoachFactory.create(user=user)
    open_all_week(coach)
    return payable(coach)


def test_a_time_that_was_let_go_is_free_again(student: User, stranger: User, offering: Offering) -> None:
    unpaid(book(student, offering))
    book(stranger, offering)
    assert Booking.objects.filter(status=Booking.Status.AWAITING_PAYMENT).get().student.user == stranger


# --- when ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("instant", "hours"), [(False, 3), (True, 1)])
def test_the_notice_is_kept_to_the_second(student: User, offering: Offering, instant: bool, hours: int) -> None:
    Offering.objects.update(instant=instant)
    offering.refresh_from_db()
    last = START - hours * HOUR
    with pytest.raises(SlotTooSoon):
        book(student, offering, now=last + SECOND)
    assert nothing_was_made()
    assert book(student, offering, now=last).starts_at == START


def test_the_furthest_day_is_the_last_by_the_coachs_calendar(student: User, coach: Coach, offering: Offering) -> None:
    """The coach's clock in New York is five hours behind: their 22 November ends at 5:00 UTC on the 23rd."""
    Coach.objects.update(furthest_days=2)
    end = datetime(2026, 11, 23, 5, tzinfo=UTC)
    with pytest.raises(SlotTooFar):
        book(student, offering, starts_at=end)
    assert nothing_was_made()
    last = end - 1.5 * HOUR
    assert book(student, offering, starts_at=last).starts_at == last


@pytest.mark.parametrize("starts_at", [NOW, NOW - SECOND, datetime(1, 1, 1, tzinfo=UTC)])
def test_the_past_is_refused(student: User, offering: Offering, starts_at: datetime) -> None:
    with pytest.raises(SlotInPast):
        book(student, offering, starts_at=starts_at)
    assert nothing_was_made()


@pytest.mark.parametrize("starts_at", [NOW + timedelta(days=3650), datetime(9999, 12, 31, 23, 59, tzinfo=UTC)])
def test_the_far_future_is_refused(student: User, offering: Offering, starts_at: datetime) -> None:
    with pytest.raises(SlotTooFar):
        book(student, offering, starts_at=starts_at)
    assert nothing_was_made()


@pytest.mark.parametrize("off", [SECOND, timedelta(minutes=7), timedelta(microseconds=1), timedelta(microseconds=-1)])
def test_a_start_off_the_grid_is_refused(student: User, offering: Offering, off: timedelta) -> None:
    with pytest.raises(OutsideHours):
        book(student, offering, starts_at=START + off)
    assert nothing_was_made()


def test_a_time_outside_hours_is_refused(student: User, coach: Coach, offering: Offering) -> None:
    coach.weekly_hours.all().delete()
    WeeklyHoursFactory.create(coach=coach, weekday=5, starts=time(9), ends=time(12))  # 14:00 to 17:00 UTC
    with pytest.raises(OutsideHours):
        book(student, offering, starts_at=START + 1.5 * HOUR)
    assert book(student, offering, starts_at=START + HOUR)


def test_what_is_shown_as_free_can_be_booked_and_nothing_else(student: User, offering: Offering) -> None:
    Coach.objects.update(furthest_days=2)
    offering.coach.refresh_from_db()
    free = selectors.open_slots(offering=offering, now=NOW)
    assert free[0] == NOW + 3 * HOUR
    assert free[-1] == datetime(2026, 11, 23, 3, 30, tzinfo=UTC)
    for starts_at in (free[0], free[-1]):
        assert book(student, offering, starts_at=starts_at).starts_at == starts_at


def test_over_a_clock_change_the_time_is_the_instant_that_was_chosen(
    student: User, coach: Coach, offering: Offering
) -> None:
    # New York sets its clocks back on 1 November 2026 at 2:00: 1:30 comes twice, at 5:30 and at 6:30 UTC.
    coach.weekly_hours.all().delete()
    WeeklyHoursFactory.create(coach=coach, weekday=6, starts=time(1), ends=time(4))
    Offering.objects.update(minutes=30)
    offering.refresh_from_db()
    now = datetime(2026, 10, 31, 12, tzinfo=UTC)
    first, second = datetime(2026, 11, 1, 5, 30, tzinfo=UTC), datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    assert {first, second} <= set(selectors.open_slots(offering=offering, now=now))
    assert book(student, offering, starts_at=first, now=now).starts_at == first
    assert book(student, offering, starts_at=second, now=now).starts_at == second


# --- who and what -------------------------------------------------------------------------------


def test_nobody_books_themselves(coach: Coach, offering: Offering) -> None:
    with pytest.raises(OwnBooking):
        book(coach.user, offering)
    assert nothing_was_made()


@pytest.mark.parametrize("change", [{"price_amount": 10_001}, {"currency": "eur"}])
def test_a_changed_price_is_refused(student: User, offering: Offering, change: dict[str, object]) -> None:
    seen = offering.price
    Offering.objects.update(**change)
    with pytest.raises(PriceChanged):
        services.book(
            student_user=student,
            offering=offering,
            starts_at=START,
            expected_price=seen,
            expected_minutes=offering.minutes,
            expected_policy=policy.current(offering.cancellation),
            agreed_zone="UTC",
            note="",
            now=NOW,
        )
    assert nothing_was_made()


def test_an_unknown_zone_is_refused(student: User, offering: Offering) -> None:
    student.time_zone = "Mars/Olympus"
    with pytest.raises(UnknownZone):
        book(student, offering)
    assert nothing_was_made()


def test_what_is_no_longer_offered_is_refused(student: User, coach: Coach, offering: Offering) -> None:
    Offering.objects.update(active=False)
    with pytest.raises(CoachNotBookable):
        book(student, offering)
    Offering.objects.update(active=True)
    Coach.objects.update(payable=False)
    with pytest.raises(CoachNotBookable):
        book(student, offering)
    assert nothing_was_made()


def test_three_unpaid_bookings_are_enough(student: User, stranger: User, offering: Offering) -> None:
    kept = [book(student, offering, starts_at=START + hour * HOUR) for hour in range(3)]
    with pytest.raises(TooManyUnpaid):
        book(student, offering, starts_at=START + 3 * HOUR)
    assert Booking.objects.count() == 3

    assert book(stranger, offering, starts_at=START + 3 * HOUR)  # each person for themself
    unpaid(kept[0])
    assert book(student, offering, starts_at=START + 4 * HOUR)


def test_thirty_bookings_in_an_hour_are_enough(student: User, offering: Offering) -> None:
    for _ in range(services.MOST_IN_AN_HOUR):
        unpaid(book(student, offering))
    with pytest.raises(TooManyBookings):
        book(student, offering)
    assert Payment.objects.count() == services.MOST_IN_AN_HOUR
    assert book(student, offering, now=NOW + HOUR)


def test_a_refusal_of_the_payment_leaves_no_booking(student: User, coach: Coach, offering: Offering) -> None:
    PayoutAccount.objects.update(transfers_active=False)
    with pytest.raises(CoachNotPayable):
        book(student, offering)
    assert nothing_was_made()
    assert not BookingEvent.objects.exists()


def test_a_student_row_begins_with_the_first_booking(student: User, offering: Offering) -> None:
    assert not Student.objects.exists()
    book(student, offering)
    book(student, offering, starts_at=END)
    assert Student.objects.get().user == student
