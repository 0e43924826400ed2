"""The cast, ready to book: a student who is known to Stripe and a coach who can be paid."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from django.test import Client
    from playwright.sync_api import Page
    from pytest_django.live_server_helper import LiveServer

    from bookings.models import Booking
    from bookings.tests.desk_pages import Visit
    from coaches.models import Coach, Offering
    from marketplace.models import User
    from marketplace.tests.sandbox import Sandbox


@pytest.fixture
def student(student: "User") -> "User":
    from bookings.tests.factories import known_student

    return known_student(student)


@pytest.fixture
def stranger(stranger: "User") -> "User":
    from bookings.tests.factories import known_student

    return known_student(stranger)


@pytest.fixture
def coach(coach: "Coach") -> "Coach":
    from bookings.tests.factories import payable

    return payable(coach)


@pytest.fixture
def instant_offering(offering: "Offering") -> "Offering":
    """Booked by paying, without asking the coach."""
    offering.instant = True
    offering.save(update_fields=["instant"])
    return offering


@pytest.fixture
def booking(student: "User", offering: "Offering") -> "Booking":
    """Agreed, and paid by a hold that lives long enough."""
    from bookings.tests.factories import accepted

    return accepted(student, offering)


@pytest.fixture
def buyer(sandbox: "Sandbox", db: None) -> "User":
    """A student who buys for the first time: their customer is yet to be made, at the sandbox."""
    from marketplace.tests.factories import UserFactory

    return UserFactory.create(email="student@example.com", name="Sam Student")


@pytest.fixture
def browser_of_student(client: "Client", buyer: "User") -> "Client":
    client.force_login(buyer)
    return client


@pytest.fixture
def bookable(sandbox: "Sandbox", coach: "Coach", offering: "Offering") -> "Offering":
    """Booked by paying; its coach is really onboarded, so that the whole way of the money can be gone."""
    from payments.tests import stage

    coach.payout_account.delete()
    stage.onboard(sandbox, coach)
    offering.instant = True
    offering.save(update_fields=["instant"])
    return offering


@pytest.fixture
def visit(live_server: "LiveServer", page: "Page", staff: "User") -> "Visit":
    """Pages of the admin, as the operator sees them."""
    from marketplace.tests.staff import browser_of

    cookie = browser_of(staff).cookies["sessionid"].value
    page.context.add_cookies([{"name": "sessionid", "value": cookie, "url": live_server.url}])

    def go(path: str) -> "Page":
        page.goto(live_server.url + path)
        return page

    return go
