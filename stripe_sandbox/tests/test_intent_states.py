"""PaymentIntents and SetupIntents: what each state allows, and what it says to the rest."""

import functools
from collections.abc import Callable
from typing import Any

import pytest

from .books import destination_charge
from .conftest import Sandbox, checkout, hold, pay, refused

pytestmark = pytest.mark.thorough

DAY = 86400
CARD: dict[str, Any] = {"amount": 5000, "currency": "usd", "payment_method_types": ["card"]}


def in_state(api: Any, status: str) -> Any:
    """A new PaymentIntent that is in the given state."""
    if status == "succeeded":
        return pay(api)
    if status == "requires_capture":
        return hold(api)
    if status == "requires_action":
        return pay(api, card="pm_card_authenticationRequired")
    if status == "canceled":
        return api.payment_intents.cancel(api.payment_intents.create(CARD).id)
    return api.payment_intents.create(
        {**CARD, **({"payment_method": "pm_card_visa"} if status == "requires_confirmation" else {})}
    )


CONFIRMED = "You cannot confirm this PaymentIntent because it has a status of {}. Only a PaymentIntent with one of the following statuses may be confirmed: requires_confirmation, requires_payment_method, requires_action."
CAPTURED = "This PaymentIntent could not be captured because it has a status of {}. Only a PaymentIntent with one of the following statuses may be captured: requires_capture."
CANCELED = "You cannot cancel this PaymentIntent because it has a status of {}. Only a PaymentIntent with one of the following statuses may be canceled: requires_payment_method, requires_capture, requires_reauthorization, requires_confirmation, requires_action, processing."
NO_METHOD = "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a payment method or ConfirmationToken."
TWICE = "You cannot confirm this PaymentIntent because it has already succeeded after being previously confirmed."
AGAIN = "This PaymentIntent could not be captured because it has already been captured."
# State -> what confirm, capture and cancel do: the next state, or the words of the refusal.
STATES = {
    "requires_payment_method": (NO_METHOD, CAPTURED, "canceled"),
    "requires_confirmation": ("succeeded", CAPTURED, "canceled"),
    "requires_action": ("requires_action", CAPTURED, "canceled"),
    "requires_capture": (CONFIRMED, "succeeded", "canceled"),
    "succeeded": (TWICE, AGAIN, CANCELED),
    "canceled": (CONFIRMED, CAPTURED, CANCELED),
}


@pytest.mark.parametrize("verb", ["confirm", "capture", "cancel"])
@pytest.mark.parametrize("status", STATES)
def test_each_state_allows_what_it_allows(api: Any, sandbox: Sandbox, status: str, verb: str) -> None:
    intent = in_state(api, status)
    assert intent.status == status
    told, expected = sandbox.event_types(), STATES[status][["confirm", "capture", "cancel"].index(verb)]
    call = functools.partial(getattr(api.payment_intents, verb), intent.id)
    if " " not in expected:
        assert call().status == api.payment_intents.retrieve(intent.id).status == expected
        return
    error = refused(call)
    assert (error.http_status, error.code, error.param) == (400, "payment_intent_unexpected_state", None)
    assert error.user_message == expected.format(status)
    assert error.error.payment_intent.to_dict() == api.payment_intents.retrieve(intent.id).to_dict()
    assert sandbox.event_types() == told


@pytest.mark.parametrize(
    ("status", "capture_method", "told"),
    [
        ("requires_confirmation", "automatic", ["charge.succeeded", "payment_intent.succeeded"]),
        ("requires_confirmation", "automatic_async", ["charge.succeeded", "payment_intent.succeeded"]),
        ("requires_confirmation", "manual", ["charge.succeeded", "payment_intent.amount_capturable_updated"]),
        ("requires_payment_method", "automatic", ["charge.succeeded", "payment_intent.succeeded"]),
        ("requires_payment_method", "manual", ["charge.succeeded", "payment_intent.amount_capturable_updated"]),
    ],
)
def test_a_later_confirmation_tells_the_same(
    api: Any, sandbox: Sandbox, status: str, capture_method: str, told: list[str]
) -> None:
    card = {"payment_method": "pm_card_visa"}
    before, at = (card, {}) if status == "requires_confirmation" else ({}, card)
    intent = api.payment_intents.create({**CARD, **before, "capture_method": capture_method})
    assert intent.status == status
    api.payment_intents.confirm(intent.id, at)
    assert sandbox.event_types() == ["payment_intent.created", *told]


@pytest.mark.parametrize("reason", ["duplicate", "fraudulent", "requested_by_customer", "abandoned", None])
def test_a_cancellation_keeps_its_reason(api: Any, sandbox: Sandbox, reason: str | None) -> None:
    intent = hold(api)
    ended = api.payment_intents.cancel(intent.id, {"cancellation_reason": reason} if reason else {})
    assert (ended.status, ended.cancellation_reason, ended.amount_capturable) == ("canceled", reason, 0)
    assert ended.canceled_at == sandbox.get("clock")["now"] or ended.canceled_at >= intent.created
    assert sandbox.event_types()[-1] == "payment_intent.canceled"
    assert "charge.refunded" not in sandbox.event_types()


@pytest.mark.parametrize("reason", ["automatic", "expired", "void_invoice", "failed_invoice", "bored"])
def test_a_reason_of_stripes_own_cannot_be_given(api: Any, reason: str) -> None:
    intent = hold(api).id
    error = refused(lambda: api.payment_intents.cancel(intent, {"cancellation_reason": reason}))
    assert error.param == "cancellation_reason"
    assert error.user_message.startswith("Invalid cancellation_reason: must be one of ")
    assert api.payment_intents.retrieve(intent).status == "requires_capture"


# How long a hold lives: brand, on and off the session


@pytest.mark.parametrize(
    ("card", "currency", "days"),
    [
        ("pm_card_visa", "usd", (7, 4.75)),
        ("pm_card_mastercard", "usd", (7, 7)),
        ("pm_card_amex", "usd", (7, 7)),
        ("pm_card_discover", "usd", (7, 7)),
        ("pm_card_jp", "jpy", (30, 30)),
        ("pm_card_jcb", "jpy", (30, 30)),
        ("pm_card_jp", "usd", (7, 4.75)),
        ("pm_card_visa", "jpy", (7, 4.75)),
    ],
)
def test_a_hold_lives_by_network_and_presence(
    api: Any, sandbox: Sandbox, card: str, currency: str, days: tuple[float, float]
) -> None:
    customer = api.customers.create({}).id
    method = api.payment_methods.attach(card, {"customer": customer}).id
    for off_session, lifetime in zip((False, True), days, strict=True):
        intent = hold(
            api, card=method, customer=customer, currency=currency, off_session=off_session, expand=["latest_charge"]
        )
        charge = intent.latest_charge
        deadline = charge.payment_method_details.card.capture_before
        assert deadline - charge.created == lifetime * DAY
        sandbox.post("clock", set=deadline - 3)
        assert api.payment_intents.retrieve(intent.id).status == "requires_capture"
        sandbox.post("clock", set=deadline + 1)
        assert api.payment_intents.retrieve(intent.id).cancellation_reason == "expired"


def test_only_a_hold_has_a_deadline_and_its_limits(api: Any) -> None:
    held, paid = (
        each.latest_charge.payment_method_details.card.to_dict()
        for each in (hold(api, expand=["latest_charge"]), pay(api, expand=["latest_charge"]))
    )
    assert held["extended_authorization"] == {"status": "disabled"}
    assert held["incremental_authorization"] == {"status": "unavailable"}
    assert held["multicapture"] == {"status": "unavailable"}
    assert held["overcapture"] == {"maximum_amount_capturable": 10000, "status": "unavailable"}
    assert paid.get("capture_before") is None


def test_a_lapsed_hold_takes_nothing_and_gives_nothing_back(api: Any, sandbox: Sandbox) -> None:
    intent = hold(api)
    sandbox.post(f"payment_intents/{intent.id}/lapse")
    charge = api.charges.retrieve(intent.latest_charge)
    assert (charge.captured, charge.refunded, charge.amount_captured, charge.amount_refunded) == (False, False, 0, 0)
    assert api.balance_transactions.list().data == api.refunds.list().data == []
    error = refused(lambda: api.payment_intents.capture(intent.id))
    assert (error.code, error.error.payment_intent.cancellation_reason) == (
        "payment_intent_unexpected_state",
        "expired",
    )


def test_a_captured_hold_does_not_lapse_any_more(api: Any, sandbox: Sandbox) -> None:
    intent = hold(api)
    api.payment_intents.capture(intent.id)
    sandbox.advance(8 * DAY)
    assert api.payment_intents.retrieve(intent.id).status == "succeeded"
    assert "charge.expired" not in sandbox.event_types()


# Amounts, fees, destinations


@pytest.mark.parametrize("amount", [1, 50, 4000, 10000])
def test_any_part_can_be_captured_once(api: Any, amount: int) -> None:
    done = api.payment_intents.capture(hold(api).id, {"amount_to_capture": amount, "expand": ["latest_charge"]})
    charge = done.latest_charge
    assert (done.amount, done.amount_received, done.amount_capturable) == (10000, amount, 0)
    assert (charge.amount, charge.amount_captured, charge.amount_refunded, charge.captured) == (10000, amount, 0, True)
    assert [row.amount for row in api.balance_transactions.list().data] == [amount]
    error = refused(lambda: api.payment_intents.capture(done.id, {"amount_to_capture": 1}))
    assert error.user_message == AGAIN


@pytest.mark.parametrize(
    ("params", "code", "message"),
    [
        (
            {"amount_to_capture": 10001},
            "amount_too_large",
            (
                "This PaymentIntent could not be captured because the requested capture amount is greater than the amount you can capture for this "
                "charge."
            ),
        ),
        ({"amount_to_capture": 0}, "parameter_invalid_integer", "Invalid positive integer"),
        ({"amount_to_capture": -1}, "parameter_invalid_integer", "Invalid positive integer"),
        ({"amount_to_capture": "all"}, "parameter_invalid_integer", "Invalid integer: all"),
    ],
)
def test_a_wrong_capture_takes_nothing(api: Any, params: Any, code: str, message: str) -> None:
    intent = hold(api).id
    error = refused(lambda: api.payment_intents.capture(intent, params))
    assert (error.http_status, error.code, error.user_message, error.param) == (400, code, message, "amount_to_capture")
    assert api.payment_intents.retrieve(intent).amount_capturable == 10000
    assert api.balance_transactions.list().data == []


@pytest.mark.parametrize(
    ("fields", "code", "param", "message"),
    [
        ({"amount": 49}, "amount_too_small", "amount", "Amount must be at least $0.50 usd"),
        ({"amount": 100000000}, "amount_too_large", "amount", "Amount must be no more than $999,999.99"),
        (
            {"application_fee_amount": 5},
            None,
            "application_fee_amount",
            (
                "Can only apply an application_fee_amount when the PaymentIntent is attempting a direct payment (using an OAuth key or Stripe-Account "
                "header) or destination payment (using `transfer_data[destination]`)."
            ),
        ),
    ],
)
def test_a_wrong_payment_is_not_begun(api: Any, fields: Any, code: str | None, param: str, message: str) -> None:
    error = refused(lambda: api.payment_intents.create({**CARD, **fields}))
    assert (error.http_status, error.code, error.param, error.user_message) == (400, code, param, message)
    assert api.payment_intents.list().data == []


def test_a_destination_must_be_able_to_receive(api: Any) -> None:
    unready = api.accounts.create({"type": "express"}).id
    error = refused(lambda: api.payment_intents.create({**CARD, "transfer_data": {"destination": unready}}))
    assert (error.code, error.user_message) == (
        "insufficient_capabilities_for_transfer",
        "Your destination account needs to have at least one of the following capabilities enabled: transfers, crypto_transfers, legacy_payments",
    )


def test_a_fee_and_an_amount_exclude_each_other_and_stay_within_the_charge(api: Any, coach: str) -> None:
    destination = {"destination": coach}
    for fields in (
        {"application_fee_amount": 5, "transfer_data": {**destination, "amount": 100}},
        {"application_fee_amount": 5001, "transfer_data": destination},
        {"transfer_data": {**destination, "amount": 5001}},
    ):
        assert refused(functools.partial(api.payment_intents.create, {**CARD, **fields})).http_status == 400
    assert api.payment_intents.list().data == []


def test_the_group_of_a_destination_charge_is_filled_in(api: Any, coach: str) -> None:
    intent = destination_charge(api, coach, expand=["latest_charge.transfer"])
    charge = intent.latest_charge
    assert charge.transfer_group == charge.transfer.transfer_group == f"group_{intent.id}"
    named = destination_charge(api, coach, transfer_group="g", expand=["latest_charge.transfer"]).latest_charge
    assert (named.transfer_group, named.transfer.transfer_group) == ("g", "g")


# Confirming


RETURN = "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of these payment methods might redirect your customer off of your page, you must provide a `return_url`. If you don't want to accept redirect-based payment methods, set `automatic_payment_methods[enabled]` to `true` and `automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and Payment Intents."


@pytest.mark.parametrize(
    ("fields", "goes_through"),
    [
        ({}, False),
        ({"automatic_payment_methods": {"enabled": True}}, False),
        ({"automatic_payment_methods": {"enabled": True, "allow_redirects": "always"}}, False),
        ({"automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}}, True),
        ({"payment_method_types": ["card"]}, True),
        ({"return_url": "http://shop.test/back"}, True),
    ],
)
def test_automatic_methods_want_a_way_back(api: Any, fields: Any, goes_through: bool) -> None:
    payment = {"amount": 500, "currency": "usd", "confirm": True, "payment_method": "pm_card_visa", **fields}
    if goes_through:
        assert api.payment_intents.create(payment).status == "succeeded"
    else:
        assert refused(lambda: api.payment_intents.create(payment)).user_message == RETURN
        assert api.payment_intents.list().data == []


@pytest.mark.parametrize("return_url", [None, "http://shop.test/back"])
@pytest.mark.parametrize("make", [pay, hold])
@pytest.mark.parametrize("succeeded", [True, False])
def test_the_bank_is_answered(
    api: Any, sandbox: Sandbox, return_url: str | None, make: Callable[..., Any], succeeded: bool
) -> None:
    fields = {"return_url": return_url} if return_url else {}
    kind = "redirect_to_url" if return_url else "use_stripe_sdk"
    intent = make(api, card="pm_card_threeDSecure2Required", **fields)
    assert (intent.status, intent.next_action.type, intent.latest_charge) == ("requires_action", kind, None)
    sandbox.post(f"payment_intents/{intent.id}/authenticate", succeeded=succeeded)
    after = api.payment_intents.retrieve(intent.id)
    assert after.next_action is None
    if succeeded:
        assert after.status == ("requires_capture" if make is hold else "succeeded")
        return
    assert (after.status, after.payment_method, after.latest_charge) == ("requires_payment_method", None, None)
    assert after.last_payment_error.code == "payment_intent_authentication_failure"
    assert sandbox.event_types()[-2:] == ["payment_intent.requires_action", "payment_intent.payment_failed"]
    assert api.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"}).last_payment_error is None


def test_a_refused_confirmation_leaves_no_intent_behind(api: Any, sandbox: Sandbox) -> None:
    used = pay(api).payment_method
    told = sandbox.event_types()
    refused(lambda: pay(api, card=used))
    assert len(api.payment_intents.list().data) == 1
    assert sandbox.event_types() == told


@pytest.mark.parametrize("path", ["verify_microdeposits", "apply_customer_balance"])
def test_what_belongs_to_other_methods_of_payment_says_so(api: Any, path: str) -> None:
    intent = hold(api).id
    error = refused(lambda: getattr(api.payment_intents, path)(intent))
    assert (error.code, error.error.payment_intent.id) == ("payment_intent_unexpected_state", intent)


# SetupIntents


def setup_in(api: Any, status: str) -> Any:
    card: dict[str, Any] = {"payment_method_types": ["card"]}
    if status in ("succeeded", "requires_action"):
        method = "pm_card_visa" if status == "succeeded" else "pm_card_authenticationRequired"
        return api.setup_intents.create({**card, "payment_method": method, "confirm": True})
    if status == "canceled":
        return api.setup_intents.cancel(api.setup_intents.create(card).id)
    return api.setup_intents.create(
        {**card, **({"payment_method": "pm_card_visa"} if status == "requires_confirmation" else {})}
    )


@pytest.mark.parametrize(
    ("status", "confirmed", "cancelled"),
    [
        ("requires_payment_method", None, "canceled"),
        ("requires_confirmation", "succeeded", "canceled"),
        ("requires_action", "requires_action", "canceled"),
        ("succeeded", None, None),
        ("canceled", None, None),
    ],
)
def test_each_state_of_a_setup_allows_what_it_allows(
    api: Any, status: str, confirmed: str | None, cancelled: str | None
) -> None:
    for verb, expected in (("confirm", confirmed), ("cancel", cancelled)):
        intent = setup_in(api, status)
        assert intent.status == status
        call = functools.partial(getattr(api.setup_intents, verb), intent.id)
        if expected:
            assert call().status == expected
            continue
        error = refused(call)
        assert (error.http_status, error.code) == (400, "setup_intent_unexpected_state")
        assert error.error.setup_intent.to_dict() == api.setup_intents.retrieve(intent.id).to_dict()


@pytest.mark.parametrize("reason", ["abandoned", "requested_by_customer", "duplicate"])
def test_a_setup_keeps_the_reason_of_its_end(api: Any, sandbox: Sandbox, reason: str) -> None:
    intent = setup_in(api, "requires_action").id
    assert api.setup_intents.cancel(intent, {"cancellation_reason": reason}).cancellation_reason == reason
    assert sandbox.event_types()[-1] == "setup_intent.canceled"


def test_a_declined_setup_is_a_402_with_the_setup(api: Any) -> None:
    card = {"payment_method_types": ["card"], "payment_method": "pm_card_chargeDeclined", "confirm": True}
    error = refused(lambda: api.setup_intents.create(card))
    assert (error.http_status, error.error.type, error.code) == (402, "card_error", "card_declined")
    shown = error.error.setup_intent
    assert (shown.status, shown.last_setup_error.code) == ("requires_payment_method", "card_declined")
    assert error.error.payment_method.card.last4 == "0002"
    assert api.setup_intents.retrieve(shown.id).last_setup_error.decline_code == "generic_decline"


def test_a_payment_of_checkout_is_cancelled_directly_only_while_it_is_held(api: Any, sandbox: Sandbox) -> None:
    session = checkout(api, payment_intent_data={"capture_method": "manual"})
    intent = sandbox.post(f"checkout/{session.id}/pay")["payment_intent"]
    assert api.payment_intents.cancel(intent).status == "canceled"
