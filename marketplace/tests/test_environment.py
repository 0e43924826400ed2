"""The tests' own ground: what the other tests may rely on."""

import socket

import pytest
from django.core.cache import cache
from django.db import connection

from marketplace.models import User
from marketplace.tests.factories import UserFactory

pytestmark = pytest.mark.embedded


def test_it_reaches_nothing_beyond_this_machine() -> None:
    with socket.socket() as probe, pytest.raises(RuntimeError, match="stay on this machine"):
        probe.connect(("192.0.2.1", 80))


@pytest.mark.django_db
def test_the_database_has_what_migrations_make() -> None:
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
    assert {"django_migrations", "djstripe_account", "payments_operation"} <= set(tables)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("_turn", [1, 2])
def test_a_committed_row_is_gone_in_the_next_test(_turn: int) -> None:
    assert not User.objects.exists()
    UserFactory.create()


def test_the_cache_is_shared_and_empty_at_first() -> None:
    assert cache.get("key") is None
    cache.set("key", 1)
    assert cache.get("key") == 1


def test_the_sandbox_lives_by_one_clock_with_the_product(sandbox) -> None:
    from marketplace import clock

    before = clock.now()
    sandbox.advance(3600)
    assert 3600 <= (clock.now() - before).total_seconds() < 3630
