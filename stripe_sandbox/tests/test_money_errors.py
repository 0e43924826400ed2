"""The refusals of money movements in one table: status, type, code and parameter of each, and that nothing moved."""

from collections.abc import Callable
from typing import Any

import pytest

from .books import rows
from .conftest import Sandbox, hold, pay, refused

pytestmark = pytest.mark.thorough

Act = Callable[[Any, str], Any]


def _refund_twice(api: Any, coach: str) -> Any:
    charge = pay(api).latest_charge
    api.refunds.create({"charge": charge})
    return lambda: api.refunds.create({"charge": charge})


def _refund_too_much(api: Any, coach: str) -> Any:
    charge = pay(api).latest_charge
    return lambda: api.refunds.create({"charge": charge, "amount": 10001})


def _refund_what_was_charged_back(api: Any, coach: str) -> Any:
    charge = pay(api, card="pm_card_createDispute").latest_charge
    return lambda: api.refunds.create({"charge": charge})


def _refund_a_hold(api: Any, coach: str) -> Any:
    intent = hold(api).id
    return lambda: api.refunds.create({"payment_intent": intent})


def _transfer_without_funds(api: Any, coach: str) -> Any:
    return lambda: api.transfers.create({"amount": 10**7, "currency": "usd", "destination": coach})


def _payout_without_funds(api: Any, coach: str) -> Any:
    return lambda: api.payouts.create({"amount": 10**7, "currency": "usd"})


def _transfer_without_capability(api: Any, coach: str) -> Any:
    fresh = api.accounts.create({"type": "express"}).id
    return lambda: api.transfers.create({"amount": 1, "currency": "usd", "destination": fresh})


def _exhaust_a_source(api: Any, coach: str) -> Any:
    fields = {"amount": 6000, "currency": "usd", "destination": coach, "source_transaction": pay(api).latest_charge}
    api.transfers.create(fields)
    return lambda: api.transfers.create(fields)


def _reverse_twice(api: Any, coach: str) -> Any:
    transfer = api.transfers.create({"amount": 100, "currency": "usd", "destination": coach}).id
    api.transfers.reversals.create(transfer)
    return lambda: api.transfers.reversals.create(transfer)


def _transfer_to_nobody(api: Any, coach: str) -> Any:
    return lambda: api.transfers.create({"amount": 100, "currency": "usd", "destination": "acct_none"})


def _transfer_in_no_currency(api: Any, coach: str) -> Any:
    return lambda: api.transfers.create({"amount": 100, "currency": "zzz", "destination": coach})


def _missing(resource: str) -> Act:
    return lambda api, coach: lambda: getattr(api, resource).retrieve("xx_none")


@pytest.mark.parametrize(
    ("prepare", "status", "code", "param"),
    [
        (_refund_twice, 400, "charge_already_refunded", None),
        (_refund_too_much, 400, None, "amount"),
        (_refund_what_was_charged_back, 400, "charge_disputed", None),
        (_refund_a_hold, 400, None, "payment_intent"),
        (_transfer_without_funds, 400, "balance_insufficient", None),
        (_payout_without_funds, 400, "balance_insufficient", None),
        (_transfer_without_capability, 400, "insufficient_capabilities_for_transfer", None),
        (_exhaust_a_source, 400, None, None),
        (_reverse_twice, 400, None, None),
        (_transfer_to_nobody, 400, "resource_missing", "destination"),
        (_transfer_in_no_currency, 400, None, "currency"),
        (_missing("refunds"), 404, "resource_missing", "refund"),
        (_missing("charges"), 404, "resource_missing", "charge"),
        (_missing("disputes"), 404, "resource_missing", "dispute"),
        (_missing("transfers"), 404, "resource_missing", "transfer"),
        (_missing("application_fees"), 404, "resource_missing", "id"),
        (_missing("balance_transactions"), 404, "resource_missing", "id"),
    ],
)
def test_a_refusal_moves_nothing(
    api: Any, sandbox: Sandbox, coach: str, *, prepare: Act, status: int, code: str | None, param: str | None
) -> None:
    sandbox.post("balance", amount=50000)
    act = prepare(api, coach)
    sandbox.advance(2)
    before = rows(api), rows(api, coach)
    told = sandbox.event_types()
    error = refused(act)
    assert (error.http_status, error.error.type, error.code, error.param) == (
        status,
        "invalid_request_error",
        code,
        param,
    )
    assert ((rows(api), rows(api, coach)), sandbox.event_types()) == (before, told)
    assert sandbox.get("health")["balance_errors"] == []
