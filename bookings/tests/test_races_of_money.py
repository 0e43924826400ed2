"""Two at once about one booking's money: nothing waits for the other for ever, and what is held belongs to somebody."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
import requests

from bookings import services
from bookings.demo.stage import settle
from bookings.models import Booking
from bookings.services import SlotUnavailable
from bookings.tests.at_once import at_once, refusals
from bookings.tests.factories import HOUR, NOW, START, accepted, book, fresh, intent, known_student
from bookings.tests.far_ahead import book_and_pay, holds_at_stripe, move_to
from bookings.transition import InvalidState
from coaches.models import Coach, Offering
from marketplace import clock
from marketplace.lib import sandbox as control
from marketplace.lib.money import Money
from marketplace.models import User
from marketplace.tests.factories import UserFactory
from marketplace.tests.sandbox import Sandbox
from payments import services as payment_services
from payments.models import Operation, Payment
from payments.stripe_objects import CardFacts, SetupFacts

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.thorough]

Status, Paid = Booking.Status, Payment.Status
ROUNDS = 4


def payments_of(booking: Booking) -> list[Payment]:
    return list(Payment.objects.filter(reference=booking.reference).order_by("pk"))


def statuses(booking: Booking) -> list[str]:
    return [payment.status for payment in payments_of(booking)]


def cancel(booking: Booking) -> None:
    actor = booking.student.user
    services.cancel_by_student(booking=fresh(booking), actor=actor, expected_kept=Money(0, "usd"), now=NOW)


def cancel_by_coach(booking: Booking) -> None:
    services.cancel_by_coach(booking=fresh(booking), actor=booking.coach.user, now=NOW)


def hear_of_the_hold(payment: Payment) -> None:
    payment_services.record_hold(payment=Payment.objects.get(pk=payment.pk), intent=intent(payment), now=NOW)


def with_a_saved_card(student: User, offering: Offering, round_: int) -> Booking:
    """Nine days ahead, accepted."""
    booking = book(student, offering, starts_at=START + timedelta(days=9) + round_ * HOUR)
    (payment,) = payments_of(booking)
    customer = payment.payer.stripe_customer.stripe_customer_id
    card = CardFacts(f"pm_{payment.pk}", "visa", "4242", 12, 2030)
    marks = {"payment_id": str(payment.pk)}
    setup = SetupFacts(f"seti_{payment.pk}", "succeeded", customer, False, marks, "", card)
    payment_services.record_setup(payment=payment, setup=setup, now=NOW)
    services.accept(booking=fresh(booking), actor=offering.coach.user, now=NOW)
    return fresh(booking)


# --- a hold that takes over ---------------------------------------------------------------------


@pytest.mark.embedded
@pytest.mark.parametrize("end", [cancel, cancel_by_coach])
def test_a_new_hold_that_takes_over_against_a_cancellation(end, student: User, offering: Offering) -> None:
    for round_ in range(ROUNDS):
        booking = accepted(student, offering, starts_at=START + round_ * HOUR)
        services.renew(booking=fresh(booking), actor=None, now=NOW)
        old, new = payments_of(booking)
        assert (old.status, new.status) == (Paid.HELD, Paid.AUTHORISING)
        at_once(partial(hear_of_the_hold, new), partial(end, booking))
        assert fresh(booking).status == Status.CANCELLED
        assert statuses(booking) == [Paid.RELEASING, Paid.RELEASING]


@pytest.mark.embedded
def test_a_new_hold_against_the_loss_of_the_old_one(student: User, offering: Offering) -> None:
    for round_ in range(ROUNDS):
        booking = accepted(student, offering, starts_at=START + round_ * HOUR)
        services.renew(booking=fresh(booking), actor=None, now=NOW)
        old, new = payments_of(booking)
        lost = partial(payment_services.record_hold_lost, payment=old, intent=intent(old, status="canceled"), now=NOW)
        at_once(partial(hear_of_the_hold, new), lost)
        assert fresh(booking).status == Status.ACCEPTED
        assert fresh(booking).payment_id == new.pk
        assert statuses(booking)[1:] == [Paid.HELD]
        assert statuses(booking)[0] in (Paid.LOST, Paid.RELEASING)


@pytest.mark.embedded
def test_a_new_hold_against_the_end_of_the_session(student: User, coach: Coach, offering: Offering) -> None:
    for round_ in range(ROUNDS):
        booking = accepted(student, offering, starts_at=START + round_ * HOUR)
        services.renew(booking=fresh(booking), actor=None, now=NOW)
        _, new = payments_of(booking)
        done = partial(services.complete, booking=fresh(booking), actor=coach.user, now=booking.ends_at)
        at_once(partial(hear_of_the_hold, new), done)
        assert fresh(booking).status == Status.COMPLETED
        # One of them is taken, the other goes back.
        assert sorted(statuses(booking)) == sorted([Paid.CAPTURING, Paid.RELEASING])
        current = fresh(booking).payment
        assert current is not None
        assert current.status == Paid.CAPTURING


@pytest.mark.embedded
def test_cancelling_against_the_hold_two_days_before(student: User, offering: Offering) -> None:
    for round_ in range(ROUNDS):
        booking = with_a_saved_card(student, offering, round_)
        due = booking.starts_at - 48 * HOUR
        outcomes = at_once(
            partial(services.authorise, booking=fresh(booking), actor=None, now=due), partial(cancel, booking)
        )
        assert fresh(booking).status == Status.CANCELLED
        (payment,) = payments_of(booking)
        if refusals(outcomes) == [InvalidState]:  # cancelled first: nothing was ever asked for
            assert payment.status == Paid.RELEASED
            assert not payment.operations.filter(kind=Operation.Kind.HOLD).exists()
        else:
            assert payment.status == Paid.AUTHORISING
            hear_of_the_hold(payment)
            assert statuses(booking) == [Paid.RELEASING]


@pytest.mark.embedded
def test_two_timers_ask_for_one_hold(student: User, offering: Offering) -> None:
    booking = with_a_saved_card(student, offering, 0)
    due = booking.starts_at - 48 * HOUR
    at_once(*[partial(services.run_due_transitions, now=due)] * 4)
    assert Operation.objects.filter(kind=Operation.Kind.HOLD).count() == 1
    assert booking.events.filter(transition="authorise").count() == 1


# --- another time -------------------------------------------------------------------------------


def proposed(
    student: User, offering: Offering, round_: int, to: timedelta = 6 * HOUR
) -> tuple[Booking, Callable[[], None]]:
    """And the coach's agreement to it."""
    booking = accepted(student, offering, starts_at=START + round_ * HOUR)
    starts_at = booking.starts_at + to
    services.propose(booking=fresh(booking), actor=student, starts_at=starts_at, now=NOW)
    by = booking.coach.user
    return booking, partial(services.agree, booking=fresh(booking), actor=by, expected_starts_at=starts_at, now=NOW)


@pytest.mark.embedded
def test_agreeing_against_withdrawing_is_won_by_one(student: User, offering: Offering) -> None:
    for round_ in range(ROUNDS):
        booking, agree = proposed(student, offering, round_)
        other = booking.starts_at + 6 * HOUR
        withdraw = partial(services.withdraw, booking=fresh(booking), actor=student, expected_starts_at=other, now=NOW)
        assert refusals(at_once(agree, withdraw)) == [InvalidState]
        after = fresh(booking)
        assert after.version == booking.version + 2
        moved = booking.events.filter(transition="agree").exists()
        assert after.starts_at == (booking.starts_at + 6 * HOUR if moved else booking.starts_at)
        assert (after.proposed_starts_at, after.proposed_by) == (None, "")
        cancel_by_coach(booking)  # room for the next round


@pytest.mark.embedded
@pytest.mark.parametrize("to", [6 * HOUR, timedelta(days=8)])
def test_agreeing_against_a_cancellation(to: timedelta, student: User, offering: Offering) -> None:
    for round_ in range(ROUNDS):
        booking, agree = proposed(student, offering, round_, to)
        at_once(agree, partial(cancel_by_coach, booking))
        after = fresh(booking)
        assert (after.status, after.proposed_starts_at) == (Status.CANCELLED, None)
        assert set(statuses(booking)) <= {Paid.RELEASING, Paid.RELEASED}


@pytest.mark.embedded
def test_two_sessions_want_to_move_to_one_time(student: User, stranger: User, offering: Offering) -> None:
    for round_ in range(ROUNDS):
        first = accepted(student, offering, starts_at=START + round_ * HOUR)
        second = accepted(stranger, offering, starts_at=START + (round_ + ROUNDS) * HOUR)
        to = START + (20 + round_) * HOUR
        outcomes = at_once(
            partial(services.propose, booking=fresh(first), actor=student, starts_at=to, now=NOW),
            partial(services.propose, booking=fresh(second), actor=stranger, starts_at=to, now=NOW),
        )
        assert refusals(outcomes) == [SlotUnavailable]
        assert Booking.objects.filter(proposed_starts_at=to).count() == 1


@pytest.mark.embedded
def test_moving_to_a_time_against_booking_it(student: User, offering: Offering) -> None:
    for round_ in range(ROUNDS):
        booking = accepted(student, offering, starts_at=START + round_ * HOUR)
        to, other = START + (20 + round_) * HOUR, known_student(UserFactory.create())
        outcomes = at_once(
            partial(services.propose, booking=fresh(booking), actor=student, starts_at=to, now=NOW),
            partial(book, other, offering, starts_at=to),
        )
        assert refusals(outcomes) == [SlotUnavailable]
        proposals = Booking.objects.filter(proposed_starts_at=to).count()
        assert proposals + Booking.objects.filter(starts_at=to).count() == 1


# --- the last second ----------------------------------------------------------------------------


def asked_by_link(offering: Offering) -> tuple[Booking, Payment]:
    """Two days before, the bank has said no; the page of the link is open."""
    booking = book_and_pay(offering, from_=clock.now() + timedelta(days=10), card="pm_card_chargeCustomerFail")
    settle()
    move_to(booking.starts_at - 48 * HOUR)
    settle()
    services.pay(booking=fresh(booking), now=clock.now())
    link = Payment.objects.get(reference=booking.reference, status=Paid.OPEN)
    assert fresh(booking).pay_due_at is not None
    return fresh(booking), link


def test_paid_in_the_last_second_it_counts_however_it_is_heard_of(sandbox: Sandbox, bookable: Offering) -> None:
    booking, link = asked_by_link(bookable)
    due = booking.pay_due_at
    assert due is not None
    control.post(f"/checkout/{link.checkout_session_id}/pay", {"payment_method": "pm_card_visa"})
    at_once(
        partial(services.payment_lost, booking=fresh(booking), actor=None, now=due),
        partial(payment_services.refresh_payment, payment=link, now=due),
        partial(services.run_due_transitions, now=due),
    )
    assert (fresh(booking).status, fresh(booking).pay_due_at) == (Status.ACCEPTED, None)
    assert fresh(booking).payment == link
    assert statuses(booking)[-1] == Paid.HELD


def test_the_end_of_the_time_to_pay_against_the_payment_itself(sandbox: Sandbox, bookable: Offering) -> None:
    booking, link = asked_by_link(bookable)
    due = booking.pay_due_at
    assert due is not None

    page = f"{sandbox.url}/_sandbox/checkout/{link.checkout_session_id}/pay"
    pay = partial(requests.post, page, json={"payment_method": "pm_card_visa"}, timeout=30)  # refused on a closed page
    at_once(partial(services.payment_lost, booking=fresh(booking), actor=None, now=due), pay)
    move_to(clock.now() + HOUR)
    settle()
    settle()
    held = [each["status"] for each in holds_at_stripe(sandbox)].count("requires_capture")
    if fresh(booking).status == Status.PAYMENT_FAILED:
        assert held == 0
    else:
        assert (fresh(booking).status, held) == (Status.ACCEPTED, 1)


@pytest.mark.embedded
def test_what_was_paid_a_moment_ago_is_not_lost_by_a_timer_that_looked_before(
    student: User, offering: Offering
) -> None:
    booking = accepted(student, offering)
    due = START - 12 * HOUR
    Booking.objects.update(pay_due_at=due)
    stale = fresh(booking)
    Booking.objects.update(pay_due_at=None)  # as a hold does that is recorded
    with pytest.raises(InvalidState):
        services.payment_lost(booking=stale, actor=None, now=due)
    assert (fresh(booking).status, statuses(booking)) == (Status.ACCEPTED, [Paid.HELD])
