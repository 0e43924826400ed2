"""What an account has at Stripe, as a frozen fact."""

from collections.abc import Iterable
from dataclasses import dataclass

from payments.stripe_objects import Json


@dataclass(frozen=True, slots=True)
class BalanceFacts:
    """Minor units by currency; any of them may be negative. A currency that was never used is missing.

    `connect_reserved` is what the platform stands in for, the negative balances of its connected accounts, and empty
    for those themselves. `instant_available` can be paid out within minutes, and is a part of the others.
    """

    available: dict[str, int]
    pending: dict[str, int]
    connect_reserved: dict[str, int]
    instant_available: dict[str, int]


def read_balance(data: Json) -> BalanceFacts:
    return BalanceFacts(
        available=_by_currency(data["available"]),
        pending=_by_currency(data["pending"]),
        connect_reserved=_by_currency(data.get("connect_reserved") or ()),
        instant_available=_by_currency(data.get("instant_available") or ()),
    )


def _by_currency(rows: Iterable[Json]) -> dict[str, int]:
    return {row["currency"]: row["amount"] for row in rows}
