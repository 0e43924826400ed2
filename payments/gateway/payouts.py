"""Balances, what moved them, and payouts from them. An empty `account_id` is the platform itself."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from payments import stripe_balance
from payments.gateway.calls import change, first_of, list_all, read
from payments.stripe_balance import BalanceFacts
from payments.stripe_objects import BalanceTransactionFacts, Json, read_balance_transaction
from payments.stripe_payouts import PayoutFacts, read_payout

EXPAND_PAYOUT = ("balance_transaction", "failure_balance_transaction", "destination")
_IN_LIST_PAYOUT = tuple(f"data.{field}" for field in EXPAND_PAYOUT)


def retrieve_balance() -> dict[str, Any]:
    """The platform's, as Stripe sends it."""
    return read("/v1/balance", {}, dict)


def read_balance(account_id: str) -> BalanceFacts:
    return read("/v1/balance", {}, stripe_balance.read_balance, stripe_account=account_id)


def retrieve_balance_transaction(transaction_id: str, *, account_id: str = "") -> BalanceTransactionFacts:
    path = f"/v1/balance_transactions/{transaction_id}"
    return read(path, {}, read_balance_transaction, stripe_account=account_id)


def list_balance_transactions(*, account_id: str = "", **of: Any) -> Iterator[BalanceTransactionFacts]:
    """Newest first: all, or those `created` since a time, of a `type`, of a `source`, or paid out by an automatic
    `payout` (Stripe refuses this of one made by hand).
    """
    return list_all("/v1/balance_transactions", of, read_balance_transaction, account_id=account_id)


def create_payout(*, account_id: str, params: Json, key: str) -> PayoutFacts:
    return change("/v1/payouts", params, key, read_payout, account_id=account_id)


def retrieve_payout(payout_id: str, *, account_id: str) -> PayoutFacts:
    return read(f"/v1/payouts/{payout_id}", {"expand": EXPAND_PAYOUT}, read_payout, stripe_account=account_id)


def list_payouts(*, account_id: str, **of: Any) -> Iterator[PayoutFacts]:
    """Newest first: all, or those `created` or arriving (`arrival_date`) since a time, of a `status`, or to a
    `destination`.
    """
    return list_all("/v1/payouts", {**of, "expand": _IN_LIST_PAYOUT}, read_payout, account_id=account_id)


def find_payout(*, operation_id: str, account_id: str, created_after: datetime) -> PayoutFacts | None:
    """The payout that this operation made, or None where it made none."""
    window = {"gte": int(created_after.timestamp())}
    return first_of(list_payouts(account_id=account_id, created=window), operation_id)
