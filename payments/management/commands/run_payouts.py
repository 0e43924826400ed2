"""`manage.py run_payouts --month 2026-10 [--dry-run]`: the monthly run by hand. Safe to repeat."""

import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.errors import DomainError
from payments import payouts
from payments.models import PayoutLine, PayoutRun

BAR_WIDTH = 30


class Command(BaseCommand):
    help = "Pay every coach what was released before the end of the month (UTC), or show what would be paid."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--month", required=True, metavar="YYYY-MM")
        parser.add_argument("--dry-run", action="store_true", help="show the lines; open nothing, pay nothing")

    def handle(self, *_args: Any, month: str, dry_run: bool, **_options: Any) -> None:
        try:
            if dry_run:
                self._show(month)
            else:
                self._run(month)
        except DomainError as error:
            raise CommandError(str(error)) from error

    def _show(self, month: str) -> None:
        planned = payouts.dry_run(month, clock.now())
        run = PayoutRun.objects.filter(month=month).first()
        if run is not None:
            # Its lines are planned already; zero lines would be said to be due while some of them wait.
            self._report(run)
            return
        names = dict(Coach.objects.filter(pk__in=[line.coach_id for line in planned]).values_list("pk", "display_name"))
        for line in planned:
            self.stdout.write(f"{names[line.coach_id]}: {line.money} for {line.sessions} session(s)")
        self.stdout.write(f"{len(planned)} line(s) would be paid for {month}. Nothing was changed.")

    def _run(self, month: str) -> None:
        run = payouts.open_run(month, clock.now())
        bar = _Bar(self, total=max(1, payouts.due_lines(run).count()))
        if not payouts.pay_lines(run, clock.now(), after_each=bar.one_more):
            raise CommandError("Another process is paying this run. Look at it again in a minute.")
        payouts.close_run(run, clock.now())
        self._report(run)

    def _report(self, run: PayoutRun) -> None:
        unpaid = run.lines.exclude(status=PayoutLine.Status.PAID).select_related("coach").order_by("pk")
        for line in unpaid.iterator():
            self.stdout.write(f"{line.coach}: {line.money} not paid. {_reason(line)}")
        paid = run.lines.filter(status=PayoutLine.Status.PAID).count()
        self.stdout.write(f"{run.month}: {paid} line(s) paid, {unpaid.count()} not.")


def _reason(line: PayoutLine) -> str:
    if line.status == PayoutLine.Status.HELD:
        return f"Held: {line.held_reason}"
    return line.waiting_for or "The transfer is on its way; run this again in a minute."


class _Bar:
    """One line for each twentieth, or for each where there are few."""

    def __init__(self, command: Command, total: int) -> None:
        self._command, self._total, self._done = command, total, 0
        self._lock = threading.Lock()

    def one_more(self) -> None:
        """Called by each of the senders."""
        with self._lock:
            self._done += 1
            if self._done * 20 // self._total > (self._done - 1) * 20 // self._total:
                filled = BAR_WIDTH * self._done // self._total
                self._command.stdout.write(f"[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {self._done}/{self._total}")
