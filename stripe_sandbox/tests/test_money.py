"""Money between balances: charges, fees, transfers, reversals, refunds, payouts. Every figure comes from balance transactions."""

from collections.abc import Iterator
from typing import Any

import pytest

from .books import balance, destination_charge, rows
from .conftest import Sandbox, hold, onboarded, pay, refused

DAY = 86400


@pytest.fixture(autouse=True)
def _books_balance(sandbox: Sandbox) -> Iterator[None]:
    """After every test the kept balances are the sums of the transactions."""
    yield
    assert sandbox.get("health")["balance_errors"] == []


@pytest.mark.parametrize(
    ("amount", "currency", "fee"),
    [
        (10000, "usd", 320),
        (50, "usd", 31),
        (1017, "usd", 59),
        (10000, "eur", 320),
        (5000, "jpy", 180),
        (10000, "kwd", 590),
    ],
)
def test_stripes_fee(api: Any, amount: int, currency: str, fee: int) -> None:
    intent = pay(api, amount, currency=currency)
    transaction = api.payment_intents.retrieve(
        intent.id, {"expand": ["latest_charge.balance_transaction"]}
    ).latest_charge.balance_transaction
    assert (transaction.fee, transaction.net, transaction.currency) == (fee, amount - fee, currency)
    assert [each.to_dict() for each in transaction.fee_details] == [
        {
            "amount": fee,
            "application": None,
            "currency": currency,
            "description": "Stripe processing fees",
            "type": "stripe_fee",
        }
    ]


def test_a_charge_is_pending_and_then_available(api: Any, sandbox: Sandbox) -> None:
    pay(api)
    assert balance(api) == (0, 9680)
    sandbox.advance(2 * DAY)
    assert balance(api) == (9680, 0)
    assert sandbox.event_types()[-1] == "balance.available"
    assert api.balance_transactions.list().data[0].status == "available"


def test_a_card_that_bypasses_pending_pays_at_once(api: Any) -> None:
    pay(api, card="pm_card_bypassPending")
    assert balance(api) == (9680, 0)


def test_a_destination_charge_with_a_fee(api: Any, sandbox: Sandbox, coach: str) -> None:
    intent = destination_charge(api, coach)
    assert rows(api) == [
        ("charge", 10000, 320, "charge"),
        ("transfer", -10000, 0, "transfer"),
        ("application_fee", 2000, 0, "platform_earning"),
    ]
    assert rows(api, coach) == [("payment", 10000, 2000, "charge")]
    assert balance(api) == (0, 1680)
    assert balance(api, coach) == (0, 8000)
    charge = api.charges.retrieve(intent.latest_charge, {"expand": ["transfer", "application_fee"]})
    assert charge.transfer_group == f"group_{intent.id}"
    assert (charge.transfer.source_transaction, charge.transfer.amount, charge.transfer.destination) == (
        charge.id,
        10000,
        coach,
    )
    assert (charge.application_fee.originating_transaction, charge.application_fee.amount) == (charge.id, 2000)
    payment = api.charges.retrieve(charge.transfer.destination_payment, {}, {"stripe_account": coach})
    assert payment.id.startswith("py_")
    assert payment.source_transfer == charge.transfer.id
    assert charge.application_fee.charge == payment.id
    assert sandbox.event_types()[-5:] == [
        "payment_intent.created",
        "charge.succeeded",
        "transfer.created",
        "application_fee.created",
        "payment_intent.succeeded",
    ]


def test_a_destination_charge_moves_nothing_before_its_capture(api: Any, coach: str) -> None:
    intent = hold(api, application_fee_amount=2000, transfer_data={"destination": coach})
    assert api.transfers.list().data == []
    api.payment_intents.capture(intent.id, {"amount_to_capture": 5000, "application_fee_amount": 1500})
    assert rows(api, coach) == [("payment", 5000, 1500, "charge")]
    assert rows(api) == [
        ("charge", 5000, 175, "charge"),
        ("transfer", -5000, 0, "transfer"),
        ("application_fee", 1500, 0, "platform_earning"),
    ]


@pytest.mark.parametrize(
    ("misfortune", "code"),
    [("restrict", "insufficient_capabilities_for_transfer"), ("deauthorize", "resource_missing")],
)
def test_a_hold_for_an_account_in_trouble_is_not_captured(
    api: Any, sandbox: Sandbox, coach: str, misfortune: str, code: str
) -> None:
    intent = hold(api, application_fee_amount=2000, transfer_data={"destination": coach})
    sandbox.post(f"accounts/{coach}/{misfortune}")
    error = refused(lambda: api.payment_intents.capture(intent.id))
    assert (error.http_status, error.code, error.param) == (400, code, "transfer_data[destination]")
    assert api.payment_intents.update(intent.id, {"metadata": {"seen": "yes"}}).status == "requires_capture"
    assert api.balance_transactions.list().data == []
    assert api.payment_intents.cancel(intent.id).status == "canceled"


def test_a_fee_is_never_more_than_what_is_captured(api: Any, coach: str) -> None:
    intent = hold(api, application_fee_amount=2000, transfer_data={"destination": coach})
    api.payment_intents.capture(intent.id, {"amount_to_capture": 1500})
    assert rows(api, coach) == [("payment", 1500, 1500, "charge")]


def test_a_destination_charge_with_an_amount(api: Any, coach: str) -> None:
    pay(api, transfer_data={"destination": coach, "amount": 8000})
    assert rows(api) == [("charge", 10000, 320, "charge"), ("transfer", -8000, 0, "transfer")]
    assert rows(api, coach) == [("payment", 8000, 0, "charge")]


def test_a_direct_charge_pays_its_own_fees(api: Any, coach: str) -> None:
    api.accounts.capabilities.update(coach, "card_payments", {"requested": True})
    api.payment_intents.create(
        {
            "amount": 10000,
            "currency": "usd",
            "confirm": True,
            "payment_method": "pm_card_visa",
            "payment_method_types": ["card"],
            "application_fee_amount": 2000,
        },
        {"stripe_account": coach},
    )
    assert rows(api, coach) == [("charge", 10000, 2320, "charge")]
    assert rows(api) == [("application_fee", 2000, 0, "platform_earning")]


def test_a_transfer_draws_on_what_is_available(api: Any, sandbox: Sandbox, coach: str) -> None:
    pay(api)
    error = refused(lambda: api.transfers.create({"amount": 8000, "currency": "usd", "destination": coach}))
    assert (error.http_status, error.code) == (400, "balance_insufficient")
    assert error.user_message.startswith(
        "You have insufficient available funds in your Stripe account. Try adding funds"
    )
    sandbox.advance(2 * DAY)
    transfer = api.transfers.create(
        {"amount": 8000, "currency": "usd", "destination": coach, "transfer_group": "run-1", "metadata": {"line": "5"}}
    )
    assert (transfer.amount, transfer.reversed, transfer.source_transaction) == (8000, False, None)
    assert (balance(api), balance(api, coach)) == ((1680, 0), (8000, 0))
    assert [each.id for each in api.transfers.list({"transfer_group": "run-1"}).data] == [transfer.id]
    assert [each.id for each in api.transfers.list({"destination": coach}).data] == [transfer.id]
    assert sandbox.event_types()[-1] == "transfer.created"


def test_a_transfer_from_a_charge_waits_with_it(api: Any, sandbox: Sandbox, coach: str) -> None:
    api.accounts.update(coach, {"settings": {"payouts": {"schedule": {"interval": "manual"}}}})
    charge = pay(api).latest_charge
    transfer = api.transfers.create(
        {"amount": 8000, "currency": "usd", "destination": coach, "source_transaction": charge}
    )
    assert transfer.transfer_group == api.charges.retrieve(charge).transfer_group
    assert (balance(api), balance(api, coach)) == ((0, 1680), (0, 8000))
    sandbox.advance(2 * DAY)
    assert (balance(api), balance(api, coach)) == ((1680, 0), (8000, 0))
    error = refused(
        lambda: api.transfers.create(
            {"amount": 2001, "currency": "usd", "destination": coach, "source_transaction": charge}
        )
    )
    assert error.user_message == (
        "Transfers using this transaction as a source must not exceed the source amount of $100.00. (There is already a transfer using this "
        "source, amounting to $80.00.)"
    )


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"destination": "acct_x"}, "resource_missing", "destination"),
        ({"destination": "acct_1SandboxPlatform"}, "resource_missing", "destination"),
        ({"amount": 0}, "parameter_invalid_integer", "amount"),
        ({"source_transaction": "ch_x"}, "resource_missing", "source_transaction"),
    ],
)
def test_a_wrong_transfer_is_not_made(api: Any, coach: str, fields: Any, code: str, param: str) -> None:
    error = refused(lambda: api.transfers.create({"amount": 100, "currency": "usd", "destination": coach, **fields}))
    assert (error.http_status, error.code, error.param) == (400, code, param)
    assert api.transfers.list().data == []


def test_an_account_without_the_capability_receives_nothing(api: Any, sandbox: Sandbox) -> None:
    fresh = api.accounts.create({"type": "express", "capabilities": {"transfers": {"requested": True}}}).id
    sandbox.post("balance", amount=5000)
    assert (
        refused(lambda: api.transfers.create({"amount": 100, "currency": "usd", "destination": fresh})).code
        == "insufficient_capabilities_for_transfer"
    )
    error = refused(lambda: hold(api, transfer_data={"destination": fresh}))
    assert (error.code, error.user_message) == (
        "insufficient_capabilities_for_transfer",
        "Your destination account needs to have at least one of the following capabilities enabled: transfers, crypto_transfers, legacy_payments",
    )


def test_a_fee_needs_a_connected_account(api: Any, coach: str) -> None:
    assert refused(lambda: pay(api, application_fee_amount=5)).user_message.startswith(
        "Can only apply an application_fee_amount when"
    )
    error = refused(lambda: pay(api, 1000, application_fee_amount=1001, transfer_data={"destination": coach}))
    assert error.param == "application_fee_amount"


def test_a_transfer_is_reversed_in_parts(api: Any, sandbox: Sandbox, coach: str) -> None:
    sandbox.post("balance", amount=10000)
    transfer = api.transfers.create({"amount": 8000, "currency": "usd", "destination": coach}).id
    reversal = api.transfers.reversals.create(transfer, {"amount": 3000})
    assert (reversal.amount, reversal.transfer) == (3000, transfer)
    shown = api.transfers.retrieve(transfer)
    assert (shown.amount_reversed, shown.reversed, [each.id for each in shown.reversals.data]) == (
        3000,
        False,
        [reversal.id],
    )
    assert rows(api)[-1] == ("transfer_refund", 3000, 0, "transfer_reversal")
    assert rows(api, coach)[-1] == ("payment_refund", -3000, 0, "refund")
    assert (
        "greater than the unreversed amount"
        in refused(lambda: api.transfers.reversals.create(transfer, {"amount": 5001})).user_message
    )
    api.transfers.reversals.create(transfer)
    assert api.transfers.retrieve(transfer).reversed is True
    assert "is already fully reversed" in refused(lambda: api.transfers.reversals.create(transfer)).user_message
    assert (balance(api), balance(api, coach)) == ((10000, 0), (0, 0))
    assert sandbox.event_types().count("transfer.reversed") == 2


def test_a_reversal_needs_the_coachs_money(api: Any, sandbox: Sandbox, coach: str) -> None:
    sandbox.post("balance", amount=10000)
    transfer = api.transfers.create({"amount": 8000, "currency": "usd", "destination": coach}).id
    sandbox.post("balance", account=coach, amount=-6000)
    assert refused(lambda: api.transfers.reversals.create(transfer, {"amount": 3000})).code == "balance_insufficient"
    assert api.transfers.retrieve(transfer).amount_reversed == 0


def test_currencies_do_not_mix(api: Any, sandbox: Sandbox) -> None:
    yen = onboarded(api, sandbox, country="JP")
    pay(api, 5000, currency="jpy", card="pm_card_bypassPending")
    pay(api, 5000, currency="usd", card="pm_card_bypassPending")
    api.transfers.create({"amount": 4000, "currency": "jpy", "destination": yen})
    assert balance(api, currency="jpy") == (820, 0)
    assert balance(api, currency="usd") == (4825, 0)
    assert balance(api, yen, "jpy") == (4000, 0)
    assert (
        refused(lambda: api.transfers.create({"amount": 821, "currency": "jpy", "destination": yen})).code
        == "balance_insufficient"
    )
