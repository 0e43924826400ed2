"""Whatever is wrong, on either side: one comparison finds it, names it, mends what the facts allow, says no more."""

from collections import Counter

import pytest
from django.db import connection

from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import ledger
from payments.models import Difference
from payments.tests import seeded_ours, seeded_scene, seeded_stripes
from payments.tests.seeded_errors import ERRORS, FAMILIES, Error
from payments.tests.seeded_scene import Found, Scene

SIDES = ("ours", "stripes")
# One of each kind, in turns on either side, none of which hides another.
TOGETHER = (
    seeded_ours.the_row_of_a_payout_is_gone,
    seeded_stripes.a_lesson_is_held_twice,
    seeded_ours.a_refund_is_written_down_over_less,
    seeded_stripes.an_entry_is_in_another_currency,
    seeded_ours.a_transfer_is_written_down_for_another_account,
    seeded_stripes.a_transfer_came_instead_of_going,
    seeded_ours.a_capture_is_booked_a_month_late,
    seeded_stripes.a_capture_was_never_made,
    seeded_stripes.a_charge_that_nobody_here_made,
    seeded_ours.a_dispute_is_made_up,
)


@pytest.fixture
def scene(sandbox: Sandbox, student: User, heard: object) -> Scene:
    if connection.vendor != "postgresql":
        pytest.skip("PostgreSQL is not installed: SQLite's guards can't be put aside.")
    return seeded_scene.build(sandbox, student)


@pytest.mark.django_db
def test_ten_kinds_at_once_are_told_apart(scene: Scene) -> None:
    expected: Found = {}
    for do in TOGETHER:
        expected |= do(scene)
    assert scene.compare() == expected


@pytest.mark.thorough
@pytest.mark.django_db
@pytest.mark.parametrize("error", ERRORS, ids=str)
def test_it_is_found_and_named_and_nothing_else_is(scene: Scene, error: Error) -> None:
    expected = error.do(scene)
    assert scene.compare() == expected


@pytest.mark.django_db
def test_where_nothing_is_wrong_nothing_is_found(scene: Scene) -> None:
    assert scene.compare() == {}
    assert Difference.objects.count() == 0
    assert ledger.check() == []


def test_one_of_each_kind_is_tried_together() -> None:
    families = [error.family for error in ERRORS if error.do in TOGETHER]
    assert sorted(families) == sorted(FAMILIES)


def test_there_are_three_of_each_kind_on_either_side() -> None:
    counted = Counter((error.family, error.side) for error in ERRORS)
    assert set(counted) == {(family, side) for family in FAMILIES for side in SIDES}
    assert min(counted.values()) >= 3
