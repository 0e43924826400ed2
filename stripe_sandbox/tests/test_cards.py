"""Every test card by its number, its payment method and its token; saving cards and taking them back."""

import functools
from typing import Any

import pytest
import stripe

from .conftest import Sandbox, hold, pay, refused

pytestmark = pytest.mark.thorough

# Number, payment method id, brand, what happens on the session: an error's (code, decline code), "3ds" or None when it succeeds.
CARDS: list[tuple[str, str, str, Any]] = [
    ("4242424242424242", "pm_card_visa", "visa", None),
    ("4000056655665556", "pm_card_visa_debit", "visa", None),
    ("5555555555554444", "pm_card_mastercard", "mastercard", None),
    ("378282246310005", "pm_card_amex", "amex", None),
    ("6011111111111117", "pm_card_discover", "discover", None),
    ("4000000000000002", "pm_card_visa_chargeDeclined", "visa", ("card_declined", "generic_decline")),
    (
        "4000000000009995",
        "pm_card_visa_chargeDeclinedInsufficientFunds",
        "visa",
        ("card_declined", "insufficient_funds"),
    ),
    ("4000000000009987", "pm_card_visa_chargeDeclinedLostCard", "visa", ("card_declined", "lost_card")),
    ("4000000000009979", "pm_card_visa_chargeDeclinedStolenCard", "visa", ("card_declined", "stolen_card")),
    ("4000000000000069", "pm_card_chargeDeclinedExpiredCard", "visa", ("expired_card", None)),
    ("4000000000000127", "pm_card_chargeDeclinedIncorrectCvc", "visa", ("incorrect_cvc", None)),
    ("4000000000000119", "pm_card_chargeDeclinedProcessingError", "visa", ("processing_error", None)),
    (
        "4000000000006975",
        "pm_card_visa_chargeDeclinedVelocityLimitExceeded",
        "visa",
        ("card_declined", "card_velocity_exceeded"),
    ),
    ("4000000000000341", "pm_card_chargeCustomerFail", "visa", ("card_declined", "generic_decline")),
    ("4000002500003155", "pm_card_authenticationRequiredOnSetup", "visa", "3ds"),
    ("4000002760003184", "pm_card_authenticationRequired", "visa", "3ds"),
    ("4000003800000446", "pm_card_authenticationRequiredSetupForOffSession", "visa", "3ds"),
    ("4000008260003178", "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds", "visa", "3ds"),
    ("4000000000003220", "pm_card_threeDSecure2Required", "visa", "3ds"),
    ("4000000000000259", "pm_card_createDispute", "visa", None),
    ("4000000000002685", "pm_card_createDisputeProductNotReceived", "visa", None),
    ("4000000000001976", "pm_card_createDisputeInquiry", "visa", None),
    ("4000000000005423", "pm_card_createIssuerFraudRecord", "visa", None),
    ("4000000404000079", "pm_card_createMultipleDisputes", "visa", None),
    ("4000000000007726", "pm_card_pendingRefund", "visa", None),
    ("4000000000005126", "pm_card_refundFail", "visa", None),
    ("4000000000000077", "pm_card_bypassPending", "visa", None),
    ("4000003720000278", "pm_card_bypassPendingInternational", "visa", None),
    ("4100000000000019", "pm_card_radarBlock", "visa", ("card_declined", "fraudulent")),
    ("4000000000004954", "pm_card_riskLevelHighest", "visa", None),
    ("4000000000009235", "pm_card_riskLevelElevated", "visa", None),
    ("4000000000000101", "pm_card_cvcCheckFail", "visa", None),
    ("4000000000000036", "pm_card_avsZipFail", "visa", None),
    ("4000000000000028", "pm_card_avsLine1Fail", "visa", None),
]
AUTHENTICATE_UNLESS_SET_UP = "pm_card_authenticationRequiredOnSetup"
AUTHENTICATE_ALWAYS = "pm_card_authenticationRequired"
SET_UP = "pm_card_authenticationRequiredSetupForOffSession"


@pytest.fixture
def customer(api: Any) -> str:
    return str(api.customers.create({}).id)


def outcome(api: Any, card: str) -> Any:
    """What a payment with the card says: None when it went through, "3ds", or the code and decline code of its refusal."""
    try:
        intent = pay(api, card=card)
    except stripe.CardError as error:
        said: Any = error.error
        return error.code, said.to_dict().get("decline_code")
    return {"succeeded": None, "requires_action": "3ds"}[intent.status]


def test_each_card_does_what_its_number_says(api: Any) -> None:
    found = {}
    for number, method, brand, expected in CARDS:
        by_number = api.payment_methods.create({"type": "card", "card": {"number": number}})
        by_token = api.payment_methods.create({"type": "card", "card": {"token": method.replace("pm_card_", "tok_")}})
        shown = [(each.card.last4, each.card.brand) for each in (by_number, by_token)]
        said = [outcome(api, each) for each in (method, by_number.id, by_token.id)]
        if shown != [(number[-4:], brand)] * 2 or said != [expected] * 3:
            found[method] = (shown, said)
    assert found == {}


def test_a_number_that_is_none_is_a_card_error(api: Any) -> None:
    error = refused(lambda: api.payment_methods.create({"type": "card", "card": {"number": "4242424242424241"}}))
    assert (error.http_status, error.error.type, error.code) == (402, "card_error", "incorrect_number")
    assert error.user_message == "Your card number is incorrect."


@pytest.mark.parametrize(
    ("card", "explained"),
    [
        ("pm_card_chargeDeclined", ("Your card was declined.", "try_again_later", "01", None)),
        (
            "pm_card_visa_chargeDeclinedInsufficientFunds",
            ("Your card has insufficient funds.", "try_again_later", "51", None),
        ),
        ("pm_card_chargeDeclinedExpiredCard", ("Your card has expired.", "do_not_try_again", "54", None)),
        ("pm_card_chargeDeclinedIncorrectCvc", ("Your card's security code is incorrect.", None, "05", "cvc")),
        (
            "pm_card_chargeDeclinedProcessingError",
            ("An error occurred while processing your card. Try again in a little bit.", None, "05", None),
        ),
    ],
)
def test_a_decline_explains_itself_everywhere(
    api: Any, card: str, explained: tuple[str, str | None, str, str | None]
) -> None:
    message, advice, network_code, param = explained
    error = refused(lambda: pay(api, card=card))
    body = error.error.to_dict()
    assert (error.user_message, body["type"], body.get("param")) == (message, "card_error", param)
    assert (body.get("advice_code"), body["network_decline_code"]) == (advice, network_code)
    assert body["doc_url"].endswith(body["code"].replace("_", "-"))
    intent = api.payment_intents.retrieve(body["payment_intent"]["id"], {"expand": ["latest_charge"]})
    assert body["payment_intent"]["status"] == intent.status == "requires_payment_method"
    assert intent.last_payment_error.message == message
    charge = intent.latest_charge
    assert (body["charge"], body["payment_method"]["id"]) == (charge.id, charge.payment_method)
    assert (charge.failure_message, charge.outcome.advice_code) == (message, advice)
    assert (charge.outcome.type, charge.outcome.network_status, charge.outcome.network_decline_code) == (
        "issuer_declined",
        "declined_by_network",
        network_code,
    )
    assert charge.outcome.reason == (body.get("decline_code") or body["code"])
    assert charge.outcome.seller_message == "The bank did not return any further details with this decline."


@pytest.mark.parametrize(
    ("card", "type_", "risk", "reason"),
    [
        ("pm_card_visa", "authorized", "normal", None),
        ("pm_card_riskLevelHighest", "authorized", "highest", None),
        ("pm_card_riskLevelElevated", "manual_review", "elevated", "elevated_risk_level"),
    ],
)
def test_a_payment_has_a_risk(api: Any, card: str, type_: str, risk: str, reason: str | None) -> None:
    seen = pay(api, card=card, expand=["latest_charge"]).latest_charge.outcome
    assert (seen.type, seen.risk_level, seen.reason, seen.network_status, seen.seller_message) == (
        type_,
        risk,
        reason,
        "approved_by_network",
        "Payment complete.",
    )
    assert isinstance(seen.risk_score, int)


def test_a_blocked_payment_never_reaches_the_bank(api: Any) -> None:
    charge = refused(lambda: pay(api, card="pm_card_radarBlock")).error.charge
    seen = api.charges.retrieve(charge).outcome
    assert (seen.type, seen.network_status, seen.risk_level) == ("blocked", "not_sent_to_network", "highest")


@pytest.mark.parametrize(
    ("card", "check"),
    [
        ("pm_card_cvcCheckFail", "cvc_check"),
        ("pm_card_avsZipFail", "address_postal_code_check"),
        ("pm_card_avsLine1Fail", "address_line1_check"),
    ],
)
def test_a_failed_check_is_shown_and_stops_nothing(api: Any, card: str, check: str) -> None:
    charge = pay(api, card=card, expand=["latest_charge"]).latest_charge
    assert charge.payment_method_details.card.checks.to_dict()[check] == "fail"


# Whether the bank asks off the session: before and after the card was set up. On the session all of these ask.
ASKS_OFF_SESSION = {
    AUTHENTICATE_ALWAYS: (True, True),
    AUTHENTICATE_UNLESS_SET_UP: (True, False),
    SET_UP: (False, False),
}


def saved(api: Any, sandbox: Sandbox, customer: str, card: str, *, set_up: bool) -> str:
    """The id of the card on its customer: attached alone, or set up for later by a SetupIntent."""
    if not set_up:
        return str(api.payment_methods.attach(card, {"customer": customer}).id)
    setup = api.setup_intents.create(
        {"customer": customer, "payment_method": card, "confirm": True, "payment_method_types": ["card"]}
    )
    if setup.status == "requires_action":
        sandbox.post(f"setup_intents/{setup.id}/authenticate")
    return str(setup.payment_method)


@pytest.mark.parametrize("set_up", [False, True])
@pytest.mark.parametrize("card", ASKS_OFF_SESSION)
def test_when_the_bank_asks(api: Any, sandbox: Sandbox, customer: str, card: str, set_up: bool) -> None:
    method = saved(api, sandbox, customer, card, set_up=set_up)
    assert pay(api, card=method, customer=customer).status == "requires_action"
    if ASKS_OFF_SESSION[card][set_up]:
        error = refused(lambda: pay(api, card=method, customer=customer, off_session=True))
        assert (error.http_status, error.code) == (402, "authentication_required")
    else:
        assert pay(api, card=method, customer=customer, off_session=True).status == "succeeded"


@pytest.mark.parametrize("off_session", ["one_off", "recurring"])
def test_off_session_may_say_what_for(api: Any, customer: str, off_session: str) -> None:
    method = api.payment_methods.attach(AUTHENTICATE_ALWAYS, {"customer": customer}).id
    error = refused(lambda: pay(api, card=method, customer=customer, off_session=off_session))
    assert error.code == "authentication_required"


def test_an_action_can_be_refused_beforehand(api: Any, sandbox: Sandbox) -> None:
    error = refused(lambda: pay(api, card=AUTHENTICATE_ALWAYS, error_on_requires_action=True))
    assert (error.http_status, error.error.payment_intent.status) == (402, "requires_payment_method")
    assert "payment_intent.requires_action" not in sandbox.event_types()


def test_after_the_banks_question_the_card_may_still_be_declined(api: Any, sandbox: Sandbox) -> None:
    intent = pay(api, card="pm_card_authenticationRequiredChargeDeclinedInsufficientFunds")
    assert intent.latest_charge is None
    with pytest.raises(Exception, match="insufficient"):
        sandbox.post(f"payment_intents/{intent.id}/authenticate")
    after = api.payment_intents.retrieve(intent.id)
    assert (after.status, after.last_payment_error.decline_code) == ("requires_payment_method", "insufficient_funds")
    assert sandbox.event_types()[-3:] == [
        "payment_intent.requires_action",
        "charge.failed",
        "payment_intent.payment_failed",
    ]


def test_a_hold_waits_for_the_banks_answer(api: Any, sandbox: Sandbox) -> None:
    intent = hold(api, card=AUTHENTICATE_ALWAYS)
    assert (intent.status, intent.amount_capturable) == ("requires_action", 0)
    sandbox.post(f"payment_intents/{intent.id}/authenticate")
    held = api.payment_intents.retrieve(intent.id, {"expand": ["latest_charge"]})
    assert (held.status, held.amount_capturable, held.next_action) == ("requires_capture", 10000, None)
    secure = held.latest_charge.payment_method_details.card.three_d_secure
    assert (secure.result, secure.authentication_flow, secure.version) == ("authenticated", "challenge", "2.2.0")
    assert sandbox.event_types()[-2:] == ["charge.succeeded", "payment_intent.amount_capturable_updated"]


def test_a_payment_that_keeps_its_card_sets_it_up(api: Any, sandbox: Sandbox, customer: str) -> None:
    intent = pay(api, card=AUTHENTICATE_UNLESS_SET_UP, customer=customer, setup_future_usage="off_session")
    sandbox.post(f"payment_intents/{intent.id}/authenticate")
    assert "payment_method.attached" in sandbox.event_types()
    method = api.payment_intents.retrieve(intent.id).payment_method
    assert pay(api, card=method, customer=customer, off_session=True).status == "succeeded"


def test_a_card_without_funds_lacks_them_off_the_session_too(api: Any, sandbox: Sandbox, customer: str) -> None:
    card = "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds"
    method = saved(api, sandbox, customer, card, set_up=True)
    attempt = api.setup_intents.list({"customer": customer, "expand": ["data.latest_attempt"]}).data[0].latest_attempt
    assert attempt.payment_method_details.card.three_d_secure.result == "authenticated"
    error = refused(lambda: pay(api, card=method, customer=customer, off_session=True))
    assert error.error.decline_code == "insufficient_funds"


def test_a_payment_that_keeps_its_card_for_the_session_does_not_set_it_up(
    api: Any, sandbox: Sandbox, customer: str
) -> None:
    intent = pay(api, card=AUTHENTICATE_UNLESS_SET_UP, customer=customer, setup_future_usage="on_session")
    sandbox.post(f"payment_intents/{intent.id}/authenticate")
    method = api.payment_intents.retrieve(intent.id).payment_method
    assert api.payment_methods.retrieve(method).customer == customer
    error = refused(lambda: pay(api, card=method, customer=customer, off_session=True))
    assert error.code == "authentication_required"


def test_a_declined_payment_keeps_no_card(api: Any, sandbox: Sandbox, customer: str) -> None:
    refused(lambda: pay(api, card="pm_card_chargeDeclined", customer=customer, setup_future_usage="off_session"))
    assert api.customers.payment_methods.list(customer).data == []
    assert "payment_method.attached" not in sandbox.event_types()


# Attached and detached


def test_attaching_again_is_fine_for_the_same_customer_alone(api: Any, sandbox: Sandbox, customer: str) -> None:
    method = api.payment_methods.attach("pm_card_visa", {"customer": customer}).id
    assert api.payment_methods.attach(method, {"customer": customer}).customer == customer
    assert sandbox.event_types().count("payment_method.attached") == 1
    other = api.customers.create({}).id
    error = refused(lambda: api.payment_methods.attach(method, {"customer": other}))
    assert (error.http_status, error.user_message) == (
        400,
        "The payment method you provided has already been attached to a customer.",
    )


def test_a_card_that_was_used_up_says_how(api: Any, customer: str) -> None:
    method = pay(api).payment_method
    error = refused(lambda: api.payment_methods.attach(method, {"customer": customer}))
    assert error.user_message == (
        "This PaymentMethod was previously used without being attached to a Customer or was detached from a Customer, and may not be used again."
    )
    error = refused(lambda: pay(api, card=method))
    assert error.user_message == (
        "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, shared with a connected account "
        "without Customer attachment, or was detached from a Customer. It may not be used again. To use a PaymentMethod multiple times, you "
        "must attach it to a Customer first."
    )


def test_a_detached_card_pays_nothing(api: Any, customer: str) -> None:
    method = api.payment_methods.attach("pm_card_visa", {"customer": customer}).id
    api.payment_methods.detach(method)
    assert "was detached from a Customer" in refused(lambda: pay(api, card=method, customer=customer)).user_message


def test_another_customers_card_is_named_with_the_customer_that_lacks_it(api: Any, customer: str) -> None:
    method = api.payment_methods.attach("pm_card_visa", {"customer": api.customers.create({}).id}).id
    error = refused(lambda: pay(api, card=method, customer=customer))
    assert error.user_message == (
        f"You cannot confirm this PaymentIntent because it's missing a payment method. To confirm the PaymentIntent with {customer}, specify "
        "a payment method attached to this customer along with the customer ID."
    )
    assert "belongs to Customer" in refused(lambda: pay(api, card=method)).user_message


@pytest.mark.parametrize("card", [each[1] for each in CARDS if each[1].startswith("pm_card_visa_chargeDeclined")])
def test_a_declining_card_is_not_attached(api: Any, sandbox: Sandbox, customer: str, card: str) -> None:
    error = refused(lambda: api.payment_methods.attach(card, {"customer": customer}))
    assert (error.http_status, error.error.type) == (402, "card_error")
    assert api.customers.payment_methods.list(customer).data == []
    assert sandbox.event_types() == ["customer.created"]


def test_a_card_changes_and_tells_what_it_was(api: Any, sandbox: Sandbox, customer: str) -> None:
    method = api.payment_methods.attach("pm_card_visa", {"customer": customer}).id
    details = {"billing_details": {"name": "Ada", "address": {"city": "London"}}, "allow_redisplay": "always"}
    changed = api.payment_methods.update(method, details)
    assert (changed.billing_details.name, changed.allow_redisplay) == ("Ada", "always")
    assert changed.billing_details.address.to_dict().keys() >= {"city", "country", "line1"}
    event = sandbox.get("events")["data"][-1]
    assert event["type"] == "payment_method.updated"
    assert event["data"]["previous_attributes"]["allow_redisplay"] == "unspecified"


# Customers


def test_a_customer_is_made_changed_and_deleted_with_its_events(api: Any, sandbox: Sandbox) -> None:
    customer = api.customers.create({"name": "Ada", "email": "a@example.com", "address": {"city": "London"}}).id
    assert api.customers.update(customer, {"name": "Bea", "address": ""}).address is None
    event = sandbox.get("events")["data"][-1]
    before = event["data"]["previous_attributes"]
    assert (before["name"], before["address"]["city"], before.keys()) == ("Ada", "London", {"name", "address"})
    assert api.customers.delete(customer).to_dict() == {"id": customer, "object": "customer", "deleted": True}
    assert api.customers.retrieve(customer).to_dict() == {"id": customer, "object": "customer", "deleted": True}
    assert sandbox.event_types() == ["customer.created", "customer.updated", "customer.deleted"]
    assert api.customers.list().data == []
    for call in (lambda: api.customers.update(customer, {"name": "C"}), lambda: api.customers.delete(customer)):
        assert (refused(call).http_status, refused(call).code) == (404, "resource_missing")
    assert refused(lambda: pay(api, customer=customer)).param == "customer"


def test_a_deleted_customers_cards_are_used_up(api: Any, customer: str) -> None:
    method = api.payment_methods.attach("pm_card_visa", {"customer": customer}).id
    api.customers.delete(customer)
    assert api.payment_methods.retrieve(method).customer is None
    assert "may not be used again" in refused(lambda: pay(api, card=method)).user_message


def test_a_customer_may_begin_with_a_card(api: Any, sandbox: Sandbox) -> None:
    made = api.customers.create({"payment_method": "pm_card_visa"})
    method = api.customers.payment_methods.list(made.id).data[0]
    updated = api.customers.update(made.id, {"invoice_settings": {"default_payment_method": method.id}})
    assert updated.invoice_settings.default_payment_method == method.id
    assert sandbox.event_types() == ["customer.created", "payment_method.attached", "customer.updated"]
    before = sandbox.get("events")["data"][-1]["data"]["previous_attributes"]
    assert before["invoice_settings"]["default_payment_method"] is None
    api.payment_methods.detach(method.id)
    assert api.customers.retrieve(made.id).invoice_settings.default_payment_method is None


def test_a_customer_does_not_begin_with_a_declining_card(api: Any, sandbox: Sandbox) -> None:
    error = refused(lambda: api.customers.create({"payment_method": "pm_card_chargeDeclined"}))
    assert (error.http_status, error.code) == (402, "card_declined")
    assert api.customers.list().data == []
    assert sandbox.event_types() == []


def test_the_default_card_must_be_the_customers_own(api: Any, customer: str) -> None:
    free = api.payment_methods.create({"type": "card", "card": {"token": "tok_visa"}}).id
    theirs = api.payment_methods.attach("pm_card_visa", {"customer": api.customers.create({}).id}).id
    for method in (free, theirs):
        wanted = {"invoice_settings": {"default_payment_method": method}}
        error = refused(functools.partial(api.customers.update, customer, wanted))
        assert (error.http_status, error.param) == (400, "invoice_settings[default_payment_method]")
    assert api.customers.retrieve(customer).invoice_settings.default_payment_method is None
    assert api.payment_methods.retrieve(free).customer is None
