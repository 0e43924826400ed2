"""Money: exact, in one currency at a time, on the steps that Stripe accepts."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.lib.money import (
    Money,
    MoneyError,
    decimals,
    format_money,
    from_decimal,
    round_share,
    step,
    to_decimal,
)

CURRENCIES = ["usd", "eur", "gbp", "jpy", "krw", "isk", "ugx", "kwd", "bhd", "huf"]
currencies = st.sampled_from(CURRENCIES)
amounts = st.integers(min_value=0, max_value=10**12)
signed = st.integers(min_value=-(10**12), max_value=10**12)


@given(amounts, st.integers(0, 10_000), currencies)
def test_a_share_lies_on_the_currencys_step(amount: int, bps: int, currency: str) -> None:
    assert round_share(amount, bps, 10_000, currency) % step(currency) == 0


@given(amounts, st.integers(0, 10_000), currencies)
def test_a_share_is_within_half_a_step_of_the_exact_one(amount: int, bps: int, currency: str) -> None:
    error = round_share(amount, bps, 10_000, currency) - Fraction(amount * bps, 10_000)
    # Half up: a half goes up, so the error reaches +1/2 of a step and never -1/2.
    assert -Fraction(step(currency), 2) < error <= Fraction(step(currency), 2)


@given(st.integers(0, 10**10), st.integers(0, 10_000), currencies)
def test_the_rest_of_a_share_is_never_negative(steps: int, bps: int, currency: str) -> None:
    amount = steps * step(currency)
    assert 0 <= round_share(amount, bps, 10_000, currency) <= amount


@given(amounts, amounts, st.integers(0, 10_000), currencies)
def test_a_larger_amount_never_has_a_smaller_share(one: int, other: int, bps: int, currency: str) -> None:
    low, high = sorted((one, other))
    assert round_share(low, bps, 10_000, currency) <= round_share(high, bps, 10_000, currency)


@pytest.mark.parametrize(
    ("amount", "currency", "fifth"),
    [
        (10_000, "usd", 2_000),
        (2, "usd", 0),  # 0.4 of a cent
        (3, "usd", 1),  # 0.6
        (12, "jpy", 2),  # 2.4 yen
        (13, "jpy", 3),  # 2.6
        (1_200, "isk", 200),  # 240, in hundreds
        (1_300, "isk", 300),  # 260
        (1_250, "ugx", 300),  # 250: a half goes up
        (10_010, "kwd", 2_000),  # 2,002, in tens
        (10_030, "kwd", 2_010),  # 2,006
    ],
)
def test_a_fifth_in_each_kind_of_currency(amount: int, currency: str, fifth: int) -> None:
    assert round_share(amount, 2_000, 10_000, currency) == fifth


@given(signed, signed, currencies)
def test_sums_are_exact_and_can_be_undone(one: int, other: int, currency: str) -> None:
    a, b = Money(one, currency), Money(other, currency)
    assert (a + b) - b == a
    assert a + b == b + a
    assert -(a - b) == b - a
    assert (a < b) == (one < other)
    assert (a <= b) == (one <= other)


@given(signed, signed, currencies, currencies)
def test_two_currencies_never_add_up(one: int, other: int, first: str, second: str) -> None:
    if first == second:
        return
    for operation in (Money.__add__, Money.__sub__, Money.__lt__, Money.__le__):
        with pytest.raises(MoneyError):
            operation(Money(one, first), Money(other, second))


@pytest.mark.parametrize("bare", [5, 5.0, Decimal(5), True, None, "5"])
def test_money_and_a_bare_number_never_add_up(bare: object) -> None:
    with pytest.raises(MoneyError):
        Money(5, "usd") + bare  # type: ignore[operator]  # the mistake under test


@pytest.mark.parametrize("amount", [1.0, True, Decimal(1), "1", None])
def test_an_amount_is_a_whole_number(amount: object) -> None:
    with pytest.raises(MoneyError):
        Money(amount, "usd")  # type: ignore[arg-type]  # the mistake under test


@pytest.mark.parametrize("currency", ["USD", "us", "usdd", "", "123"])
def test_a_currency_is_three_lower_case_letters(currency: str) -> None:
    with pytest.raises(MoneyError):
        Money(1, currency)


@given(st.integers(-(10**10), 10**10), currencies)
def test_major_units_lead_back_to_the_same_money(steps: int, currency: str) -> None:
    money = Money(steps * step(currency), currency)
    assert from_decimal(to_decimal(money), currency) == money


@pytest.mark.parametrize(
    ("value", "currency"),
    [("0.001", "usd"), ("0.5", "jpy"), ("1.50", "isk"), ("1.234", "kwd"), ("NaN", "usd"), ("Infinity", "usd")],
)
def test_a_value_finer_than_the_currency_is_refused(value: str, currency: str) -> None:
    with pytest.raises(MoneyError):
        from_decimal(Decimal(value), currency)


def test_stripes_units_differ_from_the_banks_for_two_currencies() -> None:
    assert (decimals("isk"), step("isk")) == (2, 100)
    assert (decimals("ugx"), step("ugx")) == (2, 100)
    assert (decimals("jpy"), step("jpy")) == (0, 1)
    assert (decimals("kwd"), step("kwd")) == (3, 10)


@pytest.mark.parametrize(
    ("money", "words"),
    [
        (Money(123_456, "usd"), "$1,234.56"),
        (Money(1_200, "eur"), "€12.00"),
        (Money(5_000, "jpy"), "¥5,000"),
        (Money(-50, "gbp"), "-£0.50"),
    ],
)
def test_people_read_money_in_their_way(money: Money, words: str) -> None:
    assert format_money(money) == str(money) == words
