"""What the tests of refunds share: money that is taken, paid on, given back, and counted on both sides."""

from datetime import timedelta
from typing import Any

import requests
from django.conf import settings
from django.db import transaction

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.money import Money
from marketplace.lib.months import month_of
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import ledger, operations, payouts, services, statements
from payments.models import Earning, LedgerEntry, LedgerTransaction, Payment, PayoutAccount, PayoutRun, Refund
from payments.statements import Kind
from payments.stripe_objects import read_balance_transaction
from payments.tests import payday, stage

FUNDS = 20_000


def captured(sandbox: Sandbox, student: User, coach: Coach, *, mode: str = "monthly", **facts: Any) -> Payment:
    """The whole price is taken from the student. The coach is onboarded, and the platform has means of its own."""
    fund(sandbox, facts.get("price", stage.HUNDRED_DOLLARS).currency)
    PayoutAccount.objects.filter(coach=coach).update(settlement_mode=mode)
    payment = stage.hold(sandbox, student, coach, **facts)
    stage.request_capture(payment, clock.now())
    sweep()
    payment.refresh_from_db()
    assert payment.status == Payment.Status.CAPTURED
    return payment


def fund(sandbox: Sandbox, currency: str) -> None:
    """The platform has put 200.00 on its balance: Stripe's fee is never returned, so it pays for each refund."""
    if LedgerTransaction.objects.filter(kind="top_up").exists():
        return
    payday.fund(sandbox, FUNDS, currency)
    made = read_balance_transaction(stage.at_stripe(sandbox, "/v1/balance_transactions?limit=1")["data"][0])
    lines = [
        ledger.Line(ledger.STRIPE_BALANCE, Money(FUNDS, currency), made.id, made.created),
        ledger.Line("bank", Money(-FUNDS, currency)),
    ]
    with transaction.atomic():
        ledger.post(kind="top_up", reference=made.id, lines=lines, now=clock.now())


def give_back(payment: Payment, amount: int, **facts: Any) -> Refund:
    facts = {"reason": Refund.Reason.STUDENT_ASKED, "actor": None, "now": clock.now(), **facts}
    refund = services.request_refund(payment=payment, amount=Money(amount, payment.currency), **facts)
    assert refund is not None
    return refund


def given_back(payment: Payment, amount: int, **facts: Any) -> Refund:
    """Asked of Stripe, and all that follows from it."""
    refund = give_back(payment, amount, **facts)
    sweep()
    refund.refresh_from_db()
    return refund


def sweep(later: timedelta = timedelta(minutes=10)) -> None:
    """All that is open at Stripe, and what comes of it."""
    for _ in range(3):
        operations.sweep(now=clock.now() + later)


def pay_month(sandbox: Sandbox) -> PayoutRun:
    """The run that pays what is released by now: the clock is moved to the next month."""
    released = Earning.objects.latest("release_at").release_at
    end = payouts.end_of(max(released, clock.now()).strftime("%Y-%m"))
    sandbox.advance(int((end - sandbox.now()).total_seconds()) + 5)
    run = payouts.run_due(clock.now())
    assert run is not None
    return run


def at_coach(sandbox: Sandbox, coach: Coach, currency: str) -> int:
    """All that came to the coach's account and stayed theirs, whether their bank has it by now or not."""
    headers = {"Stripe-Account": PayoutAccount.objects.get(coach=coach).stripe_account_id}
    rows = requests.get(
        f"{sandbox.url}/v1/balance_transactions",
        {"limit": 100},
        auth=(settings.STRIPE_SECRET_KEY, ""),
        headers=headers,
        timeout=30,
    ).json()["data"]
    return sum(row["net"] for row in rows if row["currency"] == currency and row["type"] != "payout")


def refunds_at_stripe(sandbox: Sandbox, payment: Payment) -> list[int]:
    rows = stage.at_stripe(sandbox, f"/v1/refunds?payment_intent={payment.payment_intent_id}&limit=100")["data"]
    return [row["amount"] for row in rows if row["status"] not in ("failed", "canceled")]


def made_at_stripe(sandbox: Sandbox, payment: Payment, amount: int) -> str:
    """Somebody refunds it in Stripe's dashboard."""
    form = {"payment_intent": payment.payment_intent_id, "amount": amount}
    return str(stage.post_at_stripe(sandbox, "/v1/refunds", form)["id"])


def come_back(sandbox: Sandbox, refund: Refund) -> Refund:
    """The student's bank has sent it back, and we know of it."""
    sandbox.post(f"/_sandbox/refunds/{refund.stripe_refund_id}/fail", {"failure_reason": "expired_or_canceled_card"})
    services.refresh_refund(refund=refund, now=clock.now())
    refund.refresh_from_db()
    return refund


def empty_account(sandbox: Sandbox, coach: Coach, amount: int, currency: str = "usd") -> None:
    """The coach has spent it."""
    account = PayoutAccount.objects.get(coach=coach).stripe_account_id
    sandbox.post("/_sandbox/balance", {"account": account, "amount": -amount, "currency": currency})


def books(account: str, currency: str = "usd") -> int:
    return ledger.balance(account, currency).amount


def assert_agreed(sandbox: Sandbox, currency: str = "usd") -> None:
    """The books are good, each balance transaction of the platform is in them once, and so the balances are equal.

    What concerns coaches is told to them by its name.
    """
    assert ledger.check() == []
    balance = stage.at_stripe(sandbox, "/v1/balance")
    theirs = sum(
        part["amount"] for kind in ("available", "pending") for part in balance[kind] if part["currency"] == currency
    )
    assert books(ledger.STRIPE_BALANCE, currency) == theirs
    rows = stage.at_stripe(sandbox, "/v1/balance_transactions?limit=100")["data"]
    booked = LedgerEntry.objects.filter(account__code=ledger.STRIPE_BALANCE)
    assert sorted(booked.values_list("balance_transaction_id", "amount")) == sorted((r["id"], r["net"]) for r in rows)
    month = month_of(clock.now())
    for coach_id in set(Payment.objects.values_list("coach_id", flat=True)):
        told = statements.coach_month(coach_id=coach_id, month=month, currency=currency)
        assert Kind.ADJUSTMENT not in {line.kind for line in told.lines}
