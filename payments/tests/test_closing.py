"""Closing a month: nothing slips in or is left out, and nothing is made twice, whoever is killed or comes late."""

import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings as configured
from django.core import mail
from django.db import DatabaseError, OperationalError, transaction

from coaches.models import Coach
from marketplace.lib.money import Money
from marketplace.tests.factories import CoachFactory
from marketplace.tests.sandbox import Sandbox
from payments import ledger, statements, tasks
from payments.models import ClosedMonth, FeeInvoice, LedgerTransaction, MonthTotals, Statement
from payments.statements import closing, invoices
from payments.tests import stage
from payments.tests.locks import on_postgresql
from payments.tests.month_books import (
    CLOSING_TIME,
    IN_OCTOBER,
    OCTOBER,
    OCTOBER_ENDS,
    refund,
    session,
    transfer,
)


def post_in_october(coach: Coach, reference: str) -> None:
    lines = [
        ledger.Line(ledger.coach_payable(coach.pk), Money(-500, "usd")),
        ledger.Line("platform_losses", Money(500, "usd")),
    ]
    ledger.post(kind="test", reference=reference, lines=lines, now=OCTOBER_ENDS - timedelta(seconds=1))


def october(coach: Coach) -> Statement:
    return Statement.objects.get(coach=coach, month=OCTOBER)


# --- races first --------------------------------------------------------------------------------


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_it_waits_for_a_posting_that_is_under_way_in_the_month(coach: Coach) -> None:
    session(coach)
    booked, may_commit = threading.Event(), threading.Event()

    def slow_posting() -> None:
        with transaction.atomic():
            post_in_october(coach, "slow")
            booked.set()
            assert may_commit.wait(60)

    posting = threading.Thread(target=stage.apart, args=(slow_posting,))
    posting.start()
    assert booked.wait(60)
    closed = threading.Thread(target=stage.apart, args=(lambda: statements.close_due_months(CLOSING_TIME),))
    closed.start()
    closed.join(0.5)
    assert closed.is_alive()
    assert not ClosedMonth.objects.exists()

    may_commit.set()
    posting.join()
    closed.join()

    assert october(coach).closing == 8_500
    assert LedgerTransaction.objects.get(reference="slow").occurred_at < OCTOBER_ENDS


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_a_posting_that_finds_the_month_closed_meanwhile_is_booked_in_the_next(
    coach: Coach, monkeypatch: pytest.MonkeyPatch
) -> None:
    session(coach)
    looked = ledger.open_date
    asked: list[datetime] = []

    def look_and_let_it_close(happened_at: datetime) -> datetime:
        found = looked(happened_at)
        asked.append(found)
        if len(asked) == 1:
            closing_thread = threading.Thread(
                target=stage.apart, args=(lambda: closing.close_next_month(CLOSING_TIME),)
            )
            closing_thread.start()
            closing_thread.join()
        return found

    monkeypatch.setattr(ledger, "open_date", look_and_let_it_close)
    with transaction.atomic():
        post_in_october(coach, "late")
    monkeypatch.undo()

    assert asked[0] < OCTOBER_ENDS
    assert LedgerTransaction.objects.get(reference="late").occurred_at == OCTOBER_ENDS
    statements.close_due_months(CLOSING_TIME)
    assert october(coach).closing == 8_000


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_it_gives_up_rather_than_hold_up_all_postings(coach: Coach, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "LONGEST_WAIT", "100ms")
    session(coach)
    with transaction.atomic():
        post_in_october(coach, "long")
        refused: list[BaseException] = []

        def close() -> None:
            try:
                statements.close_due_months(CLOSING_TIME)
            except OperationalError as error:
                refused.append(error)

        thread = threading.Thread(target=stage.apart, args=(close,))
        thread.start()
        thread.join(60)
        assert len(refused) == 1
    assert not ClosedMonth.objects.exists()
    assert statements.close_due_months(CLOSING_TIME)
    assert october(coach).closing == 8_500


@pytest.mark.django_db(transaction=True)
@pytest.mark.embedded
def test_three_beats_at_once_close_once_and_number_without_a_gap() -> None:
    for each in (CoachFactory.create() for _ in range(8)):
        session(each)
    stage.at_once([lambda: statements.close_due_months(CLOSING_TIME)] * 3)

    assert list(ClosedMonth.objects.values_list("month", flat=True)) == [OCTOBER]
    assert Statement.objects.count() == 8
    assert sorted(FeeInvoice.objects.values_list("number", flat=True)) == list(range(1, 9))


def die_at_the_third() -> None:
    """In a process of its own: killed within the transaction that makes the third statement."""
    made: list[int] = []
    make = invoices.make_invoice

    def make_or_die(*facts: Any) -> Any:
        invoice = make(*facts)
        made.append(1)
        if len(made) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return invoice

    pytest.MonkeyPatch().setattr(invoices, "make_invoice", make_or_die)
    statements.close_due_months(CLOSING_TIME)


@pytest.mark.django_db(transaction=True)
@pytest.mark.faults
def test_killed_in_the_middle_it_goes_on_without_a_gap_and_nothing_twice(subprocess_env: dict[str, str]) -> None:
    for each in (CoachFactory.create() for _ in range(5)):
        session(each)
    script = "import django; django.setup(); from payments.tests import test_closing; test_closing.die_at_the_third()"
    died = subprocess.run(
        [sys.executable, "-c", script], env=subprocess_env, cwd=configured.BASE_DIR, check=False, timeout=300
    )
    assert died.returncode == -signal.SIGKILL
    assert (Statement.objects.count(), FeeInvoice.objects.count()) == (2, 2)

    assert statements.close_due_months(CLOSING_TIME)

    assert Statement.objects.count() == 5
    assert list(FeeInvoice.objects.order_by("number").values_list("number", flat=True)) == [1, 2, 3, 4, 5]
    assert FeeInvoice.objects.values("coach").distinct().count() == 5


# --- when ---------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_month_closes_a_day_after_its_end_and_not_before(coach: Coach) -> None:
    session(coach)
    statements.close_due_months(CLOSING_TIME - timedelta(microseconds=1))
    assert not ClosedMonth.objects.exists()
    statements.close_due_months(CLOSING_TIME)
    closed = ClosedMonth.objects.get()
    assert (closed.month, closed.ends_at, closed.closed_at) == (OCTOBER, OCTOBER_ENDS, CLOSING_TIME)


@pytest.mark.django_db
def test_empty_books_close_nothing() -> None:
    assert statements.close_due_months(CLOSING_TIME)
    assert not ClosedMonth.objects.exists()


@pytest.mark.django_db
def test_after_a_standstill_all_months_close_in_order_and_none_is_skipped(coach: Coach) -> None:
    session(coach, datetime(2027, 12, 31, 23, 59, 59, tzinfo=UTC))
    session(coach, datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC))

    statements.close_due_months(datetime(2028, 3, 5, tzinfo=UTC))

    assert list(ClosedMonth.objects.order_by("pk").values_list("month", flat=True)) == ["2027-12", "2028-01", "2028-02"]
    rows = Statement.objects.order_by("month").values_list("month", "opening", "closing")
    assert list(rows) == [("2027-12", 0, 8_000), ("2028-01", 8_000, 8_000), ("2028-02", 8_000, 16_000)]


@pytest.mark.django_db
def test_a_clock_that_goes_back_opens_nothing_and_changes_nothing(coach: Coach) -> None:
    session(coach)
    statements.close_due_months(CLOSING_TIME)
    before = october(coach)

    statements.close_due_months(IN_OCTOBER)
    session(coach, IN_OCTOBER + timedelta(hours=1))
    statements.close_due_months(CLOSING_TIME)

    assert ClosedMonth.objects.count() == 1
    assert statements.verify(before)
    assert LedgerTransaction.objects.latest("pk").occurred_at == OCTOBER_ENDS


@pytest.mark.django_db
@pytest.mark.embedded
@pytest.mark.parametrize("model", [ClosedMonth, FeeInvoice, MonthTotals])
def test_the_database_refuses_to_open_a_month_again_or_to_change_its_papers(coach: Coach, model: Any) -> None:
    session(coach)
    statements.close_due_months(CLOSING_TIME)
    statements.sum_up_closed_months()
    with pytest.raises(DatabaseError, match="it is final"), transaction.atomic():
        model.objects.update(month="2026-09")
    with pytest.raises(DatabaseError, match="it is final"), transaction.atomic():
        model.objects.all().delete()
    assert model.objects.get().month == OCTOBER


# --- what is learnt late ------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_fact_learnt_late_is_in_the_next_statement_and_the_last_one_stays(coach: Coach) -> None:
    session(coach)
    statements.close_due_months(CLOSING_TIME)
    told = october(coach)

    session(coach, IN_OCTOBER + timedelta(days=1))
    statements.close_due_months(CLOSING_TIME + timedelta(days=31))

    assert statements.verify(told)
    november = Statement.objects.get(month="2026-11")
    assert (november.opening, november.closing) == (8_000, 16_000)
    assert FeeInvoice.objects.get(month="2026-11").amount == 2_000


@pytest.mark.django_db
def test_a_balance_that_nothing_happens_to_is_carried_and_one_of_zero_is_not(coach: Coach) -> None:
    debtor = CoachFactory.create()
    refund(session(debtor, fee=0), IN_OCTOBER, coach=10_000, fee=0)
    transfer(debtor, 10_000)
    session(coach)
    transfer(coach, 8_000)

    statements.close_due_months(CLOSING_TIME + timedelta(days=31))

    assert list(Statement.objects.filter(month="2026-11").values_list("coach", "opening", "closing")) == [
        (debtor.pk, -10_000, -10_000)
    ]
    assert not FeeInvoice.objects.filter(coach=debtor).exists()


@pytest.mark.django_db
def test_one_that_fails_by_a_bug_holds_up_nobody(coach: Coach, monkeypatch: pytest.MonkeyPatch) -> None:
    other = CoachFactory.create()
    session(coach)
    session(other)
    make = invoices.make_invoice

    def fail_for_the_first(found: Any, whose: Coach, now: datetime) -> Any:
        if whose == coach:
            raise RuntimeError("a bug")
        return make(found, whose, now)

    monkeypatch.setattr(invoices, "make_invoice", fail_for_the_first)
    statements.close_due_months(CLOSING_TIME)
    assert list(Statement.objects.values_list("coach", flat=True)) == [other.pk]
    monkeypatch.undo()

    statements.close_due_months(CLOSING_TIME)
    assert Statement.objects.count() == 1  # its next turn is in a minute
    statements.close_due_months(CLOSING_TIME + timedelta(minutes=1))

    assert sorted(Statement.objects.values_list("coach", flat=True)) == sorted([coach.pk, other.pk])
    assert sorted(FeeInvoice.objects.values_list("number", flat=True)) == [1, 2]


@pytest.mark.django_db
def test_one_that_failed_is_made_though_two_months_were_closed_since(
    coach: Coach, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With those of the months after it that it is carried into."""

    def fail(*_: Any) -> None:
        raise RuntimeError("a bug")

    session(coach)
    monkeypatch.setattr(invoices, "make_invoice", fail)
    january = datetime(2027, 1, 5, tzinfo=UTC)
    statements.close_due_months(january)
    assert (ClosedMonth.objects.count(), Statement.objects.count()) == (3, 0)
    monkeypatch.undo()

    for days in range(1, 40):
        statements.close_due_months(january + timedelta(days=days))

    rows = Statement.objects.filter(month__lt="2027-01").order_by("month")
    assert list(rows.values_list("month", "opening", "closing")) == [
        (OCTOBER, 0, 8_000), ("2026-11", 8_000, 8_000), ("2026-12", 8_000, 8_000),
    ]  # fmt: skip
    assert FeeInvoice.objects.get().month == OCTOBER


@pytest.mark.django_db
def test_where_rounds_are_short_those_that_fail_come_behind_the_others(
    coach: Coach, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = CoachFactory.create()
    session(coach)
    session(other)
    make, tried = invoices.make_invoice, list[Coach]()

    def fail_for_the_first(found: Any, whose: Coach, now: datetime) -> Any:
        tried.append(whose)
        if whose == coach:
            raise RuntimeError("a bug")
        return make(found, whose, now)

    monkeypatch.setattr(invoices, "make_invoice", fail_for_the_first)
    monkeypatch.setattr(closing, "for_a_while", lambda accounts: accounts[:1])
    later = CLOSING_TIME + timedelta(minutes=1)
    done = [statements.close_due_months(now) for now in (CLOSING_TIME, later, later, later)]
    assert tried == [coach, other, coach]
    assert done == [False, False, True, True]


@pytest.mark.django_db
def test_a_round_that_runs_out_of_time_is_followed_by_another_at_once(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in (CoachFactory.create() for _ in range(3)):
        session(each)
    rounds: list[int] = []

    def next_round() -> None:
        rounds.append(Statement.objects.count())
        tasks.close_months()

    monkeypatch.setattr("payments.tasks.clock.for_timers", lambda: CLOSING_TIME)
    monkeypatch.setattr(tasks.close_months, "delay", next_round)
    monkeypatch.setattr(closing, "for_a_while", lambda accounts: accounts[:2])

    tasks.close_months()

    assert rounds == [2, 3]
    assert len(mail.outbox) == 3
