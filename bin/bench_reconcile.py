"""`bin/bench reconcile`: a hundred thousand objects in the sandbox against our rows and entries in PostgreSQL.

`manage.py reconcile` runs as a process of its own: its seconds, its peak memory, and what it asked of Stripe. Then
something is put wrong among them, which it has to find, and nothing else. Exit status 1 where a target is missed.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bin import _servers
from bin.bench_intake import KEY, SECRETS, machine, migrate, postgres, say
from bin.bench_slots import multiply

if TYPE_CHECKING:
    from django.db.models import Model

    from marketplace.tests.sandbox import Sandbox
    from payments.models import Payment

# Each makes so many objects at Stripe: an intent and its balance transaction, then a refund or transfer and its own.
OBJECTS = {"plain": 2, "refunded": 4, "paid": 4}
# Of a hundred payments.
SHARES = {"plain": 68, "refunded": 11, "paid": 21}
MOST_COPIES = 4_000  # in one call of the sandbox
LARGEST = 300  # MB
FULL = [sys.executable, "manage.py", "reconcile", "--full", "--skip-checks"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/bench reconcile", description=__doc__.partition("\n")[0])
    parser.add_argument("--objects", type=int, default=100_000)
    asked = parser.parse_args()
    with postgres() as database:
        port = _servers.free_port()
        set_environment(database, f"http://127.0.0.1:{port}")
        migrate()
        import django

        django.setup()
        from marketplace.tests.sandbox import Sandbox

        with contextlib.ExitStack() as stack:
            sandbox = Sandbox(port)
            stack.callback(sandbox.stop)
            fill(sandbox, asked.objects)
            print(f"\n{machine()}\n")
            missed = measure(sandbox, asked.objects)
    for target in missed:
        print(f"MISSED: {target}")
    return 1 if missed else 0


def set_environment(database: str, sandbox: str) -> None:
    from marketplace.tests.environment import TEST_SETTINGS

    bench = {"DATABASE_URL": database, "STRIPE_SANDBOX_URL": sandbox, "STRIPE_SECRET_KEY": KEY, **SECRETS}
    # Nobody listens at that Redis: a comparison must not need a broker.
    bench |= {"REDIS_URL": "redis://127.0.0.1:1/0", "LOG_LEVEL": "ERROR"}
    os.environ.update(TEST_SETTINGS | bench | {"DJANGO_SETTINGS_MODULE": "bin.bench_sandbox_settings"})


# --- the data -----------------------------------------------------------------------------------


def fill(sandbox: "Sandbox", objects: int) -> None:
    """One payment of each kind goes the product's own way, and is then copied at Stripe and, with the new ids, here."""
    begin = time.perf_counter()
    per_hundred = sum(SHARES[kind] * OBJECTS[kind] for kind in OBJECTS)
    models = model_payments(sandbox)
    _run("CREATE TABLE copies (n int, old text, new text, PRIMARY KEY (old, n))")
    _run("SET session_replication_role = replica")
    for kind, payment in models.items():
        count = objects * SHARES[kind] // per_hundred
        say(f"Copying {count} payments of the kind '{kind}' ...")
        Copied(sandbox, payment, count).write()
    _run("SET session_replication_role = DEFAULT")
    _run("VACUUM ANALYZE")
    say(f"... in {time.perf_counter() - begin:.0f} s")


def model_payments(sandbox: "Sandbox") -> "dict[str, Payment]":
    """Captured by the product's services: one of them refunded in part, one paid to the coach by the monthly run."""
    from marketplace import clock
    from marketplace.tests.factories import CoachFactory, UserFactory
    from payments import payouts
    from payments.models import Payment
    from payments.tests import money_back, payday, stage

    coach, student = CoachFactory.create(), UserFactory.create()
    stage.onboard(sandbox, coach)
    payday.fund(sandbox, 10_000_000)

    def captured(reference: str) -> Payment:
        payment = stage.hold(sandbox, student, coach, reference=reference, card="pm_card_bypassPending")
        stage.request_capture(payment, clock.now())
        money_back.sweep()
        payment.refresh_from_db()
        return payment

    paid = captured("lesson:1")
    sandbox.advance(62 * 86_400)
    payouts.run_due(clock.now())
    plain, refunded = captured("lesson:2"), captured("lesson:3")
    money_back.given_back(refunded, 2_500)
    sandbox.advance(3600)
    return {"plain": plain, "refunded": refunded, "paid": paid}


@dataclass
class Copied:
    """A payment `count` times, at Stripe and in our tables, each of its ids with its copy's own."""

    sandbox: "Sandbox"
    payment: "Payment"
    count: int

    def write(self) -> None:
        from payments.models import LedgerTransaction, PayoutLine, Refund

        payment = self.payment
        self.before = int(_value("SELECT max(id) FROM payments_payment"))
        self._copy_at_stripe(str(payment.payment_intent_id), {"metadata.payment_id": self.before + 1})
        ids = {"payment_intent_id": self._new("payment_intent_id"), "charge_id": self._new("charge_id")}
        unique = {"reference": "'bench:' || t.id || ':' || n", "checkout_session_id": "'cs_' || t.id || ':' || n"}
        multiply(payment, self.count, **ids, **unique)
        for refund in Refund.objects.filter(payment=payment):
            self._own(refund, stripe_refund_id=self._new("stripe_refund_id"))
        lines = PayoutLine.objects.filter(earnings__payment=payment)
        paid_by = {line.pk: self._copy_line(line) for line in lines}
        for earning in payment.earnings.all():
            self._own(earning, **({"line_id": f"{paid_by[earning.line_id]} + n"} if earning.line_id else {}))
        transfers = [line.transfer.stripe_transfer_id for line in lines]
        for booked in LedgerTransaction.objects.filter(payment=payment):
            self._copy_booking(booked, payment_id=f"{self.before} + n")
        for booked in LedgerTransaction.objects.filter(reference__in=transfers):
            self._copy_booking(booked)

    def _copy_line(self, line: Any) -> int:
        """In a run of its own; returns the line's id before the first copy."""
        self._copy_at_stripe(line.transfer.stripe_transfer_id, {})
        run = multiply(line.run, self.count, month="'r' || n")
        before = multiply(line, self.count, run_id=f"{run} + n")
        new = {"line_id": f"{before} + n", "stripe_transfer_id": self._new("stripe_transfer_id")}
        multiply(line.transfer, self.count, **new)
        return before

    def _copy_booking(self, booked: Any, **changed: str) -> None:
        reference = f"COALESCE({self._new('reference')}, t.reference || ':' || n)"
        before = multiply(booked, self.count, reference=reference, **changed)
        for entry in booked.entries.all():
            named = ("balance_transaction_id",) if entry.balance_transaction_id else ()
            new = {column: self._new(column) for column in named}
            multiply(entry, self.count, transaction_id=f"{before} + n", **new)

    def _own(self, row: "Model", **changed: str) -> None:
        multiply(row, self.count, payment_id=f"{self.before} + n", **changed)

    def _new(self, column: str) -> str:
        return f"(SELECT new FROM copies WHERE copies.old = t.{column} AND copies.n = n.n)"  # noqa: S608  # our own names

    def _copy_at_stripe(self, stripe_id: str, numbered: dict[str, int]) -> None:
        for done in range(0, self.count, MOST_COPIES):
            now = {path: first + done for path, first in numbered.items()}
            body = {"count": min(MOST_COPIES, self.count - done), "numbered": now}
            made = self.sandbox.post(f"/_sandbox/objects/{stripe_id}/copy", body)["data"]
            self._keep((done + place, names) for place, names in enumerate(made, 1))

    def _keep(self, copies: Iterable[tuple[int, dict[str, str]]]) -> None:
        rows = [(n, old, new) for n, names in copies for old, new in names.items()]
        numbers, olds, news = (list(column) for column in zip(*rows, strict=True))
        _run("INSERT INTO copies SELECT * FROM unnest(%s::int[], %s::text[], %s::text[])", numbers, olds, news)


def _run(statement: str, *parameters: Any) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)


def _value(question: str) -> Any:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchone()[0]


# --- the measurement ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Run:
    """`memory`: the most that the process had at a time, in MB. `asked`: how often each request was made."""

    seconds: float
    memory: float
    status: int
    compared: int
    asked: "Counter[str]"
    differences: list[tuple[str, str, str]]


def measure(sandbox: "Sandbox", objects: int) -> list[str]:
    from payments.models import Transfer

    clean = compare(sandbox)
    print("| run | objects compared | requests | asked twice | s | objects/s | peak memory MB | differences |")
    print("|---|---|---|---|---|---|---|---|")
    show("all good", clean)
    wrong = Transfer.objects.order_by("pk")[1]
    Transfer.objects.filter(pk=wrong.pk).update(amount=wrong.amount - 1)
    spoilt = compare(sandbox)
    show("one transfer is wrong", spoilt)
    missed = []
    if clean.compared < objects * 0.99:
        missed.append(f"{clean.compared} objects compared, not {objects}")
    for run in (clean, spoilt):
        if twice(run):
            missed.append(f"asked more than once: {twice(run)[:3]}")
        if run.memory >= LARGEST:
            missed.append(f"peak memory of {run.memory:.0f} MB, not below {LARGEST}")
    if clean.differences or clean.status:
        missed.append(f"found where nothing is wrong: {clean.differences[:3]}")
    if ("amount_differs", "transfer", wrong.stripe_transfer_id) not in spoilt.differences or not spoilt.status:
        missed.append(f"did not find what is wrong: {spoilt.differences[:3]}")
    return missed


def compare(sandbox: "Sandbox") -> Run:
    """Of the process itself: neither the sandbox nor PostgreSQL is in its memory."""
    from payments.models import Difference, Reconciliation

    before = len(heads(sandbox))
    begin = time.perf_counter()
    running = subprocess.Popen(FULL, cwd=_servers.ROOT, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(running.pid, 0)
    seconds = time.perf_counter() - begin
    running.returncode = os.waitstatus_to_exitcode(status)
    row = Reconciliation.objects.latest("pk")
    if row.failure:
        raise SystemExit(row.failure)
    open_ones = Difference.objects.filter(state=Difference.State.OPEN)
    return Run(
        seconds=seconds,
        memory=used.ru_maxrss / 1024,
        status=running.returncode,
        compared=sum(row.compared.values()),
        asked=Counter(map(request, heads(sandbox)[before:])),
        differences=list(open_ones.values_list("code", "object_type", "object_id")),
    )


def heads(sandbox: "Sandbox") -> list[dict[str, Any]]:
    """The API's requests so far, without their answers."""
    return list(sandbox.get("/_sandbox/requests/heads")["data"])


def request(head: dict[str, Any]) -> str:
    """What is asked, and as whose account."""
    return f"{head['path']} {sorted(head['params'].items())} {head['account'] or ''}"


def twice(run: Run) -> list[str]:
    """Pages that were read again; an object that differs is read once more by itself, and that is no page."""
    return [asked for asked, times in run.asked.items() if times > 1]


def show(name: str, run: Run) -> None:
    print(
        f"| {name} | {run.compared} | {run.asked.total()} | {len(twice(run))} | {run.seconds:.1f} "
        f"| {run.compared / run.seconds:.0f} | {run.memory:.0f} | {len(run.differences)} |",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
