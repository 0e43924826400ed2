"""A database with every migration applied, made once and then copied: dj-stripe's migrations alone take half a minute.

Templates are keyed by a hash of all migration files, ours and the packages'. What migrations make beyond tables
(constraints, triggers, their data) is in the copy, since it is a copy of the database itself.
"""

import contextlib
import hashlib
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
from django.apps import AppConfig, apps
from django.core.management import call_command
from django.db import connection
from psycopg import sql

from bin._servers import ROOT, locked

FOLDER = ROOT / "var" / "templates"
# Our own apps change often; what they stand on does not, and is most of the time. So it has a template of its own.
CHANGING_APPS = {"coaches", "payments", "bookings"}


def fingerprint(*, without: set[str]) -> str:
    """Hash of the migration files of all installed apps but these."""
    digest = hashlib.sha256()
    for app in sorted(apps.get_app_configs(), key=lambda app: app.label):
        if app.label not in without:
            for path in _migration_files(app):
                digest.update(f"{app.label}/{path.name}".encode() + path.read_bytes())
    if not without:
        # The roles of the staff, which every migration leaves behind it.
        digest.update(Path(ROOT, "marketplace", "rights.py").read_bytes())
    return digest.hexdigest()[:12]


def _migration_files(app: AppConfig) -> list[Path]:
    return sorted(Path(app.path, "migrations").glob("*.py"))


@contextlib.contextmanager
def _connected_to(name: str) -> Iterator[None]:
    """Points Django's connection at another database of the same kind."""
    before = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = name
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = before


def _migrate_base() -> None:
    call_command("migrate", "djstripe", verbosity=1, stdout=sys.stderr)


def _migrate_all() -> None:
    call_command("migrate", verbosity=1, stdout=sys.stderr)


class Sqlite:
    """Templates and databases are files. A database's name is its path."""

    def ensure_template(self) -> str:
        path = FOLDER / f"{fingerprint(without=set())}.sqlite3"
        base = FOLDER / f"base-{fingerprint(without=CHANGING_APPS)}.sqlite3"
        with locked(FOLDER / "lock"):
            if not path.exists():
                if not base.exists():
                    self._make(base, None, _migrate_base)
                self._make(path, base, _migrate_all)
                for old in set(FOLDER.glob("*.sqlite3")) - {path, base}:
                    old.unlink()
        return str(path)

    def _make(self, path: Path, source: Path | None, migrate: Callable[[], None]) -> None:
        unfinished = path.with_suffix(".unfinished")
        self.drop(str(unfinished))
        if source:
            shutil.copy(source, unfinished)
        with _connected_to(str(unfinished)):
            migrate()
        unfinished.rename(path)

    def copy(self, template: str, name: str) -> None:
        """Also over a database that is in use: its connections then see the copy."""
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        with (
            contextlib.closing(sqlite3.connect(template)) as source,
            contextlib.closing(sqlite3.connect(name)) as target,
        ):
            source.backup(target)

    def drop(self, name: str) -> None:
        for suffix in ("", "-wal", "-shm"):
            Path(name + suffix).unlink(missing_ok=True)


class PostgreSQL:
    """Templates and databases are databases of the server that Django's settings name."""

    def ensure_template(self) -> str:
        name = f"holdfast_template_{fingerprint(without=set())}"
        base = f"holdfast_base_{fingerprint(without=CHANGING_APPS)}"
        with locked(FOLDER / "lock"):
            if not self._exists(name):
                if not self._exists(base):
                    self._make(base, "template0", _migrate_base)
                self._make(name, base, _migrate_all)
                for old in self.names("holdfast_template_", "holdfast_base_"):
                    if old not in {name, base}:
                        self.drop(old)
        return name

    def _make(self, name: str, source: str, migrate: Callable[[], None]) -> None:
        unfinished = f"{name}_unfinished"
        self.copy(source, unfinished)
        with _connected_to(unfinished):
            migrate()
        self._execute("ALTER DATABASE {} RENAME TO {}", unfinished, name)

    def copy(self, template: str, name: str) -> None:
        """Also over a database that is in use: its connections are ended."""
        self.drop(name)
        self._execute("CREATE DATABASE {} TEMPLATE {}", name, template)

    def drop(self, name: str) -> None:
        self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def names(self, *prefixes: str) -> list[str]:
        with self._server() as server:
            found = [str(row[0]) for row in server.execute("SELECT datname FROM pg_database")]
        return [name for name in found if name.startswith(prefixes)]

    def _exists(self, name: str) -> bool:
        return name in self.names(name)

    def _execute(self, statement: str, *names: str) -> None:
        with self._server() as server:
            server.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    @contextlib.contextmanager
    def _server(self) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
        settings = connection.settings_dict
        with psycopg.connect(
            host=settings["HOST"],
            port=settings["PORT"] or None,
            user=settings["USER"],
            password=settings["PASSWORD"],
            dbname="postgres",
            autocommit=True,
        ) as server:
            yield server


def store() -> Sqlite | PostgreSQL:
    """The kind of database that the settings name."""
    return PostgreSQL() if connection.vendor == "postgresql" else Sqlite()
