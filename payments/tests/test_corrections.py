"""Correcting the books: two people, both accounts at once, and nothing that the comparisons would find."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.money import Money
from marketplace.lib.months import month_of
from marketplace.models import User
from marketplace.tests.factories import CoachFactory
from marketplace.tests.sandbox import Sandbox
from payments import ledger, statements
from payments.errors import ReasonNeeded
from payments.models import (
    ClosedMonth,
    Correction,
    Difference,
    Earning,
    LedgerEntry,
    LedgerTransaction,
    Statement,
)
from payments.reconcile import open_differences
from payments.services import corrections
from payments.services.corrections import (
    MonthIsClosed,
    NothingToMove,
    NotOnSuspense,
    SomebodyElses,
    TooFine,
    WrongAccounts,
)
from payments.tests import money_back
from payments.tests.correcting import (
    COACH,
    LOSSES,
    REVENUE,
    approve,
    compare,
    lines_of,
    on_suspense,
    propose,
    unknown_at_stripe,
)
from payments.tests.factories_books import earn

pytestmark = pytest.mark.django_db

Account, Status = Correction.Account, Correction.Status


# --- what it is for -----------------------------------------------------------------------------


def test_what_stripe_took_for_something_unknown_becomes_a_cost(sandbox: Sandbox, ada: User, bo: User) -> None:
    fact = unknown_at_stripe(sandbox, -1_234)
    [shown] = open_differences()
    proposed = propose(ada, amount=1_234, clears=fact, difference=shown, to_account="stripe_fees")
    assert money_back.books("suspense") == 1_234
    done = approve(proposed, bo)
    assert lines_of(done.booked) == {"suspense": -1_234, "stripe_fees": 1_234}
    assert done.booked is not None
    assert (done.booked.kind, done.booked.reference) == ("correction", f"correction:{done.pk}")
    assert (done.booked.payment, done.proposed_by, done.decided_by) == (None, ada, bo)
    assert money_back.books("suspense") == 0

    shown.refresh_from_db()
    assert (shown.state, shown.settled_by) == ("explained", bo)
    assert shown.settlement == f"By correction {done.pk}: Stripe's letter of Monday."
    money_back.assert_agreed(sandbox)
    compare()
    assert not open_differences().exists()


def test_what_stripe_gave_goes_to_a_coach_with_the_next_run(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any], ada: User, bo: User
) -> None:
    money_back.captured(sandbox, student, payable_coach)
    fact = unknown_at_stripe(sandbox, 500)
    approve(propose(ada, amount=-500, clears=fact, to_account=COACH, coach=payable_coach), bo)
    earning = Earning.objects.get(kind="correction")
    assert (earning.amount, earning.coach, earning.payment, earning.line) == (500, payable_coach, None, None)
    assert ledger.check() == []

    run = money_back.pay_month(sandbox)
    assert run.lines.get().amount == 8_500
    assert money_back.at_coach(sandbox, payable_coach, "usd") == 8_500
    assert money_back.books(ledger.coach_payable(payable_coach.pk)) == 0
    money_back.assert_agreed(sandbox)


def test_what_a_coach_gives_back_is_netted_by_the_next_run(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any], ada: User, bo: User
) -> None:
    money_back.captured(sandbox, student, payable_coach)
    fact = unknown_at_stripe(sandbox, -300)
    approve(propose(ada, amount=300, clears=fact, to_account=COACH, coach=payable_coach), bo)
    assert ledger.check() == []
    assert money_back.pay_month(sandbox).lines.get().amount == 7_700
    money_back.assert_agreed(sandbox)


def test_a_coach_reads_why_on_their_statement(ada: User, bo: User) -> None:
    coach, now = CoachFactory.create(), clock.now()
    share = earn(coach, booked=False)
    proposed = propose(
        ada, amount=-700, from_account=LOSSES, to_account=COACH, coach=coach, payment=share.paid_for,
        reason="Your train was late by our fault.",
    )  # fmt: skip
    approve(proposed, bo, now=now)
    [line] = statements.coach_month(coach_id=coach.pk, month=month_of(now), currency="usd").lines
    assert (line.kind, line.amount, line.description) == ("adjustment", 700, "Your train was late by our fault.")
    # No session's: no fee, and nothing added to a share.
    assert (line.gross, line.fee, line.borne_by_us, line.payment_id) == (0, 0, 0, None)


def test_a_closed_statement_keeps_the_line_and_invoices_nothing_of_it(ada: User, bo: User) -> None:
    coach, now = CoachFactory.create(), clock.now()
    approve(propose(ada, amount=-700, to_account=COACH, coach=coach), bo)
    statements.close_due_months(now + timedelta(days=70))
    statement = Statement.objects.filter(coach=coach).earliest("month")
    assert (statement.opening, statement.closing) == (0, 700)
    assert statements.verify(statement)
    assert not coach.fee_invoices.exists()


@pytest.mark.embedded
def test_parts_of_an_entry_go_to_several_accounts(ada: User, bo: User) -> None:
    fact = on_suspense(1_000)
    for amount, account in ((600, "stripe_fees"), (300, "bank"), (100, "reserves")):
        approve(propose(ada, amount=amount, clears=fact, to_account=account), bo)
    assert corrections.left_of(fact) == []
    assert [money_back.books(account) for account in ("stripe_fees", "bank", "reserves")] == [600, 300, 100]
    with pytest.raises(NotOnSuspense, match="Nothing of this entry is on suspense any more"):
        propose(ada, amount=1, clears=fact)


def test_what_a_correction_has_moved_is_not_on_suspense_again(ada: User, bo: User) -> None:
    """Its own transaction has a line on suspense, too, and clearing that would fill it again."""
    booked = approve(propose(ada, amount=600, clears=on_suspense(1_000)), bo).booked
    assert booked is not None
    assert corrections.left_of(booked) == []
    with pytest.raises(NotOnSuspense, match="Nothing of this entry"):
        propose(ada, amount=-600, clears=booked, to_account="bank")


def test_a_difference_stays_open_until_nothing_is_left(ada: User, bo: User) -> None:
    fact, now = on_suspense(1_000), clock.now()
    shown = Difference.objects.create(
        code="unknown_type", object_type="balance_transaction", object_id="txn_1", found_at=now, seen_at=now,
        ours={"ledger_transaction": fact.pk},
    )  # fmt: skip
    assert (corrections.difference_about(fact), corrections.entry_of(shown)) == (shown, fact)
    approve(propose(ada, amount=600, clears=fact, difference=shown), bo)
    shown.refresh_from_db()
    assert shown.state == "open"
    approve(propose(ada, amount=400, clears=fact, difference=shown), bo)
    shown.refresh_from_db()
    assert shown.state == "explained"
    assert corrections.entry_of(shown) is None


def test_what_somebody_has_explained_before_stays_as_they_said(ada: User, bo: User) -> None:
    fact, now = on_suspense(1_000), clock.now()
    shown = Difference.objects.create(
        code="unknown_type", object_type="balance_transaction", object_id="txn_1", found_at=now, seen_at=now,
        state="explained", settlement="We ordered trees.",
    )  # fmt: skip
    assert approve(propose(ada, amount=1_000, clears=fact, difference=shown), bo).status == Status.DONE
    shown.refresh_from_db()
    assert shown.settlement == "We ordered trees."


def test_opposite_entries_are_cleared_each_on_its_own(ada: User, bo: User) -> None:
    """Together they are nothing, and each of them is something."""
    taken, given = on_suspense(500), on_suspense(-500, "txn_2")
    assert [(each.fact, each.money.amount) for each in corrections.on_suspense()] == [(taken, 500), (given, -500)]
    approve(propose(ada, amount=500, clears=taken), bo)
    approve(propose(ada, amount=-500, clears=given, to_account=REVENUE), bo)
    assert corrections.on_suspense() == []
    assert (money_back.books(LOSSES), money_back.books(REVENUE)) == (500, -500)


def test_money_in_two_currencies_is_cleared_in_each(ada: User, bo: User) -> None:
    """As where Stripe has converted it."""
    lines = [
        ledger.Line("suspense", Money(-900, "eur")),
        ledger.Line("bank", Money(900, "eur")),
        ledger.Line("suspense", Money(1_000, "usd")),
        ledger.Line("bank", Money(-1_000, "usd")),
    ]
    with transaction.atomic():
        ledger.post(kind="test", reference="converted", lines=lines, now=clock.now())
    fact = LedgerTransaction.objects.get()
    assert corrections.left_of(fact) == [Money(-900, "eur"), Money(1_000, "usd")]
    approve(propose(ada, amount=1_000, clears=fact), bo)
    assert corrections.left_of(fact) == [Money(-900, "eur")]
    with pytest.raises(NotOnSuspense):
        propose(ada, amount=1_000, clears=fact)


# --- every account that may be chosen -----------------------------------------------------------


@pytest.mark.everyday(4)
@pytest.mark.parametrize(
    ("one", "other"), [(one, other) for one, to in sorted(corrections.PAIRS.items()) for other in sorted(to)]
)
def test_after_any_permitted_correction_the_books_are_good_and_agree(
    sandbox: Sandbox, ada: User, bo: User, one: str, other: str
) -> None:
    fact = unknown_at_stripe(sandbox, -400) if one == Account.SUSPENSE else None
    coach = CoachFactory.create() if COACH in (one, other) else None
    for amount in (400,) if fact else (400, -150):
        approve(propose(ada, amount=amount, from_account=one, to_account=other, clears=fact, coach=coach), bo)
    assert ledger.check() == []
    Difference.objects.update(state="explained")
    compare()
    assert not open_differences().exists()


@pytest.mark.everyday(4)
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("stripe_balance", LOSSES), (LOSSES, "stripe_balance"), (LOSSES, LOSSES), (LOSSES, "suspense"),
        ("refunds_in_flight", LOSSES), (LOSSES, "transfers_in_flight"), ("disputes_held", LOSSES),
        ("refunds_owed:1", LOSSES), ("coach_payable:1", LOSSES), (REVENUE, COACH), (COACH, REVENUE), (COACH, "bank"),
        ("", ""), ("suspense", LOSSES),
    ],
)  # fmt: skip
def test_no_other_accounts_may_be_chosen(ada: User, one: str, other: str) -> None:
    coach = CoachFactory.create() if COACH in (one, other) else None
    with pytest.raises(WrongAccounts):
        propose(ada, amount=100, from_account=one, to_account=other, coach=coach)
    assert not Correction.objects.exists()


@pytest.mark.parametrize("wrong", [{"to_account": COACH}, {"to_account": "bank", "coach": True}])
def test_a_coach_is_named_where_it_is_their_account_and_nowhere_else(ada: User, wrong: dict[str, Any]) -> None:
    if wrong.get("coach"):
        wrong = {**wrong, "coach": CoachFactory.create()}
    with pytest.raises(WrongAccounts):
        propose(ada, amount=100, **wrong)


def test_a_payment_of_another_coach_is_refused(ada: User) -> None:
    payment = earn(CoachFactory.create()).paid_for
    with pytest.raises(SomebodyElses):
        propose(ada, amount=100, to_account=COACH, coach=CoachFactory.create(), payment=payment)


@pytest.mark.parametrize("amount", [-1, -1_000, 1_001])
def test_no_more_is_cleared_than_there_is_and_only_with_its_sign(ada: User, amount: int) -> None:
    with pytest.raises(NotOnSuspense, match=r"\$10\.00 of this entry is on suspense"):
        propose(ada, amount=amount, clears=on_suspense(1_000))


def test_what_waits_is_counted_before_another_is_proposed(ada: User, bo: User) -> None:
    fact = on_suspense(1_000)
    first = propose(ada, amount=800, clears=fact)
    with pytest.raises(NotOnSuspense, match=r"\$8\.00 of it in proposals that wait"):
        propose(bo, amount=300, clears=fact)
    corrections.decline(correction=first, actor=bo, reason="No.", now=clock.now())
    assert propose(bo, amount=300, clears=fact).status == Status.TO_APPROVE


@pytest.mark.parametrize("facts", [{"from_account": LOSSES, "to_account": COACH}, {"from_account": COACH}])
def test_a_coach_gets_and_gives_only_what_stripe_can_transfer(ada: User, facts: dict[str, Any]) -> None:
    """A run pays the sum: finer than the currency's step, Stripe would refuse the transfer."""
    coach = CoachFactory.create()
    with pytest.raises(TooFine, match="steps of KWD"):
        propose(ada, amount=-1_234, currency="kwd", coach=coach, **facts)
    assert propose(ada, amount=-1_230, currency="kwd", coach=coach, **facts).amount == -1_230
    assert propose(ada, amount=-1_234, currency="kwd", to_account="bank").amount == -1_234


def test_nothing_is_moved_without_a_reason_or_an_amount(ada: User) -> None:
    with pytest.raises(ReasonNeeded):
        propose(ada, amount=100, to_account="bank", reason=" \n")
    with pytest.raises(NothingToMove):
        propose(ada, amount=0, to_account="bank")


def test_the_database_itself_refuses_what_can_not_be(ada: User, bo: User) -> None:
    made = propose(ada, amount=100, to_account="bank")
    for wrong in (
        {"amount": 0}, {"to_account": LOSSES}, {"to_account": "suspense"}, {"to_account": COACH},
        {"from_account": "suspense"}, {"status": "done", "decided_by": bo},
    ):  # fmt: skip
        with pytest.raises(IntegrityError), transaction.atomic():
            Correction.objects.filter(pk=made.pk).update(**wrong)
    approve(made, bo)
    with pytest.raises(IntegrityError), transaction.atomic():
        Correction.objects.update(decided_by=ada)


# --- the clock ----------------------------------------------------------------------------------


def test_it_is_booked_on_the_day_of_the_approval(ada: User, bo: User) -> None:
    now = clock.now()
    proposed = propose(ada, amount=100, to_account="bank", now=now - timedelta(days=40))
    done = approve(proposed, bo, now=now)
    assert done.booked is not None
    assert (done.booked.occurred_at, done.booked.recorded_at, done.decided_at) == (now, now, now)


def test_nothing_is_booked_into_a_closed_month_by_a_clock_that_went_back(ada: User, bo: User) -> None:
    now = clock.now()
    proposed = propose(ada, amount=100, to_account="bank", now=now)
    ClosedMonth.objects.create(month="9998-01", ends_at=now + timedelta(seconds=1), closed_at=now)
    with pytest.raises(MonthIsClosed):
        approve(proposed, bo, now=now)
    with pytest.raises(MonthIsClosed):
        propose(ada, amount=100, to_account="bank", now=now)
    proposed.refresh_from_db()
    assert (proposed.status, LedgerEntry.objects.count()) == (Status.TO_APPROVE, 0)
    assert approve(proposed, bo, now=now + timedelta(seconds=2)).status == Status.DONE
