"""Deciding about more of a hold than one person may give back: somebody else decides the same, or nothing moves."""

from typing import Any

import pytest
from django.test import Client

from bookings import at_risk, services
from bookings.models import Booking, Claim
from bookings.services import SecondDecisionNeeded
from bookings.tests.factories import fresh, payment_of
from bookings.tests.pages import request_session, seconds_until
from bookings.tests.reporting import student_reports
from bookings.tests.test_claim_desk import confirm, desk_of, preview, state
from coaches.models import Offering
from marketplace import clock
from marketplace.lib.money import Money
from marketplace.models import StaffDecision, User
from marketplace.tests.sandbox import Sandbox
from marketplace.tests.staff import as_role, browser_of, member_of
from payments import operations
from payments import services as payment_services
from payments.models import Refund

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("limited"), pytest.mark.thorough]


@pytest.fixture
def booking(browser_of_student: Client, bookable: Offering, sandbox: Sandbox) -> Booking:
    """100.00 USD held, and the session is over."""
    made = request_session(browser_of_student, bookable, sandbox)
    sandbox.advance(seconds_until(made.ends_at))
    return fresh(made)


@pytest.fixture
def claim(booking: Booking) -> Claim:
    """Contradicted."""
    made = student_reports(booking, now=clock.now())
    services.contradict(claim=made, actor=booking.coach.user, words="I was there.", now=clock.now())
    return made


@pytest.fixture
def limited(settings: Any) -> None:
    """One person may give back 40.00."""
    settings.REFUND_APPROVAL_LIMIT = 4_000


def through_both_pages(client: Client, claim: Claim, **wish: str) -> Any:
    return confirm(client, claim, preview(client, claim, **wish).context["shown"], **wish)


@pytest.mark.parametrize(
    ("wish", "status"),
    [
        ({"outcome": "no_show_coach"}, "releasing"),
        ({"outcome": "no_show_student"}, "capturing"),
        ({"outcome": "refunded", "back": "40.01"}, "capturing"),
        ({"outcome": "refunded", "back": "99.80"}, "releasing"),
    ],
)
def test_above_the_limit_a_second_person_decides_the_same(
    claim: Claim, booking: Booking, wish: dict[str, str], status: str
) -> None:
    first, second = member_of("support"), member_of("support", "finance")
    browser = browser_of(second)
    assert through_both_pages(browser_of(first), claim, **wish).status_code == 302
    waiting = Claim.objects.get()
    assert (waiting.state, waiting.proposed_by) == (Claim.State.CONTRADICTED, first)
    assert (payment_of(booking).status, fresh(booking).status) == ("held", "accepted")

    case = browser.get(desk_of(claim))
    assert f"{first.name} would decide" in case.content.decode()
    assert case.context["form"].initial["outcome"] == wish["outcome"]
    assert through_both_pages(browser, claim, **wish).status_code == 302
    decided = Claim.objects.get()
    assert (decided.state, decided.decided_by, payment_of(booking).status) == (Claim.State.DECIDED, second, status)
    said = list(StaffDecision.objects.order_by("pk").values_list("decision", "actor"))
    assert said == [("claim_outcome_proposed", first.pk), ("claim_decided", second.pk)]


def test_up_to_the_limit_one_person_decides(claim: Claim, booking: Booking) -> None:
    through_both_pages(as_role("support"), claim, outcome="refunded", back="40.00")
    assert (state(claim), payment_of(booking).status) == (Claim.State.DECIDED, "capturing")
    assert Claim.objects.get().proposed_by is None


def test_nobody_is_their_own_second_person(claim: Claim, booking: Booking) -> None:
    one = member_of("support", "finance")
    browser = browser_of(one)
    for _ in range(3):
        through_both_pages(browser, claim)
    read = Claim.objects.select_related("booking__student__user", "booking__coach__user").get()
    with pytest.raises(SecondDecisionNeeded):
        services.decide(
            claim=read, actor=one, outcome=read.Outcome.NO_SHOW_COACH, reason="So.", back=None, version=read.version,
            now=clock.now(),
        )  # fmt: skip
    assert (state(claim), payment_of(booking).status) == (Claim.State.CONTRADICTED, "held")


def test_another_wish_above_the_limit_takes_a_second_person_of_its_own(claim: Claim, booking: Booking) -> None:
    first, second = as_role("support", "finance"), as_role("support", "finance")
    through_both_pages(first, claim, outcome="refunded", back="50.00")
    through_both_pages(second, claim, outcome="refunded", back="60.00")
    waiting = Claim.objects.get()
    assert (waiting.proposed_back, waiting.state) == (6_000, Claim.State.CONTRADICTED)
    through_both_pages(first, claim, outcome="refunded", back="60.00")
    assert (state(claim), payment_of(booking).status) == (Claim.State.DECIDED, "capturing")


def test_the_limit_is_not_passed_by_a_part_now_and_the_rest_later(claim: Claim, booking: Booking, staff: User) -> None:
    through_both_pages(as_role("support"), claim, outcome="refunded", back="40.00")
    operations.sweep(now=clock.now())
    rest = payment_services.request_refund(
        payment=payment_of(booking),
        amount=Money(100, "usd"),
        reason=Refund.Reason.PROBLEM,
        actor=staff,
        now=clock.now(),
    )
    assert rest is not None
    assert rest.status == Refund.Status.TO_APPROVE


def test_to_agree_takes_the_right_to_approve_refunds_and_no_other(claim: Claim) -> None:
    finance = browser_of(member_of("finance"))
    assert preview(finance, claim).status_code == 403
    through_both_pages(as_role("support"), claim)
    page = preview(as_role("support"), claim)
    assert confirm(as_role("support"), claim, page.context["shown"]).status_code == 403
    other = preview(finance, claim, outcome="nothing")
    assert confirm(finance, claim, other.context["shown"], outcome="nothing").status_code == 403
    assert state(claim) == Claim.State.CONTRADICTED

    same = preview(finance, claim)
    assert confirm(finance, claim, same.context["shown"]).status_code == 302
    assert state(claim) == Claim.State.DECIDED


def test_what_nobody_contradicts_decides_itself_all_the_same(booking: Booking, sandbox: Sandbox) -> None:
    claim = student_reports(booking, now=clock.now())
    through_both_pages(as_role("support"), claim)
    [row] = at_risk.queue(kinds={"claim_to_decide"}, now=clock.now())
    assert "waits for a second person" in row.what
    services.run_due_transitions(now=claim.answer_due_at)
    assert (state(claim), Claim.objects.get().decided_by) == (Claim.State.DECIDED, None)
    assert payment_of(booking).status == "releasing"
