"""Transfers to connected accounts, and what is fetched back of them."""

from payments.gateway.calls import change, first_of, list_all, read
from payments.stripe_objects import Json, ReversalFacts, TransferFacts, read_reversal, read_transfer

EXPAND_TRANSFER = ("balance_transaction",)
EXPAND_REVERSAL = ("balance_transaction",)
IN_LIST_REVERSAL = tuple(f"data.{field}" for field in EXPAND_REVERSAL)


def create_transfer(*, params: Json, key: str) -> TransferFacts:
    return change("/v1/transfers", params, key, read_transfer)


def retrieve_transfer(transfer_id: str) -> TransferFacts:
    return read(f"/v1/transfers/{transfer_id}", {"expand": EXPAND_TRANSFER}, read_transfer)


def find_transfer(*, operation_id: str, transfer_group: str, destination: str) -> TransferFacts | None:
    """The transfer that this operation made, or None where it made none."""
    params = {"transfer_group": transfer_group, "destination": destination}
    found = first_of(list_all("/v1/transfers", params, read_transfer), operation_id)
    return retrieve_transfer(found.id) if found else None


def create_reversal(transfer_id: str, *, params: Json, key: str) -> ReversalFacts:
    return change(f"/v1/transfers/{transfer_id}/reversals", params, key, read_reversal)


def list_reversals(transfer_id: str) -> list[ReversalFacts]:
    """All of a transfer's, newest first."""
    return list(list_all(f"/v1/transfers/{transfer_id}/reversals", {"expand": IN_LIST_REVERSAL}, read_reversal))


def find_reversal(*, operation_id: str, transfer_id: str) -> ReversalFacts | None:
    """The reversal that this operation made, or None where it made none."""
    return first_of(iter(list_reversals(transfer_id)), operation_id)
