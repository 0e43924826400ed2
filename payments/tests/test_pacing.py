"""All our processes together stay under Stripe's limits, and lose nothing by it."""

import threading
import time
from collections import Counter
from typing import Any

import pytest
from django.core.cache import cache
from redis.exceptions import ConnectionError as RedisGoneError

from marketplace import clock
from marketplace.tests.sandbox import Sandbox
from payments import gateway, pacing
from payments.gateway import GatewayError


@pytest.fixture(autouse=True)
def _no_counters() -> None:
    cache.clear()


def turns_taken(endpoint: str, times: int) -> list[int]:
    """The second in which each of two threads' turns was taken."""
    seconds: list[int] = []

    def take() -> None:
        for _ in range(times):
            assert pacing.take_turn(endpoint)
            seconds.append(int(clock.wall().timestamp()))

    threads = [threading.Thread(target=take) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seconds


def test_two_at_once_take_no_more_turns_in_a_second_than_there_are(settings: Any) -> None:
    settings.STRIPE_CALLS_PER_SECOND = 5

    seconds = turns_taken("get:/v1/transfers", 6)

    assert len(seconds) == 12
    # A turn taken at the very end of a second may be noted in the next.
    assert max(Counter(seconds).values()) <= 6
    assert len(set(seconds)) >= 2


def test_one_endpoint_has_a_limit_of_its_own(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.STRIPE_CALLS_PER_SECOND = 1000
    monkeypatch.setattr(pacing, "CALLS_TO_ONE_ENDPOINT", 3)

    assert len(set(turns_taken("post:/v1/transfers", 4))) >= 2


def test_who_gets_no_turn_in_time_asks_later(
    sandbox: Sandbox, settings: Any, monkeypatch: pytest.MonkeyPatch, db: None
) -> None:
    settings.STRIPE_CALLS_PER_SECOND = 1
    monkeypatch.setattr(pacing, "LONGEST_WAIT_SECONDS", 0)
    second = int(clock.wall().timestamp())
    for taken in range(second, second + 5):
        cache.set(f"stripe-calls:{taken}", 1)

    with pytest.raises(GatewayError) as refusal:
        gateway.retrieve_balance()

    assert (refusal.value.outcome, refusal.value.code) == ("busy", "paced")
    assert sandbox.get("/_sandbox/requests")["data"] == []


def test_without_the_cache_nothing_is_held_up(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.STRIPE_CALLS_PER_SECOND = 1

    def gone(*_args: Any, **_options: Any) -> None:
        raise RedisGoneError

    monkeypatch.setattr("django.core.cache.backends.redis.RedisCache.add", gone)
    monkeypatch.setattr("django.core.cache.backends.redis.RedisCache.incr", gone)
    began = time.monotonic()

    assert [pacing.take_turn("get:/v1/balance") for _ in range(5)] == [True] * 5
    assert time.monotonic() - began < 0.5
