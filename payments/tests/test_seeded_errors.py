"""Whatever is wrong, on either side: one comparison finds it, names it, mends what the facts allow, says no more."""

from collections import Counter

import pytest
from django.db import connection

from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import ledger
from payments.models import Difference
from payments.tests import seeded_ours, seeded_scene, seeded_stripes  # noqa: F401  # their errors are in the table
from payments.tests.seeded_errors import ERRORS, FAMILIES, Error
from payments.tests.seeded_scene import Scene

SIDES = ("ours", "stripes")
# One of each kind every day, in turns from either side; CI has them all.
_firsts = {(error.family, error.side): error for error in reversed(ERRORS)}
EVERYDAY = [_firsts[family, SIDES[number % 2]] for number, family in enumerate(FAMILIES)]
THE_REST = [error for error in ERRORS if error not in EVERYDAY]


@pytest.fixture
def scene(sandbox: Sandbox, student: User, heard: object) -> Scene:
    if connection.vendor != "postgresql":
        pytest.skip("PostgreSQL is not installed: SQLite's guards can't be put aside.")
    return seeded_scene.build(sandbox, student)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "error",
    [*EVERYDAY, *(pytest.param(error, marks=pytest.mark.thorough) for error in THE_REST)],
    ids=str,
)
def test_it_is_found_and_named_and_nothing_else_is(scene: Scene, error: Error) -> None:
    expected = error.do(scene)
    assert scene.compare() == expected


@pytest.mark.django_db
def test_where_nothing_is_wrong_nothing_is_found(scene: Scene) -> None:
    assert scene.compare() == {}
    assert Difference.objects.count() == 0
    assert ledger.check() == []


def test_there_are_three_of_each_kind_on_either_side() -> None:
    counted = Counter((error.family, error.side) for error in ERRORS)
    assert set(counted) == {(family, side) for family in FAMILIES for side in SIDES}
    assert min(counted.values()) >= 3
