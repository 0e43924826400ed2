"""Whatever happens to payouts and banks, and however little of it we are told: in the end all is as Stripe has it."""

import random
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
import requests

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.errors import DomainError
from marketplace.lib.money import Money
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import gateway, operations, payout_pollers, services
from payments.models import Operation, Payout, PayoutAccount
from payments.services import platform_payout
from payments.tests import bankside, money_back, reports, stage

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]

STEPS = 30
TOKENS = ("btok_us_verified", "btok_us_verified_noAccount", "tok_visa_debit", "tok_visa_debit_us_transferFail")
FAULTS = ("reset_before_effect", "reset_after_effect", "garbage_body", "lock_timeout")


class Walk:
    """A coach and the finance desk who do what they like, a bank that refuses, and a wire that loses what it likes."""

    def __init__(self, seed: int, sandbox: Sandbox, account: PayoutAccount, finance: User) -> None:
        self.random, self.sandbox, self.account, self.finance = random.Random(seed), sandbox, account, finance
        self.heard = 0

    def step(self) -> None:
        coachs = [self.earn, self.ask, self.ask, self.choose, self.add_bank, self.remove_bank, self.make_default]
        others = [self.pay_platform, self.pay_platform, self.make_there, self.bank_refuses]
        wires = [self.time_passes, self.hear, self.hear, self.lose_an_answer, self.sweep]
        acts: list[Callable[[], object]] = [*coachs, *others, *wires]
        with suppress(DomainError, requests.RequestException):
            self.random.choice(acts)()

    def earn(self) -> None:
        bankside.fund(self.sandbox, self.account, self.random.randint(1, 9_000))

    def ask(self) -> None:
        method = self.random.choice(list(Payout.Method))
        bankside.ask(self.account, self.random.randint(1, 9_000), method=method)

    def choose(self) -> None:
        day = self.random.randint(1, 31)
        services.choose_schedule(coach=self.account.coach, interval="monthly", monthly_anchor=day, now=clock.now())

    def add_bank(self) -> None:
        bankside.add_bank(self.account.coach, self.random.choice(TOKENS))

    def remove_bank(self) -> None:
        bank = self.random.choice(list(self.account.banks.all()))
        services.remove_bank(coach=self.account.coach, bank=bank, now=clock.now())

    def make_default(self) -> None:
        bank = self.random.choice(list(self.account.banks.all()))
        services.make_default(coach=self.account.coach, bank=bank, now=clock.now())

    def pay_platform(self) -> None:
        money = Money(self.random.randint(1, 3_000), "usd")
        platform_payout.request(money=money, actor=self.finance, reason="A walk", now=clock.now())

    def make_there(self) -> None:
        whose = self.random.choice([self.account, None])
        bankside.make_at_stripe(self.sandbox, whose, self.random.randint(1, 900))

    def bank_refuses(self) -> None:
        whose = self.random.choice([self.account, self.account, self.account, None])
        made = bankside.at_stripe(self.sandbox, whose)
        wanted = [payout["id"] for payout in made if payout["status"] != "failed"]
        if wanted:
            body = {"failure_code": "account_closed"}
            self.sandbox.post(f"/_sandbox/payouts/{self.random.choice(wanted)}/fail", body)

    def time_passes(self) -> None:
        self.sandbox.advance(self.random.choice([60, 3_600, 90_000, 9 * bankside.DAY]))

    def hear(self) -> None:
        """Some of what was reported since, in any order, some of it twice; the rest is lost."""
        told = reports.events(self.sandbox)[self.heard :]
        self.heard += len(told)
        some = [event for event in told if self.random.random() < 0.5]
        self.random.shuffle(some)
        reports.deliver_and_work([*some, *some[: len(some) // 3]])

    def lose_an_answer(self) -> None:
        path = self.random.choice(["/v1/payouts", "/v1/accounts/*", "/v1/accounts/*/external_accounts"])
        stage.break_next(self.sandbox, self.random.choice(FAULTS), path)

    def sweep(self) -> None:
        operations.sweep(now=clock.now() + timedelta(minutes=1))

    def settle(self) -> None:
        """The timers alone, with nothing lost any more."""
        stage.mend(self.sandbox)
        for _ in range(3):
            operations.sweep(now=clock.now() + timedelta(minutes=10))
        services.refresh_payout_account(account=self.account, now=clock.now())
        PayoutAccount.objects.update(balance_asked_at=None)
        Payout.objects.update(polled_at=None)
        payout_pollers.poll_balances(now=clock.now())
        payout_pollers.poll_payouts(now=clock.now())
        payout_pollers.find_platform_payouts(now=clock.now())


def at_stripe(whose: PayoutAccount | None) -> dict[str, Any]:
    account_id = whose.stripe_account_id if whose else ""
    found = gateway.list_payouts(account_id=account_id)
    return {facts.id: (facts.status, facts.amount, facts.method, facts.failure_code) for facts in found}


def with_us(whose: PayoutAccount | None) -> dict[str, Any]:
    known = Payout.objects.filter(account=whose).exclude(stripe_payout_id=None)
    return {
        str(payout.stripe_payout_id): (payout.status, payout.amount, payout.method, payout.failure_code)
        for payout in known
    }


@pytest.mark.parametrize("seed", range(12))
def test_in_the_end_all_is_as_stripe_has_it(
    seed: int, sandbox: Sandbox, student: User, coach: Coach, finance: User, heard: Any, settings: Any
) -> None:
    settings.PAYOUT_NOW = "instant"
    account = bankside.custom(sandbox, coach, settings)
    money_back.captured(sandbox, student, coach)
    walk = Walk(seed, sandbox, account, finance)
    for _ in range(STEPS):
        walk.step()
    walk.settle()

    assert not Operation.objects.filter(state__in=Operation.OPEN_STATES).exists()
    for whose in (account, None):
        assert with_us(whose) == at_stripe(whose)
    facts = gateway.retrieve_account(account.stripe_account_id)
    account.refresh_from_db()
    assert (account.schedule_interval, account.schedule_monthly_anchor) == (
        facts.schedule.interval,
        facts.schedule.monthly_anchor,
    )
    kept = account.banks.filter(removed_at=None).values_list("stripe_bank_id", "is_default", "status")
    assert sorted(kept) == sorted((bank.id, bank.default_for_currency, bank.status) for bank in facts.banks)
    asked = Payout.objects.filter(requested_by__isnull=False).exclude(status=Payout.Status.REFUSED)
    assert asked.filter(stripe_payout_id=None).count() == 0
    assert platform_payout.available("usd").payable.amount >= 0
    money_back.assert_agreed(sandbox)
