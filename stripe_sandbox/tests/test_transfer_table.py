"""Transfers, reversals and application fees line by line: sources, destinations, what is left, both sides' books, and the events."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from .books import balance, destination_charge, rows
from .conftest import Sandbox, hold, onboarded, pay, refused

pytestmark = pytest.mark.thorough

DAY = 86400


@pytest.fixture(autouse=True)
def _books_balance(sandbox: Sandbox) -> Iterator[None]:
    yield
    assert sandbox.get("health")["balance_errors"] == []


def send(api: Any, coach: str, amount: int | None = 1000, **fields: Any) -> Any:
    amounts = {} if amount is None else {"amount": amount}
    return api.transfers.create({"currency": "usd", "destination": coach, **amounts, **fields})


# What the charge of 100.00 says about its destination; the books of the platform after Stripe's fee, and of the account.
@pytest.mark.parametrize(
    ("fields", "platform", "account"),
    [
        ({}, [("transfer", -10000, 0, "transfer")], [("payment", 10000, 0, "charge")]),
        ({"transfer": 8000}, [("transfer", -8000, 0, "transfer")], [("payment", 8000, 0, "charge")]),
        (
            {"fee": 2000},
            [("transfer", -10000, 0, "transfer"), ("application_fee", 2000, 0, "platform_earning")],
            [("payment", 10000, 2000, "charge")],
        ),
        (
            {"fee": 10000},
            [("transfer", -10000, 0, "transfer"), ("application_fee", 10000, 0, "platform_earning")],
            [("payment", 10000, 10000, "charge")],
        ),
    ],
)
def test_a_destination_charge_in_the_books(
    api: Any, sandbox: Sandbox, coach: str, *, fields: dict[str, int], platform: list[Any], account: list[Any]
) -> None:
    terms: dict[str, Any] = {"transfer_data": {"destination": coach}}
    if "transfer" in fields:
        terms["transfer_data"]["amount"] = fields["transfer"]
    if "fee" in fields:
        terms["application_fee_amount"] = fields["fee"]
    intent = pay(api, **terms)
    assert rows(api) == [("charge", 10000, 320, "charge"), *platform]
    assert rows(api, coach) == account
    told = ["charge.succeeded", "transfer.created"] + ["application_fee.created"] * ("fee" in fields)
    assert sandbox.event_types()[-len(told) - 1 :] == [*told, "payment_intent.succeeded"]
    [transfer] = api.transfers.list({"transfer_group": f"group_{intent.id}"}).data
    assert (transfer.source_transaction, transfer.source_type) == (intent.latest_charge, "card")


def test_what_the_intent_says_of_its_transfer_is_on_the_transfer_and_the_payment(api: Any, coach: str) -> None:
    said = {"description": "Lesson of 3 May", "metadata": {"lesson": "7"}}
    paid = {"description": "Your lesson", "metadata": {"coach": "5"}}
    intent = pay(api, transfer_data={"destination": coach, **said, "payment_data": paid})
    charge = api.charges.retrieve(intent.latest_charge, {"expand": ["transfer"]})
    assert (charge.transfer.description, charge.transfer.metadata.to_dict()) == (said["description"], said["metadata"])
    payment = api.charges.retrieve(charge.transfer.destination_payment, {}, {"stripe_account": coach})
    assert (payment.description, payment.metadata.to_dict()) == (paid["description"], paid["metadata"])
    assert charge.transfer_data.to_dict() == {"amount": None, "destination": coach}


@pytest.mark.parametrize("sourced", [True, False])
def test_a_transfer_in_both_books(api: Any, sandbox: Sandbox, coach: str, *, sourced: bool) -> None:
    charge = pay(api).latest_charge
    if not sourced:
        sandbox.advance(2 * DAY)
    transfer = send(api, coach, 8000, **({"source_transaction": charge} if sourced else {}))
    payment = api.charges.retrieve(
        transfer.destination_payment, {"expand": ["balance_transaction"]}, {"stripe_account": coach}
    )
    own = api.balance_transactions.retrieve(transfer.balance_transaction)
    status = "pending" if sourced else "available"
    for transaction, type, amount, source in (
        (own, "transfer", -8000, transfer.id),
        (payment.balance_transaction, "payment", 8000, payment.id),
    ):
        assert (transaction.type, transaction.amount, transaction.fee, transaction.source, transaction.status) == (
            type,
            amount,
            0,
            source,
            status,
        )
    assert (payment.source_transfer, payment.amount, payment.status) == (transfer.id, 8000, "succeeded")
    assert sandbox.event_types()[-1] == "transfer.created"
    assert not [each for each in sandbox.event_types(coach) if each.startswith("transfer")]


def test_a_source_gives_its_whole_amount_and_group_unless_told_otherwise(api: Any, coach: str) -> None:
    charge = pay(api, transfer_group="lesson-7").latest_charge
    transfer = send(api, coach, None, source_transaction=charge)
    assert (transfer.amount, transfer.transfer_group) == (10000, "lesson-7")
    other = send(api, coach, 10, source_transaction=pay(api, transfer_group="a").latest_charge, transfer_group="b")
    assert other.transfer_group == "b"
    assert refused(lambda: send(api, coach, None)).code == "parameter_missing"


@pytest.mark.parametrize(
    ("earlier", "amount", "note"),
    [
        ([], 10001, ""),
        ([8000], 2001, " (There is already a transfer using this source, amounting to $80.00.)"),
        ([10000], 1, " (There is already a transfer using this source, amounting to $100.00.)"),
        ([3000, 3000], 4001, " (There are already 2 transfers using this source, amounting to $60.00.)"),
    ],
)
def test_a_source_is_exhausted(api: Any, coach: str, *, earlier: list[int], amount: int, note: str) -> None:
    charge = pay(api).latest_charge
    for each in earlier:
        send(api, coach, each, source_transaction=charge)
    error = refused(lambda: send(api, coach, amount, source_transaction=charge))
    assert (error.http_status, error.code) == (400, None)
    limit = "Transfers using this transaction as a source must not exceed the source amount of $100.00."
    assert error.user_message == limit + note
    assert len(api.transfers.list().data) == len(earlier)


def test_a_destination_charges_own_transfer_uses_its_source_up(api: Any, sandbox: Sandbox, coach: str) -> None:
    charge = pay(api, transfer_data={"destination": coach, "amount": 8000}).latest_charge
    assert "already a transfer" in refused(lambda: send(api, coach, 2001, source_transaction=charge)).user_message
    assert send(api, coach, 2000, source_transaction=charge).amount == 2000


def test_only_money_taken_by_the_platform_is_a_source(api: Any, sandbox: Sandbox, coach: str) -> None:
    refused(lambda: pay(api, card="pm_card_chargeDeclined"))
    declined = api.charges.list().data[0].id
    lapsed = hold(api)
    api.payment_intents.cancel(lapsed.id)
    payment = pay(api, transfer_data={"destination": coach})
    theirs = api.charges.retrieve(payment.latest_charge, {"expand": ["transfer"]}).transfer.destination_payment
    for source in (declined, lapsed.latest_charge, theirs, "ch_none"):
        error = refused(partial(send, api, coach, 10, source_transaction=source))
        assert (error.http_status, error.param) == (400, "source_transaction")
    assert len(api.transfers.list().data) == 1


@pytest.mark.parametrize(
    ("trouble", "code", "param"),
    [
        ("restrict", "insufficient_capabilities_for_transfer", None),
        ("reject", "insufficient_capabilities_for_transfer", None),
        ("deauthorize", "resource_missing", "destination"),
        ("delete", "resource_missing", "destination"),
    ],
)
def test_an_account_in_trouble_receives_nothing(
    api: Any, sandbox: Sandbox, coach: str, *, trouble: str, code: str, param: str | None
) -> None:
    sandbox.post("balance", amount=5000)
    if trouble == "reject":
        api.accounts.reject(coach, {"reason": "fraud"})
    elif trouble == "delete":
        api.accounts.delete(coach)
    else:
        sandbox.post(f"accounts/{coach}/{trouble}")
    error = refused(lambda: send(api, coach))
    assert (error.http_status, error.code, error.param) == (400, code, param)
    assert (balance(api), api.transfers.list().data) == ((5000, 0), [])


def test_a_connected_account_sends_nothing(api: Any, sandbox: Sandbox, coach: str) -> None:
    sandbox.post("balance", account=coach, amount=5000)
    terms = {"amount": 100, "currency": "usd", "destination": onboarded(api, sandbox)}
    for destination in (terms["destination"], sandbox.get("health")["platform"]):
        wish = {**terms, "destination": destination}
        error = refused(partial(api.transfers.create, wish, {"stripe_account": coach}))
        assert (error.code, error.param) == ("resource_missing", "destination")
    assert balance(api, coach) == (5000, 0)


def test_a_transfer_changes_its_words_only(api: Any, sandbox: Sandbox, coach: str) -> None:
    sandbox.post("balance", amount=5000)
    transfer = send(api, coach)
    changed = api.transfers.update(transfer.id, {"description": "Lessons", "metadata": {"run": "5"}})
    assert (changed.description, changed.metadata.run) == ("Lessons", "5")
    assert sandbox.event_types()[-1] == "transfer.updated"
    told = sandbox.event_types()
    api.transfers.update(transfer.id, {"description": "Lessons"})
    assert sandbox.event_types() == told
    assert refused(lambda: api.transfers.update(transfer.id, {"amount": 5})).code == "parameter_unknown"


def test_a_reversal_in_both_books(api: Any, sandbox: Sandbox, coach: str) -> None:
    sandbox.post("balance", amount=5000)
    transfer = send(api, coach, 3000)
    reversal = api.transfers.reversals.create(transfer.id, {"amount": 1000, "metadata": {"why": "late"}})
    own = api.balance_transactions.retrieve(reversal.balance_transaction)
    assert (own.type, own.amount, own.source) == ("transfer_refund", 1000, reversal.id)
    theirs = api.balance_transactions.list({"type": "payment_refund"}, {"stripe_account": coach}).data[0]
    assert (theirs.amount, theirs.source) == (-1000, reversal.destination_payment_refund)
    assert reversal.source_refund is None
    payment = api.charges.retrieve(transfer.destination_payment, {}, {"stripe_account": coach})
    assert (payment.amount_refunded, payment.refunded) == (1000, False)
    assert api.transfers.reversals.retrieve(transfer.id, reversal.id).metadata.why == "late"
    assert [each.id for each in api.transfers.reversals.list(transfer.id).data] == [reversal.id]


@pytest.mark.parametrize(
    ("amount", "code", "param"),
    [
        (0, "parameter_invalid_integer", "amount"),
        (-1, "parameter_invalid_integer", "amount"),
        (2001, None, "amount"),
        (3000, None, "amount"),
    ],
)
def test_a_reversal_stays_within_the_rest(
    api: Any, sandbox: Sandbox, coach: str, *, amount: int, code: str | None, param: str
) -> None:
    sandbox.post("balance", amount=5000)
    transfer = send(api, coach, 3000).id
    api.transfers.reversals.create(transfer, {"amount": 1000})
    error = refused(lambda: api.transfers.reversals.create(transfer, {"amount": amount}))
    assert (error.http_status, error.code, error.param) == (400, code, param)
    assert (api.transfers.retrieve(transfer).amount_reversed, balance(api, coach)) == (1000, (2000, 0))
    api.transfers.reversals.create(transfer)
    assert "is already fully reversed" in refused(lambda: api.transfers.reversals.create(transfer)).user_message
    assert sandbox.event_types().count("transfer.reversed") == 2


def test_a_reversal_of_a_charges_money_may_leave_the_account_owing(api: Any, sandbox: Sandbox, coach: str) -> None:
    transfer = send(api, coach, 8000, source_transaction=pay(api).latest_charge)
    sandbox.advance(2 * DAY)
    sandbox.post("balance", account=coach, amount=-sum(balance(api, coach)))
    api.transfers.reversals.create(transfer.id, {"amount": 3000})
    assert balance(api, coach) == (-3000, 0)
    assert [each.amount for each in api.balance.retrieve().connect_reserved] == [3000]
    [kept] = api.balance_transactions.list({"type": "reserve_transaction"}).data
    assert (kept.amount, kept.reporting_category) == (-3000, "connect_reserved_funds")
    assert refused(lambda: api.payouts.create({"amount": 1, "currency": "usd"}, {"stripe_account": coach})).code == (
        "balance_insufficient"
    )
    sandbox.post("balance", account=coach, amount=3000)
    assert [each.amount for each in api.balance.retrieve().connect_reserved] == [0]
    assert [each.amount for each in api.balance_transactions.list({"type": "reserve_transaction"})] == [3000, -3000]


def test_money_in_another_currency_is_no_money(api: Any, sandbox: Sandbox, coach: str) -> None:
    sandbox.post("balance", amount=5000, currency="eur")
    assert refused(lambda: send(api, coach)).code == "balance_insufficient"
    assert send(api, coach, currency="eur").currency == "eur"
    euro = pay(api, currency="eur").latest_charge
    error = refused(lambda: send(api, coach, source_transaction=euro))
    assert (error.param, "(eur) must be the same as the transfer currency (usd)" in error.user_message) == (
        "currency",
        True,
    )


@pytest.mark.parametrize(("amounts", "refunded"), [([2000], True), ([500], False), ([500, 1500], True)])
def test_a_fee_is_given_back(api: Any, sandbox: Sandbox, coach: str, *, amounts: list[int], refunded: bool) -> None:
    charge = api.charges.retrieve(destination_charge(api, coach).latest_charge, {"expand": ["transfer"]})
    [fee] = api.application_fees.list({"charge": charge.transfer.destination_payment}).data
    assert (fee.id, fee.account, fee.fee_source.type, fee.fee_source.charge) == (
        charge.application_fee,
        coach,
        "charge",
        charge.transfer.destination_payment,
    )
    before = sum(balance(api)), sum(balance(api, coach))
    for amount in amounts:
        refund = api.application_fees.refunds.create(fee.id, {"amount": amount})
        assert (refund.object, refund.fee) == ("fee_refund", fee.id)
        own = api.balance_transactions.retrieve(refund.balance_transaction)
        assert (own.type, own.amount, own.reporting_category) == (
            "application_fee_refund",
            -amount,
            "platform_earning_refund",
        )
        assert sandbox.event_types()[-1] == "application_fee.refunded"
    after = api.application_fees.retrieve(fee.id)
    assert (after.amount_refunded, after.refunded) == (sum(amounts), refunded)
    assert (sum(balance(api)), sum(balance(api, coach))) == (before[0] - sum(amounts), before[1] + sum(amounts))
    too_much = 2001 - sum(amounts)
    assert refused(lambda: api.application_fees.refunds.create(fee.id, {"amount": too_much})).http_status == 400


def test_fees_belong_to_the_platform(api: Any, sandbox: Sandbox, coach: str) -> None:
    charge = api.charges.retrieve(destination_charge(api, coach).latest_charge)
    of = {"stripe_account": onboarded(api, sandbox)}
    assert refused(lambda: api.application_fees.retrieve(charge.application_fee, {}, of)).code == "resource_missing"
    assert not [each for each in sandbox.event_types(coach) if each.startswith("application_fee")]
