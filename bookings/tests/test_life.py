"""From the payment to the end: who may, when to the second, what the money does, and what does not happen."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest

from bookings import process, services
from bookings.models import Booking, BookingEvent, LiveSession, Notice
from bookings.tests.factories import (
    END,
    HOUR,
    NOW,
    SECOND,
    START,
    accepted,
    book,
    fresh,
    hold_lost,
    paid,
    payment_of,
    requested,
    unpaid,
)
from bookings.transition import InvalidState, NotAllowed
from coaches.models import Coach, Offering
from marketplace.lib.money import Money
from marketplace.models import User
from payments.models import Earning, Operation, Payment

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

Status = Booking.Status


def operations(booking: Booking) -> list[str]:
    """What was asked of Stripe for this booking, after the Checkout."""
    kinds = Operation.objects.filter(payment__reference=booking.reference).order_by("created_at")
    return [kind for kind in kinds.values_list("kind", flat=True) if kind != Operation.Kind.CHECKOUT]


def mails(booking: Booking) -> set[str]:
    return set(Notice.objects.filter(event__booking=booking).values_list("template", flat=True))


def last_event(booking: Booking) -> BookingEvent:
    return booking.events.latest("pk")


def assert_untouched(booking: Booking) -> None:
    """Neither the row nor the money has moved since `booking` was read."""
    now = fresh(booking)
    assert (now.status, now.version) == (booking.status, booking.version)
    assert payment_of(booking).status == Payment.Status.HELD
    assert operations(booking) == []


# --- paying -------------------------------------------------------------------------------------


def test_a_held_payment_makes_it_a_request(student: User, offering: Offering) -> None:
    booking = paid(book(student, offering))
    assert (booking.status, booking.version) == (Status.REQUESTED, 2)
    event = last_event(booking)
    assert (event.actor, event.actor_role, event.status_before) == (None, "fact", "awaiting_payment")
    assert mails(booking) == {"requested-student", "requested-coach"}
    assert not LiveSession.objects.exists()


def test_a_held_payment_books_an_instant_session(student: User, instant_offering: Offering) -> None:
    booking = paid(book(student, instant_offering))
    assert booking.status == Status.ACCEPTED
    assert mails(booking) == {"booked-student", "booked-coach"}
    assert booking.live_session.meeting_url.startswith("https://meet.jit.si/holdfast-")


def test_a_fact_told_twice_counts_once(student: User, offering: Offering) -> None:
    booking = paid(book(student, offering))
    again = paid(booking, now=NOW + HOUR)
    assert (again.status, again.version) == (Status.REQUESTED, 2)
    assert Notice.objects.count() == 2


@pytest.mark.parametrize(
    ("start_in", "hold_for", "answer_in"),
    [
        (timedelta(hours=72), timedelta(days=7), timedelta(hours=48)),
        (timedelta(hours=27), timedelta(days=7), timedelta(hours=26)),
        (timedelta(hours=72), timedelta(hours=40), timedelta(hours=34)),
    ],
)
def test_the_coach_answers_by_the_earliest_of_three(
    student: User, offering: Offering, start_in: timedelta, hold_for: timedelta, answer_in: timedelta
) -> None:
    booking = paid(book(student, offering, starts_at=NOW + start_in), capture_before=NOW + hold_for)
    assert booking.answer_due_at == NOW + answer_in


def test_a_closed_checkout_frees_the_time(student: User, offering: Offering) -> None:
    booking = unpaid(book(student, offering))
    assert booking.status == Status.ABANDONED
    assert last_event(booking).actor_role == "fact"
    assert mails(booking) == {"abandoned-student"}
    assert operations(booking) == []


def test_a_payment_after_all_revives_the_booking(student: User, offering: Offering) -> None:
    booking = paid(unpaid(book(student, offering)), now=NOW + HOUR)
    assert booking.status == Status.REQUESTED
    assert last_event(booking).transition == "revive"
    assert booking.answer_due_at == START - HOUR
    assert operations(booking) == []


def test_a_payment_after_all_revives_an_instant_session(student: User, instant_offering: Offering) -> None:
    booking = paid(unpaid(book(student, instant_offering)))
    assert booking.status == Status.ACCEPTED
    assert booking.live_session


def test_a_payment_for_a_time_since_taken_is_released(student: User, stranger: User, offering: Offering) -> None:
    late = unpaid(book(student, offering))
    winner = book(stranger, offering)
    late = paid(late)
    assert late.status == Status.ABANDONED
    assert payment_of(late).status == Payment.Status.RELEASING
    assert operations(late) == ["release"]
    assert "paid_too_late-student" in mails(late)
    assert fresh(winner).status == Status.AWAITING_PAYMENT


def test_a_payment_learnt_of_after_the_time_to_answer_is_released(student: User, offering: Offering) -> None:
    in_time, late = book(student, offering), book(student, offering, starts_at=END)
    assert paid(in_time, now=START - HOUR - SECOND).status == Status.REQUESTED
    late = paid(late, now=END - HOUR)
    assert late.status == Status.ABANDONED
    assert operations(late) == ["release"]


def test_an_instant_payment_learnt_of_after_the_start_is_released(student: User, instant_offering: Offering) -> None:
    in_time, late = book(student, instant_offering), book(student, instant_offering, starts_at=END)
    assert paid(in_time, now=START - SECOND).status == Status.ACCEPTED
    late = paid(late, now=END)
    assert late.status == Status.ABANDONED
    assert operations(late) == ["release"]
    assert not LiveSession.objects.filter(booking=late).exists()


# --- the coach's answer -------------------------------------------------------------------------


def test_accepting_fixes_the_session_and_opens_a_room(student: User, coach: Coach, offering: Offering) -> None:
    booking = accepted(student, offering)
    assert booking.status == Status.ACCEPTED
    event = last_event(booking)
    assert (event.actor, event.actor_role) == (coach.user, "coach")
    assert {"accepted-student", "accepted-coach"} <= mails(booking)
    assert payment_of(booking).status == Payment.Status.HELD
    assert operations(booking) == []
    assert len(booking.live_session.meeting_url.rsplit("holdfast-")[1]) >= 32


def test_no_two_rooms_have_one_name(student: User, offering: Offering) -> None:
    rooms = {accepted(student, offering, starts_at=START + n * HOUR).live_session.meeting_url for n in range(3)}
    assert len(rooms) == 3


def test_declining_releases_the_hold_and_passes_the_reason_on(student: User, coach: Coach, offering: Offering) -> None:
    booking = requested(student, offering)
    services.decline(booking=booking, actor=coach.user, now=NOW, reason="I am away.")
    assert fresh(booking).status == Status.DECLINED
    assert last_event(booking).reason == "I am away."
    assert operations(booking) == ["release"]
    assert {"declined-student", "declined-coach"} <= mails(booking)


@pytest.mark.parametrize("answer", [services.accept, services.decline])
def test_the_time_to_answer_ends_to_the_second_even_if_the_timer_is_late(
    student: User, coach: Coach, offering: Offering, answer: Callable[..., None]
) -> None:
    booking = requested(student, offering)
    assert booking.answer_due_at is not None
    with pytest.raises(InvalidState, match="before the time to answer is over"):
        answer(booking=booking, actor=coach.user, now=booking.answer_due_at)
    assert_untouched(booking)
    answer(booking=booking, actor=coach.user, now=booking.answer_due_at - SECOND)
    assert fresh(booking).status in (Status.ACCEPTED, Status.DECLINED)


def test_a_request_expires_from_that_second_on(student: User, offering: Offering) -> None:
    booking = requested(student, offering)
    assert booking.answer_due_at is not None
    with pytest.raises(InvalidState):
        services.expire(booking=booking, actor=None, now=booking.answer_due_at - SECOND)
    assert_untouched(booking)
    services.expire(booking=booking, actor=None, now=booking.answer_due_at)
    assert fresh(booking).status == Status.EXPIRED
    assert operations(booking) == ["release"]
    assert {"expired-student", "expired-coach"} <= mails(booking)


# --- cancelling ---------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [requested, accepted])
def test_a_student_cancels_until_the_start(
    student: User, offering: Offering, make: Callable[[User, Offering], Booking]
) -> None:
    booking = make(student, offering)
    with pytest.raises(InvalidState, match="before the start"):
        FREE(booking=booking, actor=student, now=START)
    assert_untouched(booking)
    FREE(booking=booking, actor=student, now=START - SECOND)
    assert fresh(booking).status == Status.CANCELLED
    assert operations(booking) == ["release"]
    assert {"cancelled_by_student-student", "cancelled_by_student-coach"} <= mails(booking)


@pytest.mark.parametrize("make", [requested, accepted])
def test_a_coach_cancels_until_the_start(
    student: User, coach: Coach, offering: Offering, make: Callable[[User, Offering], Booking]
) -> None:
    booking = make(student, offering)
    with pytest.raises(InvalidState):
        services.cancel_by_coach(booking=booking, actor=coach.user, now=START)
    assert_untouched(booking)
    services.cancel_by_coach(booking=booking, actor=coach.user, now=START - SECOND, reason="Ill.")
    assert fresh(booking).status == Status.CANCELLED
    assert operations(booking) == ["release"]


# --- completing ---------------------------------------------------------------------------------


def test_a_coach_completes_from_the_end_on_and_the_money_is_taken(
    student: User, coach: Coach, offering: Offering
) -> None:
    booking = accepted(student, offering)
    with pytest.raises(InvalidState, match="once the session has ended"):
        services.complete(booking=booking, actor=coach.user, now=END - SECOND)
    assert_untouched(booking)
    services.complete(booking=booking, actor=coach.user, now=END)
    assert fresh(booking).status == Status.COMPLETED
    assert payment_of(booking).status == Payment.Status.CAPTURING
    assert operations(booking) == ["capture"]
    assert {"completed-student", "completed-coach"} <= mails(booking)


def test_a_session_whose_hold_is_gone_is_completed_and_held_for_anew(
    student: User, coach: Coach, offering: Offering
) -> None:
    booking = accepted(student, offering)
    Payment.objects.update(status=Payment.Status.LOST)
    services.complete(booking=booking, actor=coach.user, now=END)
    assert fresh(booking).status == Status.COMPLETED
    assert operations(booking) == ["hold"]
    assert "pay_by_link-student" not in mails(booking)


def test_a_session_whose_new_hold_is_on_its_way_waits_for_it(student: User, coach: Coach, offering: Offering) -> None:
    booking = hold_lost(accepted(student, offering), now=END)
    services.complete(booking=booking, actor=coach.user, now=END)
    assert (fresh(booking).status, fresh(booking).pay_due_at) == (Status.COMPLETED, None)
    assert operations(booking) == ["hold"]
    assert "pay_by_link-student" not in mails(booking)


def test_a_session_without_hold_and_card_is_completed_and_asked_for(
    student: User, coach: Coach, offering: Offering
) -> None:
    booking = accepted(student, offering)
    Payment.objects.update(status=Payment.Status.LOST, card=None)
    services.complete(booking=booking, actor=coach.user, now=END)
    assert (fresh(booking).status, fresh(booking).pay_due_at) == (Status.COMPLETED, END + timedelta(days=7))
    assert operations(booking) == []
    assert "pay_by_link-student" in mails(booking)


@pytest.mark.parametrize("name", ["accept", "decline", "cancel_by_coach"])
def test_staff_do_not_act_for_the_coach_in_sessions_they_take(student: User, offering: Offering, name: str) -> None:
    booking = requested(student, offering)
    User.objects.filter(pk=student.pk).update(is_staff=True)
    student.refresh_from_db()
    with pytest.raises(NotAllowed):
        SERVICES[name](booking=booking, actor=student, now=NOW)
    assert_untouched(booking)


# --- money that someone took at Stripe's dashboard -----------------------------------------------


def taken_early(booking: Booking) -> Booking:
    payment = payment_of(booking)
    Payment.objects.update(status=Payment.Status.CAPTURED, captured_amount=payment.amount, captured_at=NOW)
    Earning.objects.create(
        payment=payment,
        coach=payment.coach,
        amount=payment.coach_share,
        currency=payment.currency,
        release_at=END,
        created_at=NOW,
    )
    return fresh(booking)


def test_a_session_whose_money_was_taken_early_is_completed_all_the_same(
    student: User, coach: Coach, offering: Offering
) -> None:
    booking = taken_early(accepted(student, offering))
    services.complete(booking=booking, actor=coach.user, now=END)
    assert fresh(booking).status == Status.COMPLETED
    assert operations(booking) == []
    assert not Earning.objects.get().frozen


def test_no_coach_is_paid_for_a_cancelled_session_whose_money_was_taken_early(
    student: User, offering: Offering
) -> None:
    booking = taken_early(accepted(student, offering))
    FREE(booking=booking, actor=student, now=NOW)
    assert fresh(booking).status == Status.CANCELLED
    assert Earning.objects.get().frozen


# --- who, and in what order ---------------------------------------------------------------------

FREE = partial(services.cancel_by_student, expected_kept=Money(0, "usd"))
SERVICES: dict[str, Callable[..., None]] = {
    "accept": services.accept,
    "decline": services.decline,
    "cancel_by_student": FREE,
    "cancel_by_coach": services.cancel_by_coach,
    "complete": services.complete,
    "expire": services.expire,
    "abandon": services.abandon,
}


@pytest.mark.parametrize("name", SERVICES)
def test_only_those_in_the_table_may(
    name: str, student: User, stranger: User, coach: Coach, staff: User, offering: Offering
) -> None:
    booking = requested(student, offering)
    transition = next(row for row in process.PROCESS if row.name == name)
    actors = {"student": student, "coach": coach.user, "staff": staff}
    barred = [actor for role, actor in actors.items() if role not in transition.who]
    for actor in [stranger, *barred]:
        with pytest.raises(NotAllowed):
            SERVICES[name](booking=booking, actor=actor, now=NOW)
    assert_untouched(booking)


@pytest.mark.everyday(6)
@pytest.mark.parametrize("name", ["accept", "decline", "cancel_by_student", "cancel_by_coach", "complete", "abandon"])
@pytest.mark.parametrize("end", [Status.ABANDONED, Status.DECLINED, Status.EXPIRED, Status.CANCELLED, Status.COMPLETED])
def test_nothing_follows_an_end(name: str, end: str, student: User, coach: Coach, offering: Offering) -> None:
    booking = requested(student, offering)
    Booking.objects.update(status=end)
    booking = fresh(booking)
    actor = student if name in ("cancel_by_student", "abandon") else coach.user
    with pytest.raises(InvalidState, match=f"The session is: {Status(end).label.lower()}"):
        SERVICES[name](booking=booking, actor=actor, now=NOW)
    assert_untouched(booking)


def test_a_stale_object_decides_nothing(student: User, coach: Coach, offering: Offering) -> None:
    booking = requested(student, offering)
    stale = fresh(booking)
    services.accept(booking=booking, actor=coach.user, now=NOW)
    with pytest.raises(InvalidState, match="accepted"):
        services.decline(booking=stale, actor=coach.user, now=NOW)
    assert operations(booking) == []
    FREE(booking=stale, actor=student, now=NOW)
    assert last_event(booking).status_before == Status.ACCEPTED


def test_staff_act_in_their_own_name(student: User, staff: User, offering: Offering) -> None:
    booking = requested(student, offering)
    services.cancel_by_coach(booking=booking, actor=staff, now=NOW, reason="The coach called us.")
    event = last_event(booking)
    assert (event.actor, event.actor_role, event.reason) == (staff, "staff", "The coach called us.")


def test_the_history_is_whole(student: User, coach: Coach, offering: Offering) -> None:
    booking = accepted(student, offering)
    services.complete(booking=booking, actor=coach.user, now=END)
    story = list(booking.events.order_by("pk").values_list("transition", "status_before", "status_after"))
    assert story == [
        ("book", "", "awaiting_payment"),
        ("confirm_payment", "awaiting_payment", "requested"),
        ("accept", "requested", "accepted"),
        ("complete", "accepted", "completed"),
    ]
    assert fresh(booking).version == len(story)
