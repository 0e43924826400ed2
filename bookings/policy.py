"""What a cancellation by the student costs: policies as data, and the one function that tells it and decides it.

Pure: no database, no clock. A policy is never changed: other terms are a new version, and bookings keep theirs.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from bookings.process.terms import NO_SHOW_PERCENT
from coaches.models import Offering
from marketplace.lib.money import Money, least_charge, round_share

Code = Offering.Cancellation


@dataclass(frozen=True, slots=True)
class Tier:
    """From so long before the start on, this part of the price is kept."""

    before_start: timedelta
    percent: int


@dataclass(frozen=True, slots=True)
class Policy:
    """The tier that is nearest to the start comes last. No tier begins earlier than a hold is there: 48 h before."""

    code: Code
    version: int
    text: str
    tiers: tuple[Tier, ...] = ()


@dataclass(frozen=True, slots=True)
class Consequence:
    """What a cancellation at some instant means. `changes_at` is when it comes to cost more, if it ever does."""

    kept: Money
    returned: Money
    changes_at: datetime | None


POLICIES = (
    Policy(Code.FLEXIBLE, 1, "You can cancel at any time before the start and pay nothing."),
    Policy(
        Code.MODERATE,
        1,
        "Up to 24 hours before the start you can cancel and pay nothing. Later, half of the price is kept.",
        (Tier(timedelta(hours=24), 50),),
    ),
    Policy(
        Code.STRICT,
        1,
        "Up to 48 hours before the start you can cancel and pay nothing. Later, half of the price is kept, and in the "
        "last 24 hours all of it.",
        (Tier(timedelta(hours=48), 50), Tier(timedelta(hours=24), 100)),
    ),
)


def current(code: str) -> Policy:
    """The version that a booking made now agrees to."""
    return max((policy for policy in POLICIES if policy.code == code), key=lambda policy: policy.version)


def agreed(code: str, version: int) -> Policy:
    """The terms under this version. Raises StopIteration where there never were such terms."""
    return next(policy for policy in POLICIES if (policy.code, policy.version) == (code, version))


def consequence(policy: Policy, *, price: Money, starts_at: datetime, now: datetime, held: bool) -> Consequence:
    """What is kept when the student cancels at `now`. A tier counts from its instant on, to the second.

    Nothing is kept without a hold, nor a part too small to be charged.
    """
    reached = [tier for tier in policy.tiers if now >= starts_at - tier.before_start]
    ahead = [starts_at - tier.before_start for tier in policy.tiers if tier not in reached]
    percent = reached[-1].percent if reached and held else 0
    kept = _part(price, percent)
    return Consequence(kept, price - kept, ahead[0] if ahead else None)


def if_missed(price: Money) -> Consequence:
    """What is kept when the student does not come, held or taken already; nothing too small to be charged."""
    kept = _part(price, NO_SHOW_PERCENT)
    return Consequence(kept, price - kept, None)


def nothing_kept(price: Money) -> Consequence:
    return Consequence(Money(0, price.currency), price, None)


def _part(price: Money, percent: int) -> Money:
    part = Money(round_share(price.amount, percent, 100, price.currency), price.currency)
    return Money(0, price.currency) if part < least_charge(price.currency) else part
