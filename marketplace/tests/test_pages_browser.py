"""Public and account pages in a real browser: nothing that axe finds, nothing too wide, and by keyboard too."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from allauth.account.models import EmailAddress
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse

from bookings.selectors import open_slots
from bookings.tests.factories import book, known_student, paid, payable
from coaches.models import Offering
from marketplace import clock
from marketplace.models import User
from marketplace.tests.factories import UserFactory

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}
PUBLIC = ["/", "/coaches/", "/accounts/login/", "/accounts/signup/", "/accounts/password/reset/", "/nowhere/"]
OWN = ["/accounts/details/", "/accounts/email/", "/accounts/password/change/", "/accounts/2fa/", "/accounts/logout/"]
Open = Callable[..., "Page"]
# Colours do not depend on the width, so that two of the four pairs see everything.
IN_BOTH = pytest.mark.parametrize(
    ("viewport", "scheme"), [(PHONE, "light"), (DESKTOP, "dark")], ids=["phone, light", "desktop, dark"]
)


@pytest.fixture
def open_window(browser: "Browser") -> Iterator[Open]:
    """A window of a size and a colour scheme; a script, style or request that our own policy stops fails the test."""
    contexts = []
    complaints: list[str] = []

    def open_it(**facts: Any) -> "Page":
        context = browser.new_context(**{"viewport": DESKTOP, "timezone_id": "Europe/Berlin", **facts})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("console", lambda line: complaints.append(line.text) if "Content Security" in line.text else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert complaints == []


def assert_fit(page: "Page", address: str) -> None:
    """What a machine can say about a page: no finding of axe's, no sideways scrolling."""
    page.wait_for_load_state()  # a click is over when the next page has begun
    found = [(each["id"], [node["html"] for node in each["nodes"]]) for each in Axe().run(page).response["violations"]]
    assert found == [], address
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{address} is wider than the window"


def sign_in(page: "Page", url: str, user: User) -> None:
    page.goto(url + reverse("account_login"))
    page.get_by_label("E-mail").fill(user.email)
    page.get_by_label("Password").fill("a-long-enough-password")
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.get_by_text(f"Signed in as {user.name}").wait_for(state="attached")


@pytest.fixture
def person(transactional_db: None) -> User:
    return with_password(UserFactory.create(email="nora@example.com", name="Nora New"))


def with_password(user: User) -> User:
    """Ready to sign in on the page."""
    user.set_password("a-long-enough-password")
    user.save(update_fields=["password"])
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


# --- fit for people -----------------------------------------------------------------------------


@IN_BOTH
def test_public_pages_are_fit_for_everyone(
    live_server: Any, offering: Offering, open_window: Open, viewport: dict[str, int], scheme: str
) -> None:
    page = open_window(viewport=viewport, color_scheme=scheme)
    for address in [*PUBLIC, reverse("coaches:profile", args=[offering.coach.slug])]:
        page.goto(live_server.url + address)
        assert_fit(page, address)


@IN_BOTH
def test_the_accounts_pages_are_fit_for_everyone(
    live_server: Any, person: User, open_window: Open, viewport: dict[str, int], scheme: str
) -> None:
    page = open_window(viewport=viewport, color_scheme=scheme)
    sign_in(page, live_server.url, person)
    for address in OWN:
        page.goto(live_server.url + address)
        assert_fit(page, address)


@pytest.mark.everyday(1)
@IN_BOTH
def test_a_students_pages_are_fit_for_everyone(
    live_server: Any, person: User, offering: Offering, open_window: Open, viewport: dict[str, int], scheme: str
) -> None:
    payable(offering.coach)
    now = clock.now()
    (start, later, *_) = open_slots(offering=offering, now=now + timedelta(hours=12))
    booking = paid(book(known_student(person), offering, starts_at=start, now=now), now=now)
    page = open_window(viewport=viewport, color_scheme=scheme)
    sign_in(page, live_server.url, person)
    for address in [
        reverse("bookings:choose_slot", args=[offering.pk]),
        reverse("bookings:review", args=[offering.pk], query={"start": later.isoformat()}),
        reverse("bookings:sessions"),
        reverse("bookings:session", args=[booking.pk]),
        reverse("bookings:paid", args=[booking.pk]),
    ]:
        page.goto(live_server.url + address)
        assert page.locator("h1").count() == 1, address
        assert_fit(page, address)


@pytest.mark.everyday(1)
@IN_BOTH
def test_a_coachs_pages_are_fit_for_everyone(
    live_server: Any, person: User, offering: Offering, open_window: Open, viewport: dict[str, int], scheme: str
) -> None:
    coach = payable(offering.coach)
    now = clock.now()
    (start, *_) = open_slots(offering=offering, now=now + timedelta(hours=12))
    booking = paid(book(known_student(person), offering, starts_at=start, now=now), now=now)
    with_password(coach.user)
    page = open_window(viewport=viewport, color_scheme=scheme)
    sign_in(page, live_server.url, coach.user)
    for address in [
        reverse("coaches:teach"),
        reverse("coaches:edit_profile"),
        reverse("coaches:offerings"),
        reverse("coaches:new_offering"),
        reverse("coaches:hours"),
        reverse("payments:payouts"),
        reverse("payments:earnings"),
        reverse("bookings:teaching"),
        reverse("bookings:teaching_session", args=[booking.pk]),
    ]:
        page.goto(live_server.url + address)
        assert page.locator("h1").count() == 1, address
        assert_fit(page, address)


@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_a_refused_form_is_fit_for_everyone(live_server: Any, open_window: Open, viewport: dict[str, int]) -> None:
    page = open_window(viewport=viewport)
    page.goto(live_server.url + reverse("account_signup"))
    page.get_by_label("Your name").fill("Nora New")
    page.get_by_label("E-mail").fill("nora@example.com")
    page.get_by_label("Password").fill("short")
    page.get_by_role("button", name="Create account").click()
    wrong = page.locator('[aria-invalid="true"]')
    wrong.wait_for()
    assert wrong.evaluate("field => field === document.activeElement")
    assert page.get_by_label("E-mail").input_value() == "nora@example.com"
    assert_fit(page, "a refused sign-up")


@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_everything_to_press_is_large_enough(live_server: Any, open_window: Open, viewport: dict[str, int]) -> None:
    page = open_window(viewport=viewport)
    for address in ["/", "/accounts/login/", "/accounts/signup/"]:
        page.goto(live_server.url + address)
        small = page.evaluate(
            """[...document.querySelectorAll('a.button, button, .nav a, .foot a, input:not([type=hidden])')]
               .filter(each => each.checkVisibility())
               .map(each => [each.outerHTML, (each.closest('label') || each).getBoundingClientRect().height])
               .filter(([, height]) => height < 44)"""
        )
        assert small == [], address


# --- by keyboard --------------------------------------------------------------------------------


def test_the_first_stop_of_the_keyboard_leads_to_the_content(live_server: Any, page: "Page") -> None:
    page.goto(live_server.url)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_the_menu_of_a_phone_opens_and_closes_by_keyboard(live_server: Any, open_window: Open) -> None:
    page = open_window(viewport=PHONE)
    page.goto(live_server.url)
    link = page.locator("#nav").get_by_role("link", name="Become a coach")
    assert not link.is_visible()
    page.get_by_role("button", name="Menu").focus()
    page.keyboard.press("Enter")
    link.wait_for(state="visible")
    assert_fit(page, "the open menu")
    page.keyboard.press("Escape")
    link.wait_for(state="hidden")


# --- what the script adds -----------------------------------------------------------------------


def test_the_browser_tells_its_zone_to_the_form_and_in_a_cookie(live_server: Any, page: "Page") -> None:
    page.goto(live_server.url + reverse("account_signup"))
    assert page.locator("[name=time_zone]").input_value() == "Europe/Berlin"
    assert {"zone": "Europe%2FBerlin"}.items() <= {
        cookie["name"]: cookie["value"] for cookie in page.context.cookies()
    }.items()


def test_a_form_is_sent_once_however_often_its_button_is_pressed(live_server: Any, page: "Page") -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.goto(live_server.url + reverse("account_login"))
    page.get_by_label("E-mail").fill("nobody@example.com")
    page.get_by_label("Password").fill("whatever-it-is")
    page.get_by_role("main").get_by_role("button", name="Sign in").dblclick()
    page.get_by_role("alert").wait_for()
    assert len(sent) == 1


def test_signing_up_works_without_any_script(live_server: Any, open_window: Open) -> None:
    page = open_window(java_script_enabled=False)
    page.goto(live_server.url + reverse("account_signup"))
    page.get_by_label("Your name").fill("Nora New")
    page.get_by_label("E-mail").fill("nora@example.com")
    page.get_by_label("Password").fill("a-long-enough-password")
    page.get_by_role("button", name="Create account").click()
    page.get_by_role("heading", name="Confirm your e-mail").wait_for()
    assert User.objects.get().time_zone == "UTC"
