"""The main path with nothing in its way."""

import pytest

from marketplace.tests.main_path import state
from marketplace.tests.main_path.product import Product
from marketplace.tests.main_path.story import Story

pytestmark = pytest.mark.slow


def test_the_story_ends_with_everyone_paid(product: Product) -> None:
    Story(product).tell()
    import pprint

    pprint.pprint(state.state(product), width=180)
    state.assert_sound(product)
    pprint.pprint([(r["method"], r["path"], r["effect"]) for r in state.changes(product)])
