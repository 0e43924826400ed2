"""`kill -9` to whichever process is talking to Stripe."""

import re
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from bookings.models import Notice
from marketplace import clock
from marketplace.tests.main_path.processes import Process
from marketplace.tests.main_path.product import Product
from marketplace.tests.main_path.state import Facts, assert_sound, changes, state
from marketplace.tests.main_path.story import Story
from payments.models import Operation, StripeEvent

# Before the call has had its effect, which it then never has; after it; or while it is still to come.
Moment = Literal["before", "after", "too early"]
# What the sandbox does while it keeps silent, and for how long.
SILENCE_MS = 60_000
FAULTS: dict[Moment, tuple[str, int]] = {
    "before": ("timeout_before", SILENCE_MS),
    "after": ("timeout_after", SILENCE_MS),
    "too early": ("delay_before", 3_000),
}
# Longer than any first pause of the product's before it tries again.
PAUSE = timedelta(minutes=1)
_ID = re.compile(r"^[a-z]+_(?=.*[A-Z0-9])\w+$")


@dataclass(frozen=True)
class Call:
    """The `nth` call to this path that changes something; `*` stands for ids."""

    path: str
    nth: int


@dataclass(frozen=True)
class Undisturbed:
    """The story told with nothing in its way: what it leaves behind, and the calls that changed something."""

    state: Facts
    calls: list[Call]


def tell_undisturbed(product: Product) -> Undisturbed:
    Story(product).tell()
    assert_sound(product)
    return Undisturbed(state(product), calls_of(product))


def calls_of(product: Product) -> list[Call]:
    """Every call that has changed something at Stripe, in order, from the sandbox's own log."""
    seen: Counter[str] = Counter()
    calls = []
    for row in changes(product):
        if row["effect"] and not row["replayed"]:
            path = _pattern(row["path"])
            seen[path] += 1
            calls.append(Call(path, seen[path]))
    return calls


def _pattern(path: str) -> str:
    return "/".join("*" if _ID.match(part) else part for part in path.split("/"))


class Killer:
    """Kills at each of the calls in turn. The next call is in danger once the harm of the last one is repaired."""

    def __init__(self, product: Product, calls: Sequence[Call], moment: Moment) -> None:
        """Of `calls`, all but the first must be the next to their path after the one before them."""
        self.kills: list[tuple[Call, str]] = []
        self._waiting = list(calls)
        self._moment = moment
        self._armed: Call | None = None
        self._arm(product)
        product.watchers.append(self)

    def look(self, product: Product, asking: "Future[Any] | None") -> None:
        port = struck_port(product) if self._armed else None
        if self._armed is None or port is None:
            return
        victim = _whose_connection(product, port)
        self.kills.append((self._armed, victim.name))
        self._armed = None
        if victim is product.web:
            victim.kill_children()  # gunicorn has loaded the product already, and replaces them in no time
        else:
            victim.kill()
            victim.start()
        product.stripe_control("DELETE", "faults")
        let_the_leases_run_out()
        product.let_pass(PAUSE)
        # What was cut off is repaired by the workers alone, before any person tries again.
        product.until("what was cut off is repaired", lambda: not _open_operations())
        self._arm(product)

    def _arm(self, product: Product) -> None:
        if self._waiting:
            self._armed = self._waiting.pop(0)
            action, delay_ms = FAULTS[self._moment]
            rule = {"method": "POST", "path": self._armed.path, "nth": 1 if self.kills else self._armed.nth}
            product.stripe_control("POST", "faults", {**rule, "action": action, "delay_ms": delay_ms})


def struck_port(product: Product) -> int | None:
    """Where the call comes from that a fault has struck; None while there is no such call."""
    rules = product.stripe_control("GET", "faults")["data"]
    struck = {request for rule in rules for request in rule["hits"]}
    if not struck:
        return None
    (row,) = (row for row in changes(product) if row["id"] in struck)
    return int(row["client_port"])


def _whose_connection(product: Product, port: int) -> Process:
    ours = (product.web, product.worker)
    (found,) = [process for process in ours if process.holds_connection(port, product.sandbox_port)]
    return found


def _open_operations() -> bool:
    return Operation.objects.filter(state__in=Operation.OPEN_STATES).exists()


def let_the_leases_run_out() -> None:
    """Leases are by the machine's own time, a minute or two that a test does not have: they end now."""
    now = clock.wall() - timedelta(seconds=1)
    for model in (Operation, StripeEvent, Notice):
        model._default_manager.filter(lease_until__gt=now).update(lease_until=now)
