"""Comparing with Stripe: reserves, closed months, what is on its way for too long, and what came long afterwards."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.money import Money
from marketplace.lib.months import end_of
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import ledger, statements
from payments.models import (
    ClosedMonth,
    Difference,
    LedgerTransaction,
    MonthTotals,
    PayoutAccount,
    Reconciliation,
    Refund,
    Reversal,
    Statement,
    Transfer,
)
from payments.reconcile import explain, open_differences, reconcile
from payments.statements.years import SUMMED
from payments.tests import bank, money_back, stage

pytestmark = [pytest.mark.django_db]

Scope = Reconciliation.Scope
DAY = 86_400


# When a comparison takes place, so that nothing is too young for it.
LATER = timedelta(hours=2)


def compare(scope: Reconciliation.Scope = Scope.FULL) -> list[tuple[str, str]]:
    done = reconcile(scope=scope, now=clock.now() + LATER)
    assert done.failure == ""
    return sorted(open_differences().values_list("code", "object_type"))


def test_what_stripe_keeps_back_for_a_coach_below_zero_is_booked_and_released(
    sandbox: Sandbox, payable_coach: Coach
) -> None:
    money_back.fund(sandbox, "usd")
    money_back.empty_account(sandbox, payable_coach, 3_000)
    assert compare() == []
    assert money_back.books("reserves") == 3_000
    assert money_back.books("stripe_balance") == money_back.FUNDS - 3_000
    account = PayoutAccount.objects.get().stripe_account_id
    sandbox.post("/_sandbox/balance", {"account": account, "amount": 3_000})
    assert compare() == []
    assert money_back.books("reserves") == 0
    money_back.assert_agreed(sandbox)


def test_a_reserve_that_no_transaction_explains_is_named(sandbox: Sandbox) -> None:
    sandbox.post("/_sandbox/balance_transactions", {"amount": -500, "type": "reserve_transaction"})
    assert compare() == [("reserve_differs", "reserve")]


def test_what_came_into_a_closed_month_is_in_its_period(sandbox: Sandbox) -> None:
    made = sandbox.post("/_sandbox/balance_transactions", {"amount": 700, "type": "topup"})
    created = datetime.fromtimestamp(made["created"], UTC)
    ends = (created.replace(day=1, hour=0, minute=0, second=0, microsecond=0) + timedelta(days=32)).replace(day=1)
    sandbox.advance(int((ends - created).total_seconds()) + 2 * DAY)
    ClosedMonth.objects.create(month=created.strftime("%Y-%m"), ends_at=ends, closed_at=clock.now())
    assert compare() == []
    assert LedgerTransaction.objects.get().occurred_at == ends


def test_what_is_dated_past_a_month_that_was_open_is_named(sandbox: Sandbox) -> None:
    made = sandbox.post("/_sandbox/balance_transactions", {"amount": 700, "type": "topup"})
    created = datetime.fromtimestamp(made["created"], UTC)
    later = created + timedelta(days=20)
    lines = [
        ledger.Line("stripe_balance", Money(700, "usd"), made["id"], later),
        ledger.Line("bank", Money(-700, "usd")),
    ]
    with transaction.atomic():
        ledger.post(kind="top_up", reference=made["id"], lines=lines, now=clock.now())
    assert compare() == [("booked_period_differs", "balance_transaction")]


def test_a_refund_that_does_not_end_is_named(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]
) -> None:
    payment = money_back.captured(sandbox, student, payable_coach)
    money_back.give_back(payment, 1_000)
    sandbox.advance(29 * DAY)
    assert compare() == []
    sandbox.advance(2 * DAY)
    assert compare() == [("clearing_too_old", "clearing_account")]
    [difference] = open_differences()
    assert difference.payment == payment
    assert difference.ours["amount"] == -1_000
    money_back.sweep()
    assert compare() == []
    assert Refund.objects.get().status == Refund.Status.SUCCEEDED


def test_a_statement_that_changed_is_named(sandbox: Sandbox, payable_coach: Coach) -> None:
    now = clock.now()
    turn = (now + LATER).toordinal() % 30
    facts = {"coach": payable_coach, "currency": "usd", "opening": 0, "digest": "0" * 64, "made_at": now}
    changed = Statement.objects.create(pk=60 + turn, month="2020-01", closing=5, **facts)
    Statement.objects.create(pk=61 + turn, month="2020-02", closing=5, **facts)
    assert compare(Scope.RECENT) == []
    assert compare() == [("statement_changed", "statement")]
    assert open_differences().get().coach == payable_coach
    assert open_differences().get().object_id == str(changed.pk)


def test_a_changed_statement_is_open_until_it_is_looked_at_and_right(sandbox: Sandbox, payable_coach: Coach) -> None:
    facts = {"coach": payable_coach, "currency": "usd", "opening": 0, "digest": "0" * 64, "made_at": clock.now()}
    changed = Statement.objects.create(
        pk=60 + (clock.now() + LATER).toordinal() % 30, month="2020-01", closing=5, **facts
    )
    assert compare() == [("statement_changed", "statement")]
    sandbox.advance(2 * DAY)
    assert compare() == [("statement_changed", "statement")]
    found = statements.coach_month(coach_id=payable_coach.pk, month="2020-01", currency="usd")
    Statement.objects.filter(pk=changed.pk).update(closing=0, digest=statements.digest_of(found))
    assert compare() == []


def test_sums_of_a_closed_month_that_are_not_the_books_are_named(sandbox: Sandbox, payable_coach: Coach) -> None:
    """Somebody has added a row; changing one is refused by the database."""
    amounts = dict.fromkeys(SUMMED, 0)
    ClosedMonth.objects.create(month="2020-01", ends_at=end_of("2020-01"), closed_at=clock.now())
    MonthTotals.objects.create(month="2020-01", coach=payable_coach, currency="usd", **amounts | {"gross": 5})
    assert compare(Scope.RECENT) == []
    for _ in range(2):
        assert compare() == [("totals_changed", "totals")]
        sandbox.advance(2 * DAY)
    assert open_differences().get().object_id == "2020-01"


def test_each_month_that_is_summed_up_is_looked_at_in_its_turn(payable_coach: Coach) -> None:
    months = [f"{year}-{number:02d}" for year in (2020, 2021, 2022) for number in range(1, 13)]
    for month in months:
        MonthTotals.objects.create(month=month, coach=payable_coach, currency="usd", **dict.fromkeys(SUMMED, 0))
    turns = [statements.totals_due_for_a_look(clock.now() + timedelta(days=days), []) for days in range(30)]
    assert sorted(month for turn in turns for month in turn) == months
    assert max(map(len, turns)) == 2
    assert "2021-05" in statements.totals_due_for_a_look(clock.now(), ["2021-05"])


def test_what_is_fetched_back_of_an_old_transfer_is_heard_of_within_the_hour(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]
) -> None:
    money_back.captured(sandbox, student, payable_coach)
    bank.days_later(sandbox, 5)
    money_back.pay_month(sandbox)
    sandbox.advance(40 * DAY)
    transfer = Transfer.objects.get().stripe_transfer_id
    account = PayoutAccount.objects.get().stripe_account_id
    sandbox.post("/_sandbox/balance", {"account": account, "amount": 3_000})
    stage.post_at_stripe(sandbox, f"/v1/transfers/{transfer}/reversals", {"amount": 3_000})
    assert compare(Scope.RECENT) == []
    assert Reversal.objects.get().amount == 3_000
    repaired = Difference.objects.filter(state=Difference.State.REPAIRED)
    assert list(repaired.values_list("code", "object_id")) == [("state_differs", transfer)]
    money_back.assert_agreed(sandbox)


def test_a_refund_that_fails_after_a_month_is_heard_of_within_the_hour(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]
) -> None:
    payment = money_back.captured(sandbox, student, payable_coach)
    bank.days_later(sandbox, 5)
    refund = money_back.given_back(payment, 2_000)
    sandbox.advance(40 * DAY)
    sandbox.post(f"/_sandbox/refunds/{refund.stripe_refund_id}/fail", {})
    assert compare(Scope.RECENT) == []
    refund.refresh_from_db()
    assert refund.status == Refund.Status.FAILED
    assert money_back.books(f"refunds_owed:{payment.payer_id}") == -2_000
    money_back.assert_agreed(sandbox)


def test_what_stripe_has_converted_is_named_until_it_is_explained(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any], staff: User
) -> None:
    payment = stage.hold(sandbox, student, payable_coach)
    stage.post_at_stripe(sandbox, f"/v1/payment_intents/{payment.payment_intent_id}/capture", {})
    made = stage.at_stripe(sandbox, f"/v1/charges/{payment.charge_id}")["balance_transaction"]
    sandbox.post(f"/_sandbox/objects/{made}/tamper", {"set": {"currency": "eur"}})
    assert compare() == [("settled_in_another_currency", "balance_transaction")]
    difference = open_differences().get()
    assert (difference.payment, difference.stripes["currency"]) == (payment, "eur")
    assert money_back.books("suspense", "eur") == -10_000
    explain(difference=difference, actor=staff, reason="A bank account in euros was missing.", now=clock.now())
    assert compare() == []


def test_an_account_that_has_left_is_named_and_paid_nothing(sandbox: Sandbox, payable_coach: Coach) -> None:
    account = PayoutAccount.objects.get()
    assert account.payable
    sandbox.post(f"/_sandbox/accounts/{account.stripe_account_id}/deauthorize")
    assert compare() == [("out_of_reach", "account")]
    account.refresh_from_db()
    assert not account.payable
    payable_coach.refresh_from_db()
    assert not payable_coach.payable
    assert open_differences().get().coach == payable_coach
