"""From a price to what the platform keeps and what the coach gets. Pure."""

from dataclasses import dataclass

from marketplace.lib.money import Money, round_share, step

WHOLE_BPS = 10_000


@dataclass(frozen=True, slots=True)
class Quote:
    """`platform_fee + coach_share == price`, always: the coach gets the rest, so no cent is lost."""

    price: Money
    platform_fee: Money
    coach_share: Money


def quote(price: Money, fee_bps: int) -> Quote:
    """The platform's fee in basis points, rounded half up to the currency's step.

    Raises ValueError for a price that is not positive or off the currency's step, or a fee beyond the price.
    """
    if price.amount <= 0 or price.amount % step(price.currency):
        raise ValueError("A price is positive, and a multiple of its currency's step.")
    if not 0 <= fee_bps <= WHOLE_BPS:
        raise ValueError("A fee is from 0 to 10,000 basis points.")
    fee = Money(round_share(price.amount, fee_bps, WHOLE_BPS, price.currency), price.currency)
    return Quote(price=price, platform_fee=fee, coach_share=price - fee)
