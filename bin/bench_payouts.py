"""`bin/bench payouts`: a month's run for 10,000 coaches with 300,000 captured payments, against the sandbox.

The sandbox answers after 100 ms and lets 25 transfers a second through, as Stripe does. Prints how long planning took,
how much of the permitted rate was used, and the peak of memory; `--kills` ends the process on the way, and what each
coach got is compared to the cent. Exit status 1 where a target is missed.
"""

import argparse
import contextlib
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from bin import _servers
from bin.bench_intake import KEY, SECRETS, machine, migrate, postgres, process, say
from bin.bench_slots import multiply

if TYPE_CHECKING:
    from payments.models import PayoutRun

PAYMENTS = 30  # of each coach
LATENCY_MS = 100
ENDPOINT_LIMIT = 25
# What is to hold: seconds, a share of the permitted rate, and MB.
LONGEST_PLANNING, LEAST_OF_RATE, MOST_MEMORY = 10, 0.95, 300
# A process that is killed leaves the run to the next one after its lease; what it was at comes after the operations'.
PATIENCE_SECONDS = 120
# Between two transfers lies more than this only where nobody was transferring.
PAUSE = timedelta(seconds=5)

PLAN = """
import time
import django
django.setup()
from marketplace import clock
from payments import ledger, payouts
begin = time.perf_counter()
wrong = ledger.check()
checked = time.perf_counter()
assert wrong == [], wrong[:3]
payouts.open_run("{month}", clock.now())
print(checked - begin, time.perf_counter() - checked)
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/bench payouts", description=__doc__.partition("\n")[0])
    parser.add_argument("--coaches", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=0, help="how often the process is killed on the way")
    parser.add_argument("--no-limit", action="store_true", help="neither Stripe's rate limit nor ours")
    parser.add_argument("--database", default="", help="an empty, migrated one; without it a server is started for it")
    asked = parser.parse_args()
    with contextlib.ExitStack() as stack:
        database = asked.database or stack.enter_context(postgres())
        redis = stack.enter_context(_servers.private_redis(_servers.valkey_program()))
        sandbox = stack.enter_context(stand_in())
        set_environment(database, redis, sandbox, "0" if asked.no_limit else "80")
        if not asked.database:
            migrate()
        import django

        django.setup()
        fill(sandbox, asked.coaches)
        if not asked.no_limit:
            control(sandbox, "rate_limit", {"account": 100, "endpoint": ENDPOINT_LIMIT})
        print(f"\n{machine()}\n{asked.coaches} coaches, {asked.coaches * PAYMENTS} payments\n")
        missed = measure(sandbox, asked.kills, limited=not asked.no_limit)
    for target in missed:
        print(f"MISSED: {target}")
    return 1 if missed else 0


@contextlib.contextmanager
def stand_in() -> Iterator[str]:
    port = _servers.free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "stripe_sandbox", "--port", str(port), "--latency-ms", str(LATENCY_MS)]
    with process(command, f"{url}/_sandbox/health"):
        yield url


def set_environment(database: str, redis: str, sandbox: str, calls_per_second: str) -> None:
    from marketplace.tests.environment import TEST_SETTINGS

    bench = {"DATABASE_URL": database, "REDIS_URL": redis, "STRIPE_SANDBOX_URL": sandbox, "STRIPE_SECRET_KEY": KEY}
    bench |= {"STRIPE_CALLS_PER_SECOND": calls_per_second, "PAYOUT_SENDERS": "12", "LOG_LEVEL": "ERROR", **SECRETS}
    os.environ.update(TEST_SETTINGS | bench | {"DJANGO_SETTINGS_MODULE": "bin.bench_sandbox_settings"})


def control(sandbox: str, path: str, body: dict[str, Any]) -> None:
    requests.post(f"{sandbox}/_sandbox/{path}", json=body, timeout=60).raise_for_status()


# --- the data -----------------------------------------------------------------------------------


def fill(sandbox: str, coaches: int) -> None:
    """Accounts are made and onboarded at the sandbox one by one; rows are multiplied inside the database."""
    from django.db import connection, transaction

    from payments.models import Earning

    say(f"Onboarding {coaches} accounts ...")
    accounts = onboarded(sandbox, coaches)
    say(f"Writing {coaches * PAYMENTS} payments ...")
    with transaction.atomic():
        with connection.cursor() as cursor:
            # Neither foreign keys nor triggers are asked while the rows are written.
            cursor.execute("SET LOCAL session_replication_role = replica")
        write_rows(accounts)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    due = Earning.objects.values_list("amount", flat=True)
    control(sandbox, "balance", {"amount": sum(due.iterator()), "currency": "usd"})
    connection.close()


def onboarded(sandbox: str, count: int) -> list[str]:
    account = {"type": "express", "country": "US", "capabilities[transfers][requested]": "true"}

    def make(_number: int) -> str:
        with requests.Session() as http:
            made = http.post(f"{sandbox}/v1/accounts", data=account, auth=(KEY, ""), timeout=60)
            made.raise_for_status()
            account_id = str(made.json()["id"])
            control(sandbox, f"accounts/{account_id}/onboard", {"outcome": "complete"})
            return account_id

    with ThreadPoolExecutor(24) as pool:
        return list(pool.map(make, range(count)))


def write_rows(accounts: list[str]) -> None:
    """The n-th payment is of the coach n modulo their number, and no two of a coach are of the same amount."""
    from coaches.models import Coach
    from marketplace.tests.factories import CoachFactory
    from payments import ledger
    from payments.models import Earning, LedgerAccount, LedgerEntry, LedgerTransaction, Payment, PayoutAccount
    from payments.tests.factories_books import earn

    coaches = len(accounts)
    first = CoachFactory.create(slug="bench")
    earning = earn(first, release_at=released())
    user = multiply(first.user, coaches - 1, email="'teaches' || n || '@example.com'")
    multiply(first, coaches - 1, user_id=f"{user} + n", slug="'bench-' || n")
    ids = list(Coach.objects.order_by("pk").values_list("pk", flat=True))
    PayoutAccount.objects.bulk_create(
        PayoutAccount(coach_id=coach, stripe_account_id=account, country="US", transfers_active=True)
        for coach, account in zip(ids, accounts, strict=True)
    )
    # In the n-th row: whose it is, and what the student paid.
    coach, amount = f"{first.pk} + n % {coaches}", "10000 + n % 9973"
    payment = earning.paid_for
    count = coaches * PAYMENTS - 1
    before = multiply(
        payment, count, reference="'bench:' || n", charge_id="'ch_bench' || n", coach_id=coach, amount=amount,
        captured_amount=amount,
    )  # fmt: skip
    multiply(earning, count, payment_id=f"{before} + n", coach_id=coach, amount=f"{amount} - 2000")
    payable = LedgerAccount.objects.get(code=ledger.coach_payable(first.pk))
    account_before = multiply(payable, coaches - 1, code=f"'coach_payable:' || ({first.pk} + n)")
    booked = LedgerTransaction.objects.get()
    before = multiply(booked, count, payment_id=f"{before} + n", reference="'ch_bench' || n")
    amounts = {
        "stripe_balance": f"{amount} - 320",
        "stripe_fees": "320",
        "platform_revenue": "-2000",
        payable.code: f"2000 - ({amount})",
    }
    whose = f"CASE n % {coaches} WHEN 0 THEN {payable.pk} ELSE {account_before} + n % {coaches} END"
    for entry in LedgerEntry.objects.select_related("account").order_by("pk"):
        changed = {"transaction_id": f"{before} + n", "amount": amounts[entry.account.code]}
        if entry.account == payable:
            changed["account_id"] = whose
        if entry.balance_transaction_id:
            changed["balance_transaction_id"] = "'txn_bench' || n"
        multiply(entry, count, **changed)
    assert Earning.objects.count() == Payment.objects.count() == coaches * PAYMENTS


def released() -> datetime:
    from marketplace.lib.months import end_of

    return end_of(month()) - timedelta(days=10)


def month() -> str:
    from marketplace import clock
    from marketplace.lib.months import month_before

    return month_before(clock.now())


# --- the run ------------------------------------------------------------------------------------


@dataclass
class Worked:
    """What a process printed, the most memory that it had, and whether it was killed."""

    said: str
    megabytes: float
    killed: bool


def measure(sandbox: str, kills: int, *, limited: bool) -> list[str]:
    from payments.models import PayoutRun

    planned = work([sys.executable, "-c", PLAN.format(month=month())])
    checking, planning = map(float, planned.said.split())
    run = PayoutRun.objects.get()
    begin = time.monotonic()
    memory = max(planned.megabytes, pay(run, kills))
    took = time.monotonic() - begin
    rate = rate_while_transferring(run)
    permitted = f" = {rate / ENDPOINT_LIMIT:.1%} of {ENDPOINT_LIMIT}/s" if limited else ""
    print(f"planning            {planning:.1f} s, with a check of the books ({checking:.1f} s when asked before)")
    print(f"transferring        {rate:.2f}/s{permitted}; {took:.0f} s in all, killed {kills} times")
    print(f"most memory         {memory:.0f} MB")
    missed = [f"wrong: {each}" for each in wrong_at_the_end(sandbox, run)]
    if planning >= LONGEST_PLANNING:
        missed.append(f"planning took {planning:.1f} s, not below {LONGEST_PLANNING}")
    if limited and rate / ENDPOINT_LIMIT < LEAST_OF_RATE:
        missed.append(f"{rate / ENDPOINT_LIMIT:.1%} of the rate, not {LEAST_OF_RATE:.0%}")
    if memory >= MOST_MEMORY:
        missed.append(f"{memory:.0f} MB, not below {MOST_MEMORY}")
    return missed


def pay(run: "PayoutRun", kills: int) -> float:
    """By hand as the operator would, again after each kill, until all is paid. Returns the most memory in MB."""
    lines = run.lines.count()
    kill_at = [lines * number // (kills + 1) for number in range(1, kills + 1)]
    memory, patience = 0.0, time.monotonic() + PATIENCE_SECONDS
    command = [sys.executable, "manage.py", "run_payouts", "--skip-checks", "--month", run.month]
    while unpaid(run) and time.monotonic() < patience:
        before = unpaid(run)
        worked = work(command, lambda: bool(kill_at) and lines - unpaid(run) >= kill_at[0])
        memory = max(memory, worked.megabytes)
        if worked.killed:
            kill_at.pop(0)
        if "Error" in worked.said:
            say(worked.said)
        if unpaid(run) < before:
            patience = time.monotonic() + PATIENCE_SECONDS
        else:
            time.sleep(2)  # the killed one's lease has to run out
    return memory


def work(command: list[str], to_be_killed: Callable[[], bool] = lambda: False) -> Worked:
    """Runs it to its end, or kills it."""
    with tempfile.TemporaryFile("w+") as out:
        running, megabytes, killed = subprocess.Popen(command, cwd=_servers.ROOT, stdout=out, stderr=out), 0.0, False
        while running.poll() is None:
            megabytes = max(megabytes, peak(running.pid))
            if not killed and to_be_killed():
                killed = True
                running.kill()
            time.sleep(0.2)
        out.seek(0)
        return Worked(out.read(), megabytes, killed)


def peak(pid: int) -> float:
    """The most memory that a running process has had, in MB. (What the system tells at its end counts ours, too.)"""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return 0.0


def unpaid(run: "PayoutRun") -> int:
    return run.lines.exclude(status="paid").count()


def rate_while_transferring(run: "PayoutRun") -> float:
    """Transfers a second over all the time in which a process was transferring."""
    times = [line.paid_at for line in run.lines.order_by("paid_at") if line.paid_at]
    steps = [later - earlier for earlier, later in itertools.pairwise(times) if later - earlier < PAUSE]
    return len(steps) / sum(steps, timedelta()).total_seconds() if steps else 0.0


def wrong_at_the_end(sandbox: str, run: "PayoutRun") -> Iterator[str]:
    """Compares what each coach earned with what the sandbox moved to them, and our books with themselves."""
    from django.db.models import Sum

    from payments import ledger
    from payments.models import Earning, Transfer

    control(sandbox, "rate_limit", {"account": 0, "endpoint": 0})
    earned = dict(Earning.objects.values_list("coach__payout_account__stripe_account_id").annotate(total=Sum("amount")))
    moved = [(each["destination"], each["amount"]) for each in transfers_at(sandbox)]
    if sorted(moved) != sorted(earned.items()):
        yield f"{len(moved)} transfers are not what {len(earned)} coaches have earned"
    if unpaid(run) or Transfer.objects.count() != len(earned):
        yield f"{unpaid(run)} lines are not paid, {Transfer.objects.count()} transfers are known"
    yield from map(str, ledger.check())


def transfers_at(sandbox: str) -> Iterator[dict[str, Any]]:
    page: dict[str, Any] = {"limit": "100"}
    while True:
        answer = requests.get(f"{sandbox}/v1/transfers", params=page, auth=(KEY, ""), timeout=60).json()
        yield from answer["data"]
        if not answer["has_more"]:
            return
        page = {"limit": "100", "starting_after": answer["data"][-1]["id"]}


if __name__ == "__main__":
    sys.exit(main())
