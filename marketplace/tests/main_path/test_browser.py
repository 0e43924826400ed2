"""The whole way in a browser, with beat and all: from two people who sign up to a coach who is paid."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, expect

from bookings.models import Booking, Notice
from marketplace.tests.main_path import mirror, state
from marketplace.tests.main_path.product import Product
from payments.models import Earning, Operation, Payment, PayoutAccount, PayoutLine

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.thorough]

COACH, STUDENT = "clara@example.com", "stan@example.com"
PATIENCE_MS = 30_000


@pytest.fixture
def beat(product: Product) -> Iterator[None]:
    """Nothing is helped on: pages wait for the product's own schedule."""
    product.ticks = ()
    beat = product.beat_named("beat")
    beat.start()
    yield
    assert beat.running, beat.log_tail()
    beat.end()


@contextmanager
def _window(browser: Browser) -> Iterator[Page]:
    """A person's own; a script error in it fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB", timezone_id="Europe/Berlin")
    page, errors = context.new_page(), list[str]()
    page.set_default_timeout(PATIENCE_MS)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []


def test_from_signing_up_to_being_paid(product: Product, beat: None, browser: Browser) -> None:
    with _window(browser) as coach, _window(browser) as student:
        _sign_up(product, coach, "Clara Coach", COACH)
        _become_a_coach(coach, product)
        _sign_up(product, student, "Stan Student", STUDENT)
        booking = _book_and_pay(student, product)
        _accept(coach, product)
        expect(student.get_by_role("link", name="The room")).to_be_hidden()
        student.goto(f"{product.url}/sessions/{booking.pk}/")
        expect(student.get_by_role("link", name="The room")).to_be_visible()
        _complete(coach, product, booking)
        _turn_the_month(coach, product)

    _assert_everyone_has_what_is_theirs(product)
    _assert_nothing_else_happened(product)
    assert mirror.differences(product) == []
    _assert_both_sides_were_told(product)
    state.assert_sound(product)


# --- the way ------------------------------------------------------------------------------------


def _sign_up(product: Product, page: Page, name: str, address: str) -> None:
    page.goto(f"{product.url}/accounts/signup/")
    page.get_by_label("Your name").fill(name)
    page.get_by_label("E-mail").fill(address)
    page.get_by_label("Password").fill("seven stars over the harbour")
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_role("heading", name="Confirm your e-mail")).to_be_visible()
    page.locator("input[name=code]").fill(_code_for(product, address))
    page.get_by_role("button", name="Confirm").click()
    page.wait_for_url(f"{product.url}/")


def _code_for(product: Product, address: str) -> str:
    (mail,) = product.mails_to(address)
    code = re.search(r"^\s*([A-Z0-9]{3,4}-?[A-Z0-9]{3,4})\s*$", mail.text, re.MULTILINE)
    assert code, mail.text
    return code[1]


def _become_a_coach(page: Page, product: Product) -> None:
    page.goto(f"{product.url}/teach/")
    page.get_by_role("link", name="Start with your profile").click()
    page.get_by_label("What you teach").fill("Cello")
    page.get_by_label("In one line").fill("Calm lessons for grown-up beginners")
    page.get_by_label("About you").fill("Twenty years in an orchestra, ten of them teaching.")
    page.get_by_role("button", name="Save and go on").click()
    page.get_by_label("Title").fill("First strokes")
    page.get_by_label("Price of one session").fill("100.00")
    page.get_by_role("button", name="Save and go on").click()
    for day in ("tuesday", "wednesday", "thursday", "friday"):
        page.locator(f"[name={day}-0-starts]").fill("09:00")
        page.locator(f"[name={day}-0-ends]").fill("17:00")
    page.get_by_role("button", name="Save the week").last.click()
    page.get_by_label("Country you are paid in").select_option("US")
    page.get_by_role("button", name="Complete setup").click()
    page.locator("#complete").click()
    page.wait_for_url(f"{product.url}/teach/payouts/")
    expect(page.get_by_text("Ready", exact=True)).to_be_visible()


def _book_and_pay(page: Page, product: Product) -> Booking:
    page.goto(f"{product.url}/coaches/")
    page.get_by_role("link", name="Clara Coach").click()
    page.get_by_role("link", name="See times").click()
    page.locator("a.slot").first.click()
    page.get_by_label("What would you like to work on?").fill("How to hold the bow.")
    page.get_by_role("button", name="Continue to payment").click()
    page.locator("#pm_card_visa").click()
    page.wait_for_url(re.compile(r"/sessions/\d+/paid/"))
    # The page follows by itself: nobody reloads it.
    expect(page.get_by_text("is held on your card, not taken")).to_be_visible(timeout=PATIENCE_MS)
    booking = Booking.objects.get()
    assert booking.status == Booking.Status.REQUESTED
    return booking


def _accept(page: Page, product: Product) -> None:
    page.goto(f"{product.url}/teach/sessions/")
    page.get_by_role("link", name="First strokes").click()
    page.get_by_role("button", name="Accept").click()
    expect(page.get_by_role("link", name="The room")).to_be_visible()


def _complete(page: Page, product: Product, booking: Booking) -> None:
    expect(page.get_by_role("button", name="Mark as complete")).to_be_hidden()
    while product.now() < booking.ends_at:
        page.get_by_role("button", name="1 hour").click()
        page.wait_for_load_state()
    page.get_by_role("button", name="Mark as complete").click()
    product.until("the money is taken", Payment.objects.filter(status=Payment.Status.CAPTURED).exists)
    page.reload()
    expect(page.get_by_text("Taken").first).to_be_visible()


def _turn_the_month(page: Page, product: Product) -> None:
    assert not PayoutLine.objects.exists()
    page.get_by_role("button", name=re.compile("^to the month")).click()
    product.until("the coach is paid", PayoutLine.objects.filter(status=PayoutLine.Status.PAID).exists)
    product.until_quiet()


# --- what there is then -------------------------------------------------------------------------


def _assert_everyone_has_what_is_theirs(product: Product) -> None:
    account = PayoutAccount.objects.get().stripe_account_id
    assert state.received_by(product, account) == {"usd": 8_000}
    assert state.stripe_balance(product) == {"usd": 10_000 - 320 - 8_000}
    assert [charge["amount_captured"] for charge in product.stripe_list("charges")] == [10_000]
    assert Earning.objects.get().amount == 8_000


def _assert_nothing_else_happened(product: Product) -> None:
    once = ("customers", "accounts", "checkout/sessions", "payment_intents", "charges", "transfers")
    assert {path: len(product.stripe_list(path)) for path in once} == dict.fromkeys(once, 1)
    assert product.stripe_list("application_fees") == product.stripe_list("refunds") == []
    assert product.stripe_list("payment_intents")[0]["application_fee_amount"] is None
    assert set(Operation.objects.values_list("state", "attempt")) == {(Operation.State.DONE, 1)}


def _assert_both_sides_were_told(product: Product) -> None:
    sent = Notice.objects.exclude(sent_at=None).order_by("pk")
    reminders = sent.filter(event__transition__in=state.REMINDERS)
    others = sent.exclude(event__transition__in=state.REMINDERS).values_list("template", flat=True)
    assert sorted(others) == sorted(
        f"{what}-{side}" for what in ("requested", "accepted", "completed") for side in ("coach", "student")
    )
    # The code of the sign-up, the three above, and what was still in time to remind of. The mail about the transfer has
    # a timer of its own, and may be on its way yet.
    for side, address in (("coach", COACH), ("student", STUDENT)):
        told = [mail for mail in product.mails_to(address) if "Stripe balance" not in mail.message["subject"]]
        assert len(told) == 4 + reminders.filter(recipient=side).count()
