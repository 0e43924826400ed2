"""The desks that take two people, in a real browser: a refund that came back, and a claim above the limit of one."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page, expect

from bookings import services
from bookings.models import Claim
from bookings.tests.desk_pages import Visit, assert_fit, completed, session_that_is_over
from bookings.tests.factories import payment_of
from bookings.tests.reporting import read, student_reports
from coaches.models import Offering
from marketplace import clock
from marketplace.tests.factories import UserFactory
from marketplace.tests.sandbox import Sandbox
from payments import ledger, operations
from payments.models import Refund
from payments.services import failed_refunds
from payments.tests.money_back import come_back, given_back, sweep

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser, pytest.mark.thorough]


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def test_a_refund_that_came_back_is_sent_again_and_then_paid_by_other_means(
    visit: Visit, browser_of_student: Client, bookable: Offering, sandbox: Sandbox
) -> None:
    payment = completed(session_that_is_over(browser_of_student, bookable, sandbox))
    refund = come_back(sandbox, given_back(payment, 2_500))
    page = visit(reverse("admin:bookings_at_risk"))
    page.get_by_role("link", name="Send it again: refund").click()
    expect(page.get_by_text("Ask the student whether the card")).to_be_visible()
    assert_fit(page)
    page.get_by_label("Why").fill("The student's bank has opened the account again.")
    press(page, "Send it again")
    expect(page.get_by_text("It is on its way to the student again.")).to_be_visible()
    sweep()
    again = come_back(sandbox, Refund.objects.select_related("payment").get(replaces=refund))

    colleague = UserFactory.create(is_staff=True, name="Fin Finance")
    failed_refunds.say_paid_otherwise(
        refund=again, amount=again.money, reason="Bank transfer of today.", actor=colleague, now=clock.now()
    )
    page = visit(reverse("admin:payments_refund_failed", args=[again.pk]))
    expect(page.get_by_text("Fin Finance: Bank transfer of today.")).to_be_visible()
    assert_fit(page)
    page.get_by_label("Why").fill("The bank's statement shows it.")
    press(page, "Confirm: paid by other means")
    expect(page.get_by_text("The books owe the student nothing more of it.")).to_be_visible()
    assert ledger.check() == []


def test_what_a_colleague_would_decide_is_decided_by_the_second_person(
    visit: Visit, browser_of_student: Client, bookable: Offering, sandbox: Sandbox, settings: Any
) -> None:
    settings.REFUND_APPROVAL_LIMIT = 4_000
    booking = session_that_is_over(browser_of_student, bookable, sandbox)
    claim = student_reports(booking, now=clock.now())
    colleague = UserFactory.create(is_staff=True, name="Sue Support")
    services.propose_outcome(
        claim=read(claim), actor=colleague, outcome=Claim.Outcome.NO_SHOW_COACH, reason="The coach never came.",
        back=None, version=claim.version, now=clock.now(),
    )  # fmt: skip

    page = visit(reverse("admin:bookings_at_risk"))
    expect(page.get_by_text("Sue Support waits for a second person")).to_be_visible()
    assert_fit(page)
    page.get_by_role("link", name="Decide: claim").click()
    expect(page.get_by_text("Sue Support would decide")).to_be_visible()
    expect(page.get_by_label("Outcome")).to_have_value("no_show_coach")
    assert_fit(page)
    press(page, "See what it means")
    assert_fit(page)
    press(page, "Decide exactly this")
    expect(page.get_by_text("Decided: the coach did not come.")).to_be_visible()
    operations.sweep(now=clock.now())
    assert payment_of(booking).status == "released"
