"""A process killed by `kill -9` around each call to Stripe that changes something: everything ends the same.

The calls are those that the sandbox logged while the story was told undisturbed. In one telling each call is cut
off once, before its effect; in another one each after it. With FULL_SWEEP=true every cut gets a telling of its own.
"""

import os

import pytest

from marketplace.tests.main_path import state
from marketplace.tests.main_path.killing import Call, Killer, Moment, Undisturbed
from marketplace.tests.main_path.product import Product
from marketplace.tests.main_path.story import Story
from payments.models import StripeEvent

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.thorough]

MOMENTS: tuple[Moment, ...] = ("before", "after")
full_sweep = pytest.mark.skipif(os.environ.get("FULL_SWEEP") != "true", reason="takes minutes; FULL_SWEEP=true runs it")
# What the story needs of Stripe, by who asks for it.
BY_WEB = {"/v1/accounts", "/v1/account_links", "/v1/customers", "/v1/checkout/sessions"}
BY_WORKER = {"/v1/payment_intents/*/capture", "/v1/payment_intents/*/cancel", "/v1/transfers"}
BY_EITHER = {"/v1/checkout/sessions/*/expire"}


def _told_with_kills(product: Product, calls: list[Call], moment: Moment) -> list[tuple[Call, str]]:
    product.begin_anew()
    killer = Killer(product, calls, moment)
    Story(product).tell()
    state.assert_sound(product)
    return killer.kills


def test_a_process_killed_around_every_call_that_changes_something(product: Product, undisturbed: Undisturbed) -> None:
    calls = undisturbed.calls
    assert {call.path for call in calls} == BY_WEB | BY_WORKER | BY_EITHER

    kills = []
    for moment in MOMENTS:
        killed = _told_with_kills(product, calls, moment)
        assert [call for call, _ in killed] == calls
        assert state.state(product) == undisturbed.state
        kills += killed

    assert len(kills) == 2 * len(calls)
    assert {call.path for call, victim in kills if victim == "web"} >= BY_WEB
    assert {call.path for call, victim in kills if victim == "worker"} >= BY_WORKER


@full_sweep
def test_a_call_that_has_its_effect_when_its_caller_is_dead(product: Product, undisturbed: Undisturbed) -> None:
    """Whoever tries again at first meets a key that is in use."""
    killed = _told_with_kills(product, undisturbed.calls, "too early")

    assert [call for call, _ in killed] == undisturbed.calls
    assert state.state(product) == undisturbed.state


def test_every_kill_again_with_every_event_lost(product: Product, undisturbed: Undisturbed) -> None:
    """Nobody tells what became of a call that was cut off after its effect: it must be asked for."""
    product.stripe_control("POST", "webhooks/drop", {"types": ["*"]})
    killer = Killer(product, undisturbed.calls, "after")
    Story(product).tell()

    assert [call for call, _ in killer.kills] == undisturbed.calls
    assert not StripeEvent.objects.exists()
    state.assert_sound(product)
    assert state.state(product) == undisturbed.state


@full_sweep
def test_each_cut_in_a_telling_of_its_own(product: Product, undisturbed: Undisturbed) -> None:
    calls = undisturbed.calls

    kills = 0
    for call in calls:
        for moment in MOMENTS:
            killed = _told_with_kills(product, [call], moment)
            assert [each for each, _ in killed] == [call], moment
            assert state.state(product) == undisturbed.state, (call, moment)
            kills += 1

    assert kills == 2 * len(calls)
