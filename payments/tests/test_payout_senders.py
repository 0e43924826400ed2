"""Who pays a run: one process at a time with several senders, and after a kill the next one, exactly where it ended."""

import signal
import subprocess
import sys
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as configured
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Sum

from marketplace import clock
from marketplace.tests.sandbox import Sandbox
from payments import ledger, payouts
from payments.models import Earning, LedgerTransaction, Operation, PayoutLine, PayoutRun, Transfer
from payments.payouts import lease
from payments.payouts.lease import Lease
from payments.tests import stage
from payments.tests.factories_books import earn
from payments.tests.payday import MONTH, MakeCoach, transfers_made

Status = PayoutLine.Status


def owed(make_coach: MakeCoach, coaches: int) -> PayoutRun:
    """An open run with a line for each coach, each of another amount."""
    for number in range(coaches):
        earn(make_coach(), amount=10_001 + 111 * number)
    return payouts.open_run(MONTH, clock.now())


def assert_exact(sandbox: Sandbox) -> None:
    """Each coach has what they earned, by one transfer, here and at Stripe."""
    earned = Earning.objects.values_list("coach__payout_account__stripe_account_id").annotate(total=Sum("amount"))
    at_stripe = stage.at_stripe(sandbox, "/v1/transfers?limit=100")["data"]
    assert sorted((each["destination"], each["amount"]) for each in at_stripe) == sorted(earned)
    assert sorted(Transfer.objects.values_list("destination", "amount")) == sorted(earned)
    assert set(PayoutLine.objects.values_list("status", flat=True)) == {Status.PAID}
    assert LedgerTransaction.objects.filter(kind="transfer").count() == len(at_stripe)
    assert ledger.check() == []


# --- one process at a time ----------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.embedded
def test_nobody_pays_a_run_that_another_process_holds(sandbox: Sandbox, make_coach: MakeCoach) -> None:
    run = owed(make_coach, 1)
    other = Lease(run)
    assert other.take()

    assert not payouts.pay_lines(run, clock.now())
    with pytest.raises(CommandError, match="Another process"):
        call_command("run_payouts", "--month", MONTH)
    assert transfers_made(sandbox) == 0

    other.give_back()
    assert payouts.pay_lines(run, clock.now())
    assert_exact(sandbox)
    run.refresh_from_db()
    assert (run.lease_token, run.lease_until) == (None, None)


@pytest.mark.django_db
def test_who_was_taken_over_neither_goes_on_nor_ends_the_successors_lease(
    make_coach: MakeCoach, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = owed(make_coach, 1)
    slow, successor = Lease(run), Lease(run)
    assert slow.take()
    assert not successor.take()
    PayoutRun.objects.update(lease_until=clock.wall() - timedelta(seconds=1))
    assert successor.take()

    monkeypatch.setattr(lease, "RENEW_AFTER", timedelta())
    assert not slow.keep()
    slow.give_back()

    assert successor.keep()
    assert not Lease(run).take()


@pytest.mark.django_db
def test_a_lease_is_renewed_while_its_process_works(make_coach: MakeCoach, monkeypatch: pytest.MonkeyPatch) -> None:
    run = owed(make_coach, 1)
    mine, wall = Lease(run), clock.wall()
    assert mine.take()
    for seconds in (9, 18, 27, 36, 45):
        monkeypatch.setattr(clock, "wall", lambda passed=seconds: wall + timedelta(seconds=passed))
        assert mine.keep()
        assert not Lease(run).take()


@pytest.mark.django_db
def test_who_slept_past_the_lease_stops_even_if_nobody_took_over(
    make_coach: MakeCoach, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, wall = Lease(owed(make_coach, 1)), clock.wall()
    assert mine.take()
    monkeypatch.setattr(clock, "wall", lambda: wall + timedelta(minutes=5))
    assert not mine.keep()
    assert not mine.keep()


@pytest.mark.django_db
def test_a_round_ends_when_its_lease_is_lost(
    sandbox: Sandbox, make_coach: MakeCoach, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = owed(make_coach, 3)
    monkeypatch.setattr(lease, "RENEW_AFTER", timedelta())

    def take_over() -> None:
        PayoutRun.objects.update(lease_until=clock.wall() - timedelta(seconds=1))
        assert Lease(run).take()

    payouts.pay_lines(run, clock.now(), after_each=take_over)

    assert transfers_made(sandbox) == 1
    assert PayoutLine.objects.filter(status=Status.PLANNED).count() == 2


# --- several senders ----------------------------------------------------------------------------


def connections_here() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
@pytest.mark.embedded
def test_several_senders_pay_each_line_once_and_leave_no_connection(
    sandbox: Sandbox, make_coach: MakeCoach, settings: Any
) -> None:
    settings.PAYOUT_SENDERS = 4
    run = owed(make_coach, 10)
    threads: set[str] = set()

    payouts.pay_lines(run, clock.now(), after_each=lambda: threads.add(threading.current_thread().name))

    assert 1 < len(threads) <= 4
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("payout-sender")]
    assert len(stage.calls(sandbox, "/v1/transfers")) == 10
    assert_exact(sandbox)
    if connection.vendor == "postgresql":
        stage.await_that(lambda: connections_here() == 1)  # the server's end of one takes a moment longer to go


@pytest.mark.django_db(transaction=True)
def test_three_beats_with_several_senders_at_once_pay_each_line_once(
    sandbox: Sandbox, make_coach: MakeCoach, settings: Any
) -> None:
    settings.PAYOUT_SENDERS = 3
    run, now = owed(make_coach, 8), clock.now()
    stage.at_once([lambda: payouts.pay_lines(run, now)] * 3)
    payouts.pay_lines(run, now)
    assert len(stage.calls(sandbox, "/v1/transfers")) == 8
    assert_exact(sandbox)


@pytest.mark.django_db(transaction=True)
def test_a_senders_bug_costs_its_line_alone(sandbox: Sandbox, make_coach: MakeCoach, settings: Any) -> None:
    settings.PAYOUT_SENDERS = 3
    run = owed(make_coach, 6)
    stage.break_next(sandbox, "respond", "/v1/transfers", status=200, body={"object": "transfer"})
    payouts.pay_lines(run, clock.now())
    assert PayoutLine.objects.filter(status=Status.PAID).count() == 5


# --- killed -------------------------------------------------------------------------------------

PLACES = {
    "before it is written down": ("payments.payouts.lines", "_write_transfer_down", "before"),
    "when it is written down": ("payments.payouts.lines", "_write_transfer_down", "after"),
    "before it is sent": ("payments.gateway", "create_transfer", "before"),
    "when it is sent": ("payments.gateway", "create_transfer", "after"),
    "before it is booked": ("payments.ledger", "post", "before"),
    "when it is booked but not committed": ("payments.ledger", "post", "after"),
    "when it is recorded": ("payments.operations", "run_operation", "after"),
}
KILLED = """
import importlib, itertools, os, signal, threading
import django
django.setup()
from marketplace import clock
from payments import payouts

module = importlib.import_module("{module}")
original = module.{name}
numbers = itertools.count(1)

def dies(*args, **kwargs):
    number = next(numbers)  # this call's own: other senders call meanwhile
    if number > {nth}:
        threading.Event().wait()  # for the end: else fewer may be left than the next process is to die at
    if number == {nth} and "{when}" == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    answer = original(*args, **kwargs)
    if number == {nth}:
        os.kill(os.getpid(), signal.SIGKILL)
    return answer

module.{name} = dies
payouts.run_due(clock.now())
"""


def killed(environment: dict[str, str], place: str, nth: int = 1) -> None:
    """A process that pays what is due, and is killed at this place of its n-th line."""
    module, name, when = PLACES[place]
    script = KILLED.format(module=module, name=name, when=when, nth=nth)
    died = subprocess.run(
        [sys.executable, "-c", script], env=environment, cwd=configured.BASE_DIR, check=False, timeout=300
    )
    assert died.returncode == -signal.SIGKILL


def let_leases_run_out() -> None:
    past = clock.wall() - timedelta(seconds=1)
    PayoutRun.objects.exclude(lease_until=None).update(lease_until=past)
    Operation.objects.exclude(lease_until=None).update(lease_until=past)


@pytest.mark.faults
def test_what_a_killed_process_held_is_left_alone_until_its_lease_has_run_out(
    sandbox: Sandbox, make_coach: MakeCoach, subprocess_env: dict[str, str]
) -> None:
    run = owed(make_coach, 2)
    killed(subprocess_env, "when it is sent")
    assert transfers_made(sandbox) == 1

    assert not payouts.pay_lines(run, clock.now())
    assert Transfer.objects.count() == 0

    let_leases_run_out()
    payouts.run_due(clock.now() + timedelta(minutes=1))
    assert_exact(sandbox)


@pytest.mark.faults
@pytest.mark.thorough
@pytest.mark.parametrize("place", PLACES)
def test_killed_at_this_place_of_each_line_it_pays_all_to_the_cent_and_nothing_twice(
    sandbox: Sandbox, make_coach: MakeCoach, subprocess_env: dict[str, str], place: str
) -> None:
    owed(make_coach, 4)
    for _ in range(3):  # each next process gets over the line at which the one before it died, and on to its own
        killed(subprocess_env, place)
        let_leases_run_out()
        sandbox.advance(20)

    payouts.run_due(clock.now() + timedelta(minutes=6))

    assert PayoutRun.objects.get(month=MONTH).status == PayoutRun.Status.CLOSED
    assert_exact(sandbox)


@pytest.mark.faults
@pytest.mark.thorough
def test_killed_with_several_senders_at_work_it_pays_all_to_the_cent(
    sandbox: Sandbox, make_coach: MakeCoach, subprocess_env: dict[str, str]
) -> None:
    owed(make_coach, 12)
    for nth in (3, 5):
        killed({**subprocess_env, "PAYOUT_SENDERS": "4"}, "when it is sent", nth=nth)
        let_leases_run_out()
        sandbox.advance(20)
    payouts.run_due(clock.now() + timedelta(minutes=6))
    assert_exact(sandbox)
