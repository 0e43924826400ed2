"""A confirmed session stays paid for, or people are told in time: at the sandbox, without any webhook."""

from datetime import timedelta

import pytest
import requests
from django.conf import settings

from bookings import services
from bookings.demo.stage import settle
from bookings.models import Booking, Notice
from bookings.tests.factories import fresh
from bookings.tests.far_ahead import assert_books_agree, book_and_pay, holds_at_stripe, move_to
from bookings.transition import InvalidState
from coaches.models import Offering
from marketplace import clock
from marketplace.lib import sandbox as control
from marketplace.lib.money import Money
from marketplace.tests.sandbox import Sandbox
from payments import ledger
from payments.models import Earning, Payment
from payments.tests import stage

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]

Status = Booking.Status
HOUR, DAY, MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)
# Saved without a word, and refused when it is charged.
REFUSED_LATER = "pm_card_chargeCustomerFail"


def saved(offering: Offering, card: str = "pm_card_visa", days: int = 10) -> Booking:
    booking = book_and_pay(offering, from_=clock.now() + days * DAY, card=card)
    settle()
    return fresh(booking)


def held(offering: Offering) -> Booking:
    return saved(offering, days=2)


def refused(offering: Offering) -> Booking:
    """Two days before the start the bank has said no, and the student is asked."""
    booking = saved(offering, REFUSED_LATER)
    move_to(booking.starts_at - 48 * HOUR)
    settle()
    return fresh(booking)


def refused_after_the_session(offering: Offering, sandbox: Sandbox) -> Booking:
    """It took place, its hold is gone, and the card is refused."""
    booking = held(offering)
    move_to(booking.ends_at)
    stage.break_next(sandbox, "respond", "/v1/payment_intents", status=402, times=0, body=DECLINED)
    lose(booking)
    settle()
    services.complete(booking=fresh(booking), actor=booking.coach.user, now=clock.now())
    settle()
    stage.mend(sandbox)
    return fresh(booking)


DECLINED = {"error": {"type": "card_error", "code": "card_declined", "message": "Your card was declined."}}


def lose(booking: Booking) -> None:
    """The hold ends at Stripe before its time."""
    control.post(f"/payment_intents/{current(booking).payment_intent_id}/lapse", {})
    Payment.objects.update(polled_at=None)


def current(booking: Booking) -> Payment:
    payment = fresh(booking).payment
    assert payment is not None
    return payment


def mails(booking: Booking) -> list[str]:
    return list(Notice.objects.filter(event__booking=booking).order_by("pk").values_list("template", flat=True))


def statuses(sandbox: Sandbox) -> list[str]:
    """Of all intents at Stripe, sorted; a declined one waits for a card that nobody can give it."""
    return sorted(intent["status"] for intent in holds_at_stripe(sandbox))


def open_link(booking: Booking) -> Payment:
    services.pay(booking=fresh(booking), now=clock.now())
    return Payment.objects.get(reference=booking.reference, status=Payment.Status.OPEN)


def pay_link(link: Payment, card: str = "pm_card_visa") -> None:
    control.post(f"/checkout/{link.checkout_session_id}/pay", {"payment_method": card})


# --- two days before ----------------------------------------------------------------------------


def test_a_saved_card_is_held_two_days_before(sandbox: Sandbox, bookable: Offering) -> None:
    booking = saved(bookable)
    assert (booking.status, current(booking).status) == (Status.ACCEPTED, Payment.Status.SAVED)
    move_to(booking.starts_at - 48 * HOUR - MINUTE)
    settle()
    assert statuses(sandbox) == []
    move_to(booking.starts_at - 48 * HOUR)
    settle()
    assert current(booking).status == Payment.Status.HELD
    assert statuses(sandbox) == ["requires_capture"]


def test_a_refusal_asks_the_student_at_once(sandbox: Sandbox, bookable: Offering) -> None:
    booking = refused(bookable)
    assert (booking.status, current(booking).status) == (Status.ACCEPTED, Payment.Status.REFUSED)
    assert booking.pay_due_at == booking.starts_at - 12 * HOUR
    assert mails(booking)[-1] == "pay_by_link-student"
    assert "pay_by_link-coach" not in mails(booking)


def test_a_bank_that_wants_the_student_is_a_refusal(sandbox: Sandbox, bookable: Offering) -> None:
    booking = saved(bookable, "pm_card_authenticationRequired")
    move_to(booking.starts_at - 48 * HOUR)
    settle()
    assert current(booking).status == Payment.Status.REFUSED
    assert mails(booking)[-1] == "pay_by_link-student"


def test_paid_by_link_it_goes_on_as_ever(sandbox: Sandbox, bookable: Offering) -> None:
    booking = refused(bookable)
    pay_link(open_link(booking))
    settle()
    booking = fresh(booking)
    assert (booking.pay_due_at, current(booking).status) == (None, Payment.Status.HELD)
    assert mails(booking)[-1] == "payment_arranged-student"
    move_to(booking.ends_at + 24 * HOUR)
    settle()
    assert fresh(booking).status == Status.COMPLETED
    assert statuses(sandbox) == ["requires_payment_method", "succeeded"]
    assert_books_agree(sandbox)


def test_one_link_is_open_however_often_it_is_clicked(sandbox: Sandbox, bookable: Offering) -> None:
    booking = refused(bookable)
    addresses = {services.pay(booking=fresh(booking), now=clock.now()) for _ in range(3)}
    assert len(addresses) == 1
    assert Payment.objects.filter(reference=booking.reference).count() == 2


def test_the_student_is_reminded_once_half_way(sandbox: Sandbox, bookable: Offering) -> None:
    booking = refused(bookable)
    assert booking.pay_reminder_at is not None
    move_to(booking.pay_reminder_at)
    settle()
    settle()
    assert mails(booking).count("pay_reminder-student") == 1


def test_an_unpaid_link_ends_the_session_twelve_hours_before(sandbox: Sandbox, bookable: Offering) -> None:
    booking = refused(bookable)
    move_to(booking.starts_at - 12 * HOUR - MINUTE)
    link = open_link(booking)
    settle()
    assert fresh(booking).status == Status.ACCEPTED
    move_to(booking.starts_at - 12 * HOUR)
    settle()
    booking = fresh(booking)
    assert booking.status == Status.PAYMENT_FAILED
    assert set(mails(booking)[-2:]) == {"payment_lost-student", "payment_lost-coach"}
    page = stage.at_stripe(sandbox, f"/v1/checkout/sessions/{link.checkout_session_id}")
    assert page["status"] == "expired"
    with pytest.raises(InvalidState):
        services.pay(booking=booking, now=clock.now())


def test_a_payment_in_the_last_minute_wins(sandbox: Sandbox, bookable: Offering) -> None:
    booking = refused(bookable)
    move_to(booking.starts_at - 12 * HOUR - MINUTE)
    pay_link(open_link(booking))
    move_to(booking.starts_at - 12 * HOUR + MINUTE)
    services.run_due_transitions(now=clock.now())
    assert fresh(booking).status == Status.ACCEPTED
    assert current(booking).status == Payment.Status.HELD


# --- a hold that goes ---------------------------------------------------------------------------


def test_a_lost_hold_is_made_anew_on_the_same_card(sandbox: Sandbox, bookable: Offering) -> None:
    booking = held(bookable)
    first = current(booking)
    lose(booking)
    settle()
    booking, second = fresh(booking), current(booking)
    assert (booking.status, second.status, second.replaces) == (Status.ACCEPTED, Payment.Status.HELD, first)
    assert statuses(sandbox) == ["canceled", "requires_capture"]
    assert "payment_lost-student" not in mails(booking)


def test_a_hold_cancelled_in_the_dashboard_is_made_anew(sandbox: Sandbox, bookable: Offering) -> None:
    booking = held(bookable)
    cancel_at_stripe(sandbox, current(booking))
    settle()
    assert (fresh(booking).status, current(booking).status) == (Status.ACCEPTED, Payment.Status.HELD)


def test_without_a_card_the_student_is_asked(sandbox: Sandbox, bookable: Offering) -> None:
    booking = held(bookable)
    Payment.objects.update(card=None)
    lose(booking)
    settle()
    booking = fresh(booking)
    assert (booking.status, booking.pay_due_at) == (Status.ACCEPTED, booking.starts_at - 12 * HOUR)


def test_lost_too_late_for_a_link_it_is_off_at_once(sandbox: Sandbox, bookable: Offering) -> None:
    booking = held(bookable)
    Payment.objects.update(card=None)
    move_to(booking.starts_at - 90 * MINUTE)
    lose(booking)
    settle()
    assert fresh(booking).status == Status.PAYMENT_FAILED


def test_a_short_hold_is_renewed_and_the_old_one_goes_only_then(sandbox: Sandbox, bookable: Offering) -> None:
    booking = saved(bookable, days=4)
    first = current(booking)
    Payment.objects.update(capture_before=booking.starts_at - HOUR)
    move_to(booking.starts_at - 25 * HOUR)
    services.run_due_transitions(now=clock.now())
    assert [payment.status for payment in attempts(booking)] == [Payment.Status.HELD, Payment.Status.AUTHORISING]
    settle()
    assert [payment.status for payment in attempts(booking)] == [Payment.Status.RELEASED, Payment.Status.HELD]
    assert current(booking).replaces == first
    settle()
    assert len(attempts(booking)) == 2


def attempts(booking: Booking) -> list[Payment]:
    return list(Payment.objects.filter(reference=booking.reference).order_by("pk"))


def cancel_at_stripe(sandbox: Sandbox, payment: Payment) -> None:
    address = f"{sandbox.url}/v1/payment_intents/{payment.payment_intent_id}/cancel"
    requests.post(address, auth=(settings.STRIPE_SECRET_KEY, ""), timeout=30).raise_for_status()
    Payment.objects.update(polled_at=None)


# --- after the session --------------------------------------------------------------------------


def test_a_hold_lost_after_the_session_is_made_anew_and_taken(sandbox: Sandbox, bookable: Offering) -> None:
    booking = held(bookable)
    move_to(booking.ends_at + HOUR)
    lose(booking)
    settle()
    services.complete(booking=fresh(booking), actor=booking.coach.user, now=clock.now())
    settle()
    assert current(booking).status == Payment.Status.CAPTURED
    assert statuses(sandbox) == ["canceled", "succeeded"]
    assert_books_agree(sandbox)


def test_refused_after_the_session_the_student_has_a_week(sandbox: Sandbox, bookable: Offering) -> None:
    booking = refused_after_the_session(bookable, sandbox)
    assert booking.status == Status.COMPLETED
    assert booking.pay_due_at is not None
    assert clock.now() + 7 * DAY - MINUTE < booking.pay_due_at <= clock.now() + 7 * DAY
    pay_link(open_link(booking))
    settle()
    settle()
    booking = fresh(booking)
    assert (booking.pay_due_at, current(booking).status) == (None, Payment.Status.CAPTURED)
    assert Earning.objects.count() == 1
    assert_books_agree(sandbox)


def test_unpaid_for_a_week_the_platform_pays_the_coach_once(sandbox: Sandbox, bookable: Offering) -> None:
    booking = refused_after_the_session(bookable, sandbox)
    assert booking.pay_due_at is not None
    move_to(booking.pay_due_at)
    settle()
    settle()
    share = current(booking).coach_share
    assert ledger.balance("platform_losses", "usd") == Money(share, "usd")
    assert Earning.objects.get().amount == share
    assert fresh(booking).pay_due_at is None
    assert_books_agree(sandbox)


# --- cancelled meanwhile ------------------------------------------------------------------------


def test_cancelled_with_a_saved_card_nothing_is_ever_held(sandbox: Sandbox, bookable: Offering) -> None:
    booking = saved(bookable)
    services.cancel_by_coach(booking=booking, actor=booking.coach.user, now=clock.now())
    move_to(booking.starts_at - 40 * HOUR)
    settle()
    assert statuses(sandbox) == []
    assert current(booking).status == Payment.Status.RELEASED


def test_a_hold_that_comes_after_the_cancellation_goes_back(sandbox: Sandbox, bookable: Offering) -> None:
    booking = saved(bookable)
    move_to(booking.starts_at - 48 * HOUR)
    stage.break_next(sandbox, "timeout_after", "/v1/payment_intents", delay_ms=100)
    services.run_due_transitions(now=clock.now())
    assert current(booking).status == Payment.Status.AUTHORISING
    services.cancel_by_coach(booking=fresh(booking), actor=booking.coach.user, now=clock.now())
    settle_for_a_while()
    assert statuses(sandbox) == ["canceled"]


def test_paid_by_link_after_the_cancellation_it_goes_back(sandbox: Sandbox, bookable: Offering) -> None:
    booking = refused(bookable)
    link = open_link(booking)
    pay_link(link)  # and nobody has told us yet
    services.cancel_by_coach(booking=fresh(booking), actor=booking.coach.user, now=clock.now())
    settle_for_a_while()
    assert fresh(booking).status == Status.CANCELLED
    assert statuses(sandbox) == ["canceled", "requires_payment_method"]
    link.refresh_from_db()
    assert link.status == Payment.Status.RELEASED
    assert_books_agree(sandbox)


def test_cancelled_with_an_open_link_nobody_can_pay_by_it(sandbox: Sandbox, bookable: Offering) -> None:
    booking = refused(bookable)
    link = open_link(booking)
    services.cancel_by_coach(booking=fresh(booking), actor=booking.coach.user, now=clock.now())
    settle()
    page = stage.at_stripe(sandbox, f"/v1/checkout/sessions/{link.checkout_session_id}")
    assert page["status"] == "expired"


def settle_for_a_while() -> None:
    for _ in range(5):
        move_to(clock.now() + 2 * MINUTE)
        settle()
