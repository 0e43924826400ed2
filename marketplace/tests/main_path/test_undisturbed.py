"""The main path with nothing in its way."""

import pytest

from marketplace.tests.main_path import state
from marketplace.tests.main_path.killing import Undisturbed
from marketplace.tests.main_path.product import Product
from marketplace.tests.main_path.story import Story

pytestmark = pytest.mark.slow


def test_the_story_ends_with_everyone_paid_and_nobody_charged_twice(product: Product) -> None:
    Story(product).tell()

    state.assert_sound(product)
    found = state.state(product)
    assert [booking["status"] for booking in found["bookings"]] == [
        *("completed", "declined", "abandoned", "abandoned", "completed")
    ]
    assert [(payment["mode"], payment["status"], payment["captured"]) for payment in found["payments"]] == [
        ("monthly", "captured", 10_000),
        ("monthly", "released", 0),
        ("monthly", "lapsed", 0),
        ("monthly", "lapsed", 0),
        ("per_session", "captured", 10_000),
    ]
    # Two charges less Stripe's fees and the coach's shares; the fee of the monthly one never is an application fee.
    assert found["stripe platform"] == {"usd": 2 * (10_000 - 320 - 8_000)}
    assert found["stripe coaches"] == [{"usd": 2 * 8_000}]
    assert found["stripe payment_intents"] == [
        "[10000, 0, 'usd', 'canceled', None]",
        "[10000, 10000, 'usd', 'succeeded', 2000]",
        "[10000, 10000, 'usd', 'succeeded', None]",
    ]
    assert len(found["stripe accounts"]) == len(found["stripe customers"]) == len(found["stripe application_fees"]) == 1
    assert len(found["stripe checkout/sessions"]) == 5
    assert len(found["stripe transfers"]) == 2
    assert found["stripe refunds"] == []
    assert all(booking["mails owed"] == [] for booking in found["bookings"])


@pytest.mark.thorough
def test_the_story_ends_the_same_each_time(product: Product, undisturbed: Undisturbed) -> None:
    Story(product).tell()

    assert state.state(product) == undisturbed.state
