"""All our processes together stay under Stripe's limits, and lose nothing by it."""

import itertools
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.conf import settings as configured
from django.core.cache import cache
from redis.exceptions import ConnectionError as RedisGoneError

from marketplace import clock
from marketplace.tests.sandbox import Sandbox
from payments import gateway, pacing
from payments.gateway import GatewayError


@pytest.fixture(autouse=True)
def _no_places_taken() -> None:
    cache.clear()


def turns_taken(endpoint: str, times: int) -> list[float]:
    """When each of two threads' turns came, in order."""
    taken: list[float] = []

    def take() -> None:
        for _ in range(times):
            assert pacing.take_turn(endpoint)
            taken.append(clock.wall().timestamp())

    threads = [threading.Thread(target=take) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(taken)


def test_turns_are_evenly_spaced_and_none_is_lost(settings: Any) -> None:
    settings.STRIPE_CALLS_PER_SECOND = 10

    taken = turns_taken("get:/v1/transfers", 6)

    assert 1 <= taken[-1] - taken[0] < 1.5
    assert max(later - earlier for earlier, later in itertools.pairwise(taken)) < 0.4


def test_one_endpoint_has_a_limit_of_its_own(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.STRIPE_CALLS_PER_SECOND = 1000
    monkeypatch.setattr(pacing, "CALLS_TO_ONE_ENDPOINT", 8)

    transfers = turns_taken("post:/v1/transfers", 4)
    begun = time.monotonic()
    assert pacing.take_turn("post:/v1/refunds")

    assert transfers[-1] - transfers[0] > 0.7
    assert time.monotonic() - begun < 0.1


def test_who_waits_for_an_endpoint_leaves_the_others_their_places(settings: Any) -> None:
    settings.STRIPE_CALLS_PER_SECOND = 60
    waiting = threading.Thread(target=turns_taken, args=("post:/v1/transfers", 10))
    waiting.start()
    took = []
    for _ in range(10):
        begun = time.monotonic()
        assert pacing.take_turn("get:/v1/balance")
        took.append(time.monotonic() - begun)
    waiting.join()
    assert max(took) < 0.4


def test_who_gets_no_turn_in_time_asks_later(
    sandbox: Sandbox, settings: Any, monkeypatch: pytest.MonkeyPatch, db: None
) -> None:
    settings.STRIPE_CALLS_PER_SECOND = 1
    monkeypatch.setattr(pacing, "LONGEST_WAIT_SECONDS", 0)
    second = int(clock.wall().timestamp())
    for taken in range(second, second + 5):
        cache.set(f"stripe-place::1:{taken}", 1)

    with pytest.raises(GatewayError) as refusal:
        gateway.retrieve_balance()

    assert (refusal.value.outcome, refusal.value.code) == ("busy", "paced")
    assert sandbox.get("/_sandbox/requests")["data"] == []


def test_nobody_waits_for_longer_than_an_operation_may(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.STRIPE_CALLS_PER_SECOND = 2
    monkeypatch.setattr(pacing, "LONGEST_WAIT_SECONDS", 1)
    begun = time.monotonic()

    with ThreadPoolExecutor(8) as pool:
        turns = list(pool.map(pacing.take_turn, ["get:/v1/balance"] * 8))

    assert turns.count(True) in {2, 3}
    assert time.monotonic() - begun < 1.5


def test_without_the_cache_nothing_is_held_up(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.STRIPE_CALLS_PER_SECOND = 1

    def gone(*_args: Any, **_options: Any) -> None:
        raise RedisGoneError

    monkeypatch.setattr("django.core.cache.backends.redis.RedisCache.add", gone)
    began = time.monotonic()

    assert [pacing.take_turn("get:/v1/balance") for _ in range(5)] == [True] * 5
    assert time.monotonic() - began < 0.5


ASKING = """
import threading, time
import django
django.setup()
from payments import gateway
from payments.gateway import GatewayError

begin, end, answered = {begin}, {begin} + {seconds}, []

def ask():
    while time.time() < end:
        try:
            gateway.retrieve_balance()
        except GatewayError as error:
            print("refused", error.code)
        else:
            answered.append(time.time())

time.sleep(max(0, begin - time.time()))
threads = [threading.Thread(target=ask) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("\\n".join(map(str, answered)))
"""


@pytest.mark.thorough
def test_three_processes_use_an_endpoints_whole_rate_and_are_never_refused(sandbox: Sandbox) -> None:
    """Stripe allows 25 a second; one call in twenty may be lost to spacing, and no more."""
    sandbox.post("/_sandbox/rate_limit", {"account": 100, "endpoint": 25})
    seconds = 6
    script = ASKING.format(begin=time.time() + 5, seconds=seconds)
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "marketplace.settings", "STRIPE_CALLS_PER_SECOND": "80"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script], env=environment, cwd=configured.BASE_DIR, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    said = [line for process in processes for line in process.communicate(timeout=60)[0].split("\n") if line]

    answered = sorted(float(line) for line in said if not line.startswith("refused"))
    assert len(answered) == len(said), "somebody was refused"
    assert {row["status"] for row in sandbox.get("/_sandbox/requests")["data"]} == {200}
    rate = (len(answered) - 1) / (answered[-1] - answered[0])
    assert 0.95 * 25 <= rate <= 25
