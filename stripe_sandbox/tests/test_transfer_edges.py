"""Transfers, reversals and fee refunds at their edges: what is refused, what is shared out, what is told."""

from collections.abc import Iterator
from typing import Any

import pytest

from .books import balance, destination_charge, rows
from .conftest import Sandbox, hold, onboarded, pay, refused

pytestmark = pytest.mark.thorough


@pytest.fixture(autouse=True)
def _books_balance(sandbox: Sandbox) -> Iterator[None]:
    yield
    assert sandbox.get("health")["balance_errors"] == []


def send(api: Any, coach: str, amount: int = 1000, **fields: Any) -> Any:
    return api.transfers.create({"amount": amount, "currency": "usd", "destination": coach, **fields})


def test_a_transfer_needs_available_funds(api: Any, sandbox: Sandbox, coach: str) -> None:
    pay(api)
    error = refused(lambda: send(api, coach))
    assert (error.http_status, error.code) == (400, "balance_insufficient")
    assert error.user_message == (
        "You have insufficient available funds in your Stripe account. Try adding funds directly to your available balance by "
        "creating Charges using the 4000000000000077 test card. See: https://stripe.com/docs/testing#available-balance"
    )
    assert api.transfers.list().data == []
    pay(api, card="pm_card_bypassPending")
    assert send(api, coach).amount == 1000
    assert sandbox.event_types()[-1] == "transfer.created"


def test_a_destination_must_be_ours_and_able(api: Any, sandbox: Sandbox) -> None:
    sandbox.post("balance", amount=5000)
    error = refused(lambda: send(api, "acct_none"))
    assert (error.http_status, error.code, error.param, error.user_message) == (
        400,
        "resource_missing",
        "destination",
        "No such destination: 'acct_none'",
    )
    fresh = api.accounts.create({"type": "express"}).id
    error = refused(lambda: send(api, fresh))
    assert error.code == "insufficient_capabilities_for_transfer"
    assert error.user_message.startswith("Your destination account needs to have at least one of the following")
    assert balance(api) == (5000, 0)


def test_transfers_of_one_charge_stay_within_it(api: Any, coach: str) -> None:
    charge = pay(api).latest_charge
    assert send(api, coach, 8000, source_transaction=charge).source_transaction == charge
    error = refused(lambda: send(api, coach, 2001, source_transaction=charge))
    assert error.user_message == (
        "Transfers using this transaction as a source must not exceed the source amount of $100.00. "
        "(There is already a transfer using this source, amounting to $80.00.)"
    )
    assert send(api, coach, 2000, source_transaction=charge).amount == 2000


@pytest.mark.parametrize("fields", [{"amount": 0}, {"amount": -5}, {"currency": "zzz"}, {"source_type": "gold"}])
def test_senseless_transfers_are_refused(api: Any, coach: str, fields: dict[str, Any]) -> None:
    assert refused(lambda: send(api, coach, **fields)).http_status == 400
    assert api.transfers.list().data == []


def test_a_source_must_be_captured_and_of_the_same_currency(api: Any, coach: str) -> None:
    held = hold(api).latest_charge
    assert refused(lambda: send(api, coach, source_transaction=held)).param == "source_transaction"
    euro = pay(api, currency="eur").latest_charge
    assert refused(lambda: send(api, coach, source_transaction=euro)).param == "currency"
    assert refused(lambda: send(api, coach, source_transaction="ch_none")).code == "resource_missing"


def test_a_transfer_is_reversed_in_parts_and_once(api: Any, sandbox: Sandbox, coach: str) -> None:
    sandbox.post("balance", amount=5000)
    transfer = send(api, coach, 3000)
    part = api.transfers.reversals.create(transfer.id, {"amount": 1000})
    assert (part.object, part.transfer, api.transfers.retrieve(transfer.id).reversed) == (
        "transfer_reversal",
        transfer.id,
        False,
    )
    error = refused(lambda: api.transfers.reversals.create(transfer.id, {"amount": 2001}))
    assert error.param == "amount"
    api.transfers.reversals.create(transfer.id)
    assert api.transfers.retrieve(transfer.id).reversed is True
    error = refused(lambda: api.transfers.reversals.create(transfer.id))
    assert error.user_message == f"The transfer {transfer.id} is already fully reversed."
    assert sandbox.event_types()[-2:] == ["transfer.reversed", "transfer.reversed"]
    assert balance(api) == (5000, 0)


def test_a_reversal_needs_the_accounts_funds(api: Any, sandbox: Sandbox, coach: str) -> None:
    sandbox.post("balance", amount=5000)
    transfer = send(api, coach, 3000)
    sandbox.post("balance", account=coach, amount=-2500)
    error = refused(lambda: api.transfers.reversals.create(transfer.id))
    assert error.code == "balance_insufficient"
    assert api.transfers.retrieve(transfer.id).amount_reversed == 0


def test_a_reversal_can_return_the_fee_pro_rata(api: Any, sandbox: Sandbox, coach: str) -> None:
    charge = api.charges.retrieve(destination_charge(api, coach).latest_charge)
    api.transfers.reversals.create(charge.transfer, {"amount": 2500, "refund_application_fee": True})
    assert rows(api)[-2:] == [
        ("transfer_refund", 2500, 0, "transfer_reversal"),
        ("application_fee_refund", -500, 0, "platform_earning_refund"),
    ]
    assert rows(api, coach)[-1] == ("payment_refund", -2500, -500, "refund")
    assert api.application_fees.retrieve(charge.application_fee).amount_refunded == 500
    assert sandbox.event_types()[-2:] == ["transfer.reversed", "application_fee.refunded"]
    sandbox.post("balance", amount=1000)
    plain = send(api, coach)
    error = refused(lambda: api.transfers.reversals.create(plain.id, {"refund_application_fee": True}))
    assert error.param == "refund_application_fee"


def test_reversals_carry_metadata_and_belong_to_their_transfer(api: Any, sandbox: Sandbox, coach: str) -> None:
    sandbox.post("balance", amount=5000)
    one, other = send(api, coach), send(api, coach)
    reversal = api.transfers.reversals.create(one.id, {"amount": 10})
    assert api.transfers.reversals.update(one.id, reversal.id, {"metadata": {"a": "1"}}).metadata.a == "1"
    assert api.transfers.retrieve(one.id).reversals.data[0].metadata.a == "1"
    assert refused(lambda: api.transfers.reversals.retrieve(other.id, reversal.id)).http_status == 404


def test_fee_refunds_carry_metadata_and_end_with_the_fee(api: Any, sandbox: Sandbox, coach: str) -> None:
    fees = api.application_fees
    fee = api.charges.retrieve(destination_charge(api, coach).latest_charge).application_fee
    assert refused(lambda: fees.refunds.create(fee, {"amount": 0})).param == "amount"
    refund = fees.refunds.create(fee, {"amount": 500, "metadata": {"a": "1"}})
    assert fees.refunds.update(fee, refund.id, {"metadata": {"a": "2"}}).metadata.a == "2"
    assert sandbox.event_types()[-1] == "application_fee.refund.updated"
    assert fees.refunds.retrieve(fee, refund.id).amount == 500
    fees.refunds.create(fee)
    assert fees.retrieve(fee).refunded is True
    assert "already been refunded" in refused(lambda: fees.refunds.create(fee)).user_message
    assert [each.amount for each in fees.refunds.list(fee).data] == [1500, 500]


def test_a_fee_refund_is_found_under_its_own_fee_only(api: Any, sandbox: Sandbox, coach: str) -> None:
    first, second = (api.charges.retrieve(destination_charge(api, coach).latest_charge) for _ in range(2))
    refund = api.application_fees.refunds.create(first.application_fee, {"amount": 5})
    assert refused(lambda: api.application_fees.refunds.retrieve(second.application_fee, refund.id)).http_status == 404


def test_events_and_balances_of_two_accounts_stay_apart(api: Any, sandbox: Sandbox, coach: str) -> None:
    other = onboarded(api, sandbox)
    sandbox.post("balance", amount=5000)
    send(api, coach)
    assert (balance(api, coach), balance(api, other)) == ((1000, 0), (0, 0))
    assert [each for each in sandbox.event_types(other) if each.startswith(("transfer", "payment"))] == []
    assert [each.destination for each in api.transfers.list({"destination": coach}).data] == [coach]
    assert api.transfers.list({"destination": other}).data == []
