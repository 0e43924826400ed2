"""`manage.py reconcile [--full | --since 2026-10-01]`: do our books and Stripe's agree? Exit status 1 where not."""

from argparse import ArgumentTypeError
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from marketplace import clock
from marketplace.lib.errors import DomainError
from payments.models import Difference, Reconciliation
from payments.reconcile import KINDS, open_differences, reconcile

Scope = Reconciliation.Scope


def _date(text: str) -> datetime:
    """The day's first instant, UTC."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise ArgumentTypeError("Write the day like 2026-10-01.") from error


class Command(BaseCommand):
    help = "Compare our books with Stripe's, repair what can be repaired, and name what differs."

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--full", action="store_true", help="everything, not only the last three days")
        which.add_argument("--since", type=_date, metavar="YYYY-MM-DD", help="from this day on (UTC)")

    def handle(self, *_args: Any, full: bool, since: datetime | None, **_options: Any) -> None:
        try:
            done = reconcile(scope=Scope.FULL if full else Scope.RECENT, since=since, now=clock.now())
        except DomainError as error:
            raise CommandError(str(error)) from error
        for name, number in done.compared.items():
            self.stdout.write(f"{number} {name.replace('_', ' ')}(s) compared")
        differences = list(open_differences().select_related("payment", "coach"))
        for difference in differences:
            self._show(difference)
        for step, why in done.not_compared.items():
            self.stdout.write(f"\nNot compared: {step.replace('_', ' ')}. {why}")
        if done.failure:
            raise CommandError(f"The comparison is not complete: {len(done.not_compared)} step(s) not compared.")
        if differences:
            raise CommandError(f"{len(differences)} difference(s) to be looked at.")
        self.stdout.write("Our books and Stripe's agree.")

    def _show(self, difference: Difference) -> None:
        kind = KINDS[difference.code]
        about = " ".join(f"({each})" for each in (difference.payment, difference.coach) if each is not None)
        self.stdout.write(f"\n{kind.title}: {difference.object_type} {difference.object_id} {about}".rstrip())
        self.stdout.write(f"  {kind.meaning}")
        self.stdout.write(f"  Ours: {_words(difference.ours)}")
        self.stdout.write(f"  Stripe's: {_words(difference.stripes)}")
        self.stdout.write(f"  What to do: {kind.what_to_do}")


def _words(facts: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items() if value not in (None, "")) or "nothing"
