"""The desks in a real browser: a partial refund, a no-show conflict and a dispute from its opening to won."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page, expect

from bookings import packets, services
from bookings.models import Claim
from bookings.tests.desk_pages import Visit, assert_fit, completed, session_that_is_over
from bookings.tests.factories import fresh, payment_of
from bookings.tests.reporting import student_reports
from coaches.models import Offering
from marketplace import clock
from marketplace.tests.sandbox import Sandbox
from payments import ledger, operations
from payments.models import Dispute, Refund
from payments.tests import bank, money_back

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser, pytest.mark.thorough]


def assert_books_agree() -> None:
    assert ledger.check() == []


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def test_a_part_is_refunded(visit: Visit, browser_of_student: Client, bookable: Offering, sandbox: Sandbox) -> None:
    payment = completed(session_that_is_over(browser_of_student, bookable, sandbox))
    page = visit(reverse("admin:payments_payment_change", args=[payment.pk]))
    page.get_by_role("link", name="Refund", exact=True).click()
    assert_fit(page)
    page.get_by_label("Or per cent of what is left").fill("25")
    page.get_by_label("Reason").select_option("problem")
    page.get_by_label("Why").fill("The sound was bad for a quarter of it.")
    press(page, "See what it means")
    expect(page.get_by_text("$20.00")).to_be_visible()
    assert_fit(page)

    press(page, "Change")
    expect(page.get_by_label("Why")).to_have_value("The sound was bad for a quarter of it.")
    press(page, "See what it means")
    press(page, "Refund exactly this")
    expect(page.get_by_text("$25.00 is on its way to the student.")).to_be_visible()
    operations.sweep(now=clock.now())
    refund = Refund.objects.get()
    assert (refund.status, refund.amount, refund.coach_part, refund.fee_part) == ("succeeded", 2_500, 2_000, 500)
    assert_books_agree()


def test_a_conflict_about_who_was_there_is_decided(
    visit: Visit, browser_of_student: Client, bookable: Offering, sandbox: Sandbox
) -> None:
    booking = session_that_is_over(browser_of_student, bookable, sandbox)
    claim = student_reports(booking, now=clock.now(), words="I sat there alone.")
    services.contradict(claim=claim, actor=booking.coach.user, words="I was there.", now=clock.now())

    page = visit(reverse("admin:bookings_at_risk"))
    assert_fit(page)
    page.get_by_role("link", name="Decide: claim").click()
    for words in ("I sat there alone.", "I was there.", "Nobody's arrival was recorded."):
        expect(page.get_by_text(words)).to_be_visible()
    assert_fit(page)
    page.get_by_label("Outcome").select_option("no_show_coach")
    page.get_by_label("Why").fill("The coach's page was never opened.")
    press(page, "See what it means")
    expect(page.get_by_text("Released to the student")).to_be_visible()
    assert_fit(page)
    press(page, "Decide exactly this")
    expect(page.get_by_text("Decided: the coach did not come.")).to_be_visible()
    operations.sweep(now=clock.now())
    claim.refresh_from_db()
    assert (claim.state, claim.outcome) == (Claim.State.DECIDED, "no_show_coach")
    assert (payment_of(booking).status, fresh(booking).status) == ("released", "no_show_coach")
    assert_books_agree()


def test_a_dispute_is_answered_and_won(
    visit: Visit, browser_of_student: Client, bookable: Offering, sandbox: Sandbox
) -> None:
    payment = completed(session_that_is_over(browser_of_student, bookable, sandbox))
    dispute = bank.disputed(sandbox, payment, reason="product_not_received")
    packets.build_due(now=clock.now())
    money_back.sweep()

    page = visit(reverse("admin:bookings_at_risk"))
    page.get_by_role("link", name="Open the desk").click()
    assert_fit(page)
    expect(page.get_by_text("disputes_held $100.00")).to_be_visible()
    words = page.get_by_label("Uncategorized text")
    before = words.input_value()
    assert "What happened" in before
    words.fill(f"{before}\nBoth of them were there.")
    counter = words.locator("xpath=following-sibling::div[1]")
    expect(counter).to_have_text(f"{len(before) + 25:,} of 20,000 characters")

    # Who bears it is chosen on the way, and what was typed stays on the page.
    page.get_by_label("Who bears the coach's share if it is lost").select_option("platform")
    page.get_by_label("Why they").fill("A long-standing coach.")
    press(page, "Choose who bears it")
    expect(page.get_by_label("Uncategorized text")).to_have_value(f"{before}\nBoth of them were there.")
    press(page, "Store, and stage at Stripe")
    expect(page.get_by_text("The bank does not see it yet.")).to_be_visible()
    bank.hear()

    page.reload()
    page.get_by_label("I have read it all").check()
    press(page, "Submit to the bank")
    expect(page.get_by_text("On its way to the bank.")).to_be_visible()
    bank.hear()
    dispute.refresh_from_db()
    assert (dispute.status, dispute.evidence_state) == ("under_review", "submitted")
    assert "Both of them were there." in bank.at_stripe(sandbox, dispute)["evidence"]["uncategorized_text"]

    bank.decide(sandbox, dispute, "won")
    page.reload()
    expect(page.get_by_text("dispute reinstated")).to_be_visible()
    assert_fit(page)
    assert Dispute.objects.get().status == "won"
    assert_books_agree()


def test_the_front_page_draws_its_figures(
    visit: Visit, browser_of_student: Client, bookable: Offering, sandbox: Sandbox
) -> None:
    completed(session_that_is_over(browser_of_student, bookable, sandbox))
    page = visit(reverse("admin:index"))
    for title in ("Conversion", "Completion", "Refund rate", "Dispute rate", "Platform revenue, USD"):
        expect(page.get_by_role("heading", name=title)).to_be_visible()
    drawn: Any = page.evaluate(
        """[...document.querySelectorAll("canvas.chart")].map(
            (chart) => chart.getContext("2d").getImageData(0, 0, chart.width, chart.height).data.some(Boolean))"""
    )
    assert drawn == [True] * 5
    page.get_by_text("By week").first.click()
    assert_fit(page)
