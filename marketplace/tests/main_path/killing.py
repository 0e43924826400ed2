"""`kill -9` to whichever process is talking to Stripe, before or after the call has had its effect."""

import re
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, wait
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

Moment = Literal["before", "after"]
# The sandbox keeps silent for so long; with timeout_before the call then never has its effect.
FAULTS: dict[Moment, str] = {"before": "timeout_before", "after": "timeout_after"}
SILENCE_MS = 60_000
# A request of a person that is still unanswered after this is the one that waits for Stripe.
ANSWERED_SECONDS = 1.0
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
        if self._armed is None or not _struck(product):
            return
        victim = _whoever_asks_stripe(product, asking)
        self.kills.append((self._armed, victim.name))
        self._armed = None
        if victim is product.web:
            victim.kill_children()  # gunicorn has loaded the product already, and replaces them in no time
        else:
            victim.kill()
            victim.start()
        product.stripe_control("DELETE", "faults")
        let_the_leases_run_out()
        product.help_on(PAUSE)
        # What was cut off is repaired by the workers alone, before any person tries again.
        product.until("what was cut off is repaired", lambda: not _open_operations())
        self._arm(product)

    def _arm(self, product: Product) -> None:
        if self._waiting:
            self._armed = self._waiting.pop(0)
            rule = {"method": "POST", "path": self._armed.path, "action": FAULTS[self._moment]}
            nth = 1 if self.kills else self._armed.nth
            product.stripe_control("POST", "faults", {**rule, "nth": nth, "delay_ms": SILENCE_MS})


def _struck(product: Product) -> bool:
    rules = product.stripe_control("GET", "faults")["data"]
    return any(rule["hits"] for rule in rules)


def _whoever_asks_stripe(product: Product, asking: "Future[Any] | None") -> Process:
    """The web process answers a person by asking Stripe; all other calls are the worker's."""
    if asking is not None and not wait([asking], timeout=ANSWERED_SECONDS).done:
        return product.web
    return product.worker


def _open_operations() -> bool:
    return Operation.objects.filter(state__in=Operation.OPEN_STATES).exists()


def let_the_leases_run_out() -> None:
    """Leases are by the machine's own time, a minute or two that a test does not have: they end now."""
    now = clock.wall() - timedelta(seconds=1)
    for model in (Operation, StripeEvent, Notice):
        model._default_manager.filter(lease_until__gt=now).update(lease_until=now)
