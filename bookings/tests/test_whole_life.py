"""Whole bookings, from the payment to the capture, on the sandbox's clock: near and far ahead, on each network's cards.

No webhook arrives anywhere here. What time must bring about, and what Stripe does by itself, is found by the timers.
With FULL_SWEEP=true on the cards of all four networks, else on the two that differ in how long their holds live.
"""

import os
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from bookings.demo.stage import settle
from bookings.models import Booking, BookingEvent
from bookings.tests.factories import fresh
from bookings.tests.far_ahead import assert_books_agree, book_and_pay, holds_at_stripe, move_to
from coaches.models import Offering
from marketplace import clock
from marketplace.tests.sandbox import Sandbox
from payments.models import Payment

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]

Status = Booking.Status
HOUR = timedelta(hours=1)
DAYS_AHEAD = (3, 10, 60, 90)
# A hold without the student lives 4 d 18 h on the first, 7 days on the others.
ALL_CARDS = ["pm_card_visa", "pm_card_mastercard", "pm_card_amex", "pm_card_discover"]
CARDS = ALL_CARDS if os.environ.get("FULL_SWEEP") == "true" else ALL_CARDS[:2]


def steps_of(bookings: list[Booking]) -> Iterator[datetime]:
    """Every six hours around each session, and a leap where nothing is near: as long as anything can happen."""
    instants = {
        booking.starts_at + hours * HOUR
        for booking in bookings
        for hours in (*range(-72, 0, 6), 0, 1, *range(6, 73, 6))
    }
    yield from sorted(instants)


def test_nothing_is_lost_and_nothing_lingers_however_far_ahead(sandbox: Sandbox, bookable: Offering) -> None:
    begins = clock.now()
    bookings = [
        book_and_pay(bookable, from_=begins + timedelta(days=days), card=card) for days in DAYS_AHEAD for card in CARDS
    ]
    settle()
    assert Counter(fresh(booking).status for booking in bookings) == {Status.ACCEPTED: 4 * len(CARDS)}
    openings_of = Counter(fresh(booking).payment.opening for booking in bookings)  # type: ignore[union-attr]
    assert openings_of == {Payment.Opening.HOLD: len(CARDS), Payment.Opening.SAVE: 3 * len(CARDS)}
    for instant in steps_of(bookings):
        move_to(instant)
        settle()
    assert Counter(fresh(booking).status for booking in bookings) == {Status.COMPLETED: 4 * len(CARDS)}
    assert not BookingEvent.objects.filter(transition__in=["payment_lost", "ask_for_payment", "renew"]).exists()
    taken = Counter(intent["metadata"]["booking_id"] for intent in holds_at_stripe(sandbox))
    assert taken == {str(booking.pk): 1 for booking in bookings}
    assert {intent["status"] for intent in holds_at_stripe(sandbox)} == {"succeeded"}
    assert {intent["amount_received"] for intent in holds_at_stripe(sandbox)} == {bookable.price_amount}
    assert_books_agree(sandbox)
