"""Holds that grow, live longer or were asked for off the session; and what may still be updated when."""

from typing import Any

import pytest

from .books import destination_charge
from .conftest import Sandbox, hold, pay, refused

pytestmark = pytest.mark.thorough

DAY = 86400
GROWING: dict[str, Any] = {"payment_method_options": {"card": {"request_incremental_authorization": "if_available"}}}


def test_a_hold_grows_and_all_of_it_is_captured(api: Any, sandbox: Sandbox) -> None:
    intent = hold(api, **GROWING)
    grown = api.payment_intents.increment_authorization(intent.id, {"amount": 15000, "metadata": {"hours": "3"}})
    assert (grown.status, grown.amount, grown.amount_capturable, grown.metadata.hours) == (
        "requires_capture",
        15000,
        15000,
        "3",
    )
    card = api.charges.retrieve(intent.latest_charge).payment_method_details.card
    assert (card.amount_authorized, card.incremental_authorization.status) == (15000, "available")
    assert sandbox.event_types()[-2:] == ["charge.updated", "payment_intent.amount_capturable_updated"]
    assert api.payment_intents.capture(intent.id).amount_received == 15000


@pytest.mark.parametrize("amount", [10000, 9000])
def test_a_hold_only_grows(api: Any, amount: int) -> None:
    intent = hold(api, **GROWING)
    error = refused(lambda: api.payment_intents.increment_authorization(intent.id, {"amount": amount}))
    assert (error.http_status, error.param) == (400, "amount")
    assert api.payment_intents.retrieve(intent.id).amount_capturable == 10000


def test_growing_has_to_be_asked_for_in_time_and_ends_with_the_capture(api: Any) -> None:
    plain, growing = hold(api), hold(api, **GROWING)
    increment = api.payment_intents.increment_authorization
    assert "does not support incremental" in refused(lambda: increment(plain.id, {"amount": 11000})).user_message
    api.payment_intents.capture(growing.id)
    assert refused(lambda: increment(growing.id, {"amount": 11000})).code == "payment_intent_unexpected_state"


def test_a_hold_grows_ten_times(api: Any) -> None:
    intent = hold(api, **GROWING)
    for step in range(1, 11):
        api.payment_intents.increment_authorization(intent.id, {"amount": 10000 + step})
    error = refused(lambda: api.payment_intents.increment_authorization(intent.id, {"amount": 20000}))
    assert "at most 10" in error.user_message


def test_the_fee_of_a_destination_charge_grows_with_it(api: Any, coach: str) -> None:
    intent = destination_charge(api, coach, capture_method="manual", **GROWING)
    api.payment_intents.increment_authorization(intent.id, {"amount": 20000, "application_fee_amount": 4000})
    charge = api.charges.retrieve(api.payment_intents.capture(intent.id).latest_charge, {"expand": ["transfer"]})
    assert (charge.transfer.amount, charge.application_fee_amount) == (20000, 4000)


def test_an_extended_hold_lives_thirty_days(api: Any, sandbox: Sandbox) -> None:
    options = {"card": {"request_extended_authorization": "if_available"}}
    intent = hold(api, payment_method_options=options)
    charge = api.charges.retrieve(intent.latest_charge)
    card = charge.payment_method_details.card
    assert (card.extended_authorization.status, card.capture_before - charge.created) == ("enabled", 30 * DAY)
    sandbox.advance(29 * DAY)
    assert api.payment_intents.retrieve(intent.id).status == "requires_capture"
    off_session = hold(api, payment_method_options=options, off_session=True)
    card = api.charges.retrieve(off_session.latest_charge).payment_method_details.card
    assert card.extended_authorization.status == "disabled"


def test_the_cards_option_alone_makes_a_hold(api: Any) -> None:
    intent = pay(api, payment_method_options={"card": {"capture_method": "manual"}})
    assert (intent.status, intent.payment_method_options.card.capture_method) == ("requires_capture", "manual")


def test_multicapture_is_not_offered(api: Any) -> None:
    intent = hold(api)
    error = refused(lambda: api.payment_intents.capture(intent.id, {"final_capture": False}))
    assert error.param == "final_capture"
    assert api.payment_intents.retrieve(intent.id).status == "requires_capture"


def test_off_session_authentication_is_a_decline_that_the_customer_can_mend(api: Any, sandbox: Sandbox) -> None:
    customer = api.customers.create({}).id
    method = api.payment_methods.attach("pm_card_authenticationRequired", {"customer": customer}).id
    fields = {"amount": 5000, "currency": "usd", "customer": customer, "payment_method": method}
    charged = {**fields, "off_session": True, "confirm": True, "payment_method_types": ["card"]}
    error = refused(lambda: api.payment_intents.create(charged))
    assert (error.http_status, error.code, error.error.decline_code) == (
        402,
        "authentication_required",
        "authentication_required",
    )
    assert error.user_message == "Your card was declined. This transaction requires authentication."
    intent = api.payment_intents.list({"customer": customer}).data[0]
    assert (intent.status, intent.last_payment_error.code) == ("requires_payment_method", "authentication_required")
    assert api.charges.retrieve(intent.latest_charge).status == "failed"
    assert sandbox.event_types()[-2:] == ["charge.failed", "payment_intent.payment_failed"]
    again = api.payment_intents.confirm(intent.id, {"payment_method": method})
    assert (again.status, again.client_secret) == ("requires_action", intent.client_secret)
    sandbox.post(f"payment_intents/{intent.id}/authenticate")
    assert api.payment_intents.retrieve(intent.id).status == "succeeded"


def test_a_card_set_up_before_is_charged_off_session(api: Any, sandbox: Sandbox) -> None:
    customer = api.customers.create({}).id
    setup = api.setup_intents.create(
        {
            "customer": customer,
            "payment_method": "pm_card_authenticationRequiredOnSetup",
            "payment_method_types": ["card"],
            "confirm": True,
        }
    )
    assert setup.status == "requires_action"
    sandbox.post(f"setup_intents/{setup.id}/authenticate")
    assert pay(api, card=setup.payment_method, customer=customer, off_session=True).status == "succeeded"


def test_an_update_of_the_terms_asks_for_a_new_confirmation(api: Any) -> None:
    intent = pay(api, card="pm_card_authenticationRequired")
    assert intent.status == "requires_action"
    changed = api.payment_intents.update(intent.id, {"amount": 12000, "capture_method": "manual"})
    assert (changed.status, changed.next_action, changed.capture_method) == ("requires_confirmation", None, "manual")


@pytest.mark.parametrize(
    "fields",
    [
        {"amount": 1000},
        {"capture_method": "manual"},
        {"application_fee_amount": 1},
        {"payment_method_types": ["card"]},
    ],
)
def test_a_succeeded_intent_keeps_its_terms(api: Any, coach: str, fields: dict[str, Any]) -> None:
    intent = destination_charge(api, coach)
    error = refused(lambda: api.payment_intents.update(intent.id, fields))
    assert error.code == "payment_intent_unexpected_state"
    assert api.payment_intents.update(intent.id, {"description": "Lesson", "metadata": {"a": "1"}}).description
