"""The table of seeded errors: each makes one thing wrong and says what a comparison must find of it, and no more."""

from collections.abc import Callable
from dataclasses import dataclass

from payments.tests.seeded_scene import Found, Scene

MISSING, DOUBLE, AMOUNT, CURRENCY = "missing", "double", "wrong amount", "wrong currency"
OWNER, SIGN, PERIOD, STATE = "wrong owner", "wrong sign", "wrong period", "wrong state"
ORPHAN_AT_STRIPE, ORPHAN_WITH_US = "orphan at Stripe", "orphan with us"
FAMILIES = (
    MISSING,
    DOUBLE,
    AMOUNT,
    CURRENCY,
    OWNER,
    SIGN,
    PERIOD,
    STATE,
    ORPHAN_AT_STRIPE,
    ORPHAN_WITH_US,
)
Deed = Callable[[Scene], Found]


@dataclass(frozen=True, slots=True)
class Error:
    """`side`: whose books are wrong, "ours" or "stripes"."""

    family: str
    side: str
    do: Deed

    def __str__(self) -> str:
        return f"{self.family}, {self.side}: {self.do.__name__}"


ERRORS: list[Error] = []


def seeded(family: str, side: str) -> Callable[[Deed], Deed]:
    def register(deed: Deed) -> Deed:
        ERRORS.append(Error(family, side, deed))
        return deed

    return register
