"""Refunds line by line: who pays under which flags, every status and how it is left, and what each step tells."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from .books import balance, destination_charge, rows
from .conftest import Refused, Sandbox, hold, onboarded, pay, refused

pytestmark = pytest.mark.thorough

DAY = 86400
BOTH = {"reverse_transfer": True, "refund_application_fee": True}
REVERSED = ["refund.created", "charge.refunded", "transfer.reversed"]
FEE_BACK = ["refund.created", "charge.refunded", "application_fee.refunded"]


@pytest.fixture(autouse=True)
def _books_balance(sandbox: Sandbox) -> Iterator[None]:
    yield
    assert sandbox.get("health")["balance_errors"] == []


def after(sandbox: Sandbox, act: Callable[[], Any], account: str | None = None) -> list[str]:
    """What the act told."""
    before = len(sandbox.event_types(account))
    act()
    return sandbox.event_types(account)[before:]


# A destination charge of 100.00 with a fee of 20.00: the platform's net change, the account's, the events.
@pytest.mark.parametrize(
    ("amount", "flags", "platform", "account", "told"),
    [
        (10000, {}, -10000, 0, ["refund.created", "charge.refunded"]),
        # The fee stays with the platform, which stands in for the 20.00 that the account is below zero.
        (10000, {"reverse_transfer": True}, -2000, -10000, REVERSED),
        (10000, {"refund_application_fee": True}, -12000, 2000, FEE_BACK),
        (10000, BOTH, -2000, -8000, [*REVERSED, "application_fee.refunded"]),
        (2500, {}, -2500, 0, ["refund.created", "charge.refunded"]),
        (2500, {"reverse_transfer": True}, 0, -2500, REVERSED),
        (2500, {"refund_application_fee": True}, -3000, 500, FEE_BACK),
        (2500, BOTH, -500, -2000, [*REVERSED, "application_fee.refunded"]),
    ],
)
def test_the_flags_say_who_pays(
    api: Any,
    sandbox: Sandbox,
    coach: str,
    *,
    amount: int,
    flags: dict[str, bool],
    platform: int,
    account: int,
    told: list[str],
) -> None:
    sandbox.post("balance", amount=20000)
    intent = destination_charge(api, coach)
    before = sum(balance(api)), sum(balance(api, coach))
    fields = {"payment_intent": intent.id, "amount": amount, **flags}
    assert after(sandbox, lambda: api.refunds.create(fields)) == told
    assert (sum(balance(api)) - before[0], sum(balance(api, coach)) - before[1]) == (platform, account)
    charge = api.charges.retrieve(intent.latest_charge, {"expand": ["transfer", "application_fee"]})
    share = amount if "reverse_transfer" in flags else 0
    returned = amount // 5 if "refund_application_fee" in flags else 0
    assert (charge.amount_refunded, charge.transfer.amount_reversed, charge.application_fee.amount_refunded) == (
        amount,
        share,
        returned,
    )
    assert (charge.refunded, charge.transfer.reversed, charge.application_fee.refunded) == (
        amount == 10000,
        share == 10000,
        returned == 2000,
    )


def test_a_full_refund_with_both_flags_in_the_books(api: Any, sandbox: Sandbox, coach: str) -> None:
    sandbox.post("balance", amount=2000)
    intent = destination_charge(api, coach)
    refund = api.refunds.create({"payment_intent": intent.id, **BOTH})
    assert sorted(rows(api)[-3:]) == [
        ("application_fee_refund", -2000, 0, "platform_earning_refund"),
        ("refund", -10000, 0, "refund"),
        ("transfer_refund", 10000, 0, "transfer_reversal"),
    ]
    assert rows(api, coach)[-1] == ("payment_refund", -10000, -2000, "refund")
    transfer = api.charges.retrieve(intent.latest_charge, {"expand": ["transfer"]}).transfer
    [reversal] = transfer.reversals.data
    assert (reversal.id, reversal.source_refund) == (refund.transfer_reversal, refund.id)


@pytest.mark.parametrize("flag", ["reverse_transfer", "refund_application_fee"])
def test_a_flag_needs_what_it_gives_back(api: Any, sandbox: Sandbox, flag: str) -> None:
    intent = pay(api)
    assert refused(lambda: api.refunds.create({"payment_intent": intent.id, flag: True})).param == flag
    assert api.refunds.list().data == []


def test_what_was_reversed_before_is_not_reversed_again(api: Any, sandbox: Sandbox, coach: str) -> None:
    sandbox.post("balance", amount=20000)
    intent = destination_charge(api, coach)
    charge = api.charges.retrieve(intent.latest_charge)
    api.transfers.reversals.create(charge.transfer)
    told = after(sandbox, lambda: api.refunds.create({"payment_intent": intent.id, **BOTH}))
    assert told == FEE_BACK
    assert api.refunds.list().data[0].transfer_reversal is None
    assert rows(api, coach)[-1] == ("application_fee_refund", 2000, 0, "platform_earning_refund")
    assert balance(api, coach) == (0, 0)


def test_a_fee_returned_before_is_not_returned_again(api: Any, sandbox: Sandbox, coach: str) -> None:
    sandbox.post("balance", amount=20000)
    intent = destination_charge(api, coach)
    api.application_fees.refunds.create(api.charges.retrieve(intent.latest_charge).application_fee)
    assert after(sandbox, lambda: api.refunds.create({"payment_intent": intent.id, **BOTH})) == REVERSED
    assert balance(api, coach) == (0, 0)


def test_a_direct_charge_is_refunded_by_its_account_and_the_fee_by_the_platform(
    api: Any, sandbox: Sandbox, coach: str
) -> None:
    api.accounts.capabilities.update(coach, "card_payments", {"requested": True})
    of = {"stripe_account": coach}
    terms = {"amount": 10000, "currency": "usd", "confirm": True, "payment_method": "pm_card_visa"}
    terms |= {"payment_method_types": ["card"], "application_fee_amount": 2000}
    intent = api.payment_intents.create(terms, of)
    sandbox.post("balance", account=coach, amount=320)
    wish = {"payment_intent": intent.id, "refund_application_fee": True}
    told = after(sandbox, lambda: api.refunds.create(wish, of), coach)
    assert told == ["refund.created", "charge.refunded"]
    assert sandbox.event_types()[-1] == "application_fee.refunded"
    assert sum(balance(api)) == 0
    assert rows(api)[-1] == ("application_fee_refund", -2000, 0, "platform_earning_refund")
    assert ("refund", -10000, 0, "refund") in rows(api, coach)
    assert sum(balance(api, coach)) == 0


def test_a_charge_captured_in_part_is_refunded_in_full_by_that_part(api: Any, sandbox: Sandbox) -> None:
    sandbox.post("balance", amount=1000)
    intent = hold(api)
    api.payment_intents.capture(intent.id, {"amount_to_capture": 6000})
    assert api.refunds.list().data == []  # the rest is released, not refunded
    too_much = refused(lambda: api.refunds.create({"payment_intent": intent.id, "amount": 6001}))
    assert "($60.01) is greater than unrefunded amount on charge ($60.00)" in too_much.user_message
    assert api.refunds.create({"payment_intent": intent.id}).amount == 6000
    assert api.charges.retrieve(intent.latest_charge).refunded is True


def test_a_cancelled_or_declined_payment_leaves_no_refund(api: Any, sandbox: Sandbox) -> None:
    cancelled = hold(api)
    api.payment_intents.cancel(cancelled.id)
    refused(lambda: pay(api, card="pm_card_chargeDeclined"))
    declined = api.payment_intents.list().data[0]
    for intent in (cancelled, declined):
        error = refused(partial(api.refunds.create, {"payment_intent": intent.id}))
        assert error.user_message == f"This PaymentIntent ({intent.id}) does not have a successful charge to refund."
        assert refused(partial(api.refunds.create, {"charge": intent.latest_charge})).param == "charge"
    assert api.refunds.list().data == []


def test_part_of_what_is_only_held_is_refused_in_other_words(api: Any) -> None:
    held = hold(api).latest_charge
    assert refused(lambda: api.refunds.create({"charge": held, "amount": 100})).user_message == (
        "You cannot partially refund an uncaptured charge. Instead, capture the charge for an amount less than the "
        "original amount"
    )


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({}, None, None),
        ({"payment_intent": "pi_none"}, "resource_missing", "payment_intent"),
        ({"charge": "ch_none"}, "resource_missing", "charge"),
        ({"charge": "CHARGE", "payment_intent": "INTENT"}, None, "charge"),
        ({"charge": "CHARGE", "amount": 0}, "parameter_invalid_integer", "amount"),
        ({"charge": "CHARGE", "amount": -1}, "parameter_invalid_integer", "amount"),
        ({"charge": "CHARGE", "amount": 10001}, None, "amount"),
        ({"charge": "CHARGE", "reason": "expired_uncaptured_charge"}, None, "reason"),
        ({"charge": "CHARGE", "colour": "red"}, "parameter_unknown", "colour"),
    ],
)
def test_a_senseless_refund_is_refused(api: Any, fields: dict[str, Any], code: str | None, param: str | None) -> None:
    intent = pay(api)
    ids = {"CHARGE": intent.latest_charge, "INTENT": intent.id}
    error = refused(lambda: api.refunds.create({name: ids.get(value, value) for name, value in fields.items()}))
    assert (error.http_status, error.code, error.param) == (400, code, param)
    assert api.refunds.list().data == []


@pytest.mark.parametrize("reason", ["duplicate", "fraudulent", "requested_by_customer"])
def test_a_refund_keeps_its_reason_and_changes_its_metadata_only(api: Any, sandbox: Sandbox, reason: str) -> None:
    refund = api.refunds.create({"payment_intent": pay(api).id, "amount": 100, "reason": reason})
    told = after(sandbox, lambda: api.refunds.update(refund.id, {"metadata": {"case": "7"}}))
    assert told == ["charge.refund.updated", "refund.updated"]
    again = api.refunds.retrieve(refund.id)
    assert (again.reason, again.metadata.case, again.status) == (reason, "7", "succeeded")
    assert refused(lambda: api.refunds.update(refund.id, {"reason": "duplicate"})).code == "parameter_unknown"


def test_a_destination_payment_is_reversed_not_refunded(api: Any, sandbox: Sandbox, coach: str) -> None:
    charge = api.charges.retrieve(destination_charge(api, coach).latest_charge, {"expand": ["transfer"]})
    payment = charge.transfer.destination_payment
    error = refused(lambda: api.refunds.create({"charge": payment}, {"stripe_account": coach}))
    assert (error.http_status, error.param) == (400, "charge")
    assert charge.transfer.id in error.user_message
    assert balance(api, coach) == (0, 8000)


# How a refund leaves each status: the card and what is done, the end, its reason, the money of the refund, the events.
@pytest.mark.parametrize(
    ("card", "deed", "end", "net", "told"),
    [
        ("pm_card_visa", None, ("succeeded", None), -4000, []),
        (
            "pm_card_visa",
            "fail",
            ("failed", "declined"),
            0,
            ["charge.refund.updated", "refund.updated", "refund.failed"],
        ),
        ("pm_card_pendingRefund", "wait", ("succeeded", None), -4000, ["charge.refund.updated", "refund.updated"]),
        (
            "pm_card_pendingRefund",
            "fail",
            ("failed", "declined"),
            0,
            ["charge.refund.updated", "refund.updated", "refund.failed"],
        ),
        (
            "pm_card_refundFail",
            "wait",
            ("failed", "expired_or_canceled_card"),
            0,
            ["charge.refund.updated", "refund.updated", "refund.failed"],
        ),
        ("pm_card_visa", "cancel", ("canceled", None), 0, ["charge.refund.updated", "refund.updated"]),
        (
            "pm_card_visa",
            "expire",
            ("failed", "unknown"),
            0,
            ["charge.refund.updated", "refund.updated", "refund.failed"],
        ),
    ],
)
def test_how_a_refund_ends(
    api: Any, sandbox: Sandbox, *, card: str, deed: str | None, end: tuple[str, str | None], net: int, told: list[str]
) -> None:
    sandbox.post("balance", amount=20000)
    charge = pay(api, card=card).latest_charge
    refund = api.refunds.create({"charge": charge, "amount": 4000})
    waits = card == "pm_card_pendingRefund"
    assert (refund.status, refund.get("pending_reason")) == (
        ("pending", "processing") if waits else ("succeeded", None)
    )
    if deed in ("cancel", "expire"):
        sandbox.post(f"refunds/{refund.id}/require_action")
    deeds: dict[str | None, Callable[[], Any]] = {
        None: lambda: None,
        "wait": lambda: sandbox.advance(61),
        "fail": lambda: sandbox.post(f"refunds/{refund.id}/fail", failure_reason="declined"),
        "cancel": lambda: api.refunds.cancel(refund.id),
        "expire": lambda: api.test_helpers.refunds.expire(refund.id),
    }
    assert after(sandbox, deeds[deed]) == told
    ended = api.refunds.retrieve(refund.id)
    assert (ended.status, ended.get("failure_reason")) == end
    assert sum(row[1] for row in rows(api) if row[0].startswith("refund")) == net
    assert ("failure_balance_transaction" in ended) is (net == 0)
    assert api.charges.retrieve(charge).amount_refunded == -net
    if net == 0:
        with pytest.raises(Refused):
            sandbox.post(f"refunds/{refund.id}/fail")


def test_the_failure_is_a_balance_transaction_of_the_refund(api: Any, sandbox: Sandbox) -> None:
    refund = api.refunds.create({"payment_intent": pay(api).id, "amount": 4000})
    sandbox.post(f"refunds/{refund.id}/fail")
    failed = api.refunds.retrieve(refund.id, {"expand": ["failure_balance_transaction", "balance_transaction"]})
    for transaction, type, amount in (
        (failed.balance_transaction, "refund", -4000),
        (failed.failure_balance_transaction, "refund_failure", 4000),
    ):
        assert (transaction.type, transaction.amount, transaction.source) == (type, amount, refund.id)


def test_the_banks_reference_follows_a_refund(api: Any, sandbox: Sandbox) -> None:
    refund = api.refunds.create({"payment_intent": pay(api).id, "amount": 4000})
    failing = api.refunds.create({"payment_intent": pay(api).id, "amount": 4000})
    sandbox.post(f"refunds/{failing.id}/fail")
    card = refund.destination_details.card
    assert (card.type, card.reference_status, getattr(card, "reference", None)) == ("refund", "pending", None)
    told = after(sandbox, lambda: sandbox.advance(2 * DAY))
    assert told.count("refund.updated") == 1
    card = api.refunds.retrieve(refund.id).destination_details.card
    assert card.reference_status == "available"
    assert len(card.reference) == 23
    assert api.refunds.retrieve(failing.id).destination_details.card.reference_status == "pending"


def drained(api: Any, sandbox: Sandbox, *amounts: int, currency: str = "usd") -> list[Any]:
    """Payments of these amounts whose money is available and then gone."""
    intents = [pay(api, amount, currency=currency, card="pm_card_bypassPending") for amount in amounts]
    sandbox.post("balance", amount=-balance(api, currency=currency)[0], currency=currency)
    return intents


def test_refunds_without_funds_are_paid_in_order(api: Any, sandbox: Sandbox) -> None:
    first, second = (api.refunds.create({"payment_intent": each.id}).id for each in drained(api, sandbox, 3000, 2000))

    def statuses() -> list[str]:
        return [api.refunds.retrieve(id).status for id in (first, second)]

    assert statuses() == ["pending", "pending"]
    sandbox.post("balance", amount=2500)
    assert statuses() == ["pending", "pending"]
    sandbox.post("balance", amount=500)
    assert statuses() == ["succeeded", "pending"]
    sandbox.post("balance", amount=2000)
    assert statuses() == ["succeeded", "succeeded"]
    assert balance(api) == (0, 0)
    paid = api.refunds.retrieve(first)
    assert (getattr(paid, "pending_reason", None), paid.balance_transaction[:4]) == (None, "txn_")


def test_a_refund_that_waits_in_one_currency_stops_no_other(api: Any, sandbox: Sandbox) -> None:
    waiting = api.refunds.create({"payment_intent": drained(api, sandbox, 3000)[0].id}).id
    other = api.refunds.create({"payment_intent": drained(api, sandbox, 3000, currency="eur")[0].id}).id
    sandbox.post("balance", amount=3000, currency="eur")
    assert [api.refunds.retrieve(each).status for each in (waiting, other)] == ["pending", "succeeded"]


def test_a_refund_that_waits_for_funds_can_fail_without_moving_any(api: Any, sandbox: Sandbox) -> None:
    refund = api.refunds.create({"payment_intent": drained(api, sandbox, 3000)[0].id})
    assert api.charges.retrieve(refund.charge).refunded is True
    moved = rows(api)
    sandbox.post(f"refunds/{refund.id}/fail", failure_reason="merchant_request")
    failed = api.refunds.retrieve(refund.id)
    assert (failed.status, "failure_balance_transaction" in failed, rows(api)) == ("failed", False, moved)
    assert api.charges.retrieve(refund.charge).amount_refunded == 0
    sandbox.post("balance", amount=5000)
    assert (api.refunds.retrieve(refund.id).status, balance(api)) == ("failed", (5000, 0))


def test_a_chargeback_ends_a_refund_that_still_waits(api: Any, sandbox: Sandbox) -> None:
    intent = drained(api, sandbox, 3000)[0]
    refund = api.refunds.create({"payment_intent": intent.id, "amount": 1000})
    dispute = sandbox.post("disputes", payment_intent=intent.id)
    assert dispute["amount"] == 3000
    ended = api.refunds.retrieve(refund.id)
    assert (ended.status, ended.failure_reason) == ("failed", "charge_for_pending_refund_disputed")
    assert api.charges.retrieve(intent.latest_charge).amount_refunded == 0
    assert sandbox.event_types()[-1] == "refund.failed"


def test_two_accounts_do_not_see_each_others_refunds(api: Any, sandbox: Sandbox, coach: str) -> None:
    refund = api.refunds.create({"payment_intent": pay(api).id, "amount": 5})
    of = {"stripe_account": onboarded(api, sandbox)}
    assert refused(lambda: api.refunds.retrieve(refund.id, {}, of)).code == "resource_missing"
    assert api.refunds.list({}, of).data == []
