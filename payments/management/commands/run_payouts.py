"""`manage.py run_payouts --month 2026-10 [--dry-run]`: the monthly run by hand. Safe to repeat."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.errors import DomainError
from marketplace.lib.money import Money
from payments import lookout, payouts
from payments.models import PayoutLine

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
        names = dict(Coach.objects.values_list("pk", "display_name"))
        for line in planned:
            self.stdout.write(f"{names[line.coach_id]}: {line.money} for {line.sessions} session(s)")
        self.stdout.write(f"{len(planned)} line(s) would be paid for {month}. Nothing was changed.")

    def _run(self, month: str) -> None:
        lookout.require_fresh_look(clock.now())
        run = payouts.open_run(month, clock.now())
        lines = list(payouts.due_lines(run))
        for number, line in enumerate(lines, start=1):
            payouts.pay_line(line, clock.now())
            self._progress(number, len(lines))
        payouts.close_run(run, clock.now())
        self._report(run.lines.select_related("coach").order_by("pk"), month)

    def _progress(self, done: int, total: int) -> None:
        filled = BAR_WIDTH * done // total
        self.stdout.write(f"[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {done}/{total}")

    def _report(self, lines: QuerySet[PayoutLine], month: str) -> None:
        unpaid = [line for line in lines if line.status != PayoutLine.Status.PAID]
        for line in unpaid:
            reason = line.waiting_for or "The transfer is on its way; run this again in a minute."
            self.stdout.write(f"{line.coach}: {Money(line.amount, line.currency)} not paid. {reason}")
        paid = len(lines) - len(unpaid)
        self.stdout.write(f"{month}: {paid} line(s) paid, {len(unpaid)} not.")
