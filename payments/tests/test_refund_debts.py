"""The coach's part of a refund: taken off what is to be paid, fetched back from what was, or left as a debt."""

from datetime import timedelta
from typing import Any

import pytest

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.money import Money
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import ledger, operations, payouts
from payments.models import Earning, Operation, Refund, Reversal, Transfer
from payments.tests import reports, stage
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

Status = Refund.Status


def test_the_student_comes_before_the_coach(sandbox: Sandbox, student: User, payable_coach: Coach, heard: Any) -> None:
    payment = captured(sandbox, student, payable_coach, mode="per_session")
    give_back(payment, 10_000)
    assert Reversal.objects.count() == 0

    operations.run_operation(Operation.objects.get(kind="refund").pk, now=clock.now())
    assert Reversal.objects.get().status == Reversal.Status.REQUESTED
    assert ledger.check() == []

    sweep()
    reversal = Reversal.objects.get()
    assert (reversal.status, reversal.amount) == (Reversal.Status.DONE, 8_000)
    assert Transfer.objects.get().reversed_amount == 10_000  # with the fee, which came back at once
    assert_agreed(sandbox)


def test_a_short_balance_is_a_debt_that_the_next_month_makes_up_for(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]
) -> None:
    first = captured(sandbox, student, payable_coach, reference="booking:1")
    pay_month(sandbox)
    empty_account(sandbox, payable_coach, 8_000)
    refund = given_back(first, 2_500)

    assert refund.status == Status.SUCCEEDED
    assert Reversal.objects.get().status == Reversal.Status.REFUSED
    assert Transfer.objects.get().reversed_amount == 0
    assert books(ledger.coach_payable(payable_coach.pk)) == 2_000
    assert_agreed(sandbox)

    second = captured(sandbox, student, payable_coach, reference="booking:2")
    run = pay_month(sandbox)
    line = run.lines.get()
    assert (line.amount, line.status) == (6_000, "paid")
    assert {earning.payment_id for earning in line.earnings.all()} == {first.pk, second.pk}
    assert books(ledger.coach_payable(payable_coach.pk)) == 0
    assert_agreed(sandbox)


def test_a_debt_above_what_is_earned_waits_for_more(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]
) -> None:
    first = captured(sandbox, student, payable_coach, reference="booking:1")
    pay_month(sandbox)
    empty_account(sandbox, payable_coach, 8_000)
    given_back(first, 10_000)
    captured(sandbox, student, payable_coach, reference="booking:2", price=Money(5_000, "usd"))

    run = pay_month(sandbox)
    assert (run.status, run.lines.count()) == ("closed", 0)
    assert books(ledger.coach_payable(payable_coach.pk)) == 4_000
    assert_agreed(sandbox)

    captured(sandbox, student, payable_coach, reference="booking:3")
    run = pay_month(sandbox)
    assert run.lines.get().amount == 4_000
    assert books(ledger.coach_payable(payable_coach.pk)) == 0
    assert_agreed(sandbox)


def test_a_planned_line_is_made_smaller_by_what_is_taken_back(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]
) -> None:
    payment = captured(sandbox, student, payable_coach)
    released = Earning.objects.get().release_at
    end = payouts.end_of(released.strftime("%Y-%m"))
    sandbox.advance(int((end - sandbox.now()).total_seconds()) + 5)
    run = payouts.open_run(released.strftime("%Y-%m"), clock.now())

    given_back(payment, 2_500)
    assert run.lines.get().amount == 6_000
    payouts.pay_lines(run, clock.now())
    assert at_coach(sandbox, payable_coach, "usd") == 6_000
    assert Reversal.objects.count() == 0
    assert_agreed(sandbox)


def test_a_planned_line_of_nothing_else_is_undone(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]
) -> None:
    payment = captured(sandbox, student, payable_coach)
    released = Earning.objects.get().release_at
    end = payouts.end_of(released.strftime("%Y-%m"))
    sandbox.advance(int((end - sandbox.now()).total_seconds()) + 5)
    run = payouts.open_run(released.strftime("%Y-%m"), clock.now())
    line = run.lines.get()

    given_back(payment, 10_000)
    assert run.lines.count() == 0
    payouts.pay_line(line, clock.now())
    assert stage.calls(sandbox, "/v1/transfers") == []
    assert payouts.close_run(run, clock.now())
    assert_agreed(sandbox)


def test_a_line_of_nothing_else_that_stripe_has_refused_is_undone(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]
) -> None:
    payment = captured(sandbox, student, payable_coach)
    refusal = {"error": {"type": "invalid_request_error", "code": "balance_insufficient", "message": "Too little."}}
    stage.break_next(sandbox, "respond", "/v1/transfers", status=400, body=refusal)
    run = pay_month(sandbox)
    assert run.lines.get().status == "waiting"

    given_back(payment, 10_000)
    payouts.pay_lines(run, clock.now() + timedelta(hours=2))
    assert run.lines.count() == 0
    assert stage.effects(sandbox, "/v1/transfers") == 0
    assert Operation.objects.get(kind="transfer").line is None
    assert payouts.close_run(run, clock.now())
    assert_agreed(sandbox)


def test_what_is_refunded_while_its_transfer_is_on_its_way_is_fetched_back(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]
) -> None:
    payment = captured(sandbox, student, payable_coach)
    stage.break_next(sandbox, "reset_after_effect", "/v1/transfers")
    pay_month(sandbox)
    given_back(payment, 2_500)
    sweep(timedelta(minutes=10))
    sweep(timedelta(minutes=20))

    assert Reversal.objects.get().status == Reversal.Status.DONE
    assert at_coach(sandbox, payable_coach, "usd") == 6_000
    assert_agreed(sandbox)


def test_a_reversal_that_nobody_asked_for_is_kept_for_finance_to_decide(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]
) -> None:
    captured(sandbox, student, payable_coach, mode="per_session")
    transfer = Transfer.objects.get().stripe_transfer_id
    stage.post_at_stripe(sandbox, f"/v1/transfers/{transfer}/reversals", {"amount": 100})
    [row] = reports.deliver_and_work(reports.events(sandbox, "transfer.reversed"))
    assert row.state == "done"
    assert Reversal.objects.get().status == Reversal.Status.AT_STRIPE
