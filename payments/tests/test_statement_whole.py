"""Statements of real money: taken, refunded, disputed and paid on at Stripe, in both ways of settling."""

import pytest
from django.db import transaction

from coaches.models import Coach
from marketplace import clock
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import gateway, services, statements
from payments.models import Dispute, FeeInvoice, Payment, Refund, Reversal, Statement, Transfer
from payments.services import reversed_at_stripe
from payments.statements import Kind, Line
from payments.statements.words import LineRow, rows_of
from payments.tests import bank, stage
from payments.tests.money_back import at_coach, captured, empty_account, given_back, pay_month, sweep
from payments.tests.stated import assert_whole, close_all, kinds

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("heard")]


def lines(rows: list[Statement]) -> list[Line]:
    return [row.line for row in all_rows(rows)]


def all_rows(rows: list[Statement]) -> list[LineRow]:
    months = [statements.coach_month(coach_id=row.coach_id, month=row.month, currency=row.currency) for row in rows]
    return [row for month in months for row in rows_of(month)]


def test_refunded_and_paid_by_the_monthly_run(sandbox: Sandbox, student: User, payable_coach: Coach) -> None:
    payment = captured(sandbox, student, payable_coach)
    given_back(payment, 2_500)
    pay_month(sandbox)
    given_back(payment, 2_500)
    rows = close_all(sandbox)

    assert kinds(rows) == [Kind.SESSION, Kind.REFUND, Kind.TRANSFER, Kind.REFUND, Kind.REVERSAL]
    assert rows[-1].closing == 0
    assert_whole()
    [totals] = [t for t in statements.whole_year(int(rows[0].month[:4])).coaches if t.gross]
    assert (totals.gross, totals.sessions) == (10_000, 1)


def test_paid_with_the_capture_and_lost_in_a_dispute(sandbox: Sandbox, student: User, payable_coach: Coach) -> None:
    payment = captured(sandbox, student, payable_coach, mode="per_session")
    dispute = bank.disputed(sandbox, payment)
    bank.decide(sandbox, dispute, "lost")
    rows = close_all(sandbox)

    assert sorted(kinds(rows)) == sorted(
        [Kind.SESSION, Kind.TRANSFER_WITH_CAPTURE, Kind.FEE_KEPT, Kind.DISPUTE_OPENED, Kind.REVERSAL, Kind.DISPUTE_LOST]
    )
    assert rows[-1].closing == 0 == at_coach(sandbox, payable_coach, "usd")
    assert not FeeInvoice.objects.exists()
    assert_whole()


def test_a_dispute_won_leaves_the_coach_what_they_had(sandbox: Sandbox, student: User, payable_coach: Coach) -> None:
    payment = captured(sandbox, student, payable_coach)
    dispute = bank.disputed(sandbox, payment)
    bank.decide(sandbox, dispute, "won")
    rows = close_all(sandbox)

    assert kinds(rows) == [Kind.SESSION, Kind.DISPUTE_OPENED, Kind.DISPUTE_WON]
    assert rows[-1].closing == 8_000
    assert_whole()


def test_a_debt_set_off_by_the_next_session_that_is_paid_at_once(
    sandbox: Sandbox, student: User, payable_coach: Coach
) -> None:
    first = captured(sandbox, student, payable_coach, reference="booking:1")
    pay_month(sandbox)
    empty_account(sandbox, payable_coach, 8_000)
    given_back(first, 2_500)
    captured(sandbox, student, payable_coach, reference="booking:2", mode="per_session")
    rows = close_all(sandbox)

    told = [row for row in all_rows(rows) if row.line.kind == Kind.FEE_KEPT]
    assert [str(row.amount) for row in told] == ["$40.00"]
    assert rows[-1].closing == 0
    assert_whole()


def test_what_was_kept_back_whole_is_owed(sandbox: Sandbox, student: User, payable_coach: Coach) -> None:
    captured(sandbox, student, payable_coach, reference="booking:1", mode="per_session")
    payment = stage.hold(sandbox, student, payable_coach, reference="booking:2")
    with transaction.atomic():
        services.request_capture_kept_back(payment=payment, now=clock.now())
    sweep()
    rows = close_all(sandbox)

    assert [line.amount for line in lines(rows)] == [8_000, -10_000, 2_000, 8_000, -10_000, 10_000]
    assert rows[-1].closing == 8_000
    assert_whole()


def test_a_dispute_lost_at_our_cost_and_a_refund_that_the_bank_sent_back(
    sandbox: Sandbox, student: User, payable_coach: Coach
) -> None:
    payment = captured(sandbox, student, payable_coach)
    refund = given_back(payment, 2_500)
    sandbox.post(f"/_sandbox/refunds/{refund.stripe_refund_id}/fail", {"failure_reason": "declined"})
    services.refresh_refund(refund=Refund.objects.select_related("payment").get(), now=clock.now())
    dispute = bank.disputed(sandbox, payment)
    Dispute.objects.update(charged_to=Dispute.ChargedTo.PLATFORM)
    bank.decide(sandbox, dispute, "lost")
    rows = close_all(sandbox)

    assert [(line.kind, line.gross, line.fee, line.borne_by_us, line.amount) for line in lines(rows)] == [
        (Kind.SESSION, 10_000, 2_000, 0, 8_000),
        (Kind.REFUND, -2_500, -500, 0, -2_000),
        (Kind.DISPUTE_OPENED, 0, 0, 0, 0),
        (Kind.DISPUTE_LOST, -7_500, -1_500, 6_000, 0),
    ]
    assert not FeeInvoice.objects.exists()
    assert_whole()


def test_reversed_at_stripe_and_kept(sandbox: Sandbox, student: User, payable_coach: Coach, staff: User) -> None:
    captured(sandbox, student, payable_coach)
    pay_month(sandbox)
    transfer = Transfer.objects.get()
    stage.post_at_stripe(sandbox, f"/v1/transfers/{transfer.stripe_transfer_id}/reversals", {"amount": 3_000})
    for facts in gateway.list_reversals(transfer.stripe_transfer_id):
        services.record_any_reversal(transfer=transfer, facts=facts, now=clock.now())
    reversed_at_stripe.keep(reversal=Reversal.objects.get(), actor=staff, reason="Paid twice", now=clock.now())
    rows = close_all(sandbox)

    assert kinds(rows) == [Kind.SESSION, Kind.TRANSFER, Kind.REVERSAL, Kind.REVERSAL_KEPT]
    assert rows[-1].closing == 0
    assert_whole()


def test_a_session_that_nobody_paid_for(sandbox: Sandbox, student: User, payable_coach: Coach) -> None:
    payment = stage.save_card(sandbox, student, payable_coach)
    Payment.objects.update(status=Payment.Status.LOST)
    services.write_off(payment=payment, now=clock.now())
    rows = close_all(sandbox)

    assert [(line.kind, line.gross, line.borne_by_us, line.amount) for line in lines(rows)] == [
        (Kind.PAID_BY_US, 0, 8_000, 8_000)
    ]
    assert not FeeInvoice.objects.exists()
    assert_whole()
