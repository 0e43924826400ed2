"""PaymentIntents: every documented way from creation to an end, with the events of each."""

from typing import Any

import pytest

from .conftest import Sandbox, hold, pay, refused

DAY = 86400


def test_an_intent_without_a_card_waits_for_one(api: Any, sandbox: Sandbox) -> None:
    intent = api.payment_intents.create({"amount": 500, "currency": "usd", "metadata": {"a": "b"}})
    assert (intent.status, intent.payment_method, intent.latest_charge) == ("requires_payment_method", None, None)
    assert intent.client_secret.startswith(intent.id + "_secret_")
    assert intent.automatic_payment_methods.to_dict() == {"allow_redirects": "always", "enabled": True}
    assert sandbox.event_types() == ["payment_intent.created"]


def test_a_card_makes_it_ready_to_confirm(api: Any) -> None:
    intent = api.payment_intents.create({"amount": 500, "currency": "usd"})
    assert api.payment_intents.update(intent.id, {"payment_method": "pm_card_visa"}).status == "requires_confirmation"


def test_automatic_capture_takes_the_money_at_once(api: Any, sandbox: Sandbox) -> None:
    intent = pay(api, 5000)
    assert (intent.status, intent.amount_received, intent.amount_capturable) == ("succeeded", 5000, 0)
    charge = api.charges.retrieve(intent.latest_charge)
    assert (charge.status, charge.captured, charge.paid, charge.amount_captured, charge.refunded) == (
        "succeeded",
        True,
        True,
        5000,
        False,
    )
    assert charge.outcome.network_status == "approved_by_network"
    assert sandbox.event_types() == ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]


def test_manual_capture_holds_it(api: Any, sandbox: Sandbox) -> None:
    intent = hold(api, 5000)
    assert (intent.status, intent.amount_received, intent.amount_capturable) == ("requires_capture", 0, 5000)
    charge = api.charges.retrieve(intent.latest_charge)
    assert (charge.status, charge.captured, charge.balance_transaction, charge.amount_captured) == (
        "succeeded",
        False,
        None,
        0,
    )
    assert charge.payment_method_details.card.capture_before == charge.created + 7 * DAY
    assert sandbox.event_types() == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.amount_capturable_updated",
    ]
    assert api.balance_transactions.list().data == []


def test_a_full_capture_takes_all_of_it(api: Any, sandbox: Sandbox) -> None:
    intent = api.payment_intents.capture(hold(api).id)
    assert (intent.status, intent.amount_received, intent.amount_capturable) == ("succeeded", 10000, 0)
    assert sandbox.event_types()[-2:] == ["charge.captured", "payment_intent.succeeded"]


def test_a_partial_capture_releases_the_rest_without_a_refund(api: Any, sandbox: Sandbox) -> None:
    intent = api.payment_intents.capture(hold(api).id, {"amount_to_capture": 4000, "metadata": {"late": "yes"}})
    assert (intent.status, intent.amount, intent.amount_received, intent.metadata["late"]) == (
        "succeeded",
        10000,
        4000,
        "yes",
    )
    charge = api.charges.retrieve(intent.latest_charge, {"expand": ["balance_transaction"]})
    assert (charge.amount_captured, charge.amount_refunded, charge.refunded) == (4000, 0, False)
    assert (charge.balance_transaction.amount, charge.balance_transaction.fee) == (4000, 146)
    assert api.refunds.list().data == []
    assert "charge.refunded" not in sandbox.event_types()


def test_too_much_cannot_be_captured(api: Any) -> None:
    intent = hold(api)
    error = refused(lambda: api.payment_intents.capture(intent.id, {"amount_to_capture": 10001}))
    assert (error.http_status, error.code) == (400, "amount_too_large")
    assert api.payment_intents.retrieve(intent.id).status == "requires_capture"


def test_nothing_is_captured_twice(api: Any) -> None:
    intent = hold(api)
    api.payment_intents.capture(intent.id)
    error = refused(lambda: api.payment_intents.capture(intent.id))
    assert error.code == "payment_intent_unexpected_state"
    assert error.user_message == "This PaymentIntent could not be captured because it has already been captured."
    assert error.error.payment_intent.id == intent.id
    assert len(api.balance_transactions.list().data) == 1


def test_what_was_never_held_cannot_be_captured(api: Any) -> None:
    intent = api.payment_intents.create({"amount": 500, "currency": "usd"})
    error = refused(lambda: api.payment_intents.capture(intent.id))
    assert error.user_message == (
        "This PaymentIntent could not be captured because it has a status of requires_payment_method. Only a PaymentIntent with one of the "
        "following statuses may be captured: requires_capture."
    )


def test_cancelling_releases_the_hold_without_a_refund(api: Any, sandbox: Sandbox) -> None:
    intent = api.payment_intents.cancel(hold(api).id, {"cancellation_reason": "requested_by_customer"})
    assert (intent.status, intent.cancellation_reason, intent.amount_capturable) == (
        "canceled",
        "requested_by_customer",
        0,
    )
    charge = api.charges.retrieve(intent.latest_charge)
    assert (charge.status, charge.captured, charge.refunded, charge.amount_captured, charge.amount_refunded) == (
        "succeeded",
        False,
        False,
        0,
        0,
    )
    assert sandbox.event_types()[-1] == "payment_intent.canceled"
    assert api.refunds.list().data == []


def test_a_paid_intent_cannot_be_cancelled(api: Any) -> None:
    intent = pay(api)
    error = refused(lambda: api.payment_intents.cancel(intent.id))
    assert error.user_message == (
        "You cannot cancel this PaymentIntent because it has a status of succeeded. Only a PaymentIntent with one of the following statuses may be "
        "canceled: requires_payment_method, requires_capture, requires_reauthorization, requires_confirmation, requires_action, processing."
    )


def test_nothing_is_confirmed_twice(api: Any) -> None:
    intent = pay(api)
    error = refused(lambda: api.payment_intents.confirm(intent.id))
    assert (
        error.user_message
        == "You cannot confirm this PaymentIntent because it has already succeeded after being previously confirmed."
    )


def test_a_hold_lapses_at_its_deadline(api: Any, sandbox: Sandbox) -> None:
    intent = hold(api)
    before = api.charges.retrieve(intent.latest_charge).payment_method_details.card.capture_before
    sandbox.post("clock", set=before - 5)
    assert api.payment_intents.retrieve(intent.id).status == "requires_capture"
    sandbox.post("clock", set=before + 100)
    lapsed = api.payment_intents.retrieve(intent.id)
    assert (lapsed.status, lapsed.cancellation_reason, lapsed.canceled_at) == ("canceled", "expired", before)
    told = sandbox.get("events")["data"][-2:]
    assert [event["type"] for event in told] == ["charge.expired", "payment_intent.canceled"]
    assert told[0]["request"] == {"id": None, "idempotency_key": None}
    error = refused(lambda: api.payment_intents.capture(intent.id))
    assert "status of canceled" in error.user_message


@pytest.mark.parametrize(
    ("card", "off_session", "seconds"),
    [
        ("pm_card_visa", False, 7 * DAY),
        ("pm_card_visa", True, 4 * DAY + 18 * 3600),
        ("pm_card_mastercard", True, 7 * DAY),
        ("pm_card_amex", True, 7 * DAY),
    ],
)
def test_how_long_a_hold_lives_depends_on_brand_and_presence(
    api: Any, card: str, off_session: bool, seconds: int
) -> None:
    customer = api.customers.create({}).id
    method = api.payment_methods.attach(card, {"customer": customer}).id
    intent = hold(api, customer=customer, card=method, off_session=off_session)
    charge = api.charges.retrieve(intent.latest_charge)
    assert charge.payment_method_details.card.capture_before == charge.created + seconds


def test_yen_on_a_japanese_card_hold_for_thirty_days(api: Any) -> None:
    intent = hold(api, 5000, card="pm_card_jp", currency="jpy")
    charge = api.charges.retrieve(intent.latest_charge)
    assert charge.payment_method_details.card.capture_before == charge.created + 30 * DAY


@pytest.mark.parametrize(
    ("card", "code", "decline_code"),
    [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
        ("pm_card_visa_chargeDeclinedStolenCard", "card_declined", "stolen_card"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", None),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", None),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", None),
        ("pm_card_visa_chargeDeclinedVelocityLimitExceeded", "card_declined", "card_velocity_exceeded"),
        ("pm_card_radarBlock", "card_declined", "fraudulent"),
    ],
)
def test_a_declined_card_is_a_402_with_its_reason(
    api: Any, sandbox: Sandbox, card: str, code: str, decline_code: str | None
) -> None:
    error = refused(lambda: pay(api, card=card))
    assert error.__class__.__name__ == "CardError"
    assert (error.http_status, error.code, error.error.to_dict().get("decline_code")) == (402, code, decline_code)
    intent = api.payment_intents.retrieve(error.error.payment_intent.id)
    assert (intent.status, intent.payment_method, intent.last_payment_error.code) == (
        "requires_payment_method",
        None,
        code,
    )
    charge = api.charges.retrieve(intent.latest_charge)
    assert (charge.status, charge.paid, charge.captured, charge.failure_code, charge.id) == (
        "failed",
        False,
        False,
        code,
        error.error.charge,
    )
    assert sandbox.event_types() == ["payment_intent.created", "charge.failed", "payment_intent.payment_failed"]
    assert api.balance_transactions.list().data == []


def test_a_declined_intent_can_be_paid_with_another_card(api: Any) -> None:
    intent = refused(lambda: pay(api, card="pm_card_chargeDeclined")).error.payment_intent
    assert api.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"}).status == "succeeded"


def test_the_bank_may_ask_and_be_satisfied(api: Any, sandbox: Sandbox) -> None:
    intent = pay(api, card="pm_card_authenticationRequired", return_url="http://shop.test/back")
    assert (intent.status, intent.next_action.type, intent.latest_charge) == (
        "requires_action",
        "redirect_to_url",
        None,
    )
    assert intent.next_action.redirect_to_url.url.startswith(sandbox.url + "/authenticate/")
    sandbox.post(f"payment_intents/{intent.id}/authenticate", succeeded=True)
    assert api.payment_intents.retrieve(intent.id).status == "succeeded"
    assert sandbox.event_types() == [
        "payment_intent.created",
        "payment_intent.requires_action",
        "charge.succeeded",
        "payment_intent.succeeded",
    ]


def test_the_bank_may_ask_in_vain(api: Any, sandbox: Sandbox) -> None:
    intent = pay(api, card="pm_card_authenticationRequired")
    assert intent.next_action.type == "use_stripe_sdk"
    sandbox.post(f"payment_intents/{intent.id}/authenticate", succeeded=False)
    failed = api.payment_intents.retrieve(intent.id)
    assert (failed.status, failed.last_payment_error.code) == (
        "requires_payment_method",
        "payment_intent_authentication_failure",
    )
    assert sandbox.event_types()[-1] == "payment_intent.payment_failed"


def test_off_session_the_bank_cannot_ask(api: Any, sandbox: Sandbox) -> None:
    customer = api.customers.create({}).id
    method = api.payment_methods.attach("pm_card_authenticationRequired", {"customer": customer}).id
    error = refused(lambda: pay(api, card=method, customer=customer, off_session=True))
    assert (error.http_status, error.code, error.error.payment_intent.status) == (
        402,
        "authentication_required",
        "requires_payment_method",
    )
    assert sandbox.event_types()[-2:] == ["charge.failed", "payment_intent.payment_failed"]


def test_a_card_set_up_before_is_not_asked_again_off_session(api: Any, sandbox: Sandbox) -> None:
    customer = api.customers.create({}).id
    setup = api.setup_intents.create(
        {
            "customer": customer,
            "payment_method": "pm_card_authenticationRequiredOnSetup",
            "confirm": True,
            "payment_method_types": ["card"],
        }
    )
    assert setup.status == "requires_action"
    token_page = setup.next_action.to_dict()
    assert token_page["type"] == "use_stripe_sdk"
    sandbox.post(f"setup_intents/{setup.id}/authenticate", succeeded=True)
    done = api.setup_intents.retrieve(setup.id)
    assert done.status == "succeeded"
    assert pay(api, card=done.payment_method, customer=customer, off_session=True).status == "succeeded"


def test_a_card_used_once_without_a_customer_is_used_up(api: Any) -> None:
    method = api.payment_methods.create({"type": "card", "card": {"token": "tok_visa"}}).id
    pay(api, card=method)
    assert "It may not be used again." in refused(lambda: pay(api, card=method)).user_message


def test_future_usage_keeps_the_card(api: Any, sandbox: Sandbox) -> None:
    customer = api.customers.create({}).id
    intent = hold(api, customer=customer, setup_future_usage="off_session")
    assert [each.id for each in api.customers.payment_methods.list(customer).data] == [intent.payment_method]
    assert "payment_method.attached" in sandbox.event_types()
    assert pay(api, card=intent.payment_method, customer=customer, off_session=True).status == "succeeded"


def test_another_customers_card_is_refused(api: Any) -> None:
    mine, other = api.customers.create({}).id, api.customers.create({}).id
    method = api.payment_methods.attach("pm_card_visa", {"customer": other}).id
    error = refused(lambda: pay(api, card=method, customer=mine))
    assert "missing a payment method" in error.user_message


def test_a_magic_card_is_a_new_one_each_time(api: Any) -> None:
    customer = api.customers.create({}).id
    first = api.payment_methods.attach("pm_card_visa", {"customer": customer})
    second = api.payment_methods.attach("pm_card_visa", {"customer": customer})
    assert first.id != second.id
    assert first.card.to_dict() == second.card.to_dict()


def test_attaching_checks_the_card(api: Any) -> None:
    customer = api.customers.create({}).id
    assert (
        refused(lambda: api.payment_methods.attach("pm_card_chargeDeclined", {"customer": customer})).http_status == 402
    )
    kept = api.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer}).id
    assert refused(lambda: pay(api, card=kept, customer=customer)).code == "card_declined"


def test_a_detached_card_is_gone(api: Any, sandbox: Sandbox) -> None:
    customer = api.customers.create({}).id
    method = api.payment_methods.attach("pm_card_visa", {"customer": customer}).id
    assert api.payment_methods.detach(method).customer is None
    assert sandbox.event_types() == ["customer.created", "payment_method.attached", "payment_method.detached"]
    assert (
        "may not be used again"
        in refused(lambda: api.payment_methods.attach(method, {"customer": customer})).user_message
    )
    assert refused(lambda: api.payment_methods.detach(method)).user_message == (
        "The payment method you provided is not attached to a customer so detachment is impossible."
    )


def test_a_server_side_confirmation_needs_a_way_back(api: Any) -> None:
    error = refused(
        lambda: api.payment_intents.create(
            {"amount": 500, "currency": "usd", "confirm": True, "payment_method": "pm_card_visa"}
        )
    )
    assert error.user_message.startswith(
        "This PaymentIntent is configured to accept payment methods enabled in your Dashboard."
    )
    assert api.payment_intents.list().data == []
