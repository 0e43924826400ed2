"""The books: each fact once, always in balance, never changed."""

import threading
from functools import partial
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, connection, transaction

from coaches.models import Coach
from marketplace.lib.money import Money
from marketplace.tests.factories import CoachFactory
from payments import ledger
from payments.ledger import Line
from payments.models import (
    Earning,
    LedgerAccount,
    LedgerEntry,
    LedgerTransaction,
    Payment,
    PayoutLine,
    PayoutRun,
    Transfer,
)
from payments.tests import stage
from payments.tests.factories_books import NOW, PaymentFactory, book_capture, earn

on_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite has neither TRUNCATE nor deferred triggers"
)


def usd(amount: int) -> Money:
    return Money(amount, "usd")


def revenue(amount: int) -> list[Line]:
    return [Line("platform_revenue", usd(-amount)), Line("platform_losses", usd(amount))]


def post(kind: str = "test", reference: str = "ref_1", lines: list[Line] | None = None) -> bool:
    with transaction.atomic():
        return ledger.post(kind=kind, reference=reference, lines=lines or revenue(100), now=NOW)


def forge(*lines: tuple[LedgerAccount, int]) -> None:
    """Past the ledger's own code, straight into the tables."""
    with transaction.atomic():
        fact = LedgerTransaction.objects.create(kind="forged", reference="1", occurred_at=NOW, recorded_at=NOW)
        for account, amount in lines:
            LedgerEntry.objects.create(transaction=fact, account=account, amount=amount)


# --- races first --------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.embedded
def test_ten_rivals_book_one_fact_once() -> None:
    outcomes: list[bool] = []
    stage.at_once([lambda: outcomes.append(post(reference="raced"))] * 10)

    assert sorted(outcomes) == [False] * 9 + [True]
    assert LedgerEntry.objects.count() == 2
    assert LedgerAccount.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_rivals_who_need_the_same_new_account_both_book() -> None:
    outcomes: list[bool] = []

    def rival(number: int) -> None:
        outcomes.append(post(reference=f"fact_{number}"))

    stage.at_once([partial(rival, number) for number in range(5)])

    assert outcomes == [True] * 5
    assert LedgerAccount.objects.count() == 2
    assert ledger.balance("platform_losses", "usd") == usd(500)


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_the_database_refuses_an_unbalanced_transaction_at_commit() -> None:
    account = LedgerAccount.objects.create(code="bank", currency="usd")
    with pytest.raises(IntegrityError, match="does not sum to zero"):
        forge((account, 100), (account, -99))
    assert LedgerTransaction.objects.count() == 0


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_the_database_refuses_a_sum_that_is_zero_only_across_currencies() -> None:
    dollars, euros = (LedgerAccount.objects.create(code="bank", currency=currency) for currency in ("usd", "eur"))
    with pytest.raises(IntegrityError, match="does not sum to zero"):
        forge((dollars, 100), (euros, -100))
    assert LedgerEntry.objects.count() == 0


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_the_database_refuses_a_transaction_without_lines() -> None:
    with pytest.raises(IntegrityError, match="fewer than two lines"), transaction.atomic():
        LedgerTransaction.objects.create(kind="forged", reference="1", occurred_at=NOW, recorded_at=NOW)


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_the_database_refuses_a_line_added_to_an_old_transaction() -> None:
    post()
    old = LedgerTransaction.objects.get()
    with pytest.raises(IntegrityError, match="does not sum to zero"), transaction.atomic():
        LedgerEntry.objects.create(transaction=old, account=LedgerAccount.objects.get(code="platform_losses"), amount=1)
    assert LedgerEntry.objects.count() == 2


# --- append-only --------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.embedded
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE payments_ledgerentry SET amount = amount + 1",
        "UPDATE payments_ledgertransaction SET kind = 'other'",
        "DELETE FROM payments_ledgerentry",
        "DELETE FROM payments_ledgertransaction",
    ],
)
def test_the_database_refuses_to_change_or_remove(statement: str) -> None:
    post()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert LedgerEntry.objects.count() == 2
    assert ledger.balance("platform_losses", "usd") == usd(100)


@on_postgresql
@pytest.mark.django_db
@pytest.mark.parametrize("table", ["payments_ledgerentry", "payments_ledgertransaction"])
def test_the_database_refuses_to_truncate(table: str) -> None:
    post()
    connection.check_constraints()  # a table with deferred checks outstanding refuses TRUNCATE for that reason
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {table} CASCADE")
    assert LedgerEntry.objects.count() == 2


# --- posting ------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.embedded
def test_a_second_posting_of_a_fact_changes_nothing() -> None:
    assert post(lines=revenue(100)) is True
    assert post(lines=revenue(999)) is False
    assert ledger.balance("platform_revenue", "usd") == usd(-100)
    assert LedgerEntry.objects.count() == 2


@pytest.mark.django_db
def test_one_reference_may_be_booked_under_two_kinds() -> None:
    assert post(kind="one") is True
    assert post(kind="two") is True
    assert ledger.balance("platform_revenue", "usd") == usd(-200)


@pytest.mark.django_db
def test_the_callers_transaction_survives_a_second_posting() -> None:
    post()
    with transaction.atomic():
        assert ledger.post(kind="test", reference="ref_1", lines=revenue(100), now=NOW) is False
        assert ledger.post(kind="test", reference="ref_2", lines=revenue(50), now=NOW) is True
    assert ledger.balance("platform_losses", "usd") == usd(150)


@pytest.mark.django_db
def test_balances_of_two_currencies_stay_apart() -> None:
    lines = [
        Line("bank", usd(5)),
        Line("suspense", usd(-5)),
        Line("bank", Money(700, "jpy")),
        Line("suspense", Money(-700, "jpy")),
    ]
    assert post(lines=lines) is True
    assert ledger.balance("bank", "usd") == usd(5)
    assert ledger.balance("bank", "jpy") == Money(700, "jpy")
    assert ledger.balance("bank", "eur") == Money(0, "eur")


@pytest.mark.django_db
@pytest.mark.embedded
@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([Line("bank", usd(0)), Line("suspense", usd(0))], "no line of zero"),
        ([Line("bank", usd(1))], "at least two lines"),
        ([], "at least two lines"),
        ([Line("bank", usd(1)), Line("suspense", usd(-2))], "do not sum to zero"),
        ([Line("bank", usd(1)), Line("suspense", Money(-1, "eur"))], "do not sum to zero"),
        ([Line("stripe_balance", usd(1)), Line("suspense", usd(-1))], "names its balance transaction"),
        ([Line("bank", usd(1), "txn_1"), Line("suspense", usd(-1))], "names its balance transaction"),
    ],
)
def test_it_refuses_what_is_not_double_entry(lines: list[Line], complaint: str) -> None:
    with pytest.raises(ledger.LedgerError, match=complaint), transaction.atomic():
        ledger.post(kind="test", reference="bad", lines=lines, now=NOW)
    assert LedgerTransaction.objects.count() == 0
    assert LedgerAccount.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_it_refuses_to_book_outside_a_transaction() -> None:
    with pytest.raises(ledger.LedgerError, match="transaction that records it"):
        ledger.post(kind="test", reference="ref_1", lines=revenue(100), now=NOW)
    assert LedgerTransaction.objects.count() == 0


# --- the check ----------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.embedded
def test_good_books_have_no_imbalance() -> None:
    earn(CoachFactory.create())
    earn(CoachFactory.create(), amount=5_000, platform_fee=1_000, currency="eur")
    assert ledger.check() == []


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_a_capture_during_the_check_is_no_imbalance() -> None:
    """Whoever is off by a moment would be left out of the run, and wait a month for it."""
    coach = CoachFactory.create()
    captured: list[Earning] = []

    def capture_after_each_read(execute: Any, sql: str, *rest: Any) -> Any:
        answer = execute(sql, *rest)
        thread = threading.Thread(target=stage.apart, args=(lambda: captured.append(earn_at_once(coach)),))
        thread.start()
        thread.join()
        return answer

    with connection.execute_wrapper(capture_after_each_read):
        assert ledger.check() == []
    assert captured


def earn_at_once(coach: Coach) -> Earning:
    with transaction.atomic():
        return earn(coach)


@pytest.mark.django_db
def test_empty_books_are_good() -> None:
    assert ledger.check() == []


@pytest.mark.django_db
def test_a_capture_that_is_not_booked_is_the_coachs_imbalance() -> None:
    coach, other = CoachFactory.create(), CoachFactory.create()
    earn(other)
    payment = PaymentFactory.create(coach=coach, status=Payment.Status.CAPTURED, captured_amount=10_000)
    assert ledger.check() == [ledger.Imbalance(coach.pk, f"{payment} is captured but not booked.")]


@pytest.mark.django_db
def test_an_earning_that_the_books_do_not_owe_is_the_coachs_imbalance() -> None:
    coach = CoachFactory.create()
    earning = earn(coach)
    Earning.objects.filter(pk=earning.pk).update(amount=8_001)
    assert ledger.check() == [ledger.Imbalance(coach.pk, "unpaid earnings and the books differ by 1 usd.")]


@pytest.mark.django_db
def test_a_debt_in_the_books_without_an_earning_is_the_coachs_imbalance() -> None:
    coach = CoachFactory.create()
    payment = PaymentFactory.create(
        coach=coach, status=Payment.Status.CAPTURED, captured_amount=10_000, charge_id="ch_1"
    )
    book_capture(payment)
    assert ledger.check() == [ledger.Imbalance(coach.pk, "unpaid earnings and the books differ by -8000 usd.")]


@pytest.mark.django_db
def test_a_transfer_that_is_not_booked_is_the_coachs_imbalance() -> None:
    coach = CoachFactory.create()
    run = PayoutRun.objects.create(month="2026-09", opened_at=NOW)
    line = PayoutLine.objects.create(run=run, coach=coach, amount=8_000, currency="usd", status=PayoutLine.Status.PAID)
    earning = earn(coach)
    Earning.objects.filter(pk=earning.pk).update(line=line)
    Transfer.objects.create(
        stripe_transfer_id="tr_1",
        coach=coach,
        destination="acct_1",
        amount=8_000,
        currency="usd",
        line=line,
        created_at=NOW,
    )
    assert ledger.check() == [
        ledger.Imbalance(coach.pk, "Transfer tr_1 is not booked."),
        ledger.Imbalance(coach.pk, "unpaid earnings and the books differ by -8000 usd."),
    ]


@pytest.mark.django_db
def test_a_paid_line_without_a_transfer_is_the_coachs_imbalance() -> None:
    coach = CoachFactory.create()
    run = PayoutRun.objects.create(month="2026-09", opened_at=NOW)
    line = PayoutLine.objects.create(run=run, coach=coach, amount=8_000, currency="usd", status=PayoutLine.Status.PAID)
    assert ledger.check() == [ledger.Imbalance(coach.pk, f"Payout line {line.pk} is paid but has no transfer.")]


@pytest.mark.django_db
def test_money_left_in_a_clearing_account_is_everyones_imbalance() -> None:
    post(lines=[Line("transfers_in_flight", usd(7)), Line("bank", usd(-7))])
    assert ledger.check() == [ledger.Imbalance(None, "transfers_in_flight has not returned to zero: 7 usd.")]


@pytest.mark.django_db
def test_a_tampered_transaction_is_everyones_imbalance() -> None:
    # What the database's guard prevents on PostgreSQL is found all the same where the guard was evaded.
    post()
    fact = LedgerTransaction.objects.get()
    account = LedgerAccount.objects.get(code="platform_losses")
    with transaction.atomic():
        LedgerEntry.objects.create(transaction=fact, account=account, amount=3)
        found = ledger.check()
        transaction.set_rollback(True)
    assert found == [
        ledger.Imbalance(None, f"Ledger transaction {fact.pk} is off by 3 usd."),
        ledger.Imbalance(None, "The books as a whole are off by 3 usd."),
    ]


@pytest.mark.django_db
def test_the_command_says_that_the_books_are_good(capsys: pytest.CaptureFixture[str]) -> None:
    earn(CoachFactory.create())
    call_command("check_ledger")
    assert capsys.readouterr().out == "The books balance.\n"


@pytest.mark.django_db
def test_the_command_names_each_imbalance_and_fails() -> None:
    coach = CoachFactory.create()
    payment = PaymentFactory.create(coach=coach, status=Payment.Status.CAPTURED, captured_amount=10_000)
    with pytest.raises(CommandError) as failure:
        call_command("check_ledger")
    assert failure.value.returncode == 1
    assert str(failure.value) == f"1 imbalance(s):\nCoach {coach.pk}: {payment} is captured but not booked."
