"""`bin/bench intake`: our webhook endpoint, a bare view and dj-stripe's view under one gunicorn on PostgreSQL.

The stand-in for Stripe is the sandbox, answering at once and after 100 ms. Then the rate at which two worker processes
work what was taken in. Exit status 1 where a target is missed.
"""

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from bin import _load, _servers
from bin._load import Result

CONNECTIONS = 8
ROUNDS = 5
REQUESTS = 3000  # in each round, for the views that store only
COLD = 80  # events about objects that dj-stripe has not seen
WARM = 160
PAYMENTS = 60  # whose events the workers work
WORKERS = 2
DRAIN = [sys.executable, "-m", "bin.bench_drain"]
HOLD_EVENTS = ("checkout.session.completed", "payment_intent.amount_capturable_updated", "charge.succeeded")
SLOW_MS = 100
KEY = "sk_test_sandboxsandboxsandbox0001"
SECRETS = {
    "STRIPE_WEBHOOK_SECRETS": "whsec_benchplatform00000001",
    "STRIPE_CONNECT_WEBHOOK_SECRETS": "whsec_benchconnect000000001",
}
OURS, BARE = "/stripe/webhooks/", "/bench/bare/"
# What is to hold: of the bare view's rate; of dj-stripe's at 100 ms; and our p99 in milliseconds.
LEAST_OF_BARE, LEAST_OF_DJSTRIPE, MOST_P99 = 0.9, 90, 50


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/bench intake", description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=0, help="of each gunicorn worker; without it they are sync")
    threads = parser.parse_args().threads
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(postgres())
        sandbox = stack.enter_context(stand_in())
        set_environment(database, sandbox)
        migrate()
        port = stack.enter_context(gunicorn(threads))
        missed = measure(Bench(port=port, sandbox=sandbox))
    for target in missed:
        print(f"MISSED: {target}")
    return 1 if missed else 0


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def migrate() -> None:
    """The database that the environment names."""
    say("Migrating (dj-stripe's migrations take half a minute) ...")
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0", "--skip-checks"], cwd=_servers.ROOT, check=True)


# --- servers ------------------------------------------------------------------------------------


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """A cluster of our own with PostgreSQL's own defaults: what is committed is on the disk."""
    programs = _servers.postgres_programs()
    if programs is None:
        raise SystemExit("PostgreSQL is not installed.")
    home = Path(tempfile.mkdtemp(prefix="holdfast-bench-"))
    home.chmod(0o711)
    port = _servers.free_port()
    _servers._make_cluster(programs, home)  # noqa: SLF001  # its neighbour in bin/
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
    log = str(home / "data" / "server.log")
    _servers._pg_ctl(programs, home, "start", "-w", "-l", log, "-o", options)  # noqa: SLF001
    try:
        yield _servers._url(home, port)  # noqa: SLF001
    finally:
        _servers._pg_ctl(programs, home, "stop", "-m", "immediate")  # noqa: SLF001
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def process(command: list[str], url: str) -> Iterator[None]:
    """The command, from when it answers at `url` until the end of the block."""
    running = subprocess.Popen(_servers.leashed(command), cwd=_servers.ROOT, stdout=subprocess.DEVNULL)
    try:
        await_answer(url, running)
        yield
    finally:
        running.terminate()
        running.wait()


def await_answer(url: str, running: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            requests.get(url, timeout=5)
        except (requests.ConnectionError, requests.Timeout):
            if running.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"Nothing answers at {url}.") from None
            time.sleep(0.05)  # a server has no way to tell us when it is ready
        else:
            return


@contextlib.contextmanager
def stand_in() -> Iterator[str]:
    port = _servers.free_port()
    url = f"http://127.0.0.1:{port}"
    with process([sys.executable, "-m", "stripe_sandbox", "--port", str(port)], f"{url}/_sandbox/health"):
        yield url


@contextlib.contextmanager
def gunicorn(threads: int) -> Iterator[int]:
    """Two workers: gunicorn's plain ones, or with threads as in the Procfile."""
    port = _servers.free_port()
    kind = ["--worker-class", "gthread", "--threads", str(threads)] if threads else ["--worker-class", "sync"]
    command = [sys.executable, "-m", "gunicorn", "bin.bench_wsgi", "--workers", "2", *kind, "--log-level", "error"]
    command += ["--no-control-socket", "--bind", f"127.0.0.1:{port}"]
    with process(command, f"http://127.0.0.1:{port}{OURS}"):
        yield port


def set_environment(database: str, sandbox: str) -> None:
    from marketplace.tests.environment import TEST_SETTINGS

    bench = {"DATABASE_URL": database, "STRIPE_SANDBOX_URL": sandbox, "STRIPE_SECRET_KEY": KEY, **SECRETS}
    # Nobody listens there: what is fast must not need a broker.
    bench |= {"REDIS_URL": "redis://127.0.0.1:1/0", "LOG_LEVEL": "ERROR"}
    os.environ.update(TEST_SETTINGS | bench | {"DJANGO_SETTINGS_MODULE": "bin.bench_settings"})


# --- what is sent -------------------------------------------------------------------------------


@dataclass
class Bench:
    port: int
    sandbox: str

    def post(self, path: str, form: dict[str, Any]) -> dict[str, Any]:
        answer = requests.post(self.sandbox + path, data=form, auth=(KEY, ""), timeout=60)
        answer.raise_for_status()
        return dict(answer.json())

    def slow_down(self, milliseconds: int) -> None:
        """Each read from the stand-in takes this long."""
        requests.delete(f"{self.sandbox}/_sandbox/faults", timeout=10).raise_for_status()
        if milliseconds:
            rule = {"method": "GET", "path": "/v1/*", "times": 0, "action": "delay_before", "delay_ms": milliseconds}
            requests.post(f"{self.sandbox}/_sandbox/faults", json=rule, timeout=10).raise_for_status()

    def fire(self, path: str, events: Iterable[dict[str, Any]]) -> Result:
        return _load.fire(self.port, [self.signed(path, event) for event in events], connections=CONNECTIONS)

    def signed(self, path: str, event: dict[str, Any]) -> bytes:
        from stripe import WebhookSignature

        body = json.dumps(event)
        header = WebhookSignature.generate_signature_header(body, SECRETS["STRIPE_WEBHOOK_SECRETS"])
        return _load.post(self.port, path, body.encode(), {"Stripe-Signature": header})


def renamed(events: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """So many events with ids of their own, about these events' objects in turn."""
    return [{**events[number % len(events)], "id": f"evt_{uuid.uuid4().hex}"} for number in range(count)]


def paid_at_stripe(bench: Bench, count: int) -> list[dict[str, Any]]:
    """Events as Stripe sends them, each of another customer's payment."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: pay(bench), range(count)))
    return [event for event in reported(bench) if event["type"] == "payment_intent.succeeded"][-count:]


def pay(bench: Bench) -> None:
    customer = bench.post("/v1/customers", {"email": "bench@example.com"})["id"]
    card = {"payment_method": "pm_card_visa", "payment_method_types[]": "card", "confirm": "true"}
    bench.post("/v1/payment_intents", {"amount": 10_000, "currency": "usd", "customer": customer, **card})


# --- the measurement ----------------------------------------------------------------------------


def measure(bench: Bench) -> list[str]:
    import django

    django.setup()
    djstripe_path = register_djstripe()
    say("Paying at the stand-in ...")
    cold, slow_cold = paid_at_stripe(bench, COLD), paid_at_stripe(bench, COLD)
    samples = renamed(cold, REQUESTS)
    for path in (OURS, BARE, djstripe_path):  # connections are opened and code is loaded before it counts
        bench.fire(path, renamed(cold[:1], 40))

    table = Table()
    ratios = []
    for number in range(ROUNDS):
        say(f"Round {number + 1} of {ROUNDS} ...")
        pair = {}
        # Whoever is first in one round is second in the next.
        for path in (OURS, BARE) if number % 2 else (BARE, OURS):
            pair[path] = bench.fire(path, renamed(samples, REQUESTS))
            table.add(path, 0, pair[path])
        ratios.append(pair[OURS].per_second / pair[BARE].per_second)
    table.add(djstripe_path + " cold", 0, bench.fire(djstripe_path, cold[1:]))
    table.add(djstripe_path + " warm", 0, bench.fire(djstripe_path, renamed(cold, WARM)))
    bench.slow_down(SLOW_MS)
    table.add(djstripe_path + " cold", SLOW_MS, bench.fire(djstripe_path, slow_cold))
    table.add(djstripe_path + " warm", SLOW_MS, bench.fire(djstripe_path, renamed(slow_cold, WARM)))
    for _ in range(ROUNDS):
        table.add(OURS, SLOW_MS, bench.fire(OURS, renamed(samples, REQUESTS)))
        table.add(BARE, SLOW_MS, bench.fire(BARE, renamed(samples, REQUESTS)))
    bench.slow_down(0)

    table.show()
    of_bare = statistics.median(ratios)
    ours = table.median(OURS, SLOW_MS)
    of_cold = ours.per_second / table.median(djstripe_path + " cold", SLOW_MS).per_second
    of_warm = ours.per_second / table.median(djstripe_path + " warm", SLOW_MS).per_second
    print(f"ours / bare view: {of_bare:.2f} (rounds: {', '.join(f'{ratio:.2f}' for ratio in ratios)})")
    print(f"ours / dj-stripe's at {SLOW_MS} ms: {of_cold:.0f} cold, {of_warm:.0f} warm")
    drain(bench)
    return missed_targets(of_bare, of_cold, ours.p99, table)


def missed_targets(of_bare: float, of_cold: float, p99: float, table: "Table") -> list[str]:
    missed = []
    if of_bare < LEAST_OF_BARE:
        missed.append(f"{of_bare:.2f} of the bare view's rate, not {LEAST_OF_BARE}")
    if of_cold < LEAST_OF_DJSTRIPE:
        missed.append(f"{of_cold:.0f} times dj-stripe's rate at {SLOW_MS} ms, not {LEAST_OF_DJSTRIPE}")
    if p99 >= MOST_P99:
        missed.append(f"p99 of {p99:.0f} ms, not below {MOST_P99}")
    if table.failures:
        missed.append(f"{table.failures} requests were not answered by 200")
    return missed


def register_djstripe() -> str:
    """An endpoint for dj-stripe's view, as its own documentation makes one; returns its path."""
    from djstripe.models import WebhookEndpoint

    endpoint = WebhookEndpoint.objects.create(
        id="we_bench",
        url="http://127.0.0.1/bench/",
        enabled_events=["*"],
        secret=SECRETS["STRIPE_WEBHOOK_SECRETS"],
        status="enabled",
        livemode=False,
    )
    return f"/bench/djstripe/webhook/{endpoint.djstripe_uuid}/"


class Table:
    """Results by view and by the stand-in's delay; of several rounds the one with the median rate counts."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, int], list[Result]] = {}

    def add(self, view: str, delay: int, result: Result) -> None:
        self.rows.setdefault((view, delay), []).append(result)

    def median(self, view: str, delay: int) -> Result:
        results = sorted(self.rows[view, delay], key=lambda result: result.per_second)
        return results[len(results) // 2]

    @property
    def failures(self) -> int:
        return sum(result.failures for results in self.rows.values() for result in results)

    def show(self) -> None:
        print(
            f"\n{machine()}\n{CONNECTIONS} connections at a time; medians of {ROUNDS} rounds where there were several\n"
        )
        print("| view | Stripe answers in | requests | req/s | p50 ms | p99 ms |")
        print("|---|---|---|---|---|---|")
        for view, delay in self.rows:
            name = {OURS: "ours", BARE: "bare view"}.get(view, "dj-stripe's, " + view[-4:])
            row = self.median(view, delay)
            print(f"| {name} | {delay} ms | {row.requests} | {row.per_second:.0f} | {row.p50:.1f} | {row.p99:.1f} |")
        print()


def machine() -> str:
    model = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores ({model.partition(': ')[2]}), {memory:.0f} GB; load average {load:.1f}"


# --- how fast they are worked -------------------------------------------------------------------


def drain(bench: Bench) -> None:
    for delay in (0, SLOW_MS):
        waiting = take_in_payments(bench)
        bench.slow_down(delay)
        took = work_off()
        bench.slow_down(0)
        print(f"worked off by {WORKERS} processes, Stripe answering in {delay} ms: {waiting / took:.0f} events/s")


def take_in_payments(bench: Bench) -> int:
    """Three events for each payment: the page, the intent and the charge tell of the same hold."""
    from payments.models import StripeEvent

    StripeEvent.objects.all().delete()
    before = len(reported(bench))
    subprocess.run([*DRAIN, "prepare", str(PAYMENTS)], cwd=_servers.ROOT, env=with_sandbox(), check=True)
    events = [event for event in reported(bench)[before:] if event["type"] in HOLD_EVENTS]
    bench.fire(OURS, events)
    return StripeEvent.objects.filter(state=StripeEvent.State.NEW).count()


def reported(bench: Bench) -> list[dict[str, Any]]:
    rows = requests.get(f"{bench.sandbox}/_sandbox/events", timeout=60).json()["data"]
    return [{key: value for key, value in row.items() if key != "account"} for row in rows]


def work_off() -> float:
    """Seconds until all is worked; the processes' start does not count."""
    workers = [
        subprocess.Popen(
            [*DRAIN, "work"], cwd=_servers.ROOT, env=with_sandbox(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(WORKERS)
    ]
    for worker in workers:
        assert worker.stdout is not None
        worker.stdout.readline()
    start = time.perf_counter()
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write(b"go\n")
        worker.stdin.flush()
    for worker in workers:
        worker.wait()
    return time.perf_counter() - start


def with_sandbox() -> dict[str, str]:
    return {**os.environ, "DJANGO_SETTINGS_MODULE": "marketplace.settings"}


if __name__ == "__main__":
    sys.exit(main())
