"""The tests' own ground: what the other tests may rely on."""

import os
import socket
import subprocess
import sys
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection

from bin import _servers
from bin._servers import ROOT
from marketplace import clock
from marketplace.models import User
from marketplace.tests.environment import Environment
from marketplace.tests.factories import UserFactory
from marketplace.tests.sandbox import Sandbox


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
