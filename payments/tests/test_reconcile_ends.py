"""Comparing with Stripe: what is said of a difference is true, and it ends when there is none any more."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.money import Money
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import gateway, ledger, lookout, services
from payments.errors import StandingStill
from payments.models import Difference, FraudWarning, LookOut, Payment, PayoutAccount, Reconciliation
from payments.reconcile import explain, open_differences, reconcile
from payments.reconcile.steps import FIRST, WITH_STRIPE
from payments.services import standstill
from payments.stripe_balance import BalanceFacts
from payments.tests import bank, bankside, money_back, stage

pytestmark = [pytest.mark.django_db]

Scope, State = Reconciliation.Scope, Difference.State
HOUR = timedelta(hours=1)


def compare(scope: Reconciliation.Scope = Scope.FULL, *, later: timedelta = HOUR) -> Reconciliation:
    done = reconcile(scope=scope, now=clock.now() + later)
    assert done.failure == ""
    return done


def found() -> list[tuple[str, str]]:
    return sorted(open_differences().values_list("code", "object_type"))


def moved(sandbox: Sandbox, amount: int, kind: str, **more: Any) -> dict[str, Any]:
    return dict(sandbox.post("/_sandbox/balance_transactions", {"amount": amount, "type": kind, **more}))


def book(made: dict[str, Any], amount: int, *, kind: str = "top_up", account: str = "bank", name: str = "") -> None:
    happened = datetime.fromtimestamp(made["created"], UTC)
    lines = [
        ledger.Line("stripe_balance", Money(amount, "usd"), made["id"], happened),
        ledger.Line(account, Money(-amount, "usd")),
    ]
    with transaction.atomic():
        ledger.post(kind=kind, reference=name or made["id"], lines=lines, now=happened)


# --- sums ---------------------------------------------------------------------------------------


def test_money_that_moves_while_we_ask_is_no_difference(
    sandbox: Sandbox, held: Payment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a run, which moves some between any two questions."""
    ask, amounts = gateway.read_balance, iter(range(100, 1_000, 100))

    def ask_after_a_transfer(account_id: str) -> BalanceFacts:
        moved(sandbox, next(amounts), "charge", source="ch_underway")
        return ask(account_id)

    monkeypatch.setattr(gateway, "read_balance", ask_after_a_transfer)
    compare(Scope.RECENT, later=timedelta(0))
    assert found() == []


def test_a_gap_that_is_open_stays_so_while_money_moves(
    sandbox: Sandbox, held: Payment, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved(sandbox, 5_000, "charge", source="ch_nobodys")
    sandbox.advance(600)
    compare(Scope.RECENT, later=timedelta(0))
    assert ("balance_differs", "balance") in found()
    ask, amounts = gateway.read_balance, iter(range(100, 1_000, 100))

    def ask_after_a_transfer(account_id: str) -> BalanceFacts:
        moved(sandbox, next(amounts), "charge", source="ch_underway")
        return ask(account_id)

    monkeypatch.setattr(gateway, "read_balance", ask_after_a_transfer)
    compare(Scope.RECENT, later=timedelta(0))
    assert ("balance_differs", "balance") in found()


def test_what_is_booked_after_it_was_explained_is_counted_once(sandbox: Sandbox, staff: User) -> None:
    made = moved(sandbox, 9_000, "charge", source="ch_nobodys")
    compare()
    explain(difference=open_differences().get(code="not_booked"), actor=staff, reason="A test.", now=clock.now())
    compare()
    assert found() == []
    book(made, 9_000)
    compare()
    assert ("balance_differs", "balance") not in found()


# --- what was put right -------------------------------------------------------------------------


def test_a_second_entry_that_is_undone_by_a_reversing_one_is_no_difference(sandbox: Sandbox) -> None:
    made = moved(sandbox, 700, "topup")
    compare()
    book(made, 700, kind="top_up_again")
    compare()
    assert ("booked_twice", "balance_transaction") in found()
    book(made, -700, kind="reversing", name="1")
    compare()
    assert found() == []


def test_an_entry_of_nothing_at_stripe_that_is_undone_is_no_difference(sandbox: Sandbox) -> None:
    nothing = {"id": "txn_nobodys", "created": int(clock.now().timestamp())}
    book(nothing, 100)
    compare()
    assert ("booked_without_stripe", "balance_transaction") in found()
    book(nothing, -100, kind="reversing", name="1")
    compare()
    assert found() == []


# --- what is not looked at ----------------------------------------------------------------------


def test_a_payment_page_that_is_nobodys_any_more_is_no_difference(
    sandbox: Sandbox, student: User, payable_coach: Coach
) -> None:
    payment = stage.write_down_payment(student, payable_coach)
    Payment.objects.filter(pk=payment.pk).update(checkout_session_id="cs_nobodys")
    compare()
    assert found() == [("orphan_with_us", "checkout_session")]
    compare()
    assert found() == [("orphan_with_us", "checkout_session")]
    Payment.objects.filter(pk=payment.pk).update(status=Payment.Status.LAPSED)
    compare()
    assert found() == []


def test_a_payout_that_we_can_not_read_any_more_is_not_taken_for_right(sandbox: Sandbox, payable_coach: Coach) -> None:
    account = PayoutAccount.objects.get()
    about = {"code": "amount_differs", "object_type": "payout", "object_id": "po_1", "coach": payable_coach}
    Difference.objects.create(**about, found_at=clock.now(), seen_at=clock.now())
    sandbox.post(f"/_sandbox/accounts/{account.stripe_account_id}/deauthorize")
    compare()
    assert found() == [("amount_differs", "payout"), ("out_of_reach", "account")]
    services.record_deauthorised(stripe_account_id=account.stripe_account_id, now=clock.now())
    compare()
    assert ("amount_differs", "payout") in found()


def test_where_nobody_can_look_whether_much_was_lost_nothing_is_recorded(
    sandbox: Sandbox, held: Payment, settings: Any
) -> None:
    settings.STRIPE_LOOK_OUT_SECONDS = 120
    LookOut.objects.update(looked_at=clock.wall() - timedelta(hours=3))
    stage.break_next(sandbox, "reset_before_effect", "/v1/transfers", method="GET", times=2)
    done = reconcile(scope=Scope.FULL, now=clock.now())
    assert done.not_compared["lost_changes"].startswith("Stripe did not answer")
    assert set(done.not_compared) == {step.name for step in (FIRST, *WITH_STRIPE)}
    assert done.compared == {}
    assert not lookout.is_standing_still()


# --- accounts -----------------------------------------------------------------------------------


def test_another_schedule_of_a_coachs_payouts_is_taken_over(sandbox: Sandbox, payable_coach: Coach) -> None:
    account = PayoutAccount.objects.get()
    form = {"settings[payouts][schedule][interval]": "daily"}
    stage.post_at_stripe(sandbox, f"/v1/accounts/{account.stripe_account_id}", form)
    compare()
    account.refresh_from_db()
    assert account.schedule_interval == "daily"
    assert list(Difference.objects.values_list("code", "state")) == [("state_differs", State.REPAIRED)]


@pytest.fixture
def custom(sandbox: Sandbox, coach: Coach, settings: Any) -> PayoutAccount:
    account = bankside.custom(sandbox, coach, settings)
    return services.refresh_payout_account(account=account, now=clock.now())


def test_banks_that_were_added_at_stripe_are_taken_over(sandbox: Sandbox, custom: PayoutAccount) -> None:
    add_bank_at_stripe(custom, 1)
    compare()
    assert custom.banks.count() == 2
    compare()
    assert list(Difference.objects.values_list("code", "state")) == [("state_differs", State.REPAIRED)]


def test_of_many_banks_none_is_taken_for_removed(sandbox: Sandbox, custom: PayoutAccount) -> None:
    for number in range(12):
        add_bank_at_stripe(custom, number)
    services.refresh_payout_account(account=custom, now=clock.now())
    banks = custom.banks.filter(removed_at=None)
    assert banks.count() == 13
    compare()
    assert not Difference.objects.exists()
    form = {"settings[payouts][schedule][interval]": "daily"}
    stage.post_at_stripe(sandbox, f"/v1/accounts/{custom.stripe_account_id}", form)
    compare()
    assert Difference.objects.get().state == State.REPAIRED
    assert banks.count() == 13


def add_bank_at_stripe(account: PayoutAccount, number: int) -> None:
    gateway.create_external_account(
        account.stripe_account_id, token="btok_us_verified", default=False, operation_id="", key=f"elsewhere-{number}"
    )


# --- warnings -----------------------------------------------------------------------------------


def test_a_fraud_warning_that_nobody_told_us_of_is_heard_of(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]
) -> None:
    payment = money_back.captured(sandbox, student, payable_coach)
    sandbox.post("/_sandbox/early_fraud_warnings", {"payment_intent": payment.payment_intent_id})
    compare()
    assert FraudWarning.objects.get().payment == payment
    assert found() == []
    compare()
    assert list(Difference.objects.values_list("code", "state")) == [("missing_here", State.REPAIRED)]


# --- what is said of it -------------------------------------------------------------------------


def test_one_that_comes_back_is_logged_again(sandbox: Sandbox, held: Payment, caplog: pytest.LogCaptureFixture) -> None:
    tamper = f"/_sandbox/objects/{held.payment_intent_id}/tamper"
    for more in (1, 0, 1):
        caplog.clear()
        sandbox.post(tamper, {"set": {"amount": held.amount + more}})
        compare()
    assert "difference_found" in caplog.text


def test_an_owner_that_was_explained_comes_back_with_the_next_one(sandbox: Sandbox, held: Payment, staff: User) -> None:
    for named in ("999991", "999992"):
        form = {"set": {"metadata.payment_id": named}}
        sandbox.post(f"/_sandbox/objects/{held.payment_intent_id}/tamper", form)
        compare()
        difference = open_differences().get(code="owner_differs")
        assert difference.stripes["payment"] == named
        explain(difference=difference, actor=staff, reason="A test in the dashboard.", now=clock.now())
        compare()
        assert found() == []


def test_a_state_of_a_refund_that_nobody_knows_is_named(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]
) -> None:
    payment = money_back.captured(sandbox, student, payable_coach)
    bank.days_later(sandbox, 5)
    refund = money_back.given_back(payment, 2_000)
    form = {"set": {"status": "held_by_the_bank"}}
    sandbox.post(f"/_sandbox/objects/{refund.stripe_refund_id}/tamper", form)
    compare()
    assert found() == [("state_differs", "refund")]
    refund.refresh_from_db()
    assert refund.status == refund.Status.SUCCEEDED


# --- standing still -----------------------------------------------------------------------------


def test_nothing_is_set_up_at_stripe_while_we_stand_still(sandbox: Sandbox) -> None:
    standstill.begin(reason="The key is rolled.", actor=None, now=clock.now())
    with pytest.raises(CommandError, match="Nothing is sent to Stripe"):
        call_command("stripe_setup", stdout=StringIO())
    assert stage.calls(sandbox, "/v1/webhook_endpoints", "POST") == []
    assert stage.calls(sandbox, "/v1/accounts", "POST") == []


@pytest.mark.parametrize("told_all", [False, True])
def test_no_page_at_stripe_is_opened_while_we_stand_still(
    told_all: bool, sandbox: Sandbox, payable_coach: Coach
) -> None:
    PayoutAccount.objects.update(details_submitted=told_all)
    standstill.begin(reason="The key is rolled.", actor=None, now=clock.now())
    before = len(stage.calls(sandbox, "/v1/account"))
    with pytest.raises(StandingStill):
        services.details_link(
            account=PayoutAccount.objects.get(),
            return_url="http://testserver/back/",
            refresh_url="http://testserver/again/",
            now=clock.now(),
        )
    assert len(stage.calls(sandbox, "/v1/account")) == before
