"""What we need of a payout, as a frozen fact: amounts in minor units, times in UTC."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from payments.stripe_accounts import BankFacts, read_bank
from payments.stripe_objects import BalanceTransactionFacts, Json, expanded_balance_transaction, id_of, read_time


@dataclass(frozen=True, slots=True)
class PayoutFacts:
    """Money on its way from a balance to a bank.

    `status`: "pending", "in_transit", "paid", "failed" or "canceled"; one that is paid may fail some days later.
    `method`: "standard" or "instant". `type`: "bank_account" or "card". `automatic`: Stripe made it by schedule.
    `destination` is the bank account's id, and `bank` itself, where it was expanded and still is there.
    `failure_balance_transaction` is the money's way back, when it failed or was cancelled.
    """

    id: str
    amount: int
    currency: str
    status: str
    method: str
    type: str
    automatic: bool
    arrival_date: datetime
    created: datetime
    failure_code: str
    failure_message: str
    destination: str
    bank: BankFacts | None
    livemode: bool
    metadata: dict[str, str]
    balance_transaction: BalanceTransactionFacts | None
    failure_balance_transaction: BalanceTransactionFacts | None


def read_payout(data: Json) -> PayoutFacts:
    return PayoutFacts(
        id=data["id"],
        amount=data["amount"],
        currency=data["currency"],
        status=data["status"],
        method=data["method"],
        type=data["type"],
        automatic=data["automatic"],
        arrival_date=read_time(data["arrival_date"]),
        created=read_time(data["created"]),
        failure_code=data.get("failure_code") or "",
        failure_message=data.get("failure_message") or "",
        destination=id_of(data.get("destination")),
        bank=_expanded_bank(data),
        livemode=data["livemode"],
        metadata=dict(data.get("metadata") or {}),
        balance_transaction=expanded_balance_transaction(data),
        failure_balance_transaction=expanded_balance_transaction(data, "failure_balance_transaction"),
    )


def _expanded_bank(data: Json) -> BankFacts | None:
    """Of one that was deleted Stripe sends no more than its id."""
    found = data.get("destination")
    return read_bank(found) if isinstance(found, Mapping) and not found.get("deleted") else None
