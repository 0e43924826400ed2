"""Disputes at the sandbox: what is kept from the coach and when, whatever comes in which order, and what is refused."""

from typing import Any

import pytest

from coaches.models import Coach
from marketplace import clock
from marketplace.models import StaffDecision, User
from marketplace.tests.sandbox import Sandbox
from payments import ledger, payouts, pollers, services
from payments.errors import RefundWhileDisputed
from payments.facts import Fact
from payments.models import (
    Dispute,
    Earning,
    FraudWarning,
    Payment,
    PayoutLine,
    Refund,
    Reversal,
)
from payments.tests import bank, stage
from payments.tests.money_back import (
    assert_agreed,
    at_coach,
    books,
    captured,
    empty_account,
    give_back,
    given_back,
    pay_month,
    sweep,
)

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]


@pytest.fixture
def payment(sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]) -> Payment:
    """100.00 USD taken, settled monthly; the money is there."""
    made = captured(sandbox, student, payable_coach)
    bank.days_later(sandbox, 5)
    return made


def earnings() -> list[tuple[str, int]]:
    return list(Earning.objects.order_by("pk").values_list("kind", "amount"))


# --- the coach's share --------------------------------------------------------------------------


def test_a_session_that_is_disputed_is_on_no_line_of_the_run(
    sandbox: Sandbox, payment: Payment, student: User, payable_coach: Coach
) -> None:
    other = captured(sandbox, student, payable_coach, reference="booking:2")
    bank.disputed(sandbox, payment)
    pay_month(sandbox)

    [line] = PayoutLine.objects.all()
    assert (line.amount, line.status, [each.payment for each in line.earnings.all()]) == (8_000, "paid", [other])
    assert not Earning.objects.filter(frozen=True).exists()
    assert_agreed(sandbox)


def test_a_claim_that_is_settled_meanwhile_does_not_free_the_share(sandbox: Sandbox, payment: Payment) -> None:
    bank.disputed(sandbox, payment)
    services.freeze_earnings(payment=payment)
    services.unfreeze_earnings(payment=payment)
    pay_month(sandbox)
    assert PayoutLine.objects.count() == 0


def test_a_dispute_takes_a_planned_session_off_its_line(
    sandbox: Sandbox, payment: Payment, student: User, payable_coach: Coach
) -> None:
    captured(sandbox, student, payable_coach, reference="booking:2")
    run = _planned_run(sandbox)
    bank.disputed(sandbox, payment)
    payouts.pay_lines(run, clock.now())

    [line] = PayoutLine.objects.all()
    assert (line.amount, line.status) == (8_000, "paid")
    assert Earning.objects.get(payment=payment).line is None
    assert_agreed(sandbox)


def test_a_line_of_nothing_but_the_disputed_session_is_undone(sandbox: Sandbox, payment: Payment) -> None:
    run = _planned_run(sandbox)
    bank.disputed(sandbox, payment)
    payouts.pay_lines(run, clock.now())
    assert PayoutLine.objects.count() == 0
    assert stage.effects(sandbox, "/v1/transfers") == 0
    assert_agreed(sandbox)


def test_a_line_that_stripe_refused_before_waits_for_the_bank(
    sandbox: Sandbox, payment: Payment, payable_coach: Coach
) -> None:
    refusal = {"error": {"type": "invalid_request_error", "code": "balance_insufficient", "message": "Too little."}}
    stage.break_next(sandbox, "respond", "/v1/transfers", status=400, body=refusal)
    run = pay_month(sandbox)
    dispute = bank.disputed(sandbox, payment)
    bank.days_later(sandbox, 1)
    payouts.pay_lines(run, clock.now())

    line = PayoutLine.objects.get()
    assert (line.status, line.waiting_for) == ("waiting", payouts.DISPUTED)
    bank.decide(sandbox, dispute, "won")
    payouts.pay_lines(run, clock.now())
    assert at_coach(sandbox, payable_coach, "usd") == 8_000
    assert_agreed(sandbox)


def test_a_line_that_stripe_refused_before_is_undone_once_the_dispute_is_lost(
    sandbox: Sandbox, payment: Payment, payable_coach: Coach
) -> None:
    refusal = {"error": {"type": "invalid_request_error", "code": "balance_insufficient", "message": "Too little."}}
    stage.break_next(sandbox, "respond", "/v1/transfers", status=400, body=refusal)
    run = pay_month(sandbox)
    bank.decide(sandbox, bank.disputed(sandbox, payment), "lost")
    bank.days_later(sandbox, 2)
    payouts.pay_lines(run, clock.now())

    assert at_coach(sandbox, payable_coach, "usd") == 0
    assert PayoutLine.objects.count() == 0
    assert payouts.close_run(run, clock.now())
    assert books(ledger.coach_payable(payable_coach.pk)) == 0
    assert_agreed(sandbox)


def _planned_run(sandbox: Sandbox) -> Any:
    end = payouts.end_of(Earning.objects.latest("release_at").release_at.strftime("%Y-%m"))
    sandbox.advance(int((end - sandbox.now()).total_seconds()) + 5)
    return payouts.open_run(payouts.month_before(clock.now()), clock.now())


def test_a_coach_whose_balance_is_short_owes_it_once_it_is_lost(
    sandbox: Sandbox, payment: Payment, student: User, payable_coach: Coach
) -> None:
    pay_month(sandbox)
    empty_account(sandbox, payable_coach, 8_000)
    dispute = bank.disputed(sandbox, payment)
    assert Reversal.objects.get().status == Reversal.Status.REFUSED
    assert earnings() == [("share", 8_000)]

    bank.decide(sandbox, dispute, "lost")
    assert earnings() == [("share", 8_000), ("disputed", -8_000)]
    assert books(ledger.coach_payable(payable_coach.pk)) == 8_000
    # Two more sessions: the first makes up for the debt.
    for number in (2, 3):
        captured(sandbox, student, payable_coach, reference=f"booking:{number}")
    pay_month(sandbox)
    assert PayoutLine.objects.latest("pk").amount == 8_000
    assert books(ledger.coach_payable(payable_coach.pk)) == 0
    assert ledger.check() == []


def test_a_coach_whose_balance_is_short_owes_nothing_if_it_is_won(
    sandbox: Sandbox, payment: Payment, payable_coach: Coach
) -> None:
    pay_month(sandbox)
    empty_account(sandbox, payable_coach, 8_000)
    bank.decide(sandbox, bank.disputed(sandbox, payment), "won")
    pay_month(sandbox)
    assert earnings() == [("share", 8_000)]
    assert PayoutLine.objects.count() == 1
    assert_agreed(sandbox)


def test_a_transfer_that_was_on_its_way_is_fetched_back_by_a_later_look(
    sandbox: Sandbox, payment: Payment, payable_coach: Coach
) -> None:
    stage.break_next(sandbox, "reset_before_effect", "/v1/transfers")
    run = pay_month(sandbox)
    assert PayoutLine.objects.get().status == "planned"
    bank.open_at_stripe(sandbox, payment)
    pollers.find_disputes_at_stripe(now=clock.now())
    assert Reversal.objects.count() == 0

    bank.days_later(sandbox, 1)
    payouts.pay_lines(run, clock.now())
    assert at_coach(sandbox, payable_coach, "usd") == 8_000
    bank.hear()
    assert at_coach(sandbox, payable_coach, "usd") == 0
    assert_agreed(sandbox)


def test_a_win_is_paid_once_however_often_it_is_told(
    sandbox: Sandbox, payment: Payment, payable_coach: Coach, heard: list[Any]
) -> None:
    pay_month(sandbox)
    dispute = bank.disputed(sandbox, payment)
    for _ in range(3):
        if dispute.closed_at is None:
            bank.decide(sandbox, dispute, "won")
        services.refresh_dispute(dispute=dispute, now=clock.now())
        pay_month(sandbox)
    assert at_coach(sandbox, payable_coach, "usd") == 8_000
    assert [fact for fact, _ in heard if fact == Fact.DISPUTE_CLOSED] == [Fact.DISPUTE_CLOSED]
    assert_agreed(sandbox)


# --- refunds and disputes -----------------------------------------------------------------------


def test_nothing_is_refunded_while_it_is_disputed_or_after_a_loss(sandbox: Sandbox, payment: Payment) -> None:
    dispute = bank.disputed(sandbox, payment, amount=6_000)
    with pytest.raises(RefundWhileDisputed):
        give_back(payment, 1_000)
    bank.decide(sandbox, dispute, "lost")
    with pytest.raises(RefundWhileDisputed):
        give_back(payment, 1_000)
    assert Refund.objects.count() == 0
    assert_agreed(sandbox)


def test_after_a_win_it_can_be_refunded(sandbox: Sandbox, payment: Payment) -> None:
    bank.decide(sandbox, bank.disputed(sandbox, payment), "won")
    assert given_back(payment, 10_000).status == "succeeded"
    assert books("platform_losses") == 0
    assert_agreed(sandbox)


def test_a_refund_that_stripe_refuses_for_a_dispute_is_undone_and_the_dispute_books_its_part(
    sandbox: Sandbox, payment: Payment
) -> None:
    refund = give_back(payment, 10_000)
    dispute_id = bank.open_at_stripe(sandbox, payment)
    sweep()
    bank.hear()
    refund.refresh_from_db()
    assert refund.status == Refund.Status.REFUSED
    bank.decide(sandbox, Dispute.objects.get(stripe_dispute_id=dispute_id), "lost")
    assert earnings() == [("share", 8_000), ("taken_back", -8_000), ("returned", 8_000), ("disputed", -8_000)]
    assert (books("platform_revenue"), books("platform_losses")) == (0, 0)
    assert_agreed(sandbox)


# --- inquiries, warnings, several at once -------------------------------------------------------


def test_an_inquiry_moves_nothing_and_closes(sandbox: Sandbox, payment: Payment, payable_coach: Coach) -> None:
    inquiry = bank.disputed(sandbox, payment, inquiry=True)
    assert (inquiry.status, inquiry.is_inquiry, inquiry.withdrawn_at) == ("warning_needs_response", True, None)
    pay_month(sandbox)
    assert at_coach(sandbox, payable_coach, "usd") == 8_000
    bank.decide(sandbox, inquiry, "lost")
    assert (inquiry.status, inquiry.closed_at is None) == ("warning_closed", False)
    assert (books("disputes_held"), earnings()) == (0, [("share", 8_000)])
    assert_agreed(sandbox)


def test_an_inquiry_that_escalates_is_a_chargeback_from_then_on(
    sandbox: Sandbox, payment: Payment, payable_coach: Coach
) -> None:
    inquiry = bank.disputed(sandbox, payment, inquiry=True)
    first_deadline = inquiry.due_by
    bank.days_later(sandbox, 10)
    bank.escalate(sandbox, inquiry)
    pay_month(sandbox)
    assert (inquiry.status, books("disputes_held")) == ("needs_response", 10_000)
    assert inquiry.due_by
    assert first_deadline
    assert inquiry.due_by > first_deadline
    assert at_coach(sandbox, payable_coach, "usd") == 0
    # The month has outlasted the deadline, and nobody has answered.
    bank.hear()
    inquiry.refresh_from_db()
    assert inquiry.status == "lost"
    assert books(ledger.coach_payable(payable_coach.pk)) == 0
    assert_agreed(sandbox)


def test_a_full_refund_closes_an_inquiry(sandbox: Sandbox, payment: Payment) -> None:
    inquiry = bank.disputed(sandbox, payment, inquiry=True)
    given_back(payment, 10_000)
    bank.hear()
    inquiry.refresh_from_db()
    assert inquiry.status == "warning_closed"
    assert_agreed(sandbox)


def test_two_disputes_of_one_charge_are_each_decided(sandbox: Sandbox, payment: Payment, payable_coach: Coach) -> None:
    pay_month(sandbox)
    first = bank.disputed(sandbox, payment, amount=3_333)
    second = bank.disputed(sandbox, payment, amount=6_667)
    assert at_coach(sandbox, payable_coach, "usd") == 0
    bank.decide(sandbox, second, "lost")
    bank.decide(sandbox, first, "lost")
    assert (books("platform_revenue"), books("platform_losses"), books("disputes_held")) == (0, 0, 0)
    assert books(ledger.coach_payable(payable_coach.pk)) == 0
    assert_agreed(sandbox)


def test_a_warning_is_settled_by_a_full_refund(sandbox: Sandbox, payment: Payment) -> None:
    bank.warned(sandbox, payment)
    bank.hear()
    warning = FraudWarning.objects.get()
    assert (warning.actionable, warning.settled_at, warning.payment) == (True, None, payment)
    given_back(payment, 10_000, reason=Refund.Reason.FRAUD)
    bank.hear()
    warning.refresh_from_db()
    assert (warning.actionable, warning.settled_at is None) == (False, False)
    assert_agreed(sandbox)


def test_staff_settle_a_warning_once(sandbox: Sandbox, payment: Payment, staff: User) -> None:
    bank.warned(sandbox, payment)
    bank.hear()
    warning = FraudWarning.objects.get()
    services.settle_fraud_warning(warning=warning, reason="They have met.", actor=staff, now=clock.now())
    with pytest.raises(services.WarningSettled):
        services.settle_fraud_warning(warning=warning, reason="Again.", actor=staff, now=clock.now())
    assert StaffDecision.objects.get().reason == "They have met."
