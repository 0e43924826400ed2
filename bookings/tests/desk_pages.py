"""What the tests of the desks in a browser share."""

from collections.abc import Callable

from axe_playwright_python.sync_playwright import Axe
from django.test import Client
from playwright.sync_api import Page

from bookings import services
from bookings.models import Booking
from bookings.tests.factories import fresh, payment_of
from bookings.tests.pages import request_session, seconds_until
from coaches.models import Offering
from marketplace import clock
from marketplace.tests.sandbox import Sandbox
from payments import operations
from payments.models import Payment
from payments.tests import money_back

Visit = Callable[[str], Page]
# What the theme itself leaves open on each of its pages, ours or not.
THEME = {"region"}


def assert_fit(page: Page) -> None:
    """Readable for everybody, and no wider than a phone."""
    page.wait_for_load_state()  # a click is over when the next page has begun
    found = Axe().run(page).response["violations"]
    ours = {each["id"]: [node["html"] for node in each["nodes"]] for each in found if each["id"] not in THEME}
    assert ours == {}, page.url
    page.set_viewport_size({"width": 390, "height": 844})
    # Charts shrink a moment after the window.
    page.wait_for_function("document.documentElement.scrollWidth <= innerWidth")
    page.set_viewport_size({"width": 1280, "height": 900})


def session_that_is_over(client: Client, offering: Offering, sandbox: Sandbox) -> Booking:
    money_back.fund(sandbox, "usd")
    booking = request_session(client, offering, sandbox)
    sandbox.advance(seconds_until(booking.ends_at))
    return fresh(booking)


def completed(booking: Booking) -> Payment:
    services.complete(booking=booking, actor=booking.coach.user, now=clock.now())
    operations.sweep(now=clock.now())
    return payment_of(booking)
