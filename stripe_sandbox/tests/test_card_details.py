"""What a payment method is given besides its number; what an intent may not be given."""

from typing import Any

import pytest

from .conftest import pay, refused

pytestmark = pytest.mark.thorough

CARD: dict[str, Any] = {"amount": 500, "currency": "usd", "payment_method_types": ["card"]}


def card(**details: Any) -> dict[str, Any]:
    return {"type": "card", "card": {"number": "4242424242424242", **details}}


def test_a_card_keeps_its_expiry_and_the_charge_shows_it(api: Any) -> None:
    method = api.payment_methods.create(card(exp_month=3, exp_year=2031, cvc="123"))
    assert (method.card.exp_month, method.card.exp_year) == (3, 2031)
    changed = api.payment_methods.update(method.id, {"card": {"exp_year": 2035}})
    assert (changed.card.exp_month, changed.card.exp_year) == (3, 2035)
    charge = pay(api, card=method.id, expand=["latest_charge"]).latest_charge
    assert (charge.payment_method_details.card.exp_month, charge.payment_method_details.card.exp_year) == (3, 2035)


@pytest.mark.parametrize(
    ("expiry", "code", "param"),
    [
        ({"exp_month": 13, "exp_year": 2040}, "invalid_expiry_month", "exp_month"),
        ({"exp_month": 1, "exp_year": 2001}, "invalid_expiry_year", "exp_year"),
    ],
)
def test_an_impossible_expiry_is_a_card_error(api: Any, expiry: dict[str, int], code: str, param: str) -> None:
    error = refused(lambda: api.payment_methods.create(card(**expiry)))
    assert (error.http_status, error.error.type, error.code, error.param) == (402, "card_error", code, param)


@pytest.mark.parametrize("name", ["PaymentIntent", "SetupIntent"])
def test_a_card_does_not_do_for_what_takes_none(api: Any, name: str) -> None:
    types = {"payment_method_types": ["klarna", "eps"]}
    if name == "PaymentIntent":
        confirm, intent = api.payment_intents.confirm, api.payment_intents.create({**CARD, **types}).id
    else:
        confirm, intent = api.setup_intents.confirm, api.setup_intents.create(types).id
    error = refused(lambda: confirm(intent, {"payment_method": "pm_card_visa"}))
    assert (error.http_status, error.param) == (400, "payment_method")
    assert error.user_message == (
        f"The PaymentMethod provided (card) is not allowed for this {name}. Please attach a payment method of one of the following types: "
        "klarna, eps."
    )


def test_a_method_brought_along_is_no_card(api: Any) -> None:
    intent = api.payment_intents.create(CARD).id
    error = refused(lambda: api.payment_intents.confirm(intent, {"payment_method_data": {"type": "klarna"}}))
    assert (error.http_status, error.param) == (400, "payment_method_data")


def test_automatic_methods_can_be_off(api: Any) -> None:
    off = {"amount": 500, "currency": "usd", "automatic_payment_methods": {"enabled": False}}
    intent = api.payment_intents.create({**off, "confirm": True, "payment_method": "pm_card_visa"})
    assert (intent.automatic_payment_methods, intent.status) == (None, "succeeded")


@pytest.mark.parametrize(
    "given", [{"off_session": True}, {"return_url": "http://a.test"}, {"error_on_requires_action": True}]
)
def test_some_things_belong_to_a_confirmation(api: Any, given: dict[str, Any]) -> None:
    error = refused(lambda: api.payment_intents.create({**CARD, **given}))
    assert (error.http_status, error.param) == (400, next(iter(given)))
    assert api.payment_intents.list().data == []
