"""With every event lost, and no poller running, comparing alone brings all to the state that the events bring it to."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from coaches.models import Coach
from marketplace import clock
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import ledger, operations
from payments.models import (
    Difference,
    Dispute,
    Earning,
    LedgerEntry,
    Payment,
    Payout,
    PayoutAccount,
    PayoutLine,
    Reconciliation,
    Refund,
    Reversal,
    Transfer,
)
from payments.reconcile import reconcile
from payments.tests import bank, money_back, reports, stage

pytestmark = [pytest.mark.django_db, pytest.mark.faults]

Hear = Callable[[], None]


THOROUGH = [pytest.param(way, marks=pytest.mark.thorough) for way in ("events", "recent")]


@pytest.fixture(params=["full", *THOROUGH])
def hear(request: pytest.FixtureRequest, sandbox: Sandbox) -> Hear:
    """By each of the three ways; what is under way with us is old enough to be waited for no longer."""
    delivered: set[str] = set()

    def by_events() -> None:
        new = [event for event in reports.events(sandbox) if event["id"] not in delivered]
        delivered.update(event["id"] for event in new)
        reports.deliver_and_work(new)

    def by_comparing() -> None:
        now = clock.now() + timedelta(hours=2)
        assert reconcile(scope=Reconciliation.Scope(request.param), now=now).failure == ""

    return by_events if request.param == "events" else by_comparing


def state(coach: Coach) -> dict[str, Any]:
    """All that money is about, without ids and times."""
    entries = LedgerEntry.objects.order_by("transaction__kind", "account__code", "amount")
    return {
        "payments": rows(Payment, "status", "captured_amount", "refunded_amount", "taken_back_amount"),
        "refunds": rows(Refund, "status", "amount", "reason"),
        "disputes": rows(Dispute, "status", "amount", "closed_at?", "reinstated_at?"),
        "transfers": rows(Transfer, "amount", "reversed_amount"),
        "reversals": rows(Reversal, "status", "amount"),
        "earnings": rows(Earning, "kind", "amount", "frozen", "line?"),
        "lines": rows(PayoutLine, "status", "amount"),
        "payouts": rows(Payout, "status", "amount", "account?"),
        "account": rows(PayoutAccount, "transfers_active", "payouts_enabled"),
        "books": [
            (kind, code.replace(f":{coach.pk}", ""), amount)
            for kind, code, amount in entries.values_list("transaction__kind", "account__code", "amount")
            if kind != "top_up"
        ],
    }


def rows(model: Any, *fields: str) -> list[Any]:
    """A field with a question mark: whether it is there."""
    names = [field.removesuffix("?") for field in fields]
    found = model.objects.values_list(*names)
    asked = [field.endswith("?") for field in fields]
    return sorted(
        (tuple(value is not None if ask else value for value, ask in zip(row, asked, strict=True)) for row in found),
        key=str,
    )


def agreed(sandbox: Sandbox) -> None:
    assert ledger.check() == []
    money_back.assert_agreed(sandbox)
    assert list(Difference.objects.filter(state="open").values_list("code", "object_type", "ours", "stripes")) == []


def lose_answer(sandbox: Sandbox, path: str) -> None:
    stage.break_next(sandbox, "reset_after_effect", path)


@pytest.mark.parametrize("mode", ["monthly", "per_session"])
def test_a_hold_and_its_capture(
    mode: str, sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any], hear: Hear
) -> None:
    money_back.fund(sandbox, "usd")
    PayoutAccount.objects.update(settlement_mode=mode)
    payment = stage.open_page(student, payable_coach)
    stage.pay(sandbox, payment)
    hear()
    payment.refresh_from_db()
    assert payment.status == Payment.Status.HELD
    stage.request_capture(payment, clock.now())
    lose_answer(sandbox, "/v1/payment_intents/*/capture")
    operations.sweep(now=clock.now())
    hear()
    found = state(payable_coach)
    assert found["payments"] == [("captured", 10_000, 0, 0)]
    assert found["earnings"] == ([("share", 8_000, False, False)] if mode == "monthly" else [])
    assert found["transfers"] == ([] if mode == "monthly" else [(10_000, 2_000)])
    agreed(sandbox)


def test_refunds_made_at_stripe_and_those_that_fail(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any], hear: Hear
) -> None:
    payment = money_back.captured(sandbox, student, payable_coach)
    bank.days_later(sandbox, 5)
    money_back.made_at_stripe(sandbox, payment, 2_000)
    failing = money_back.made_at_stripe(sandbox, payment, 1_000)
    money_back.give_back(payment, 500)
    hear()
    sandbox.post(f"/_sandbox/refunds/{failing}/fail", {})
    lose_answer(sandbox, "/v1/refunds")
    operations.sweep(now=clock.now() + timedelta(minutes=1))
    hear()
    found = state(payable_coach)
    assert found["refunds"] == [
        ("failed", 1_000, "at_stripe"),
        ("succeeded", 2_000, "at_stripe"),
        ("succeeded", 500, "student_asked"),
    ]
    assert found["payments"] == [("captured", 10_000, 3_500, 2_800)]
    agreed(sandbox)


@pytest.mark.parametrize("outcome", ["won", "lost"])
def test_a_dispute_to_its_end(
    outcome: str, sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any], hear: Hear
) -> None:
    payment = money_back.captured(sandbox, student, payable_coach)
    dispute = bank.open_at_stripe(sandbox, payment)
    hear()
    assert state(payable_coach)["disputes"] == [("needs_response", 10_000, False, False)]
    form = {"evidence[uncategorized_text]": "They were there.", "submit": "true"}
    stage.post_at_stripe(sandbox, f"/v1/disputes/{dispute}", form)
    sandbox.post(f"/_sandbox/disputes/{dispute}/resolve", {"outcome": outcome})
    hear()
    found = state(payable_coach)
    assert found["disputes"] == [(outcome, 10_000, True, outcome == "won")]
    assert money_back.books("disputes_held") == 0
    agreed(sandbox)


def test_a_transfer_and_what_is_fetched_back_of_it(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any], hear: Hear
) -> None:
    money_back.captured(sandbox, student, payable_coach)
    bank.days_later(sandbox, 5)
    lose_answer(sandbox, "/v1/transfers")
    money_back.pay_month(sandbox)
    assert state(payable_coach)["transfers"] == []
    hear()
    found = state(payable_coach)
    assert (found["lines"], found["transfers"]) == ([("paid", 8_000)], [(8_000, 0)])
    transfer = Transfer.objects.get().stripe_transfer_id
    stage.post_at_stripe(sandbox, f"/v1/transfers/{transfer}/reversals", {"amount": 3_000})
    hear()
    found = state(payable_coach)
    assert (found["transfers"], found["reversals"]) == ([(8_000, 3_000)], [("at_stripe", 3_000)])
    agreed(sandbox)


def test_payouts_of_the_platform_and_of_a_coach(
    sandbox: Sandbox, payable_coach: Coach, hear: Hear, request: pytest.FixtureRequest
) -> None:
    money_back.fund(sandbox, "usd")
    platforms = stage.post_at_stripe(sandbox, "/v1/payouts", {"amount": 1_500, "currency": "usd"})["id"]
    hear()
    assert state(payable_coach)["payouts"] == [("pending", 1_500, False)]
    sandbox.post(f"/_sandbox/payouts/{platforms}/fail", {"failure_code": "account_closed"})
    hear()
    assert state(payable_coach)["payouts"] == [("failed", 1_500, False)]
    assert money_back.books("bank") == -money_back.FUNDS
    agreed(sandbox)


def test_an_account_that_is_restricted(sandbox: Sandbox, payable_coach: Coach, hear: Hear) -> None:
    account = PayoutAccount.objects.get()
    assert state(payable_coach)["account"] == [(True, True)]
    sandbox.post(f"/_sandbox/accounts/{account.stripe_account_id}/restrict")
    hear()
    account.refresh_from_db()
    theirs = stage.at_stripe(sandbox, f"/v1/accounts/{account.stripe_account_id}")
    assert (account.payouts_enabled, account.disabled_reason) == (
        theirs["payouts_enabled"],
        theirs["requirements"]["disabled_reason"] or "",
    )
    assert account.payouts_enabled is False
