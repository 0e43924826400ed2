"""Transfers to connected accounts, what is fetched back of them, and the fees we keep of destination charges."""

from collections.abc import Iterator
from typing import Any

from payments.gateway.calls import change, first_of, list_all, read
from payments.stripe_objects import (
    ApplicationFeeFacts,
    Json,
    ReversalFacts,
    TransferFacts,
    read_application_fee,
    read_reversal,
    read_transfer,
)

EXPAND_TRANSFER = ("balance_transaction",)
_IN_LIST_TRANSFER = tuple(f"data.{field}" for field in EXPAND_TRANSFER)
EXPAND_REVERSAL = ("balance_transaction",)
_IN_LIST_REVERSAL = tuple(f"data.{field}" for field in EXPAND_REVERSAL)


def create_transfer(*, params: Json, key: str) -> TransferFacts:
    return change("/v1/transfers", params, key, read_transfer)


def retrieve_transfer(transfer_id: str) -> TransferFacts:
    return read(f"/v1/transfers/{transfer_id}", {"expand": EXPAND_TRANSFER}, read_transfer)


def find_transfer(*, operation_id: str, transfer_group: str, destination: str) -> TransferFacts | None:
    """The transfer that this operation made, or None where it made none."""
    return first_of(list_transfers(transfer_group=transfer_group, destination=destination), operation_id)


def list_transfers(**of: Any) -> Iterator[TransferFacts]:
    """Newest first: all, or those to a `destination`, of a `transfer_group`, or `created` since a time."""
    return list_all("/v1/transfers", {**of, "expand": _IN_LIST_TRANSFER}, read_transfer)


def create_reversal(transfer_id: str, *, params: Json, key: str) -> ReversalFacts:
    return change(f"/v1/transfers/{transfer_id}/reversals", params, key, read_reversal)


def list_reversals(transfer_id: str) -> list[ReversalFacts]:
    """All of a transfer's, newest first."""
    return list(list_all(f"/v1/transfers/{transfer_id}/reversals", {"expand": _IN_LIST_REVERSAL}, read_reversal))


def find_reversal(*, operation_id: str, transfer_id: str) -> ReversalFacts | None:
    """The reversal that this operation made, or None where it made none."""
    return first_of(iter(list_reversals(transfer_id)), operation_id)


def retrieve_application_fee(fee_id: str) -> ApplicationFeeFacts:
    return read(f"/v1/application_fees/{fee_id}", {"expand": ("balance_transaction",)}, read_application_fee)


def list_application_fees(**of: Any) -> Iterator[ApplicationFeeFacts]:
    """Newest first: all, or those `created` since a time, or of a `charge`: the connected account's, not ours."""
    return list_all("/v1/application_fees", {**of, "expand": ("data.balance_transaction",)}, read_application_fee)
