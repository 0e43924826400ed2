"""Money: whole minor units and their currency, always together; and Stripe's rules for each currency.

Stripe's units differ from the usual tables: ISK and UGX have no decimals in real life but are sent to
Stripe times 100, and three-decimal currencies must end in 0 (https://docs.stripe.com/currencies).
"""

from dataclasses import dataclass
from decimal import Decimal

from babel.numbers import format_currency

ZERO_DECIMAL = frozenset("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split())
THREE_DECIMAL = frozenset("bhd jod kwd omr tnd".split())
# Amounts of these are multiples of the step, in minor units.
STEPS = {"isk": 100, "ugx": 100, **dict.fromkeys(THREE_DECIMAL, 10)}
# The least that Stripe charges, in minor units (https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts).
MINIMUM_CHARGES = {
    "usd": 50, "cad": 50, "aud": 50, "nzd": 50, "sgd": 50, "brl": 50, "chf": 50, "eur": 50, "inr": 50,
    "gbp": 30, "dkk": 250, "sek": 300, "nok": 300, "hkd": 400, "jpy": 50, "mxn": 1000, "czk": 1500,
    "huf": 17500, "pln": 200, "ron": 200, "bgn": 100, "aed": 200, "myr": 200, "thb": 1000,
}  # fmt: skip
MAXIMUM_CHARGE = 99_999_999


class MoneyError(ValueError):
    """Arithmetic across currencies, or with something that is not Money: always a bug."""


@dataclass(frozen=True, slots=True)
class Money:
    """`amount` in the currency's minor units as Stripe counts them; `currency` in lower case."""

    amount: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.amount) is not int:
            raise MoneyError("An amount is a whole number of minor units.")
        if len(self.currency) != 3 or not self.currency.islower():
            raise MoneyError("A currency is three lower-case letters.")

    def __add__(self, other: "Money") -> "Money":
        return Money(self.amount + self._same(other), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.amount - self._same(other), self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.amount, self.currency)

    def __lt__(self, other: "Money") -> bool:
        return self.amount < self._same(other)

    def __le__(self, other: "Money") -> bool:
        return self.amount <= self._same(other)

    def _same(self, other: "Money") -> int:
        if not isinstance(other, Money) or other.currency != self.currency:
            raise MoneyError(f"{self!r} and {other!r} do not add up.")
        return other.amount

    def __str__(self) -> str:
        return format_money(self)


def decimals(currency: str) -> int:
    """How many decimals Stripe's minor unit stands for."""
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


def step(currency: str) -> int:
    """Amounts of this currency are multiples of this, in minor units."""
    return STEPS.get(currency, 1)


def least_charge(currency: str) -> Money:
    """Stripe charges no less than this."""
    return Money(MINIMUM_CHARGES.get(currency, step(currency)), currency)


def round_share(amount: int, numerator: int, denominator: int, currency: str) -> int:
    """`amount * numerator / denominator`, rounded half up to the currency's step: the one rounding there is.

    For amounts from zero up, in minor units.
    """
    unit = step(currency)
    return (2 * amount * numerator + denominator * unit) // (2 * denominator * unit) * unit


def to_decimal(money: Money) -> Decimal:
    """Major units, exactly; for display and for forms."""
    return Decimal(money.amount).scaleb(-decimals(money.currency))


def from_decimal(value: Decimal, currency: str) -> Money:
    """Raises MoneyError where the value is finer than the currency's step."""
    amount = value.scaleb(decimals(currency))
    if not amount.is_finite() or amount != amount.to_integral_value() or int(amount) % step(currency):
        raise MoneyError(f"Amounts in {currency.upper()} come in steps of {Money(step(currency), currency)}.")
    return Money(int(amount), currency)


def format_money(money: Money) -> str:
    """As an English reader writes it: $1,234.56, €12.00, ¥5,000."""
    return format_currency(to_decimal(money), money.currency.upper(), locale="en")
