"""Cancelling by the terms that were agreed to: what the page tells is what then happens, at Stripe and in the books."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from bookings import services
from bookings.demo.stage import settle
from bookings.models import Booking
from bookings.services import CostsChanged
from bookings.tests.factories import NOW, START, accepted, book, fresh, requested
from bookings.tests.far_ahead import assert_books_agree, book_and_pay, holds_at_stripe, move_to
from bookings.tests.pages import text
from bookings.transition import InvalidState, NotAllowed
from coaches.models import Coach, Offering
from marketplace import clock
from marketplace.lib.money import Money
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments.models import Earning, Operation, Payment

pytestmark = pytest.mark.django_db

Status = Booking.Status
HOUR = timedelta(hours=1)
HALF, ALL = Money(5_000, "usd"), Money(10_000, "usd")


@pytest.fixture
def strict(bookable: Offering) -> Offering:
    bookable.cancellation = Offering.Cancellation.STRICT
    bookable.save(update_fields=["cancellation"])
    return bookable


def booked(offering: Offering) -> Booking:
    """Held, a little more than a day before its start: half of the price is kept."""
    booking = book_and_pay(offering, from_=clock.now() + 25 * HOUR, card="pm_card_visa")
    settle()
    return fresh(booking)


def browser_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def cancel(booking: Booking, kept: Any) -> Any:
    sent = {} if kept is None else {"kept_amount": kept}
    return browser_of(booking.student.user).post(reverse("bookings:cancel", args=[booking.pk]), sent)


def assert_untouched(booking: Booking) -> None:
    assert (fresh(booking).status, fresh(booking).version) == (booking.status, booking.version)
    assert fresh(booking).payment.status == Payment.Status.HELD  # type: ignore[union-attr]
    assert not Operation.objects.filter(kind__in=["capture", "release"]).exists()


# --- the page -----------------------------------------------------------------------------------


def test_the_page_tells_the_costs_and_changes_nothing(sandbox: Sandbox, strict: Offering) -> None:
    booking = booked(strict)
    answer = browser_of(booking.student.user).get(reverse("bookings:cancel", args=[booking.pk]))
    assert answer.status_code == 200
    assert answer.context["costs"].kept == answer.context["costs"].returned == HALF
    assert answer.context["costs"].changes_at == booking.starts_at - 24 * HOUR
    assert 'name="kept_amount" value="5000"' in text(answer)
    assert booking.policy_text in text(answer)
    assert_untouched(booking)


def test_costs_that_changed_while_they_were_read_are_told_anew(sandbox: Sandbox, strict: Offering) -> None:
    booking = booked(strict)
    move_to(booking.starts_at - 24 * HOUR)
    answer = cancel(booking, 5_000)
    assert answer.status_code == 409
    assert "has changed while you read it. Nothing is cancelled yet" in text(answer)
    assert 'name="kept_amount" value="10000"' in text(answer)
    assert_untouched(booking)
    assert cancel(booking, 10_000).status_code == 302
    assert fresh(booking).status == Status.CANCELLED


@pytest.mark.everyday(3)
@pytest.mark.parametrize("sent", [None, "", "-1", "50.00", "all", "0", "9" * 40])
def test_a_form_that_says_something_else_cancels_nothing(sandbox: Sandbox, strict: Offering, sent: Any) -> None:
    booking = booked(strict)
    answer = cancel(booking, sent)
    assert answer.status_code in (400, 409)
    assert 'name="kept_amount" value="5000"' in text(answer)
    assert_untouched(booking)


def test_a_session_of_somebody_else_is_not_there(sandbox: Sandbox, strict: Offering, stranger: User) -> None:
    booking = booked(strict)
    for user in (stranger, booking.coach.user):
        client, address = browser_of(user), reverse("bookings:cancel", args=[booking.pk])
        assert client.get(address).status_code == 404
        assert client.post(address, {"kept_amount": 5_000}).status_code == 404
    assert_untouched(booking)


def test_what_has_begun_is_not_cancelled(sandbox: Sandbox, strict: Offering) -> None:
    booking = booked(strict)
    move_to(booking.starts_at)
    assert cancel(booking, 10_000).status_code == 302
    assert_untouched(booking)


# --- the money ----------------------------------------------------------------------------------


def test_the_part_that_is_kept_arrives_and_the_books_agree(sandbox: Sandbox, strict: Offering) -> None:
    booking = booked(strict)
    cancel(booking, 5_000)
    settle()
    (intent,) = holds_at_stripe(sandbox)
    assert (intent["status"], intent["amount_received"]) == ("succeeded", 5_000)
    payment = fresh(booking).payment
    assert payment is not None
    assert (payment.status, payment.captured_amount) == (Payment.Status.CAPTURED, 5_000)
    assert Earning.objects.get().amount == 4_000
    assert_books_agree(sandbox)


def test_in_the_last_day_of_strict_terms_all_of_it_is_taken(sandbox: Sandbox, strict: Offering) -> None:
    booking = booked(strict)
    move_to(booking.starts_at - HOUR)
    cancel(booking, 10_000)
    settle()
    (intent,) = holds_at_stripe(sandbox)
    assert (intent["status"], intent["amount_received"]) == ("succeeded", 10_000)
    assert_books_agree(sandbox)


def test_a_coach_who_cancels_late_gives_all_of_it_back(sandbox: Sandbox, strict: Offering) -> None:
    booking = booked(strict)
    move_to(booking.starts_at - HOUR)
    services.cancel_by_coach(booking=fresh(booking), actor=booking.coach.user, now=clock.now())
    settle()
    (intent,) = holds_at_stripe(sandbox)
    assert (intent["status"], intent["amount_received"]) == ("canceled", 0)
    assert not Earning.objects.exists()
    assert_books_agree(sandbox)


def test_a_part_too_small_to_be_charged_is_given_back(sandbox: Sandbox, strict: Offering) -> None:
    strict.price_amount = 90
    strict.save(update_fields=["price_amount"])
    booking = booked(strict)
    assert cancel(booking, 0).status_code == 302
    settle()
    (intent,) = holds_at_stripe(sandbox)
    assert intent["status"] == "canceled"


# --- the service --------------------------------------------------------------------------------


@pytest.mark.embedded
def test_costs_that_differ_by_one_unit_are_refused(student: User, offering: Offering) -> None:
    Offering.objects.update(cancellation=Offering.Cancellation.STRICT)
    offering.refresh_from_db()
    booking = accepted(student, offering)
    for expected in (Money(0, "usd"), Money(4_999, "usd"), Money(5_001, "usd"), ALL, Money(5_000, "eur")):
        with pytest.raises(CostsChanged):
            services.cancel_by_student(booking=fresh(booking), actor=student, expected_kept=expected, now=NOW)
    assert_untouched(booking)
    services.cancel_by_student(booking=fresh(booking), actor=student, expected_kept=HALF, now=NOW)
    assert fresh(booking).payment.status == Payment.Status.CAPTURING  # type: ignore[union-attr]


@pytest.mark.embedded
def test_who_may_not_cancel_learns_nothing_of_the_costs(student: User, stranger: User, offering: Offering) -> None:
    booking = requested(student, offering)
    with pytest.raises(NotAllowed):
        services.cancel_by_student(booking=booking, actor=stranger, expected_kept=ALL, now=NOW)
    with pytest.raises(InvalidState):
        services.cancel_by_student(booking=booking, actor=student, expected_kept=ALL, now=START)
    assert_untouched(booking)


@pytest.mark.embedded
def test_a_stale_object_does_not_decide_the_costs(student: User, coach: Coach, offering: Offering) -> None:
    """Read before the session was moved nearer: the costs are those of the new time."""
    Offering.objects.update(cancellation=Offering.Cancellation.MODERATE)
    offering.refresh_from_db()
    booking = accepted(student, offering)
    stale = fresh(booking)
    nearer = START - 6 * HOUR
    services.propose(booking=fresh(booking), actor=student, starts_at=nearer, now=NOW)
    services.agree(booking=fresh(booking), actor=coach.user, expected_starts_at=nearer, now=NOW)
    with pytest.raises(CostsChanged):
        services.cancel_by_student(booking=stale, actor=student, expected_kept=Money(0, "usd"), now=NOW)


@pytest.mark.embedded
def test_terms_that_change_later_do_not_touch_what_is_booked(student: User, offering: Offering) -> None:
    booking = accepted(student, offering)
    Offering.objects.update(cancellation=Offering.Cancellation.STRICT)
    services.cancel_by_student(booking=fresh(booking), actor=student, expected_kept=Money(0, "usd"), now=NOW)
    assert fresh(booking).payment.status == Payment.Status.RELEASING  # type: ignore[union-attr]


@pytest.mark.embedded
def test_the_terms_are_kept_with_their_words(student: User, offering: Offering) -> None:
    Offering.objects.update(cancellation=Offering.Cancellation.MODERATE)
    offering.refresh_from_db()
    booking = book(student, offering)
    assert (booking.policy, booking.policy_version) == ("moderate", 1)
    assert booking.policy_text.startswith("Up to 24 hours before the start")
