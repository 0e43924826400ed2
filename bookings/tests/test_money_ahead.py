"""What a person is told of the money before they pay: the true course of it, and the words that they agree to."""

from datetime import datetime, timedelta
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.urls import reverse

from bookings import selectors
from bookings.tests.factories import NOW, START
from bookings.tests.pages import free, text
from coaches.models import Offering
from marketplace.lib.money import Money
from payments.models import Payment

pytestmark = pytest.mark.django_db

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
PRICE, HALF = Money(10_000, "usd"), Money(5_000, "usd")
FAR = START + timedelta(days=9)


def ahead(offering: Offering, starts_at: datetime) -> list[tuple[str, datetime | None, Money | None]]:
    steps = selectors.money_ahead(offering=offering, starts_at=starts_at, now=NOW)
    return [(step.label, step.at, step.money) for step in steps]


def test_held_now_and_taken_after_the_session(instant_offering: Offering) -> None:
    assert ahead(instant_offering, START) == [
        ("Held on your card", NOW, PRICE),
        ("The session takes place", START, None),
        ("Taken", START + 25 * HOUR, PRICE),
    ]


def test_far_ahead_the_card_is_saved_and_held_two_days_before(instant_offering: Offering) -> None:
    assert ahead(instant_offering, FAR) == [
        ("Your card is saved", NOW, None),
        ("Held on your card", FAR - 48 * HOUR, PRICE),
        ("The session takes place", FAR, None),
        ("Taken", FAR + 25 * HOUR, PRICE),
    ]


def test_a_request_is_answered_first(offering: Offering) -> None:
    assert ("Carla Coach answers", START - HOUR, None) in ahead(offering, START)
    assert ahead(offering, FAR)[1] == ("Carla Coach answers", NOW + 48 * HOUR, None)


def test_it_tells_from_when_on_a_cancellation_costs_what(instant_offering: Offering) -> None:
    instant_offering.cancellation = Offering.Cancellation.STRICT
    costs = "Cancelling costs from here on"
    assert [step for step in ahead(instant_offering, FAR) if step[0] == costs] == [
        (costs, FAR - 48 * HOUR, HALF),
        (costs, FAR - 24 * HOUR, PRICE),
    ]
    # 27 hours before, the first tier is reached already.
    assert [step for step in ahead(instant_offering, START) if step[0] == costs] == [
        (costs, NOW, HALF),
        (costs, START - 24 * HOUR, PRICE),
    ]


def test_the_steps_come_in_order_of_time(offering: Offering) -> None:
    for code in Offering.Cancellation:
        offering.cancellation = code
        for starts_at in (START, FAR):
            instants = [at for _, at, _ in ahead(offering, starts_at)]
            assert instants == sorted(instants)  # type: ignore[type-var]


def test_a_hold_that_lasts_54_hours_past_the_end_is_made_at_once() -> None:
    last = NOW + timedelta(days=7) - 54 * HOUR
    assert selectors.opening_of(last, NOW) == Payment.Opening.HOLD
    assert selectors.opening_of(last + SECOND, NOW) == Payment.Opening.SAVE


def test_the_page_shows_the_terms_and_the_words_of_consent(browser_of_student: Client, offering: Offering) -> None:
    Offering.objects.update(cancellation=Offering.Cancellation.MODERATE)
    address = reverse("bookings:review", args=[offering.pk])
    near, far = free(offering), free(offering, index=-1)
    pages = [
        text(browser_of_student.get(f"{address}?{urlencode({'start': start.isoformat(), 'zone': 'UTC'})}"))
        for start in (near, far)
    ]
    for page in pages:
        assert "Up to 24 hours before the start you can cancel and pay nothing." in page
        assert 'name="policy" value="moderate"' in page
        assert 'name="policy_version" value="1"' in page
    assert "$100.00 is held on your card now" in pages[0]
    assert "Nothing is held or taken now." in pages[1]
    assert "two days before the session" in pages[1]
