"""What the tests of a restored backup share: a day of money that is lost, and all that is compared afterwards."""

from datetime import timedelta
from typing import Any

from django.db.models import QuerySet

from bookings import tasks as bookings_tasks
from coaches.models import Coach
from marketplace import clock
from marketplace.lib.money import Money
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import operations, reconcile, tasks
from payments.models import (
    Dispute,
    Earning,
    LedgerTransaction,
    Operation,
    Payment,
    PayoutAccount,
    PayoutLine,
    PayoutRun,
    Reconciliation,
    Refund,
    Reversal,
    Transfer,
)
from payments.services import standstill
from payments.tests import bank, holding, money_back, stage

# What makes no object of its own at Stripe, and so bears no mark there.
CALLS = "capture", "release", "evidence", "close_dispute", "remove_card"

# --- what is compared ---------------------------------------------------------------------------


def state() -> dict[str, list[Any]]:
    """All that is about money, by what names it at Stripe, and without our own numbers and clocks."""
    fields = "status", "captured_amount", "refunded_amount", "taken_back_amount", "returned_fee_amount"
    return {
        "payments": rows(Payment, "reference", "payment_intent_id", "charge_id", *fields),
        "refunds": rows(
            Refund, "stripe_refund_id", "status", "amount", "coach_part", "fee_part", "loss_part", "bearer", "reason"
        ),
        "reversals": rows(Reversal, "stripe_reversal_id", "transfer__stripe_transfer_id", "status", "amount"),
        "transfers": rows(Transfer, "stripe_transfer_id", "amount", "reversed_amount", "line__run__month"),
        "runs": rows(PayoutRun, "month", "status"),
        "lines": rows(PayoutLine, "run__month", "coach", "amount", "currency", "status"),
        "earnings": rows(
            Earning, "payment__reference", "kind", "amount", "frozen", "line__run__month",
            "reversal__stripe_reversal_id",
        ),
        "disputes": rows(Dispute, "stripe_dispute_id", "status", "amount", "charged_to"),
        "accounts": rows(PayoutAccount, "stripe_account_id", "coach"),
        "books": sorted(map(booked, LedgerTransaction.objects.prefetch_related("entries__account"))),
        "operations": rows(
            Operation.objects.filter(kind__in=("refund", "transfer", "reversal"), state=Operation.State.DONE),
            "kind", "pk", "result_id",
        ),
        "calls": rows(Operation.objects.filter(kind__in=CALLS, state=Operation.State.DONE), "kind", "pk"),
    }  # fmt: skip


def rows(of: Any, *fields: str) -> list[Any]:
    found = of if isinstance(of, QuerySet) else of.objects
    return sorted(found.values_list(*fields), key=repr)


def booked(fact: LedgerTransaction) -> tuple[Any, ...]:
    entries = [(each.account.code, each.amount, each.balance_transaction_id) for each in fact.entries.all()]
    at_stripe = any(entry[2] for entry in entries)
    # What Stripe has no part in is named by our own numbers.
    return fact.kind, fact.reference if at_stripe else "", str(fact.occurred_at) if at_stripe else "", sorted(entries)


def sent(sandbox: Sandbox) -> list[tuple[str, int]]:
    """Everything that was asked of Stripe and changes anything."""
    return [(row["path"], row["effect"]) for row in stage.calls(sandbox, "/v1/")]


# --- a day of money -----------------------------------------------------------------------------


def what_there_is(sandbox: Sandbox, student: User, coach: Coach) -> dict[str, Payment]:
    """When the backup is taken."""

    def held(number: int) -> Payment:
        return stage.hold(sandbox, student, coach, reference=f"booking:{number}")

    def per_session(number: int) -> Payment:
        account = PayoutAccount.objects.filter(coach=coach)
        account.update(settlement_mode="per_session")
        payment = held(number)
        account.update(settlement_mode="monthly")
        return payment

    money_back.fund(sandbox, "usd")
    return {
        "to refund": money_back.captured(sandbox, student, coach, reference="booking:1"),
        "to dispute": money_back.captured(sandbox, student, coach, reference="booking:2"),
        "to capture": held(3),
        "to take a part of": held(4),
        "to release": held(5),
        "to hold": stage.save_card(sandbox, student, coach, reference="booking:6"),
        "to capture for the coach": per_session(8),
        "refunded by us": money_back.captured(sandbox, student, coach, reference="booking:7"),
    }


def live_a_day(sandbox: Sandbox, payments: dict[str, Payment]) -> None:
    now = clock.now()
    stage.request_capture(payments["to capture"], now)
    stage.request_capture(payments["to take a part of"], now, amount=Money(5_000, "usd"))
    stage.request_release(payments["to release"], now)
    stage.request_capture(payments["to capture for the coach"], now)
    money_back.sweep()
    sandbox.advance(60)
    give_back_of_ours(payments)
    money_back.sweep()
    money_back.pay_month(sandbox)
    sandbox.advance(60)
    holding.asked(payments["to hold"])
    ask_for_refund(payments)
    money_back.sweep()
    sandbox.advance(60)
    bank.disputed(sandbox, payments["to dispute"])
    money_back.sweep()
    sandbox.advance(60)


def ask_for_refund(payments: dict[str, Payment]) -> None:
    money_back.give_back(payments["to refund"], 3_000)
    money_back.give_back(payments["to capture for the coach"], 4_000)


def give_back_of_ours(payments: dict[str, Payment]) -> None:
    money_back.give_back(payments["refunded by us"], 2_000, bearer=Refund.Bearer.PLATFORM)


def all_timers() -> None:
    """As beat has them, at once and for some minutes."""
    for _ in range(3):
        tasks.run_due_payouts()
        tasks.sweep_operations()
        tasks.sweep_events()
        tasks.poll_open_payments()
        tasks.poll_refunds()
        tasks.find_refunds_at_stripe()
        tasks.poll_disputes()
        tasks.find_disputes_at_stripe()
        tasks.close_overdue_pages()
        tasks.poll_payout_accounts()
        bookings_tasks.run_due_transitions()
        tasks.look_out()
        operations.sweep(now=clock.now() + timedelta(minutes=10))


def compare() -> Reconciliation:
    done = reconcile.reconcile(scope=Reconciliation.Scope.FULL, now=clock.now())
    assert done.failure == ""
    return done


def go_on() -> None:
    standstill.end(reason="All of it is taken over.", actor=None, now=clock.now())
