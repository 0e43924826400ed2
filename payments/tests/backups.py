"""A backup of the test's database, for tests in which Stripe goes on and the database goes back."""

from datetime import timedelta

from django.db import connection, connections

from bin import _template
from marketplace import clock
from payments.models import LookOut


class Backup:
    """The whole database as it was, and put back while Stripe goes on."""

    def __init__(self) -> None:
        self.name = f"{connection.settings_dict['NAME']}_backup"
        self.store = _template.store()

    def take(self) -> None:
        # The last look before a backup is some time ago when the backup is restored.
        LookOut.objects.update(looked_at=clock.wall() - timedelta(hours=1))
        self._copy(connection.settings_dict["NAME"], self.name)

    def restore(self) -> None:
        self._copy(self.name, connection.settings_dict["NAME"])

    def _copy(self, source: str, target: str) -> None:
        connections.close_all()
        self.store.copy(source, target)

    def drop(self) -> None:
        connections.close_all()
        self.store.drop(self.name)
