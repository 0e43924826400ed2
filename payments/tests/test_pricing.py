"""From a price to a fee and a share: not a cent is lost, and each lies on the currency's step."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.lib.money import Money, step
from payments.pricing import quote

currencies = st.sampled_from(["usd", "eur", "gbp", "jpy", "isk", "ugx", "kwd", "tnd", "huf"])


@given(st.integers(1, 10**10), currencies, st.integers(0, 10_000))
def test_fee_and_share_make_up_the_price(steps: int, currency: str, bps: int) -> None:
    price = Money(steps * step(currency), currency)
    made = quote(price, bps)
    assert made.platform_fee + made.coach_share == made.price == price
    assert made.platform_fee.amount >= 0
    assert made.coach_share.amount >= 0
    assert made.platform_fee.amount % step(currency) == 0
    assert made.coach_share.amount % step(currency) == 0


@given(st.integers(1, 10**10), currencies)
def test_no_fee_leaves_the_coach_the_whole_and_a_whole_fee_nothing(steps: int, currency: str) -> None:
    price = Money(steps * step(currency), currency)
    assert quote(price, 0).coach_share == price
    assert quote(price, 10_000).platform_fee == price


def test_a_fifth_of_a_hundred_dollars() -> None:
    made = quote(Money(10_000, "usd"), 2_000)
    assert made.platform_fee == Money(2_000, "usd")
    assert made.coach_share == Money(8_000, "usd")


def test_half_a_cent_goes_to_the_platform() -> None:
    made = quote(Money(25, "usd"), 1_000)
    assert (made.platform_fee.amount, made.coach_share.amount) == (3, 22)


@pytest.mark.parametrize("price", [Money(0, "usd"), Money(-100, "usd"), Money(150, "isk"), Money(1_001, "kwd")])
def test_it_refuses_a_price_that_stripe_would_not_take(price: Money) -> None:
    with pytest.raises(ValueError, match="A price is positive"):
        quote(price, 2_000)


@pytest.mark.parametrize("bps", [-1, 10_001])
def test_it_refuses_a_fee_beyond_the_price(bps: int) -> None:
    with pytest.raises(ValueError, match="basis points"):
        quote(Money(100, "usd"), bps)
