"""What a cancellation costs, to the second and to the minor unit. Pure: no database, no clock."""

from datetime import UTC, datetime, timedelta

import pytest

from bookings import policy
from bookings.policy import POLICIES, Code, Policy, Tier, consequence
from marketplace.lib.money import MINIMUM_CHARGES, Money, step

START = datetime(2026, 11, 21, 15, tzinfo=UTC)
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
PRICE = Money(10_000, "usd")


def kept(code: Code, before: timedelta, *, price: Money = PRICE, held: bool = True) -> int:
    """What is kept so long before the start, of a price that is wholly accounted for."""
    costs = consequence(policy.current(code), price=price, starts_at=START, now=START - before, held=held)
    assert costs.kept + costs.returned == price
    assert 0 <= costs.kept.amount <= price.amount
    return costs.kept.amount


@pytest.mark.parametrize("before", [90 * 24 * HOUR, 48 * HOUR, 24 * HOUR, SECOND])
def test_flexible_never_costs_anything(before: timedelta) -> None:
    assert kept(Code.FLEXIBLE, before) == 0


@pytest.mark.parametrize(
    ("code", "hours", "earlier", "from_then"),
    [(Code.MODERATE, 24, 0, 5_000), (Code.STRICT, 48, 0, 5_000), (Code.STRICT, 24, 5_000, 10_000)],
)
def test_a_tier_begins_at_its_second(code: Code, hours: int, earlier: int, from_then: int) -> None:
    tier = hours * HOUR
    assert (kept(code, tier + SECOND), kept(code, tier), kept(code, tier - SECOND)) == (earlier, from_then, from_then)


def test_the_zone_in_which_it_is_asked_changes_nothing() -> None:
    terms = policy.current(Code.MODERATE)
    for hours in (-12, 5, 14):
        shift = timedelta(hours=hours)
        elsewhere = (START - 24 * HOUR + shift).replace(tzinfo=None) - shift
        costs = consequence(terms, price=PRICE, starts_at=START, now=elsewhere.replace(tzinfo=UTC), held=True)
        assert costs.kept == Money(5_000, "usd")


@pytest.mark.parametrize("code", [Code.MODERATE, Code.STRICT])
def test_without_a_hold_nothing_is_kept(code: Code) -> None:
    assert kept(code, HOUR, held=False) == 0


@pytest.mark.parametrize(
    ("code", "hours", "changes_in"),
    [
        (Code.FLEXIBLE, 72, None),
        (Code.MODERATE, 25, 1),
        (Code.MODERATE, 24, None),
        (Code.STRICT, 50, 2),
        (Code.STRICT, 48, 24),
        (Code.STRICT, 24, None),
    ],
)
def test_it_tells_when_it_comes_to_cost_more(code: Code, hours: int, changes_in: int | None) -> None:
    now = START - hours * HOUR
    costs = consequence(policy.current(code), price=PRICE, starts_at=START, now=now, held=True)
    assert costs.changes_at == (None if changes_in is None else now + changes_in * HOUR)


@pytest.mark.parametrize(
    ("amount", "currency", "half"),
    [
        (10_001, "usd", 5_001),  # half a cent goes up
        (9_999, "eur", 5_000),
        (5_001, "jpy", 2_501),  # no decimals
        (10_010, "kwd", 5_010),  # three decimals, in steps of ten: 5,005 goes up
        (10_020, "kwd", 5_010),
        (10_100, "isk", 5_100),  # in steps of a hundred
    ],
)
def test_half_of_a_price_is_rounded_once_and_to_what_stripe_takes(amount: int, currency: str, half: int) -> None:
    assert kept(Code.MODERATE, HOUR, price=Money(amount, currency)) == half


@pytest.mark.parametrize("currency", [*MINIMUM_CHARGES, "kwd", "isk", "ugx", "xof"])
def test_a_part_is_a_multiple_of_the_currency_s_step_and_can_be_charged(currency: str) -> None:
    least = MINIMUM_CHARGES.get(currency, step(currency))
    for units in (1, 2, 3, 7, 999, 12_345):
        half = kept(Code.MODERATE, HOUR, price=Money(least * units, currency))
        assert half % step(currency) == 0
        assert half == 0 or half >= least


@pytest.mark.parametrize(("currency", "least"), MINIMUM_CHARGES.items())
def test_a_part_too_small_to_be_charged_is_not_kept(currency: str, least: int) -> None:
    unit = step(currency)
    assert kept(Code.MODERATE, HOUR, price=Money(2 * least, currency)) == least
    assert kept(Code.MODERATE, HOUR, price=Money(2 * least - 2 * unit, currency)) == 0


def test_all_of_a_price_is_kept_to_the_last_unit() -> None:
    for amount in (50, 9_999, 10_001):
        assert kept(Code.STRICT, HOUR, price=Money(amount, "usd")) == amount


def test_no_tier_begins_before_a_hold_is_there_and_the_nearest_comes_last() -> None:
    for each in POLICIES:
        befores = [tier.before_start for tier in each.tiers]
        assert befores == sorted(befores, reverse=True)
        assert all(before <= 48 * HOUR for before in befores)
        assert all(0 < tier.percent <= 100 for tier in each.tiers)
        assert [tier.percent for tier in each.tiers] == sorted(tier.percent for tier in each.tiers)


def test_a_booking_keeps_the_version_that_was_agreed_to(monkeypatch: pytest.MonkeyPatch) -> None:
    harsher = Policy(Code.MODERATE, 2, "All of it.", (Tier(48 * HOUR, 100),))
    before = policy.current(Code.MODERATE)
    monkeypatch.setattr(policy, "POLICIES", (*POLICIES, harsher))
    assert policy.current(Code.MODERATE) == harsher
    assert policy.agreed(Code.MODERATE, 1) == before


def test_each_version_is_there_once_and_every_code_has_one() -> None:
    names = [(each.code, each.version) for each in POLICIES]
    assert len(names) == len(set(names))
    assert {each.code for each in POLICIES} == set(Code)
