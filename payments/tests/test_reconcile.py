"""Comparing with Stripe: what agrees is passed over, what is wrong is named, and what is under way is let be."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.money import Money
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import gateway, ledger, operations
from payments.models import Difference, LedgerEntry, LedgerTransaction, Payment, Reconciliation, StripeEvent
from payments.reconcile import (
    KINDS,
    Family,
    ReconciliationUnderWay,
    engine,
    entries,
    explain,
    intents,
    open_differences,
    reconcile,
    reconcile_due,
)
from payments.reconcile.comparing import SeenIds
from payments.reconcile.findings import Finding
from payments.tests import bank, money_back, stage

pytestmark = [pytest.mark.django_db]

Scope = Reconciliation.Scope
State = Difference.State
HOUR = timedelta(hours=1)
Found = list[tuple[str, str]]


def compare(scope: Reconciliation.Scope = Scope.FULL, *, later: timedelta = HOUR, **more: Any) -> Reconciliation:
    done = reconcile(scope=scope, now=clock.now() + later, **more)
    assert done.failure == ""
    return done


def found() -> Found:
    return sorted(open_differences().values_list("code", "object_type"))


def in_state(state: Difference.State) -> Found:
    return sorted(Difference.objects.filter(state=state).values_list("code", "object_type"))


def balance_moved(sandbox: Sandbox, amount: int, kind: str, **more: Any) -> str:
    body = {"amount": amount, "type": kind, **more}
    return str(sandbox.post("/_sandbox/balance_transactions", body)["id"])


@pytest.fixture
def taken(sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]) -> Payment:
    return money_back.captured(sandbox, student, payable_coach)


# --- what is all right --------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["monthly", "per_session"])
def test_what_agrees_is_passed_over(
    mode: str, sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]
) -> None:
    payment = money_back.captured(sandbox, student, payable_coach, mode=mode)
    bank.days_later(sandbox, 5)
    money_back.given_back(payment, 2_000)
    booked = LedgerTransaction.objects.count()
    done = compare()
    assert list(Difference.objects.values_list("code", "object_type", "ours", "stripes")) == []
    assert LedgerTransaction.objects.count() == booked
    assert done.compared["payment_intent"] == done.compared["refund"] == 1
    on_balance = LedgerEntry.objects.exclude(balance_transaction_id="")
    assert done.compared["balance_transaction"] == on_balance.count()


def test_what_is_under_way_is_left_and_seen_by_the_next(sandbox: Sandbox, held: Payment) -> None:
    stage.request_capture(held, clock.now())
    stage.break_next(sandbox, "reset_after_effect", "/v1/payment_intents/*/capture")
    operations.sweep(now=clock.now())
    compare(later=timedelta(minutes=30))
    held.refresh_from_db()
    assert held.status == Payment.Status.CAPTURING
    assert not Difference.objects.exists()

    compare(later=timedelta(minutes=61))
    held.refresh_from_db()
    assert held.status == Payment.Status.CAPTURED
    assert in_state(State.REPAIRED) == [("state_differs", "payment_intent")]
    assert found() == []


def test_what_was_made_a_moment_ago_is_left_and_seen_by_the_next(sandbox: Sandbox, taken: Payment) -> None:
    money_back.made_at_stripe(sandbox, taken, 1_000)
    compare(later=timedelta(minutes=4))
    assert not Difference.objects.exists()
    compare(later=timedelta(minutes=6))
    assert in_state(State.REPAIRED) == [("missing_here", "refund")]
    assert found() == []


# --- Stripe's own doings ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "amount", "account"),
    [
        ("stripe_fee", -250, "stripe_fees"),
        ("network_cost", -40, "stripe_fees"),
        ("adjustment", -30, "stripe_fees"),
        ("topup", 5_000, "bank"),
        ("payout_minimum_balance_hold", -700, "reserves"),
        ("connect_collection_transfer", -900, "platform_losses"),
    ],
)
def test_stripes_own_doings_come_into_the_books(kind: str, amount: int, account: str, sandbox: Sandbox) -> None:
    booked = balance_moved(sandbox, amount, kind)
    compare()
    compare()
    assert not Difference.objects.exists()
    assert money_back.books(account) == -amount
    fact = LedgerTransaction.objects.get()
    assert fact.reference == booked
    assert fact.occurred_at == datetime.fromtimestamp(
        stage.at_stripe(sandbox, f"/v1/balance_transactions/{booked}")["created"], UTC
    )


def test_a_type_that_nobody_knows_goes_to_suspense_and_is_shown(sandbox: Sandbox) -> None:
    balance_moved(sandbox, -1_234, "climate_order_purchase")
    compare()
    assert money_back.books("suspense") == 1_234
    assert found() == [("unknown_type", "balance_transaction")]
    money_back.assert_agreed(sandbox)
    compare()
    assert LedgerTransaction.objects.count() == 1
    assert Difference.objects.count() == 1


def test_what_moves_for_nothing_of_ours_is_named_and_not_booked(sandbox: Sandbox) -> None:
    balance_moved(sandbox, 9_000, "charge", source="ch_nobodys")
    compare()
    assert found() == [("balance_differs", "balance"), ("not_booked", "balance_transaction")]
    assert not LedgerTransaction.objects.exists()


def test_what_is_explained_accounts_for_the_balance(sandbox: Sandbox, staff: User) -> None:
    balance_moved(sandbox, -9_000, "charge", source="ch_nobodys")
    compare()
    moved = open_differences().get(code="not_booked")
    explain(difference=moved, actor=staff, reason="A test in Stripe's dashboard.", now=clock.now())
    compare()
    assert found() == []


# --- what is wrong ------------------------------------------------------------------------------


def test_each_kind_of_difference_says_what_it_means_and_what_to_do() -> None:
    assert {kind.family for kind in KINDS.values()} == set(Family)
    for code, kind in KINDS.items():
        assert (code, len(code) <= 40) == (kind.code, True)
        assert kind.meaning.endswith(".")
        assert kind.what_to_do.endswith(".")


def test_an_event_that_was_never_generated_is_not_missed(sandbox: Sandbox, taken: Payment) -> None:
    money_back.made_at_stripe(sandbox, taken, 2_500)
    assert not StripeEvent.objects.exists()
    compare()
    taken.refresh_from_db()
    assert taken.refunded_amount == 2_500
    money_back.assert_agreed(sandbox)


def test_a_hold_that_we_do_not_know_and_that_bears_our_marks_is_named(sandbox: Sandbox, held: Payment) -> None:
    sandbox.post(
        f"/_sandbox/objects/{held.payment_intent_id}/tamper",
        {"set": {"metadata.operation_id": "7f7c7c2e-3f3e-4a43-9b43-1f3f0a3f3f3f"}},
    )
    Payment.objects.filter(pk=held.pk).update(payment_intent_id=None)
    compare()
    assert ("orphan_at_stripe", "payment_intent") in found()


def test_a_payment_that_stripe_does_not_know_is_named(sandbox: Sandbox, held: Payment) -> None:
    sandbox.post(f"/_sandbox/objects/{held.payment_intent_id}/erase")
    compare()
    [difference] = open_differences()
    assert (difference.code, difference.object_id) == ("orphan_with_us", held.payment_intent_id)
    assert difference.payment == held


def test_a_second_hold_for_the_same_thing_is_named(sandbox: Sandbox, held: Payment) -> None:
    sandbox.post(f"/_sandbox/objects/{held.payment_intent_id}/copy", {"count": 1})
    compare()
    assert found() == [("held_twice", "payment_intent")]


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([("stripe_balance", -1), ("bank", 1)], "booked_sign_differs"),
        ([("stripe_balance", 2), ("bank", -2)], "booked_amount_differs"),
        ([("stripe_balance", 1), ("coach_payable:1", -1)], "booked_owner_differs"),
    ],
)
def test_what_is_booked_wrongly_is_named(lines: list[tuple[str, int]], code: str, sandbox: Sandbox) -> None:
    made = stage.at_stripe(sandbox, f"/v1/balance_transactions/{balance_moved(sandbox, 100, 'topup')}")
    post(made["id"], [(account, share * 100) for account, share in lines], made["created"])
    compare()
    assert (code, "balance_transaction") in found()


def test_what_is_booked_twice_is_named(sandbox: Sandbox) -> None:
    made = stage.at_stripe(sandbox, f"/v1/balance_transactions/{balance_moved(sandbox, 100, 'topup')}")
    compare()
    post(made["id"], [("stripe_balance", 100), ("bank", -100)], made["created"], kind="top_up_again")
    compare()
    assert ("booked_twice", "balance_transaction") in found()


def test_what_is_booked_in_another_period_is_named(sandbox: Sandbox) -> None:
    made = stage.at_stripe(sandbox, f"/v1/balance_transactions/{balance_moved(sandbox, 100, 'topup')}")
    post(made["id"], [("stripe_balance", 100), ("bank", -100)], made["created"] - 40 * 86_400)
    compare()
    assert found() == [("booked_period_differs", "balance_transaction")]


def test_what_is_booked_and_not_at_stripe_is_named(sandbox: Sandbox) -> None:
    post("txn_nobodys", [("stripe_balance", 100), ("bank", -100)], int(clock.now().timestamp()))
    compare()
    assert found() == [("balance_differs", "balance"), ("booked_without_stripe", "balance_transaction")]


def post(booked: str, lines: list[tuple[str, int]], created: int, kind: str = "top_up") -> None:
    happened = datetime.fromtimestamp(created, UTC)
    with transaction.atomic():
        ledger.post(
            kind=kind,
            reference=booked,
            now=happened,
            lines=[
                ledger.Line(code, Money(amount, "usd"), booked if code == "stripe_balance" else "", happened)
                for code, amount in lines
            ],
        )


# --- what becomes of a difference ---------------------------------------------------------------


def test_a_difference_goes_when_it_is_not_there_any_more_and_comes_back(sandbox: Sandbox, held: Payment) -> None:
    held_there = {"set": {"amount": held.amount}}
    wrong = {"set": {"amount": held.amount + 1}}
    intent = f"/_sandbox/objects/{held.payment_intent_id}/tamper"
    sandbox.post(intent, wrong)
    compare()
    assert found() == [("amount_differs", "payment_intent")]
    sandbox.post(intent, held_there)
    compare(Scope.RECENT)
    assert in_state(State.GONE) == [("amount_differs", "payment_intent")]
    sandbox.post(intent, wrong)
    compare(Scope.RECENT)
    assert found() == [("amount_differs", "payment_intent")]
    assert Difference.objects.count() == 1


def test_what_is_explained_stays_so_until_it_changes(sandbox: Sandbox, held: Payment, staff: User) -> None:
    intent = f"/_sandbox/objects/{held.payment_intent_id}/tamper"
    sandbox.post(intent, {"set": {"amount": held.amount + 1}})
    compare()
    explain(difference=open_differences().get(), actor=staff, reason="A test of the bank's.", now=clock.now())
    compare()
    assert found() == []
    sandbox.post(intent, {"set": {"amount": held.amount + 2}})
    compare()
    assert found() == [("amount_differs", "payment_intent")]


# --- one at a time, in time, and broken off -----------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_only_one_is_under_way_at_a_time(sandbox: Sandbox) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite is one machine's, and has no locks of this kind.")
    other = connections.create_connection("default")
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [engine.LOCK])
    with pytest.raises(ReconciliationUnderWay):
        compare()
    assert reconcile_due(now=clock.now()) is None
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(%s)", [engine.LOCK])
    other.close()
    compare()


def test_where_stripe_does_not_answer_it_says_so_and_keeps_what_it_has(sandbox: Sandbox, taken: Payment) -> None:
    stage.break_next(sandbox, "reset_before_effect", "/v1/refunds", method="GET", times=2)
    Reconciliation.objects.create(scope=Scope.FULL, began_at=clock.now())
    done = reconcile(scope=Scope.FULL, now=clock.now() + HOUR)
    assert done.failure.startswith("Not complete")
    assert done.ended_at is not None
    assert set(done.not_compared) == {"refunds", "clearing_accounts"}
    assert done.compared["payment_intent"] == 1
    assert done.compared["balance_transaction"] > 0
    assert Reconciliation.objects.earliest("pk").failure == "It was cut off."


@pytest.mark.thorough
def test_it_goes_on_where_it_was_when_others_ask_too_much(sandbox: Sandbox, held: Payment) -> None:
    sandbox.post(f"/_sandbox/objects/{held.payment_intent_id}/copy", {"count": 150})
    stage.break_next(sandbox, "rate_limit", "/v1/payment_intents", method="GET", nth=2)
    compare()
    pages = [row for row in stage.calls(sandbox, "/v1/payment_intents", "GET") if row["path"] == "/v1/payment_intents"]
    assert [row["status"] for row in pages] == [200, 429, 200]
    assert found() == [("held_twice", "payment_intent")] * 150


def test_each_hour_the_last_days_are_due_and_each_night_everything(sandbox: Sandbox) -> None:
    midnight = clock.now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    times = [midnight + timedelta(minutes=20 * tick) for tick in range(12)]
    done = [reconcile_due(now=now) for now in times]
    scopes = [(now.strftime("%H:%M"), each.scope) for now, each in zip(times, done, strict=True) if each]
    assert scopes == [("00:00", "full"), ("01:00", "recent"), ("02:00", "full"), ("03:00", "recent")]


def test_everything_is_tried_again_where_it_broke_off_and_the_hours_go_on(sandbox: Sandbox) -> None:
    two = clock.now().replace(hour=2, minute=0, second=0, microsecond=0) + timedelta(days=1)
    Reconciliation.objects.create(scope=Scope.FULL, began_at=two, ended_at=two, failure="Stripe did not answer")
    done = [reconcile_due(now=two + tick * HOUR) for tick in (0.5, 1, 2, 3, 4)]
    assert [each.scope if each else "" for each in done] == ["", "recent", "recent", "full", "recent"]


def test_a_page_costs_the_same_queries_however_much_is_on_it(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]
) -> None:
    payment = money_back.captured(sandbox, student, payable_coach)
    money_back.captured(sandbox, student, payable_coach, reference="booking:2")
    money_back.given_back(payment, 1_000)
    costs_the_same(intents.COMPARISON.compare, list(gateway.list_payment_intents()))
    costs_the_same(entries.comparison_at(clock.now()).compare, list(gateway.list_balance_transactions()))


def costs_the_same(compare_page: Callable[[Sequence[Any]], Iterable[Finding]], facts: Sequence[Any]) -> None:
    with CaptureQueriesContext(connection) as one:
        assert list(compare_page(facts[:1])) == []
    with CaptureQueriesContext(connection) as all_of_them:
        assert list(compare_page(facts)) == []
    assert len(facts) > 1
    assert len(all_of_them) == len(one)


def test_ids_that_were_seen_are_known_again() -> None:
    seen = SeenIds()
    seen.add(f"pi_{n}" for n in range(1000))
    assert "pi_999" in seen
    assert "pi_1000" not in seen
    seen.add(["pi_1000"])
    assert "pi_1000" in seen


# --- by hand ------------------------------------------------------------------------------------


def test_the_command_names_what_differs_and_fails(
    sandbox: Sandbox, held: Payment, capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox.advance(3_600)
    call_command("reconcile")
    assert "Our books and Stripe's agree." in capsys.readouterr().out
    sandbox.post(f"/_sandbox/objects/{held.payment_intent_id}/tamper", {"set": {"amount": 10_001}})
    with pytest.raises(CommandError, match=r"1 difference\(s\) to be looked at"):
        call_command("reconcile", "--full")
    said = capsys.readouterr().out
    assert f"Another amount: payment_intent {held.payment_intent_id}" in said
    assert "What to do: " in said
    assert "1 payment intent(s) compared" in said
