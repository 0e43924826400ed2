"""The tax that is part of an amount."""

from marketplace.lib.money import round_share


def tax_within(amount: int, tax_bps: int, currency: str) -> int:
    """In minor units; of what is given back the same below zero."""
    tax = round_share(abs(amount), tax_bps, 10_000 + tax_bps, currency)
    return tax if amount >= 0 else -tax
