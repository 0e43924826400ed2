"""One random life of the platform's money: who is in it, its chances, and what has happened so far."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.db.models import QuerySet

from coaches.models import Coach
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox

_Any = TypeVar("_Any")
CURRENCIES = ("usd", "usd", "usd", "eur", "jpy")


@dataclass
class Life:
    """`chance` decides everything, so a seed repeats its life. `schedule` says what was done, for whoever mends it.

    Of Stripe's events `arriving` (0 to 1) are delivered; `told` were generated until we last heard of any.
    """

    seed: int
    sandbox: Sandbox
    student: User
    coaches: list[Coach]
    chance: random.Random
    arriving: float
    told: int = 0
    lessons: int = 0
    schedule: list[str] = field(default_factory=list)

    def one_of(self, choices: Sequence[_Any]) -> _Any:
        return self.chance.choice(choices)

    def happens(self, probability: float) -> bool:
        return self.chance.random() < probability

    def any_of(self, rows: "QuerySet[Any]") -> Any:
        """One of the rows, which must be in a fixed order; nothing where there are none."""
        found = list(rows)
        return self.one_of(found) if found else None

    def currency(self) -> str:
        return self.one_of(CURRENCIES)

    def new_reference(self) -> str:
        self.lessons += 1
        return f"lesson:{self.lessons}"

    def __str__(self) -> str:
        return "\n".join([f"seed {self.seed}", *(f"{n:3} {done}" for n, done in enumerate(self.schedule))])
