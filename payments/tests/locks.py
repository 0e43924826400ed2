"""What the tests of locks share. Whoever waits for one says so in PostgreSQL alone."""

import pytest
from django.db import connection

on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time.")

WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND wait_event_type = 'Lock'
"""


def waiting() -> int:
    """How many connections wait for a lock; may be asked from the transaction that they wait for."""
    with connection.cursor() as cursor:
        # In this database: those of other test processes are on the same server. As of now: not of the last look.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(WAITING)
        return int(cursor.fetchone()[0])
