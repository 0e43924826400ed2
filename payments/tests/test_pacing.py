"""All our processes together stay under Stripe's limits, and lose nothing by it."""

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

from marketplace.tests.sandbox import Sandbox
from payments import gateway, pacing
from payments.gateway import GatewayError

# Full in every place of its second, so that the times of the turns can be told to the last one.
BEGIN = 1_800_000_000.0


@pytest.fixture(autouse=True)
def _no_places_taken() -> None:
    cache.clear()


class StoppedClock:
    """Stands still: how long each turn is waited for says when it comes, on a machine of any speed."""

    def __init__(self) -> None:
        self.now = BEGIN
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    def in_order(self) -> list[float]:
        return [round(wait, 3) for wait in sorted(self.waits)]


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> StoppedClock:
    standing = StoppedClock()
    monkeypatch.setattr(pacing, "time", standing)
    monkeypatch.setattr(pacing, "_now", lambda: standing.now)
    return standing


def take_turns(endpoint: str, times: int) -> None:
    """By each of two threads."""

    def take() -> None:
        for _ in range(times):
            assert pacing.take_turn(endpoint)

    threads = [threading.Thread(target=take) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_turns_are_evenly_spaced_and_none_is_lost(settings: Any, stopped: StoppedClock) -> None:
    settings.STRIPE_CALLS_PER_SECOND = 10

    take_turns("get:/v1/transfers", 6)

    assert stopped.in_order() == [number / 10 for number in range(12)]


def test_a_turn_is_waited_for(settings: Any) -> None:
    settings.STRIPE_CALLS_PER_SECOND = 2
    begun = time.time()

    for _ in range(3):
        assert pacing.take_turn("get:/v1/transfers")

    assert time.time() >= (int(begun * 2) + 2) / 2


def test_one_endpoint_has_a_limit_of_its_own(
    settings: Any, monkeypatch: pytest.MonkeyPatch, stopped: StoppedClock
) -> None:
    settings.STRIPE_CALLS_PER_SECOND = 1000
    monkeypatch.setattr(pacing, "CALLS_TO_ONE_ENDPOINT", 8)

    take_turns("post:/v1/transfers", 4)
    transfers = stopped.in_order()
    assert pacing.take_turn("post:/v1/refunds")

    assert transfers == [number / 8 for number in range(8)]
    assert stopped.waits[-1] < 0.1


def test_who_waits_for_an_endpoint_leaves_the_others_their_places(settings: Any, stopped: StoppedClock) -> None:
    settings.STRIPE_CALLS_PER_SECOND = 60
    take_turns("post:/v1/transfers", 5)
    waits = []
    for _ in range(10):
        assert pacing.take_turn("get:/v1/balance")
        waits.append(stopped.waits[-1])
        stopped.now += waits[-1]

    assert max(waits) < 0.2


def test_who_gets_no_turn_in_time_asks_later(
    sandbox: Sandbox, settings: Any, monkeypatch: pytest.MonkeyPatch, stopped: StoppedClock, db: None
) -> None:
    settings.STRIPE_CALLS_PER_SECOND = 1
    monkeypatch.setattr(pacing, "LONGEST_WAIT_SECONDS", 0)
    assert pacing.take_turn("get:/v1/customers")

    with pytest.raises(GatewayError) as refusal:
        gateway.retrieve_balance()

    assert (refusal.value.outcome, refusal.value.code) == ("busy", "paced")
    assert sandbox.get("/_sandbox/requests")["data"] == []


def test_nobody_waits_for_longer_than_an_operation_may(
    settings: Any, monkeypatch: pytest.MonkeyPatch, stopped: StoppedClock
) -> None:
    settings.STRIPE_CALLS_PER_SECOND = 2
    monkeypatch.setattr(pacing, "LONGEST_WAIT_SECONDS", 1)

    with ThreadPoolExecutor(8) as pool:
        turns = list(pool.map(pacing.take_turn, ["get:/v1/balance"] * 8))

    assert turns.count(True) == 3
    assert stopped.in_order() == [0, 0.5, 1]


def test_without_the_cache_nothing_is_held_up(
    settings: Any, monkeypatch: pytest.MonkeyPatch, stopped: StoppedClock
) -> None:
    settings.STRIPE_CALLS_PER_SECOND = 1

    def gone(*_args: Any, **_options: Any) -> None:
        raise RedisGoneError

    monkeypatch.setattr("django.core.cache.backends.redis.RedisCache.add", gone)

    assert [pacing.take_turn("get:/v1/balance") for _ in range(5)] == [True] * 5
    assert stopped.waits == [0] * 5


ASKING = """
import sys, threading, time
import django
django.setup()
from payments import gateway, pacing
from payments.gateway import GatewayError

take_place, answered = pacing._take_place, []

def say(*words):  # whole lines: several threads say something
    sys.stdout.write(" ".join(map(str, words)) + "\\n")
    sys.stdout.flush()

def noted(name, *when):
    place = take_place(name, *when)
    if name:
        say("place", place)
    return place

def ask():
    while time.monotonic() < end:
        try:
            gateway.retrieve_balance()
        except GatewayError as error:
            say("refused", error.code)

pacing._take_place = noted
pacing.CALLS_TO_ONE_ENDPOINT = {rate}
say("ready")
sys.stdin.readline()
end = time.monotonic() + {seconds}
threads = [threading.Thread(target=ask) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@pytest.mark.thorough
def test_three_processes_use_an_endpoints_whole_rate_and_are_never_refused(sandbox: Sandbox) -> None:
    """At half of what Stripe allows, so that what a busy machine sends late is not too much for the next second.

    Each place is one process's alone. Twelve threads take those of a second in advance: one that is lost was lost to a
    machine that stood still for longer.
    """
    rate = 12
    sandbox.post("/_sandbox/rate_limit", {"account": 100, "endpoint": 25})
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "marketplace.settings", "STRIPE_CALLS_PER_SECOND": "80"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ASKING.format(seconds=6, rate=rate)],
            env=environment, cwd=configured.BASE_DIR, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(3)
    ]  # fmt: skip
    assert [process.stdout and process.stdout.readline() for process in processes] == ["ready\n"] * 3
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [line for process in processes for line in process.communicate(timeout=300)[0].split("\n") if line]

    assert [line for line in said if not line.startswith("place ")] == []
    assert {row["status"] for row in sandbox.get("/_sandbox/requests")["data"]} == {200}
    places = sorted(float(line.removeprefix("place ")) * rate for line in said)
    taken = {int(place + 0.001) for place in places}
    assert len(taken) == len(places)
    assert len(taken) / (max(taken) - min(taken) + 1) >= 0.8
