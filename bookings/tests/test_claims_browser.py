"""A session that goes wrong, in real browsers of both sides: the room, the report, the answer; fit for everyone."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.test import Client
from playwright.sync_api import Page, ViewportSize, expect
from pytest_django.live_server_helper import LiveServer

from bookings import services
from bookings.models import Attendance, Booking, Claim
from bookings.tests.factories import START, accepted, fresh, payment_of
from bookings.tests.reporting import student_reports, wait_in_the_room
from coaches.models import Coach, Offering
from marketplace import clock
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments.models import Payment

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser, pytest.mark.thorough]

PHONE: ViewportSize = {"width": 390, "height": 844}
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
Open = Callable[..., Page]


@pytest.fixture
def booking(student: User, offering: Offering, sandbox: Sandbox) -> Booking:
    """Agreed; it begins just now by the clock of the sandbox."""
    booking = accepted(student, offering)
    sandbox.post("/_sandbox/clock", {"set": int(START.timestamp())})
    clock.forget_offset()
    return fresh(booking)


@pytest.fixture
def window(browser: "Browser", live_server: LiveServer) -> Iterator[Open]:
    """A window of somebody who is signed in; what our own policy stops, or a script that fails, fails the test."""
    contexts = []
    complaints: list[str] = []

    def open_it(user: User, **facts: Any) -> Page:
        client = Client()
        client.force_login(user)
        context = browser.new_context(**{"viewport": DESKTOP, "timezone_id": "Europe/Berlin", **facts})
        contexts.append(context)
        cookie = client.cookies["sessionid"].value
        context.add_cookies([{"name": "sessionid", "value": cookie, "url": live_server.url}])
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("console", lambda line: complaints.append(line.text) if "Content Security" in line.text else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert complaints == []


def assert_fit(page: Page) -> None:
    """At both widths: no finding of axe's, no sideways scrolling."""
    page.wait_for_load_state()  # a click is over when the next page has begun
    for size in (PHONE, DESKTOP):
        page.set_viewport_size(size)
        found = [
            (each["id"], [node["html"] for node in each["nodes"]]) for each in Axe().run(page).response["violations"]
        ]
        assert found == [], page.url
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url
        assert page.locator("h1").count() == 1


def test_the_room_tells_by_itself_that_its_reader_is_there(
    booking: Booking, window: Open, live_server: LiveServer, student: User, coach: Coach
) -> None:
    mine = window(student)
    mine.clock.install()
    mine.goto(f"{live_server.url}/sessions/{booking.pk}/")
    assert_fit(mine)
    mine.get_by_role("button", name="Join the session").click()
    link = mine.get_by_role("link", name="Open the call in a new tab")
    expect(link).to_have_attribute("href", booking.live_session.meeting_url)
    expect(mine.get_by_text("Carla Coach is not here yet.")).to_be_visible()
    assert_fit(mine)

    services.join(booking=booking, user=coach.user, now=clock.now())
    first = Attendance.objects.get(side="student").seen_at
    with mine.expect_response("**/room/seen/"):
        mine.clock.fast_forward(31_000)
    expect(mine.get_by_text("Carla Coach is here.")).to_be_visible()
    assert Attendance.objects.get(side="student").seen_at > first
    assert Attendance.objects.filter(side="student").count() == 1

    mine.get_by_role("button", name="Leave the room").click()
    expect(mine.get_by_text("You have left the room.")).to_be_visible()
    assert Attendance.objects.get(side="student").left_at is not None


def test_the_room_works_without_scripts(booking: Booking, window: Open, live_server: LiveServer, student: User) -> None:
    mine = window(student, java_script_enabled=False)
    mine.goto(f"{live_server.url}/sessions/{booking.pk}/room/")
    mine.get_by_role("button", name="Join").click()
    expect(mine.get_by_role("heading", name="You are in the room")).to_be_visible()
    first = Attendance.objects.get().seen_at
    with mine.expect_navigation():
        mine.get_by_role("button", name="I am still here").click()
    expect(mine.get_by_role("heading", name="You are in the room")).to_be_visible()
    assert Attendance.objects.get().seen_at > first
    with mine.expect_navigation():
        mine.get_by_role("button", name="Leave the room").click()
    assert Attendance.objects.get().left_at is not None


def test_one_side_reports_and_the_other_contradicts(
    booking: Booking, window: Open, live_server: LiveServer, student: User, coach: Coach
) -> None:
    mine, theirs = window(student), window(coach.user)
    mine.goto(f"{live_server.url}/sessions/{booking.pk}/")
    mine.get_by_role("link", name="Report a problem").click()
    assert_fit(mine)
    mine.get_by_label("There was a problem with the session").check()
    mine.get_by_role("button", name="Report it").click()
    expect(mine.get_by_text("Please say in a few words what happened.")).to_be_visible()
    assert_fit(mine)
    mine.get_by_label("The coach did not come").check()
    mine.get_by_label("In your own words").fill("I was alone for an hour.")
    mine.get_by_role("button", name="Report it").click()
    expect(mine.get_by_role("heading", name="You reported this session")).to_be_visible()
    assert_fit(mine)

    theirs.goto(f"{live_server.url}/teach/sessions/{booking.pk}/")
    expect(theirs.get_by_text("I was alone for an hour.", exact=True)).to_be_visible()
    assert_fit(theirs)
    theirs.get_by_label("What happened, as you see it").fill("I was there.")
    theirs.get_by_role("button", name="Contradict").click()
    expect(theirs.get_by_text("Our team decides, and writes to you both.")).to_be_visible()
    assert_fit(theirs)
    assert Claim.objects.get().state == Claim.State.CONTRADICTED


def test_a_coach_reports_a_missing_student(
    booking: Booking, window: Open, live_server: LiveServer, coach: Coach, sandbox: Sandbox
) -> None:
    sandbox.advance(11 * 60)
    wait_in_the_room(booking, start=booking.starts_at)
    page = window(coach.user, viewport=PHONE)
    page.goto(f"{live_server.url}/sessions/{booking.pk}/report/")
    assert_fit(page)
    expect(page.get_by_label("The student did not come")).to_be_checked()
    page.get_by_role("button", name="Report it").click()
    page.get_by_role("button", name="Take the report back").click()
    expect(page.get_by_role("heading", name="A report was taken back")).to_be_visible()


def test_what_is_decided_and_the_receipt_are_fit_for_everyone(
    booking: Booking, window: Open, live_server: LiveServer, student: User, coach: Coach, staff: User
) -> None:
    now = clock.now()
    claim = student_reports(booking, now=now)
    services.decide(
        claim=claim, actor=staff, outcome=Claim.Outcome.NO_SHOW_COACH, reason="The log shows it.", back=None,
        version=claim.version, now=now + timedelta(minutes=1),
    )  # fmt: skip
    payment = payment_of(booking)
    Payment.objects.filter(pk=payment.pk).update(status="captured", captured_at=now, captured_amount=10_000)
    mine, theirs = window(student), window(coach.user)
    mine.goto(f"{live_server.url}/sessions/{booking.pk}/")
    expect(mine.get_by_role("heading", name="The report is decided")).to_be_visible()
    assert_fit(mine)
    mine.get_by_role("link", name="Receipt").click()
    expect(mine.get_by_role("heading", name=f"Receipt {payment.pk:08d}")).to_be_visible()
    assert_fit(mine)
    theirs.goto(f"{live_server.url}/teach/sessions/{booking.pk}/")
    assert_fit(theirs)
