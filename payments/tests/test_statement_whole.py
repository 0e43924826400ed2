"""Statements of real money: taken, refunded, disputed and paid on at Stripe, in both ways of settling."""

from datetime import timedelta

import pytest

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.months import end_of, month_of
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import ledger, statements
from payments.models import FeeInvoice, LedgerEntry, Statement
from payments.statements import Kind
from payments.tests import bank
from payments.tests.money_back import at_coach, captured, given_back, pay_month

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("heard")]


def close_all(sandbox: Sandbox) -> list[Statement]:
    """Two months on, all that has happened is in closed months."""
    end = end_of(month_of(clock.now()))
    sandbox.advance(int((end + timedelta(days=2) - sandbox.now()).total_seconds()))
    statements.close_due_months(clock.now())
    return list(Statement.objects.order_by("month"))


def kinds(rows: list[Statement]) -> list[Kind]:
    months = [statements.coach_month(coach_id=row.coach_id, month=row.month, currency=row.currency) for row in rows]
    return [line.kind for month in months for line in month.lines]


def assert_whole(rows: list[Statement], coach: Coach) -> None:
    """Each month begins with what the one before ended with; the last ends with what the books say."""
    assert rows[0].opening == 0
    assert [row.opening for row in rows[1:]] == [row.closing for row in rows[:-1]]
    assert -rows[-1].closing == ledger.balance(ledger.coach_payable(coach.pk), "usd").amount
    assert Kind.ADJUSTMENT not in kinds(rows)
    assert all(statements.verify(row) for row in rows)
    revenue = sum(LedgerEntry.objects.filter(account__code="platform_revenue").values_list("amount", flat=True))
    assert sum(FeeInvoice.objects.values_list("amount", flat=True)) == -revenue


def test_refunded_and_paid_by_the_monthly_run(sandbox: Sandbox, student: User, payable_coach: Coach) -> None:
    payment = captured(sandbox, student, payable_coach)
    given_back(payment, 2_500)
    pay_month(sandbox)
    given_back(payment, 2_500)
    rows = close_all(sandbox)

    assert kinds(rows) == [Kind.SESSION, Kind.REFUND, Kind.TRANSFER, Kind.REFUND, Kind.REVERSAL]
    assert rows[-1].closing == 0
    assert_whole(rows, payable_coach)
    [totals] = [t for t in statements.year_totals(int(rows[0].month[:4])) if t.gross]
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
    assert_whole(rows, payable_coach)


def test_a_dispute_won_leaves_the_coach_what_they_had(sandbox: Sandbox, student: User, payable_coach: Coach) -> None:
    payment = captured(sandbox, student, payable_coach)
    dispute = bank.disputed(sandbox, payment)
    bank.decide(sandbox, dispute, "won")
    rows = close_all(sandbox)

    assert kinds(rows) == [Kind.SESSION, Kind.DISPUTE_OPENED, Kind.DISPUTE_WON]
    assert rows[-1].closing == 8_000
    assert_whole(rows, payable_coach)
