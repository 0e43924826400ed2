"""`manage.py check_ledger`: does everything add up? Exit status 1 where it does not."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from payments import ledger


class Command(BaseCommand):
    help = "Check that the books balance, and agree with payments, earnings and transfers."

    def handle(self, *_args: Any, **_options: Any) -> None:
        imbalances = ledger.check()
        if imbalances:
            named = "\n".join(str(imbalance) for imbalance in imbalances)
            raise CommandError(f"{len(imbalances)} imbalance(s):\n{named}")
        self.stdout.write("The books balance.")
