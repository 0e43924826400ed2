"""Charges line by line: what they take over from their payment, how they show a hold, a capture and a decline, and what may be edited."""

from collections.abc import Iterator
from typing import Any

import pytest

from .books import rows
from .conftest import Sandbox, hold, onboarded, pay, refused


@pytest.fixture(autouse=True)
def _books_balance(sandbox: Sandbox) -> Iterator[None]:
    yield
    assert sandbox.get("health")["balance_errors"] == []


def shape(charge: Any) -> tuple[Any, ...]:
    return charge.status, charge.paid, charge.captured, charge.amount_captured, charge.amount_refunded, charge.refunded


def test_a_hold_is_paid_but_not_captured(api: Any) -> None:
    intent = hold(api)
    charge = api.charges.retrieve(intent.latest_charge)
    assert shape(charge) == ("succeeded", True, False, 0, 0, False)
    assert (charge.balance_transaction, rows(api)) == (None, [])
    api.payment_intents.capture(intent.id, {"amount_to_capture": 6000})
    charge = api.charges.retrieve(intent.latest_charge)
    assert shape(charge) == ("succeeded", True, True, 6000, 0, False)
    assert (charge.amount, api.balance_transactions.retrieve(charge.balance_transaction).source) == (10000, charge.id)


def test_a_declined_charge_says_why_and_moves_nothing(api: Any, sandbox: Sandbox) -> None:
    refused(lambda: pay(api, card="pm_card_chargeDeclinedInsufficientFunds"))
    [charge] = api.charges.list().data
    assert shape(charge) == ("failed", False, False, 0, 0, False)
    assert (charge.failure_code, charge.outcome.type, charge.balance_transaction) == (
        "card_declined",
        "issuer_declined",
        None,
    )
    assert charge.failure_balance_transaction is None
    assert rows(api) == []
    assert sandbox.event_types()[-2:] == ["charge.failed", "payment_intent.payment_failed"]


def test_a_cancelled_hold_leaves_a_charge_without_a_refund(api: Any) -> None:
    intent = hold(api)
    api.payment_intents.cancel(intent.id)
    charge = api.charges.retrieve(intent.latest_charge, {"expand": ["refunds"]})
    assert (charge.captured, charge.refunds.data, charge.refunded) == (False, [], False)


def test_a_charge_takes_over_what_its_payment_says_at_that_time(api: Any) -> None:
    said: dict[str, Any] = {"description": "Lesson", "metadata": {"lesson": "7"}, "transfer_group": "g"}
    intent = pay(api, **said)
    api.payment_intents.update(intent.id, {"metadata": {"lesson": "8"}})
    charge = api.charges.retrieve(intent.latest_charge)
    assert {name: charge[name] if name != "metadata" else charge.metadata.to_dict() for name in said} == said
    assert charge.payment_intent == intent.id


@pytest.mark.parametrize("field", ["invoice", "dispute"])
def test_fields_of_older_versions_are_gone(api: Any, field: str) -> None:
    """Stripe took invoice away in 2025-03-31.basil; disputes are listed by charge instead."""
    intent = pay(api)
    assert field not in api.charges.retrieve(intent.latest_charge)
    assert field not in intent


@pytest.mark.parametrize(
    "fields",
    [
        {"description": "Lesson"},
        {"receipt_email": "s@example.com"},
        {"metadata": {"a": "1"}},
        {"fraud_details": {"user_report": "fraudulent"}},
        {"transfer_group": "later"},
    ],
)
def test_what_may_be_edited_is_told_of(api: Any, sandbox: Sandbox, fields: dict[str, Any]) -> None:
    charge = pay(api).latest_charge
    api.charges.update(charge, fields)
    [(name, value)] = fields.items()
    shown = api.charges.retrieve(charge).to_dict()[name]
    assert shown == value
    assert sandbox.event_types()[-1] == "charge.updated"


@pytest.mark.parametrize("fields", [{"amount": 5}, {"captured": True}, {"fraud_details": {"user_report": "odd"}}])
def test_nothing_else_may_be_edited(api: Any, sandbox: Sandbox, fields: dict[str, Any]) -> None:
    charge = pay(api).latest_charge
    told = sandbox.event_types()
    assert refused(lambda: api.charges.update(charge, fields)).http_status == 400
    assert sandbox.event_types() == told


def test_charges_are_found_by_what_they_belong_to(api: Any, sandbox: Sandbox) -> None:
    customer = api.customers.create({}).id
    method = api.payment_methods.attach("pm_card_visa", {"customer": customer}).id
    mine = pay(api, customer=customer, card=method, transfer_group="g")
    pay(api)
    for filters in ({"customer": customer}, {"payment_intent": mine.id}, {"transfer_group": "g"}):
        assert [each.id for each in api.charges.list(filters).data] == [mine.latest_charge]
    of = {"stripe_account": onboarded(api, sandbox)}
    error = refused(lambda: api.charges.retrieve(mine.latest_charge, {}, of))
    assert (error.http_status, error.code) == (404, "resource_missing")
