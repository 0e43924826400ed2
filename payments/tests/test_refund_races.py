"""Refunds raced: by each other, by the monthly run, by a dispute, by workers that die, and by answers that are lost."""

import signal
import subprocess
import sys
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import requests
from django.conf import settings as configured

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.errors import DomainError
from marketplace.lib.money import Money
from marketplace.models import User
from marketplace.tests.factories import UserFactory
from marketplace.tests.sandbox import Sandbox
from payments import ledger, operations, payouts, services
from payments.errors import RefundWhileDisputed
from payments.models import Dispute, Earning, Operation, Payment, PayoutLine, Refund, Reversal
from payments.tests import bank, reports, stage
from payments.tests.money_back import (
    assert_agreed,
    at_coach,
    captured,
    give_back,
    made_at_stripe,
    pay_month,
    refunds_at_stripe,
    sweep,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("heard"), pytest.mark.thorough]

Status = Refund.Status


def test_twenty_threads_never_refund_more_than_was_captured(
    sandbox: Sandbox, student: User, payable_coach: Coach
) -> None:
    payment = captured(sandbox, student, payable_coach)

    def refund_some() -> None:
        for _ in range(3):
            with suppress(DomainError):
                refund = give_back(payment, 900)
                operations.run_operation(refund.operations.get().pk, now=clock.now())

    stage.at_once([refund_some] * 20)
    sweep()

    payment.refresh_from_db()
    assert payment.refunded_amount == sum(refunds_at_stripe(sandbox, payment)) <= 10_000
    assert payment.refunded_amount == Refund.objects.filter(status=Status.SUCCEEDED).count() * 900 > 0
    assert not Refund.objects.exclude(status=Status.SUCCEEDED).exists()
    assert_agreed(sandbox)


def test_twenty_threads_ask_for_no_more_than_was_captured(
    sandbox: Sandbox, student: User, payable_coach: Coach, settings: Any
) -> None:
    """Those that wait for a second person are counted as well."""
    settings.REFUND_APPROVAL_LIMIT = 0
    staff = UserFactory.create(is_staff=True)
    payment = captured(sandbox, student, payable_coach)

    def ask() -> None:
        with suppress(DomainError):
            give_back(payment, 1_000, actor=staff)

    stage.at_once([ask] * 20)
    payment.refresh_from_db()
    assert (payment.refunded_amount, Refund.objects.count()) == (10_000, 10)
    assert (payment.taken_back_amount, payment.returned_fee_amount) == (8_000, 2_000)
    assert ledger.check() == []


def test_two_people_decide_on_one_refund_once(
    sandbox: Sandbox, student: User, payable_coach: Coach, settings: Any
) -> None:
    settings.REFUND_APPROVAL_LIMIT = 0
    asking, *others = [UserFactory.create(is_staff=True) for _ in range(5)]
    refund = give_back(captured(sandbox, student, payable_coach), 10_000, actor=asking)

    def decide(actor: User, how: Any) -> None:
        with suppress(DomainError):
            how(refund=Refund.objects.get(pk=refund.pk), actor=actor, now=clock.now())

    ways = [services.approve_refund, services.dismiss_refund] * 2
    stage.at_once([partial(decide, actor, how) for actor, how in zip(others, ways, strict=True)])
    sweep()
    refund.refresh_from_db()
    refund.payment.refresh_from_db()
    assert (refund.status, refund.payment.refunded_amount) in [(Status.SUCCEEDED, 10_000), (Status.DISMISSED, 0)]
    assert_agreed(sandbox)


@pytest.mark.parametrize("action", ["reset_before_effect", "reset_after_effect", "truncate_body", "garbage_body"])
@pytest.mark.parametrize("path", ["/v1/refunds", "/v1/transfers/*/reversals"])
def test_a_lost_answer_is_one_refund_and_one_reversal(
    sandbox: Sandbox, student: User, payable_coach: Coach, action: str, path: str
) -> None:
    payment = captured(sandbox, student, payable_coach, mode="per_session")
    stage.break_next(sandbox, action, path)
    give_back(payment, 10_000)
    sweep(timedelta(0))
    sweep(timedelta(minutes=10))
    sweep(timedelta(minutes=20))

    assert refunds_at_stripe(sandbox, payment) == [10_000]
    assert (Refund.objects.get().status, Reversal.objects.get().status) == (Status.SUCCEEDED, Reversal.Status.DONE)
    assert at_coach(sandbox, payable_coach, "usd") == 0
    assert_agreed(sandbox)


@pytest.mark.parametrize("path", ["/v1/refunds", "/v1/transfers/*/reversals"])
def test_an_answer_lost_for_longer_than_keys_live_is_looked_up(
    sandbox: Sandbox, student: User, payable_coach: Coach, path: str
) -> None:
    payment = captured(sandbox, student, payable_coach, mode="per_session")
    stage.break_next(sandbox, "reset_after_effect", path)
    give_back(payment, 10_000)
    sweep(timedelta(0))
    sandbox.post("/_sandbox/idempotency/prune")
    sweep(timedelta(hours=30))

    assert refunds_at_stripe(sandbox, payment) == [10_000]
    assert at_coach(sandbox, payable_coach, "usd") == 0
    assert_agreed(sandbox)


def test_two_workers_ask_stripe_once(sandbox: Sandbox, student: User, payable_coach: Coach) -> None:
    payment = captured(sandbox, student, payable_coach)
    stage.break_next(sandbox, "delay_before", "/v1/refunds", delay_ms=500)
    operation = give_back(payment, 10_000).operations.get()
    stage.at_once([lambda: operations.run_operation(operation.pk, now=clock.now())] * 4)
    sweep()
    assert len(stage.calls(sandbox, "/v1/refunds")) == 1
    assert_agreed(sandbox)


def test_our_answer_and_stripes_events_at_once_are_one_refund(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]
) -> None:
    payment = captured(sandbox, student, payable_coach, mode="per_session")
    stage.break_next(sandbox, "delay_after", "/v1/refunds", delay_ms=700)
    operation = give_back(payment, 10_000).operations.get()

    def hear() -> None:
        told: list[Any] = []
        while not told:
            told = reports.events(sandbox, "refund.created", "charge.refunded")
        reports.deliver_and_work(told)

    stage.at_once([lambda: operations.run_operation(operation.pk, now=clock.now()), hear, hear])
    sweep()
    assert [fact for fact, _ in heard].count("refunded") == 1
    assert (Refund.objects.get().status, Reversal.objects.count()) == (Status.SUCCEEDED, 1)
    assert_agreed(sandbox)


KILLED = """
import os, signal, uuid
import django
django.setup()
from marketplace import clock
from payments import gateway, operations

send = gateway.create_refund

def send_and_die(**call):
    send(**call)
    os.kill(os.getpid(), signal.SIGKILL)

gateway.create_refund = send_and_die
operations.run_operation(uuid.UUID("{operation}"), now=clock.now())
"""


def test_a_worker_killed_between_sending_and_recording_refunds_once(
    sandbox: Sandbox, student: User, payable_coach: Coach, subprocess_env: dict[str, str]
) -> None:
    payment = captured(sandbox, student, payable_coach)
    operation = give_back(payment, 10_000).operations.get()
    script = KILLED.format(operation=operation.pk)
    died = subprocess.run(
        [sys.executable, "-c", script], env=subprocess_env, cwd=configured.BASE_DIR, check=False, timeout=300
    )
    assert died.returncode == -signal.SIGKILL
    assert Refund.objects.get().status == Status.REQUESTED
    assert refunds_at_stripe(sandbox, payment) == [10_000]

    Operation.objects.filter(pk=operation.pk).update(lease_until=clock.wall() - timedelta(seconds=1))
    sweep()
    assert Refund.objects.get().status == Status.SUCCEEDED
    assert refunds_at_stripe(sandbox, payment) == [10_000]
    assert_agreed(sandbox)


@pytest.mark.parametrize("round_", range(3))
def test_a_run_that_is_planned_at_the_same_moment_pays_nothing_that_is_taken_back(
    sandbox: Sandbox, student: User, payable_coach: Coach, round_: int
) -> None:
    payment = captured(sandbox, student, payable_coach)
    month = Earning.objects.get().release_at.strftime("%Y-%m")
    sandbox.advance(int((payouts.end_of(month) - sandbox.now()).total_seconds()) + 5)
    now = clock.now()

    amount = (2_500, 10_000, 2_500)[round_]
    stage.at_once([lambda: payouts.open_run(month, now), lambda: give_back(payment, amount)])
    payouts.run_due(now)
    sweep()

    assert at_coach(sandbox, payable_coach, "usd") == 8_000 - amount * 8 // 10
    assert Reversal.objects.count() == 0
    assert PayoutLine.objects.filter(amount__gt=8_000 - amount * 8 // 10).count() == 0
    assert_agreed(sandbox)


def test_a_refund_racing_the_transfer_of_its_share_leaves_the_coach_what_is_theirs(
    sandbox: Sandbox, student: User, payable_coach: Coach
) -> None:
    payment = captured(sandbox, student, payable_coach)
    month = Earning.objects.get().release_at.strftime("%Y-%m")
    sandbox.advance(int((payouts.end_of(month) - sandbox.now()).total_seconds()) + 5)
    now = clock.now()
    run = payouts.open_run(month, now)

    def refund() -> None:
        asked = give_back(payment, 2_500)
        operations.run_operation(asked.operations.get().pk, now=now)

    stage.at_once([lambda: payouts.pay_lines(run, now), refund])
    sweep()
    assert at_coach(sandbox, payable_coach, "usd") == 6_000
    assert Earning.objects.filter(line=None, reversal=None).count() == 0
    assert_agreed(sandbox)


def test_a_refund_at_stripe_and_ours_at_once_never_exceed_what_was_captured(
    sandbox: Sandbox, student: User, payable_coach: Coach
) -> None:
    payment = captured(sandbox, student, payable_coach)

    def elsewhere() -> None:
        with suppress(OSError):
            made_at_stripe(sandbox, payment, 10_000)

    def ours() -> None:
        refund = give_back(payment, 10_000)
        operations.run_operation(refund.operations.get().pk, now=clock.now())

    stage.at_once([elsewhere, ours])
    sweep()
    reports.deliver_and_work(reports.events(sandbox, "refund.created"))
    payment.refresh_from_db()
    assert (refunds_at_stripe(sandbox, payment), payment.refunded_amount) == ([10_000], 10_000)
    assert_agreed(sandbox)


def test_several_refunds_after_one_transfer_take_back_no_more_than_the_share(
    sandbox: Sandbox, student: User, payable_coach: Coach
) -> None:
    payment = captured(sandbox, student, payable_coach)
    pay_month(sandbox)
    for amount in (3_333, 3_333, 3_334):
        services.request_refund(
            payment=payment,
            amount=Money(amount, "usd"),
            reason=Refund.Reason.PROBLEM,
            actor=None,
            now=clock.now(),
        )
        operations.sweep(now=clock.now())
    sweep()
    assert sorted(Reversal.objects.values_list("amount", "status")) == [
        (2_666, "done"),
        (2_666, "done"),
        (2_668, "done"),
    ]
    assert Payment.objects.get().taken_back_amount == 8_000
    assert_agreed(sandbox)


def test_a_refund_and_a_dispute_at_once_never_give_the_money_back_twice(
    sandbox: Sandbox, student: User, payable_coach: Coach
) -> None:
    payment = captured(sandbox, student, payable_coach, mode="per_session")

    def dispute() -> None:
        with suppress(requests.HTTPError):  # refunded already: the bank has nothing to dispute
            bank.open_at_stripe(sandbox, payment)
        bank.hear()

    def refund() -> None:
        with suppress(RefundWhileDisputed):
            asked = give_back(payment, 10_000)
            operations.run_operation(asked.operations.get().pk, now=clock.now())

    stage.at_once([dispute, refund])
    sweep()
    bank.hear()

    refunded = sum(refunds_at_stripe(sandbox, payment))
    disputed = sum(Dispute.objects.exclude(withdrawn_at=None).values_list("amount", flat=True))
    assert {refunded, disputed} == {0, 10_000}
    assert at_coach(sandbox, payable_coach, "usd") == 0
    assert_agreed(sandbox)
