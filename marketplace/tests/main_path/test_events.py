"""The main path with Stripe's events lost, repeated, late and out of order: everything ends the same."""

import os
import random
from concurrent.futures import Future
from typing import Any

import pytest

from marketplace.tests.main_path import state
from marketplace.tests.main_path.killing import Undisturbed
from marketplace.tests.main_path.product import ALL_TICKS, POLL_TICKS, Product
from marketplace.tests.main_path.story import Story
from payments.models import StripeEvent

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.thorough]

WITHOUT_POLLERS = tuple(tick for tick in ALL_TICKS if tick not in POLL_TICKS)
# A failing order is told again by its number.
SEEDS = range(20) if os.environ.get("FULL_SWEEP") == "true" else range(3)


class Postman:
    """Keeps back every event and hands over what has come together: three times each, shuffled."""

    def __init__(self, product: Product, seed: int) -> None:
        self._random = random.Random(seed)
        self.handed_over = 0
        product.stripe_control("POST", "webhooks/hold")
        product.watchers.append(self)

    def look(self, product: Product, asking: "Future[Any] | None") -> None:
        if asking is None:
            rows = product.stripe_control("GET", "deliveries")["data"]
            copies = [row["event"] for row in rows if row["status"] == "held"] * 3
            self._random.shuffle(copies)
            for event in copies:
                product.stripe_control("POST", f"events/{event}/resend")
            self.handed_over += len(copies)


def test_every_event_lost(product: Product, undisturbed: Undisturbed) -> None:
    product.stripe_control("POST", "webhooks/drop", {"types": ["*"]})
    Story(product).tell()

    assert not StripeEvent.objects.exists()
    state.assert_sound(product)
    assert state.state(product) == undisturbed.state


@pytest.mark.parametrize("seed", SEEDS)
def test_every_event_three_times_in_shuffled_order_and_no_poller(
    product: Product, undisturbed: Undisturbed, seed: int
) -> None:
    product.ticks = WITHOUT_POLLERS
    postman = Postman(product, seed)
    Story(product).tell()

    assert postman.handed_over == 3 * StripeEvent.objects.count() > 0
    state.assert_sound(product)
    assert state.state(product) == undisturbed.state


@pytest.mark.parametrize("seed", SEEDS)
def test_every_event_late_when_all_is_over(product: Product, undisturbed: Undisturbed, seed: int) -> None:
    product.stripe_control("POST", "webhooks/hold")
    Story(product).tell()
    assert not StripeEvent.objects.exists()
    order = {"order": "shuffled", "copies": 3, "seed": seed}
    sent = product.stripe_control("POST", "webhooks/release", order)["sent"]
    product.until_quiet()

    assert sent == 3 * StripeEvent.objects.count() > 0
    state.assert_sound(product)
    assert state.state(product) == undisturbed.state
