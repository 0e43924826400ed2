"""The product as processes, started once; each test begins anew."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

for module in ("people", "state", "story"):
    pytest.register_assert_rewrite(f"marketplace.tests.main_path.{module}")

if TYPE_CHECKING:
    from marketplace.tests.main_path.killing import Undisturbed
    from marketplace.tests.main_path.product import Product


@pytest.fixture(scope="session")
def processes(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Product]":
    from django.db import connection

    from marketplace.tests.main_path.product import running_product

    if connection.vendor != "postgresql":
        pytest.skip("PostgreSQL is not installed: processes can't be pointed at the test's SQLite file.")
    with running_product(tmp_path_factory.mktemp("product")) as product:
        yield product


@pytest.fixture
def product(processes: "Product", transactional_db: None) -> "Iterator[Product]":
    processes.begin_anew()
    yield processes
    processes.forget_everything()  # or what the sandbox still has to tell would meet the next test's database


@pytest.fixture(scope="session")
def _told_once() -> "list[Undisturbed]":
    return []


@pytest.fixture
def undisturbed(product: "Product", _told_once: "list[Undisturbed]") -> "Undisturbed":
    """How the story ends with nothing in its way; told once, since it ends the same each time."""
    from marketplace.tests.main_path.killing import tell_undisturbed

    if not _told_once:
        _told_once.append(tell_undisturbed(product))
        product.begin_anew()
    return _told_once[0]
