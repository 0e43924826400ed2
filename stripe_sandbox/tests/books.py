"""Reading the books of the platform and of connected accounts."""

from typing import Any

from .conftest import pay


def rows(api: Any, account: str | None = None) -> list[tuple[str, int, int, str]]:
    """(type, amount, fee, reporting category), oldest first."""
    options = {"stripe_account": account} if account else {}
    listed = api.balance_transactions.list({"limit": 100}, options).data[::-1]
    return [(each.type, each.amount, each.fee, each.reporting_category) for each in listed]


def balance(api: Any, account: str | None = None, currency: str = "usd") -> tuple[int, int]:
    """(available, pending) in minor units."""
    shown = api.balance.retrieve({}, {"stripe_account": account} if account else {})
    available, pending = (
        sum(row.amount for row in bucket if row.currency == currency) for bucket in (shown.available, shown.pending)
    )
    return available, pending


def destination_charge(api: Any, coach: str, **fields: Any) -> Any:
    return pay(api, application_fee_amount=2000, transfer_data={"destination": coach}, **fields)
