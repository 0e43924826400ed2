"""Balances, as they are."""

from typing import Any

from payments.gateway.calls import read


def retrieve_balance() -> dict[str, Any]:
    return read("/v1/balance", {}, dict)
