"""A coach asks for their balance now: once, at most what is there, and where the operator allows it."""

import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as configured

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.errors import DomainError
from marketplace.lib.money import Money
from marketplace.tests.factories import CoachFactory
from marketplace.tests.sandbox import Sandbox
from payments import gateway, operations, services
from payments.models import Operation, Payout, PayoutAccount
from payments.tests import bankside, reports, stage
from payments.tests.bankside import PAYOUTS

pytestmark = pytest.mark.django_db

Status = Payout.Status
INSTANT = Payout.Method.INSTANT


@pytest.fixture
def account(sandbox: Sandbox, coach: Coach, settings: Any) -> PayoutAccount:
    """With a bank account, and 500.00 USD in the balance at Stripe."""
    made = bankside.custom(sandbox, coach, settings)
    bankside.fund(sandbox, made)
    return made


def made(sandbox: Sandbox, account: PayoutAccount) -> list[int]:
    return [payout["amount"] for payout in bankside.at_stripe(sandbox, account)]


def test_what_is_asked_for_is_on_its_way(sandbox: Sandbox, account: PayoutAccount) -> None:
    payout = bankside.ask(account)
    assert (payout.status, payout.money, payout.method) == (Status.PENDING, Money(20_000, "usd"), "standard")
    assert (payout.account, payout.requested_by) == (account, account.coach.user)
    assert (payout.automatic, payout.bank_last4) == (False, account.banks.get().last4)
    (call,) = stage.calls(sandbox, PAYOUTS)
    assert call["account"] == account.stripe_account_id
    assert call["params"]["metadata"]["payout_id"] == str(payout.pk)
    assert made(sandbox, account) == [20_000]


def test_all_of_the_balance_can_be_asked_for_and_not_a_cent_more(sandbox: Sandbox, account: PayoutAccount) -> None:
    with pytest.raises(services.BalanceTooLow, match=r"\$500\.00"):
        bankside.ask(account, 50_001)
    assert made(sandbox, account) == []
    assert bankside.ask(account, 50_000).status == Status.PENDING


@pytest.mark.parametrize("amount", [0, -1, -50_000])
def test_nothing_and_less_are_no_amounts(amount: int, sandbox: Sandbox, account: PayoutAccount) -> None:
    with pytest.raises(services.PayoutAmountWrong):
        bankside.ask(account, amount)
    assert not Payout.objects.exists()
    assert stage.calls(sandbox, PAYOUTS) == []


@pytest.mark.parametrize(("currency", "amount"), [("huf", 150), ("twd", 99), ("kwd", 1_001), ("isk", 50)])
def test_an_amount_that_is_too_fine_is_refused(currency: str, amount: int, account: PayoutAccount) -> None:
    with pytest.raises(services.PayoutAmountWrong, match="multiple"):
        bankside.ask(account, amount, currency=currency)


def test_a_currency_that_the_account_does_not_hold_is_refused(sandbox: Sandbox, account: PayoutAccount) -> None:
    with pytest.raises(services.BalanceTooLow):
        bankside.ask(account, 1_000, currency="eur")
    bankside.fund(sandbox, account, 5_000, "eur")
    with pytest.raises(services.NoBankForCurrency, match="EUR"):
        bankside.ask(account, 1_000, currency="eur")
    assert stage.calls(sandbox, PAYOUTS) == []


# --- where it is allowed ------------------------------------------------------------------------


def test_where_the_operator_does_not_allow_it_nothing_is_asked(
    sandbox: Sandbox, account: PayoutAccount, settings: Any
) -> None:
    settings.PAYOUT_NOW = "no"
    for method in Payout.Method:
        with pytest.raises(services.PayoutNotAllowed):
            bankside.ask(account, method=method)
    assert stage.calls(sandbox, PAYOUTS) == []


def test_within_minutes_only_where_that_is_allowed_too(sandbox: Sandbox, account: PayoutAccount, settings: Any) -> None:
    bankside.add_bank(account.coach, "tok_visa_debit")
    with pytest.raises(services.PayoutNotAllowed, match="standard"):
        bankside.ask(account, method=INSTANT)
    settings.PAYOUT_NOW = "instant"
    assert bankside.ask(account, method=INSTANT).method == INSTANT
    assert bankside.ask(account, method=Payout.Method.STANDARD).method == "standard"


def test_within_minutes_it_goes_to_the_debit_card(sandbox: Sandbox, account: PayoutAccount, settings: Any) -> None:
    settings.PAYOUT_NOW = "instant"
    bank = account.banks.get()
    card = bankside.add_bank(account.coach, "tok_visa_debit")
    services.make_default(coach=account.coach, bank=bank, now=clock.now())
    assert bankside.ask(account, method=INSTANT).bank_last4 == card.last4
    assert bankside.ask(account).bank_last4 == bank.last4


def test_a_bank_that_can_not_do_it_within_minutes_is_said_with_the_way_out(
    sandbox: Sandbox, account: PayoutAccount, settings: Any
) -> None:
    settings.PAYOUT_NOW = "instant"
    with pytest.raises(services.PayoutRefused, match="standard payout"):
        bankside.ask(account, method=INSTANT)
    payout = Payout.objects.get()
    assert (payout.status, payout.failure_code) == (Status.REFUSED, "instant_payouts_unsupported")
    assert made(sandbox, account) == []


def test_an_account_that_stripe_has_paused_is_told_so(sandbox: Sandbox, account: PayoutAccount) -> None:
    PayoutAccount.objects.update(payouts_enabled=False)
    account.refresh_from_db()
    with pytest.raises(services.PayoutNotAllowed, match="paused"):
        bankside.ask(account)
    assert stage.calls(sandbox, PAYOUTS) == []


def test_that_stripe_has_paused_it_and_nobody_has_told_us_is_said_too(sandbox: Sandbox, account: PayoutAccount) -> None:
    sandbox.post(f"/_sandbox/accounts/{account.stripe_account_id}/onboard", {"outcome": "rejected"})
    with pytest.raises(services.PayoutRefused, match="paused"):
        bankside.ask(account)


def test_a_bank_that_sent_money_back_gets_no_more(sandbox: Sandbox, account: PayoutAccount) -> None:
    bankside.add_bank(account.coach, bankside.FAILING)
    bankside.ask(account, 1_000)
    sandbox.advance(2 * bankside.DAY)
    with pytest.raises(services.PayoutRefused, match="Add another bank account"):
        bankside.ask(account, 2_000)
    assert made(sandbox, account) == [1_000]


def test_an_account_that_has_left_us_is_not_asked(sandbox: Sandbox, account: PayoutAccount) -> None:
    services.record_deauthorised(stripe_account_id=account.stripe_account_id, now=clock.now())
    account.refresh_from_db()
    with pytest.raises(services.AccountGone):
        bankside.ask(account)


def test_one_that_leaves_while_the_answer_is_lost_is_not_asked_for_ever(
    sandbox: Sandbox, account: PayoutAccount
) -> None:
    stage.break_next(sandbox, "reset_before_effect", PAYOUTS)
    assert bankside.ask(account).status == Status.REQUESTED
    sandbox.post(f"/_sandbox/accounts/{account.stripe_account_id}/deauthorize")
    bankside.sweep(timedelta(minutes=2))
    assert Operation.objects.get(kind="payout").state == Operation.State.FAILED
    assert Payout.objects.get().status == Status.REFUSED


# --- once ---------------------------------------------------------------------------------------


def test_a_second_click_is_the_same_payout(sandbox: Sandbox, account: PayoutAccount) -> None:
    assert bankside.ask(account) == bankside.ask(account)
    assert made(sandbox, account) == [20_000]


def test_a_minute_later_it_is_another_one(sandbox: Sandbox, account: PayoutAccount) -> None:
    first = bankside.ask(account)
    sandbox.advance(61)
    assert bankside.ask(account) != first
    assert made(sandbox, account) == [20_000, 20_000]


def test_one_that_came_back_at_once_is_not_the_next_one(sandbox: Sandbox, coach: Coach, account: PayoutAccount) -> None:
    first = bankside.ask(account)
    sandbox.post(f"/_sandbox/payouts/{first.stripe_payout_id}/fail", {"failure_code": "no_account"})
    services.refresh_payout(payout=first, now=clock.now())
    bankside.add_bank(coach)
    second = bankside.ask(account)
    assert second.pk != first.pk
    assert (second.status, made(sandbox, account)) == (Status.PENDING, [20_000, 20_000])


def test_one_that_was_made_at_stripe_and_is_heard_of_just_now_is_no_click(
    sandbox: Sandbox, account: PayoutAccount
) -> None:
    elsewhere = bankside.make_at_stripe(sandbox, account)
    payout = bankside.ask(account)
    assert payout.stripe_payout_id != elsewhere
    assert made(sandbox, account) == [20_000, 20_000]


def test_an_answer_that_comes_late_does_not_make_a_new_wish_an_old_click(
    sandbox: Sandbox, account: PayoutAccount
) -> None:
    stage.break_next(sandbox, "reset_after_effect", PAYOUTS)
    first = bankside.ask(account)
    assert first.status == Status.REQUESTED
    sandbox.advance(300)
    bankside.sweep()
    second = bankside.ask(account)
    assert second.pk != first.pk
    assert made(sandbox, account) == [20_000, 20_000]


def test_what_was_refused_can_be_asked_for_again_at_once(sandbox: Sandbox, account: PayoutAccount) -> None:
    body = {"error": {"type": "invalid_request_error", "code": "amount_too_small", "message": "No."}}
    stage.break_next(sandbox, "respond", PAYOUTS, status=400, body=body)
    with pytest.raises(services.PayoutRefused, match="so little"):
        bankside.ask(account)
    assert bankside.ask(account).status == Status.PENDING
    assert made(sandbox, account) == [20_000]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("amount", [20_000, 50_000])
def test_clicks_at_once_make_one_payout(amount: int, sandbox: Sandbox, account: PayoutAccount) -> None:
    stage.break_next(sandbox, "delay_before", PAYOUTS, delay_ms=300)
    payouts: list[int] = []
    stage.at_once([lambda: payouts.append(bankside.ask(account, amount).pk)] * 4)
    bankside.sweep(timedelta(minutes=2))
    assert len(set(payouts)) == 1
    assert made(sandbox, account) == [amount]


@pytest.mark.django_db(transaction=True)
def test_of_two_amounts_at_once_one_waits(sandbox: Sandbox, account: PayoutAccount) -> None:
    stage.break_next(sandbox, "delay_before", PAYOUTS, delay_ms=60_000)
    refused: list[str] = []

    def click(amount: int) -> Callable[[], None]:
        def act() -> None:
            try:
                bankside.ask(account, amount)
            except DomainError as error:
                refused.append(error.code)

        return act

    stage.at_once(
        [click(30_000), click(40_000), lambda: stage.let_go(sandbox, when=lambda: refused and stage.hits(sandbox))]
    )
    assert refused == ["payout_under_way"]
    assert len(made(sandbox, account)) == 1


# --- lost answers -------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["reset_after_effect", "reset_before_effect", "truncate_body", "lock_timeout"])
def test_a_lost_answer_makes_one_payout(fault: str, sandbox: Sandbox, account: PayoutAccount) -> None:
    stage.break_next(sandbox, fault, PAYOUTS)
    payout = bankside.ask(account)
    assert payout.status == Status.REQUESTED
    bankside.sweep(timedelta(minutes=2))
    payout.refresh_from_db()
    assert payout.status == Status.PENDING
    assert made(sandbox, account) == [20_000]


def test_when_the_key_is_forgotten_it_is_looked_for_before_it_is_made_again(
    sandbox: Sandbox, account: PayoutAccount
) -> None:
    stage.break_next(sandbox, "reset_after_effect", PAYOUTS)
    payout = bankside.ask(account)
    sandbox.post("/_sandbox/idempotency/prune")
    bankside.sweep(timedelta(hours=21))
    payout.refresh_from_db()
    assert payout.status == Status.PENDING
    assert made(sandbox, account) == [20_000]


def test_the_event_may_come_before_our_own_answer(sandbox: Sandbox, account: PayoutAccount) -> None:
    stage.break_next(sandbox, "reset_after_effect", PAYOUTS)
    payout = bankside.ask(account)
    bankside.hear(sandbox, "payout.created")
    payout.refresh_from_db()
    assert (payout.status, Payout.objects.count()) == (Status.PENDING, 1)
    bankside.sweep(timedelta(minutes=2))
    assert Operation.objects.get(kind="payout").result_id == payout.stripe_payout_id
    assert Payout.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_answer_and_events_at_the_same_moment_are_one_payout(sandbox: Sandbox, account: PayoutAccount) -> None:
    stage.break_next(sandbox, "delay_after", PAYOUTS, delay_ms=500)

    def hear() -> None:
        told: list[Any] = []
        while not told:
            told = reports.events(sandbox, "payout.created")
        reports.deliver_and_work(told)

    stage.at_once([lambda: bankside.ask(account), hear, hear])
    assert Payout.objects.get().status == Status.PENDING
    assert Operation.objects.get(kind="payout").state == Operation.State.DONE


KILLED = """
import os, signal, uuid
import django
django.setup()
from marketplace import clock
from payments import gateway, operations

send = gateway.create_payout

def send_and_die(**call):
    send(**call)
    os.kill(os.getpid(), signal.SIGKILL)

gateway.create_payout = send_and_die
operations.run_operation(uuid.UUID("{operation}"), now=clock.now())
"""


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_between_sending_and_recording_pays_out_once(
    sandbox: Sandbox, account: PayoutAccount, subprocess_env: dict[str, str]
) -> None:
    stage.break_next(sandbox, "reset_before_effect", PAYOUTS)
    payout = bankside.ask(account)
    script = KILLED.format(operation=payout.operations.get().pk)
    died = subprocess.run(
        [sys.executable, "-c", script], env=subprocess_env, cwd=configured.BASE_DIR, check=False, timeout=300
    )
    assert died.returncode == -signal.SIGKILL
    assert made(sandbox, account) == [20_000]
    Operation.objects.update(lease_until=clock.wall() - timedelta(seconds=1))
    operations.sweep(now=clock.now() + timedelta(minutes=2))
    payout.refresh_from_db()
    assert payout.status == Status.PENDING
    assert made(sandbox, account) == [20_000]


def test_the_coach_of_another_account_gets_nothing_of_it(sandbox: Sandbox, account: PayoutAccount) -> None:
    other = stage.onboard(sandbox, CoachFactory.create())
    with pytest.raises(services.BalanceTooLow):
        bankside.ask(other)
    assert made(sandbox, account) == []


def test_while_stripe_does_not_answer_nothing_is_asked_for(sandbox: Sandbox, account: PayoutAccount) -> None:
    stage.break_next(sandbox, "refuse", "/v1/balance", method="GET", times=0)
    with pytest.raises(services.PayoutsUnavailable):
        bankside.ask(account)
    assert not Payout.objects.exists()


def test_what_was_taken_for_refused_and_is_there_after_all_is_as_stripe_says(
    sandbox: Sandbox, account: PayoutAccount
) -> None:
    """The account left us while the answer was lost, and is with us again."""
    stage.break_next(sandbox, "reset_after_effect", PAYOUTS)
    payout = bankside.ask(account)
    facts = next(gateway.list_payouts(account_id=account.stripe_account_id))
    sandbox.post(f"/_sandbox/accounts/{account.stripe_account_id}/deauthorize")
    bankside.sweep(timedelta(minutes=2))
    payout.refresh_from_db()
    assert payout.status == Status.REFUSED
    services.record_payout(facts=facts, account=account, now=clock.now())
    payout.refresh_from_db()
    assert (payout.status, payout.failure_code) == (Status.PENDING, "")
    assert payout.stripe_payout_id == facts.id
