"""Bookings far ahead, paid at the sandbox by students of their own; and what Stripe then has of them."""

from datetime import datetime, timedelta
from typing import Any

from bookings import policy, selectors, services
from bookings.demo import stage as demo
from bookings.models import Booking
from bookings.tests.factories import fresh
from coaches.models import Offering
from marketplace import clock
from marketplace.lib import sandbox as control
from marketplace.lib.money import Money
from marketplace.tests.factories import UserFactory
from marketplace.tests.sandbox import Sandbox
from payments import ledger
from payments.tests import stage


def book_and_pay(offering: Offering, *, from_: datetime, card: str) -> Booking:
    """The first free time from that instant on, by a student of its own."""
    now, student = clock.now(), UserFactory.create()
    starts_at = next(start for start in selectors.open_slots(offering=offering, now=now) if start >= from_)
    booking = services.book(
        student_user=student,
        offering=offering,
        starts_at=starts_at,
        expected_price=offering.price,
        expected_minutes=offering.minutes,
        expected_policy=policy.current(offering.cancellation),
        agreed_zone=student.time_zone,
        note="",
        now=now,
    )
    services.pay(booking=booking, now=now)
    page = fresh(booking).payment
    assert page is not None
    control.post(f"/checkout/{page.checkout_session_id}/pay", {"payment_method": card})
    return booking


def move_to(when: datetime) -> None:
    """The sandbox's clock knows whole seconds: the first one that is not before."""
    demo.move_to(when + timedelta(seconds=1))


def holds_at_stripe(sandbox: Sandbox) -> list[dict[str, Any]]:
    """All intents there are, by pages."""
    intents: list[dict[str, Any]] = []
    while True:
        after = f"&starting_after={intents[-1]['id']}" if intents else ""
        answer = stage.at_stripe(sandbox, f"/v1/payment_intents?limit=100{after}")
        intents.extend(answer["data"])
        if not answer["has_more"]:
            return intents


def assert_books_agree(sandbox: Sandbox) -> None:
    assert ledger.check() == []
    balance = stage.at_stripe(sandbox, "/v1/balance")
    theirs = sum(part["amount"] for part in (*balance["available"], *balance["pending"]) if part["currency"] == "usd")
    assert ledger.balance("stripe_balance", "usd") == Money(theirs, "usd")
