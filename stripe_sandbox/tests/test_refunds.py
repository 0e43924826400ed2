"""Refunds: whose money, which flags, and what waits or fails."""

from collections.abc import Iterator
from typing import Any

import pytest

from .books import balance, destination_charge, rows
from .conftest import Sandbox, hold, pay, refused

DAY = 86400


@pytest.fixture(autouse=True)
def _books_balance(sandbox: Sandbox) -> Iterator[None]:
    """After every test the kept balances are the sums of the transactions."""
    yield
    assert sandbox.get("health")["balance_errors"] == []


def test_a_plain_refund_is_the_platforms_alone(api: Any, sandbox: Sandbox) -> None:
    intent = pay(api)
    refund = api.refunds.create({"payment_intent": intent.id, "amount": 2500, "reason": "requested_by_customer"})
    assert (refund.status, refund.amount, refund.charge) == ("succeeded", 2500, intent.latest_charge)
    charge = api.charges.retrieve(intent.latest_charge)
    assert (charge.amount_refunded, charge.refunded) == (2500, False)
    assert rows(api) == [("charge", 10000, 320, "charge"), ("refund", -2500, 0, "refund")]
    assert sandbox.event_types()[-2:] == ["refund.created", "charge.refunded"]
    error = refused(lambda: api.refunds.create({"payment_intent": intent.id, "amount": 7501}))
    assert (error.code, error.param, error.user_message) == (
        None,
        "amount",
        "Refund amount ($75.01) is greater than unrefunded amount on charge ($75.00)",
    )


def test_a_charge_is_refunded_once(api: Any, sandbox: Sandbox) -> None:
    sandbox.post("balance", amount=1000)
    intent = pay(api)
    api.refunds.create({"charge": intent.latest_charge})
    assert api.charges.retrieve(intent.latest_charge).refunded is True
    error = refused(lambda: api.refunds.create({"payment_intent": intent.id}))
    assert (error.code, error.user_message) == (
        "charge_already_refunded",
        f"Charge {intent.latest_charge} has already been refunded.",
    )


def test_what_is_only_held_cannot_be_refunded(api: Any) -> None:
    intent = hold(api)
    error = refused(lambda: api.refunds.create({"payment_intent": intent.id}))
    assert error.user_message == f"This PaymentIntent ({intent.id}) does not have a successful charge to refund."
    assert refused(lambda: api.refunds.create({})).http_status == 400


def test_a_refund_with_both_flags_goes_pro_rata(api: Any, sandbox: Sandbox, coach: str) -> None:
    intent = destination_charge(api, coach)
    refund = api.refunds.create(
        {"payment_intent": intent.id, "amount": 2500, "reverse_transfer": True, "refund_application_fee": True}
    )
    assert refund.transfer_reversal.startswith("trr_")
    assert rows(api)[3:] == [
        ("transfer_refund", 2500, 0, "transfer_reversal"),
        ("application_fee_refund", -500, 0, "platform_earning_refund"),
        ("refund", -2500, 0, "refund"),
    ]
    assert rows(api, coach)[1:] == [("payment_refund", -2500, -500, "refund")]
    assert balance(api, coach) == (0, 6000)
    assert sandbox.event_types()[-4:] == [
        "refund.created",
        "charge.refunded",
        "transfer.reversed",
        "application_fee.refunded",
    ]


def test_a_full_refund_with_both_flags_leaves_only_stripes_fee(api: Any, sandbox: Sandbox, coach: str) -> None:
    sandbox.post("balance", amount=320)
    intent = destination_charge(api, coach)
    api.refunds.create({"payment_intent": intent.id, "reverse_transfer": True, "refund_application_fee": True})
    assert sum(balance(api)) == 0
    assert balance(api, coach) == (0, 0)


def test_a_refund_without_funds_waits_for_them(api: Any, sandbox: Sandbox, coach: str) -> None:
    intent = pay(api)
    sandbox.advance(2 * DAY)
    api.transfers.create({"amount": 9000, "currency": "usd", "destination": coach})
    refund = api.refunds.create({"payment_intent": intent.id, "amount": 5000})
    assert (refund.status, refund.pending_reason, refund.balance_transaction) == ("pending", "insufficient_funds", None)
    assert balance(api) == (680, 0)
    sandbox.post("balance", amount=5000)
    done = api.refunds.retrieve(refund.id)
    assert (done.status, balance(api)) == ("succeeded", (680, 0))
    assert sandbox.event_types()[-1] == "refund.updated"


def test_test_cards_delay_or_fail_a_refund(api: Any, sandbox: Sandbox) -> None:
    sandbox.post("balance", amount=50000)
    slow, failing = pay(api, card="pm_card_pendingRefund"), pay(api, card="pm_card_refundFail")
    first = api.refunds.create({"payment_intent": slow.id})
    second = api.refunds.create({"payment_intent": failing.id})
    assert (first.status, second.status) == ("pending", "succeeded")
    sandbox.advance(61)
    assert api.refunds.retrieve(first.id).status == "succeeded"
    failed = api.refunds.retrieve(second.id)
    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    assert rows(api)[-1] == ("refund_failure", 10000, 0, "refund_failure")
    assert api.charges.retrieve(failing.latest_charge).amount_refunded == 0
    assert sandbox.event_types()[-2:] == ["refund.updated", "refund.failed"]


def test_a_fee_can_be_given_back_alone(api: Any, coach: str) -> None:
    fee = api.charges.retrieve(destination_charge(api, coach).latest_charge).application_fee
    assert api.application_fees.refunds.create(fee, {"amount": 500}).amount == 500
    assert api.application_fees.retrieve(fee).amount_refunded == 500
    assert rows(api, coach)[-1] == ("application_fee_refund", 500, 0, "platform_earning_refund")
    assert refused(lambda: api.application_fees.refunds.create(fee, {"amount": 1501})).param == "amount"
