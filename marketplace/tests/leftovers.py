"""Removing what a test has committed: a few rows. A new copy of the template would be some thousand files."""

from dataclasses import dataclass
from typing import Any

from django.db import connection, connections

MAY_PASS_BY_TRIGGERS = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
# Whoever is still connected might still write.
END_OTHERS = """
    SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
WRITTEN = """
    SELECT quote_ident(relname) FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND pg_relation_size(oid) > 0
"""
# A definition that was changed, even back again, is a new row in these catalogues.
DEFINITIONS = """
    SELECT count(*), sum(hashtextextended(definition, 0)) FROM (
        SELECT concat_ws(' ', attrelid, attnum, xmin) AS definition FROM pg_attribute WHERE attrelid >= 16384
        UNION ALL SELECT concat_ws(' ', oid, xmin) FROM pg_constraint
        UNION ALL SELECT concat_ws(' ', oid, xmin) FROM pg_trigger
        UNION ALL SELECT concat_ws(' ', oid, xmin) FROM pg_proc WHERE oid >= 16384
    ) AS definitions
"""


@dataclass(frozen=True)
class Ground:
    """A fresh copy of the template: which tables have rows, and sums over these and over all definitions."""

    tables: tuple[str, ...]
    sums: tuple[Any, ...]


def ground() -> Ground | None:
    """The database's as it stands; None where nobody can return to it: SQLite, or a role that triggers bind."""
    if connection.vendor != "postgresql" or _rows(MAY_PASS_BY_TRIGGERS) != [(True,)]:
        return None
    tables = tuple(table for (table,) in _rows(WRITTEN) if _rows(f"SELECT EXISTS (SELECT FROM {table})") == [(True,)])
    return Ground(tables, _sums(tables))


def removed(before: Ground) -> bool:
    """Removes all rows but those of the ground, and says whether that is all that was changed."""
    connections.close_all()
    _rows(END_OTHERS)
    if _sums(before.tables) != before.sums:
        return False
    left = [table for (table,) in _rows(WRITTEN) if table not in before.tables]
    # As a replica: some tables are append-only, and their triggers would refuse.
    with connection.cursor() as cursor:
        cursor.execute(
            "; ".join(["SET session_replication_role = replica", *(f"DELETE FROM {table}" for table in left)])
        )
    connections.close_all()
    return True


def _sums(tables: tuple[str, ...]) -> tuple[Any, ...]:
    each = [_rows(f"SELECT count(*), sum(hashtextextended(row::text, 0)) FROM {table} AS row") for table in tables]
    return (*each, _rows(DEFINITIONS))


def _rows(query: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())
