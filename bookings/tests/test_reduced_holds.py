"""A hold that staff reduce at the refund desk while a report of the session is undecided: nobody is paid meanwhile."""

from datetime import timedelta

import pytest

from bookings import services
from bookings.demo.stage import settle
from bookings.models import Booking, Claim
from bookings.tests.factories import fresh, payment_of
from bookings.tests.far_ahead import book_and_pay, move_to
from bookings.tests.reporting import decide, student_reports
from coaches.models import Offering
from marketplace import clock
from marketplace.lib.money import Money
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import ledger
from payments import services as payment_services
from payments.models import Earning, Payment, PayoutAccount, Refund, SettlementMode
from payments.tests.money_back import assert_agreed, at_coach, books, fund, pay_month, sweep

pytestmark = pytest.mark.django_db

BOTH = pytest.mark.parametrize("over", list(SettlementMode), indirect=True)


@pytest.fixture
def over(sandbox: Sandbox, bookable: Offering, request: pytest.FixtureRequest) -> Booking:
    """100.00 USD held, and the session has just ended."""
    fund(sandbox, "usd")
    PayoutAccount.objects.filter(coach=bookable.coach).update(settlement_mode=request.param)
    booking = book_and_pay(bookable, from_=clock.now() + timedelta(days=1), card="pm_card_visa")
    settle()
    move_to(fresh(booking).ends_at)
    assert payment_of(booking).status == Payment.Status.HELD
    return fresh(booking)


def report(booking: Booking) -> Claim:
    return student_reports(booking, now=clock.now(), kind=Claim.Kind.PROBLEM, words="No sound.")


def reduce(booking: Booking, staff: User) -> None:
    payment_services.request_refund(
        payment=payment_of(booking),
        amount=Money(2_500, "usd"),
        reason=Refund.Reason.PROBLEM,
        actor=staff,
        now=clock.now(),
    )


def earned() -> list[tuple[str, int, bool]]:
    return list(Earning.objects.values_list("kind", "amount", "frozen"))


@BOTH
def test_the_coachs_share_is_frozen_while_a_report_is_undecided(sandbox: Sandbox, over: Booking, staff: User) -> None:
    report(over)
    reduce(over, staff)
    sweep()

    payment = payment_of(over)
    assert (payment.status, payment.captured_amount) == (Payment.Status.CAPTURED, 7_500)
    assert earned() == [("share", 6_000, True)]
    pay_month(sandbox)
    sweep()
    assert at_coach(sandbox, over.coach, "usd") == 0
    assert books(ledger.coach_payable(over.coach_id)) == -6_000
    assert_agreed(sandbox)


@BOTH
def test_a_report_that_comes_before_stripe_has_answered_freezes_it_too(
    sandbox: Sandbox, over: Booking, staff: User
) -> None:
    reduce(over, staff)
    report(over)
    sweep()

    assert earned() == [("share", 6_000, True)]
    assert at_coach(sandbox, over.coach, "usd") == 0
    assert_agreed(sandbox)


@BOTH
def test_once_it_is_decided_the_coach_is_paid_with_the_month(sandbox: Sandbox, over: Booking, staff: User) -> None:
    claim = report(over)
    reduce(over, staff)
    sweep()
    decide(claim, staff, Claim.Outcome.NOTHING, now=clock.now())

    assert earned() == [("share", 6_000, False)]
    pay_month(sandbox)
    sweep()
    assert at_coach(sandbox, over.coach, "usd") == 6_000
    assert books(ledger.coach_payable(over.coach_id)) == 0
    assert_agreed(sandbox)


@BOTH
def test_the_session_is_completed_as_usual_and_nothing_more_is_taken(
    sandbox: Sandbox, over: Booking, staff: User
) -> None:
    reduce(over, staff)
    sweep()
    services.complete(booking=over, actor=over.coach.user, now=clock.now())
    sweep()

    assert (fresh(over).status, payment_of(over).captured_amount) == (Booking.Status.COMPLETED, 7_500)
    assert earned() == [("share", 6_000, False)]
    assert_agreed(sandbox)
