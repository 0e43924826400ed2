"""Money between balances: charges, fees, transfers, reversals, refunds, payouts. Every figure comes from balance transactions."""

from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import Sandbox, hold, onboarded, pay, refused

DAY = 86400


@pytest.fixture(autouse=True)
def _books_balance(sandbox: Sandbox) -> Iterator[None]:
    """After every test the kept balances are the sums of the transactions."""
    yield
    assert sandbox.get("health")["balance_errors"] == []


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


# Refunds


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


# Payouts


def test_a_schedule_pays_out_what_is_available(api: Any, sandbox: Sandbox, coach: str) -> None:
    sandbox.post("balance", amount=10000)
    api.transfers.create({"amount": 8000, "currency": "usd", "destination": coach})
    sandbox.advance(3 * DAY)
    [payout] = api.payouts.list({}, {"stripe_account": coach}).data
    assert (payout.amount, payout.automatic, payout.status, payout.reconciliation_status) == (
        8000,
        True,
        "paid",
        "completed",
    )
    assert balance(api, coach) == (0, 0)
    assert [each for each in sandbox.event_types(coach) if each.startswith("payout.")] == [
        "payout.created",
        "payout.updated",
        "payout.paid",
        "payout.reconciliation_completed",
    ]
    covered = api.balance_transactions.list({"payout": payout.id}, {"stripe_account": coach}).data
    assert [each.type for each in covered] == ["payout", "payment"]
    assert balance(api) == (2000, 0)


def test_a_monthly_anchor_past_the_month_is_its_last_day(api: Any, sandbox: Sandbox, coach: str) -> None:
    api.accounts.update(coach, {"settings": {"payouts": {"schedule": {"interval": "monthly", "monthly_anchor": 31}}}})
    sandbox.post("balance", amount=10000)
    api.transfers.create({"amount": 8000, "currency": "usd", "destination": coach})
    sandbox.post("clock", set=1803772800)  # 2027-02-28 00:00:00 UTC
    before = [each.created for each in api.payouts.list({}, {"stripe_account": coach}).data]
    sandbox.advance(120)
    made = [each.created for each in api.payouts.list({}, {"stripe_account": coach}).data]
    assert len(before) == 1  # the last day of the month in which the test runs came first
    assert len(made) == 1
    sandbox.post("balance", account=coach, amount=500)
    sandbox.post("clock", set=1806451200 + 120)  # 2027-03-31 00:02:00 UTC
    assert [each.amount for each in api.payouts.list({}, {"stripe_account": coach}).data] == [500, 8000]


def test_a_manual_payout_needs_funds_and_can_be_cancelled(api: Any, sandbox: Sandbox) -> None:
    error = refused(lambda: api.payouts.create({"amount": 100, "currency": "usd"}))
    assert (error.code, "Your card balance is too low.  You can use" in error.user_message) == (
        "balance_insufficient",
        True,
    )
    sandbox.post("balance", amount=1000)
    payout = api.payouts.create({"amount": 600, "currency": "usd"})
    assert (payout.status, payout.automatic, balance(api)) == ("pending", False, (400, 0))
    assert api.payouts.cancel(payout.id).status == "canceled"
    assert balance(api) == (1000, 0)
    assert refused(lambda: api.payouts.create({"amount": 1, "currency": "eur"})).http_status == 400


def test_a_failed_payout_comes_back_and_stops_the_bank_account(api: Any, sandbox: Sandbox, coach: str) -> None:
    sandbox.post("balance", account=coach, amount=5000)
    sandbox.advance(DAY + 7200)
    [payout] = api.payouts.list({}, {"stripe_account": coach}).data
    sandbox.post(f"payouts/{payout.id}/fail", failure_code="account_closed")
    failed = api.payouts.retrieve(payout.id, {}, {"stripe_account": coach})
    assert (failed.status, failed.failure_code) == ("failed", "account_closed")
    assert balance(api, coach) == (5000, 0)
    assert sandbox.event_types(coach)[-2:] == ["payout.failed", "account.external_account.updated"]
    sandbox.advance(3 * DAY)
    assert len(api.payouts.list({}, {"stripe_account": coach}).data) == 1


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
