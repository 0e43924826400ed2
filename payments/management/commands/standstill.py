"""`manage.py standstill begin|restored|end|status [--reason "..."]`: stop all sending to Stripe, and let it go on."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from marketplace import clock
from marketplace.lib.errors import DomainError
from payments.models import Operation, Standstill
from payments.services import standstill

CHANGES = {"begin": standstill.begin, "restored": standstill.begin_after_restore, "end": standstill.end}


class Command(BaseCommand):
    help = "Stop everything that changes anything at Stripe, or let it go on. Pages and reading go on meanwhile."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", choices=("begin", "restored", "end", "status"))
        parser.add_argument("--reason", default="", help="for the record; required but for status")

    def handle(self, *_args: Any, what: str, reason: str, **_options: Any) -> None:
        if what == "status":
            self._show()
            return
        if not reason.strip():
            raise CommandError('Say why: --reason "..."')
        try:
            CHANGES[what](reason=reason.strip(), actor=None, now=clock.now())
        except DomainError as error:
            raise CommandError(str(error)) from error
        self._show()

    def _show(self) -> None:
        current = standstill.current()
        waiting = Operation.objects.filter(state__in=Operation.OPEN_STATES).count()
        if current is None:
            self.stdout.write(f"Everything is sent to Stripe as usual. {waiting} operation(s) are open.")
            return
        self.stdout.write(f"Nothing is sent to Stripe since {current.began_at:%Y-%m-%d %H:%M} UTC, {_who(current)}.")
        self.stdout.write(f"Why: {current.reason}")
        self.stdout.write(f"{waiting} operation(s) wait.")
        for hindrance in standstill.hindrances_to_end(current):
            self.stdout.write(f"It can't be ended yet. {hindrance}")


def _who(current: Standstill) -> str:
    if current.behind:
        return "because Stripe knows more than this database"
    return f"begun by {current.began_by}" if current.began_by else "begun on this machine"
