"""The tests' own ground: what the other tests may rely on."""

import os
import socket
import subprocess
import sys
from typing import Any

import pytest
from django.core.cache import cache
from django.db import DatabaseError, connection, transaction

from bin import _servers
from bin._servers import ROOT
from marketplace import clock
from marketplace.lib.money import Money
from marketplace.models import User
from marketplace.tests import leftovers
from marketplace.tests.environment import Environment
from marketplace.tests.factories import UserFactory
from marketplace.tests.sandbox import BEGIN, Sandbox
from payments import ledger
from payments.models import LedgerEntry


@pytest.mark.embedded
def test_it_reaches_nothing_beyond_this_machine() -> None:
    with socket.socket() as probe, pytest.raises(RuntimeError, match="stay on this machine"):
        probe.connect(("192.0.2.1", 80))


@pytest.mark.embedded
@pytest.mark.django_db
def test_the_database_has_what_migrations_make() -> None:
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
    assert {"django_migrations", "djstripe_account", "payments_operation"} <= set(tables)


@pytest.mark.embedded
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("_turn", [1, 2])
def test_a_committed_row_is_gone_in_the_next_test(_turn: int) -> None:
    assert not User.objects.exists()
    UserFactory.create()


on_postgresql = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="a copy of a file is soon made")


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_what_a_test_has_committed_is_removed_from_append_only_tables_too() -> None:
    before = leftovers.ground()
    assert before is not None
    assert "payments_ledgerentry" not in before.tables
    assert "auth_permission" in before.tables
    lines = [ledger.Line("platform_losses", Money(500, "usd")), ledger.Line("platform_revenue", Money(-500, "usd"))]
    with transaction.atomic():
        ledger.post(kind="test", reference="left", lines=lines, now=BEGIN)
    UserFactory.create()

    assert leftovers.removed(before)

    assert not LedgerEntry.objects.exists()
    assert not User.objects.exists()
    with transaction.atomic():
        ledger.post(kind="test", reference="left", lines=lines, now=BEGIN)
    with pytest.raises(DatabaseError, match="append-only"):  # its triggers are on again
        LedgerEntry.objects.update(amount=1)


@on_postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.everyday(1)
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE auth_permission SET name = 'Another' WHERE id = (SELECT min(id) FROM auth_permission)",
        "DELETE FROM django_migrations WHERE id = (SELECT max(id) FROM django_migrations)",
        "ALTER TABLE payments_ledgerentry DISABLE TRIGGER USER",
        "ALTER TABLE payments_operation DROP COLUMN error_message",
        "CREATE INDEX another ON payments_operation (kind)",
        "CREATE TABLE another (name text)",
    ],
    ids=lambda change: " ".join(change.split()[:3]),
)
def test_where_it_changed_what_the_template_has_a_new_copy_is_wanted(change: str) -> None:
    before = leftovers.ground()
    assert before is not None
    with connection.cursor() as cursor:
        cursor.execute(change)
    assert not leftovers.removed(before)


@pytest.mark.embedded
def test_the_cache_is_shared_and_empty_at_first() -> None:
    assert cache.get("key") is None
    cache.set("key", 1)
    assert cache.get("key") == 1


@pytest.mark.embedded
def test_the_sandbox_lives_by_one_clock_with_the_product(sandbox: Sandbox) -> None:
    before = clock.now()
    sandbox.advance(3600)
    assert 3600 <= (clock.now() - before).total_seconds() < 3630


@pytest.mark.embedded
@pytest.mark.usefixtures("webhooks")
def test_the_sandbox_knows_where_to_report(sandbox: Sandbox, settings: Any) -> None:
    secrets = [*settings.STRIPE_WEBHOOK_SECRETS, *settings.STRIPE_CONNECT_WEBHOOK_SECRETS]
    assert len(set(secrets)) == 2
    assert all(secret.startswith("whsec_") for secret in secrets)


def test_another_process_shares_the_database(subprocess_env: dict[str, str]) -> None:
    UserFactory.create(email="here@example.com")
    program = "from marketplace.models import User; print(User.objects.get().email)"
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "-v0", "-c", program],
        env=subprocess_env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "here@example.com"


def test_what_is_missing_is_named_and_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "")
    monkeypatch.setattr(_servers, "postgres_programs", lambda: None)
    monkeypatch.setattr(_servers, "redis_program", lambda: "")
    environment = Environment(embedded=False)
    with environment.stack:
        environment.use_servers(database_url="", redis_url="")
        assert os.environ["REDIS_URL"].startswith("redis://127.0.0.1:")
    assert environment.missing == [
        "PostgreSQL is not installed and DATABASE_URL is not set: ran on SQLite.",
        "Redis is not installed and REDIS_URL is not set: ran on the embedded Valkey.",
    ]
