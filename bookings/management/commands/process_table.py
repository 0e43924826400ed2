"""`manage.py process_table`: the life of a booking as the Markdown table that the README shows."""

from typing import Any

from django.core.management.base import BaseCommand

from bookings.process import process_table


class Command(BaseCommand):
    help = "Print the life of a booking as a Markdown table."

    def handle(self, *_args: Any, **_options: Any) -> None:
        self.stdout.write(process_table())
