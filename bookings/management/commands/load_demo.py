"""`manage.py load_demo`: fills an empty database and a fresh sandbox with the demo's story."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from bookings.demo.stage import demo_is_allowed, move_to, play, settle
from marketplace import clock
from marketplace.models import User
from payments import ledger


class Command(BaseCommand):
    help = "Fill an empty database with demo data, made through the real services and the Stripe sandbox."

    def handle(self, *args: Any, **options: Any) -> None:
        if not demo_is_allowed():
            raise CommandError("Demo data needs DEMO and DEBUG on, and STRIPE_SANDBOX_URL.")
        if User.objects.exists():
            self.stdout.write("There are people here already: no demo data is made.")
            return
        play(opens_at=clock.wall())
        # Telling it took a while: the demo opens at the machine's own time.
        move_to(clock.wall())
        settle()
        imbalances = ledger.check()
        if imbalances:
            raise CommandError("The demo's books do not balance: " + "; ".join(str(row) for row in imbalances))
        self.stdout.write("The demo is ready, and its books balance.")
