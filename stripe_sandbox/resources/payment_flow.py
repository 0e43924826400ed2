"""How a PaymentIntent moves: confirmed, authenticated, authorised or declined, captured, cancelled, lapsed."""

from typing import Any

from stripe_sandbox import events, money
from stripe_sandbox.errors import Json, StripeError
from stripe_sandbox.world import Resource, World, job

from . import cards, payment_methods, transfer_flow
from .cards import Card, Decline

CONFIRMABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
CANCELABLE = (
    "requires_payment_method",
    "requires_capture",
    "requires_reauthorization",
    "requires_confirmation",
    "requires_action",
    "processing",
)
AUTHENTICATION_REQUIRED = Decline(
    "authentication_required",
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
    "1A",
)
AUTHENTICATION_FAILED = "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new PaymentMethod to attempt to fulfill this PaymentIntent again."


def state_error(message: str, intent: Resource) -> StripeError:
    return StripeError(message, code="payment_intent_unexpected_state", payment_intent=dict(intent))


def confirm(
    world: World,
    intent: Resource,
    method: Resource,
    *,
    off_session: bool = False,
    return_url: str | None = None,
    authenticated: bool = False,
    error_on_requires_action: bool = False,
) -> None:
    """Tries to charge the method: the intent ends as succeeded, requires_capture or requires_action.

    Raises StripeError 402 after a decline, with everything that a decline leaves behind in place.
    """
    check_confirmable(intent)
    payment_methods.check_cards_taken(intent, "PaymentIntent")
    check_method(method, intent["customer"])
    card = payment_methods.card_of(method)
    intent.update(payment_method=method.id, next_action=None, last_payment_error=None)
    intent.hidden.update(off_session=off_session, authenticated=authenticated)
    if not authenticated and _bank_asks(card, set_up=method.hidden["set_up"], off_session=off_session):
        if off_session or error_on_requires_action:
            raise _fail(world, intent, method, card, AUTHENTICATION_REQUIRED)
        _ask_to_authenticate(world, intent, return_url)
        return
    if card.decline:
        raise _fail(world, intent, method, card, card.decline)
    _authorise(world, intent, method, card)


def _bank_asks(card: Card, *, set_up: bool, off_session: bool) -> bool:
    """A card that was set up need not ask off the session; with the customer present it asks all the same."""
    if card.authentication in ("never", "always"):
        return card.authentication == "always"
    return not (off_session and set_up)


def check_confirmable(intent: Resource) -> None:
    status = intent["status"]
    if status == "succeeded":
        raise state_error(
            "You cannot confirm this PaymentIntent because it has already succeeded after being previously confirmed.",
            intent,
        )
    if status not in CONFIRMABLE:
        raise state_error(
            f"You cannot confirm this PaymentIntent because it has a status of {status}. Only a PaymentIntent with one of the following "
            "statuses may be confirmed: requires_confirmation, requires_payment_method, requires_action.",
            intent,
        )


def check_method(method: Resource, customer: str | None) -> None:
    """Refuses a card that is used up, or that is not this customer's."""
    if method["customer"] is None and method.hidden["used"]:
        raise StripeError(payment_methods.NOT_REUSABLE)
    if method["customer"] and method["customer"] != customer:
        raise StripeError(
            f"The provided PaymentMethod {method.id} belongs to Customer {method['customer']}. To use it, pass that Customer with the PaymentIntent."
            if customer is None
            else f"You cannot confirm this PaymentIntent because it's missing a payment method. To confirm the PaymentIntent with {customer}, "
            "specify a payment method attached to this customer along with the customer ID."
        )


def _ask_to_authenticate(world: World, intent: Resource, return_url: str | None) -> None:
    token = world.token(24)
    intent.hidden["authentication"] = token
    intent.hidden["return_url"] = return_url
    url = f"{world.base_url}/authenticate/{intent.id}/{token}"
    if return_url:
        action: Json = {"type": "redirect_to_url", "redirect_to_url": {"return_url": return_url, "url": url}}
    else:
        action = {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect", "stripe_js": url}}
    intent.update(status="requires_action", next_action=action)
    events.emit(world, intent.account, "payment_intent.requires_action", intent)


def authenticate(world: World, intent: Resource, *, succeeded: bool) -> None:
    """The customer answers the bank's question. Raises StripeError 402 when the charge is declined even so."""
    if intent["status"] != "requires_action":
        raise state_error("This PaymentIntent is not waiting for authentication.", intent)
    method = world.get(intent["payment_method"])
    intent.hidden.pop("authentication", None)
    if succeeded:
        confirm(world, intent, method, authenticated=True)
        return
    error = {
        "code": "payment_intent_authentication_failure",
        "message": AUTHENTICATION_FAILED,
        "type": "invalid_request_error",
        "doc_url": "https://stripe.com/docs/error-codes/payment-intent-authentication-failure",
        "payment_method": dict(method),
    }
    intent.update(status="requires_payment_method", payment_method=None, next_action=None, last_payment_error=error)
    events.emit(world, intent.account, "payment_intent.payment_failed", intent)


def _fail(world: World, intent: Resource, method: Resource, card: Card, decline: Decline) -> StripeError:
    """Records the failed charge and puts the intent back; returns the 402 to raise."""
    outcome = {
        "advice_code": decline.advice_code,
        "network_advice_code": None,
        "network_decline_code": decline.network_code,
        "network_status": "not_sent_to_network" if card.blocked else "declined_by_network",
        "reason": decline.decline_code,
        "risk_level": card.risk_level,
        "risk_score": 85 if card.blocked else 32,
        "seller_message": "Stripe blocked this payment as too risky."
        if card.blocked
        else "The bank did not return any further details with this decline.",
        "type": "blocked" if card.blocked else "issuer_declined",
    }
    charge = _new_charge(
        world,
        intent,
        method,
        card,
        outcome,
        status="failed",
        paid=False,
        captured=False,
        amount_captured=0,
        failure_code=decline.code,
        failure_message=decline.message,
    )
    error = payment_methods.declined(
        card if card.decline is decline else Card(card.number, decline=decline),
        charge=charge.id,
        payment_method=dict(method),
        payment_method_type="card",
    )
    intent.update(
        status="requires_payment_method",
        payment_method=None,
        latest_charge=charge.id,
        last_payment_error=dict(error.fields),
    )
    events.emit(world, intent.account, "charge.failed", charge)
    events.emit(world, intent.account, "payment_intent.payment_failed", intent)
    error.fields["payment_intent"] = dict(intent)
    return error


def _authorise(world: World, intent: Resource, method: Resource, card: Card) -> None:
    manual = "manual" in (intent["capture_method"], _card_option(intent, "capture_method"))
    outcome = {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "approved_by_network",
        "reason": "elevated_risk_level" if card.risk_level == "elevated" else None,
        "risk_level": card.risk_level,
        "risk_score": 11,
        "seller_message": "Payment complete.",
        "type": "manual_review" if card.risk_level == "elevated" else "authorized",
    }
    charge = _new_charge(
        world,
        intent,
        method,
        card,
        outcome,
        status="succeeded",
        paid=True,
        captured=not manual,
        amount_captured=0,
        failure_code=None,
        failure_message=None,
    )
    charge.hidden["card"] = method.hidden["card"]
    intent["latest_charge"] = charge.id
    _keep_method(world, intent, method)
    if not manual:
        capture(world, intent, charge, amount=intent["amount"], first_event="charge.succeeded")
        return
    details = charge["payment_method_details"]["card"]
    lifetime = cards.hold_lifetime(card, intent["currency"], off_session=intent.hidden["off_session"])
    if details["extended_authorization"]["status"] == "enabled":
        lifetime = cards.EXTENDED
    deadline = details["capture_before"] = world.now() + lifetime
    intent.update(status="requires_capture", amount_capturable=intent["amount"], amount_received=0)
    world.schedule(deadline, "hold_lapses", intent=intent.id)
    events.emit(world, intent.account, "charge.succeeded", charge)
    events.emit(world, intent.account, "payment_intent.amount_capturable_updated", intent)


def _keep_method(world: World, intent: Resource, method: Resource) -> None:
    """Saves the method on the customer when the intent asks for it; otherwise an unattached method is used up."""
    if intent["setup_future_usage"] and intent["customer"] and method["customer"] is None:
        payment_methods.attach_to(world, method, intent["customer"])
    if method["customer"] is None:
        method.hidden["used"] = True
    elif intent["setup_future_usage"] == "off_session" and intent.hidden["authenticated"]:
        method.hidden["set_up"] = True


# What a charge takes over from its intent as it is, and its card details from the card.
FROM_INTENT = (
    "amount",
    "application_fee_amount",
    "currency",
    "customer",
    "description",
    "metadata",
    "on_behalf_of",
    "receipt_email",
    "shipping",
    "statement_descriptor",
    "statement_descriptor_suffix",
)
FROM_CARD = (
    "brand",
    "checks",
    "country",
    "exp_month",
    "exp_year",
    "fingerprint",
    "funding",
    "last4",
    "regulated_status",
    "wallet",
)


def _new_charge(world: World, intent: Resource, method: Resource, card: Card, outcome: Json, **fields: Any) -> Resource:
    details = _card_details(world, intent, method, card)
    if fields["captured"] or not fields["paid"]:
        del details["capture_before"]
    data = intent["transfer_data"]
    return world.create(
        "charge",
        intent.account,
        {
            **{name: intent[name] for name in FROM_INTENT},
            "amount_refunded": 0,
            "billing_details": method["billing_details"],
            "calculated_statement_descriptor": "SANDBOX PLATFORM",
            "disputed": False,
            "fraud_details": {},
            "outcome": outcome,
            "payment_intent": intent.id,
            "payment_method": method.id,
            "payment_method_details": {"card": details, "type": "card"},
            "receipt_url": f"{world.base_url}/receipts/{intent.id}",
            "refunded": False,
            "transfer_data": data and {"amount": data.get("amount"), "destination": data["destination"]},
            "transfer_group": intent["transfer_group"] or (f"group_{intent.id}" if data else None),
            **fields,
        },
        hidden={"refunds": [], "transfers": []},
    )


def _card_option(intent: Resource, name: str) -> Any:
    return intent["payment_method_options"]["card"].get(name)


def _is_extended(intent: Resource) -> bool:
    """A longer hold, where it was asked for and the customer is present."""
    asked = _card_option(intent, "request_extended_authorization") == "if_available"
    return bool(asked and not intent.hidden["off_session"])


def _card_details(world: World, intent: Resource, method: Resource, card: Card) -> Json:
    incremental = _card_option(intent, "request_incremental_authorization") == "if_available"
    return {
        **{name: method["card"][name] for name in FROM_CARD},
        "amount_authorized": intent["amount"],
        "authorization_code": world.token(6).upper(),
        "capture_before": None,
        "extended_authorization": {"status": "enabled" if _is_extended(intent) else "disabled"},
        "incremental_authorization": {"status": "available" if incremental else "unavailable"},
        "installments": None,
        "mandate": None,
        "multicapture": {"status": "unavailable"},
        "network": card.brand,
        "network_token": {"used": False},
        "network_transaction_id": world.token(15).upper(),
        "overcapture": {"maximum_amount_capturable": intent["amount"], "status": "unavailable"},
        "three_d_secure": payment_methods.three_d_secure(world) if intent.hidden["authenticated"] else None,
    }


def capture(
    world: World, intent: Resource, charge: Resource, *, amount: int, first_event: str = "charge.captured"
) -> None:
    """Takes the money: balance transactions, and for a destination charge the transfer and the application fee."""
    card = payment_methods.card_of(world.get(charge["payment_method"]))
    available_on = None if card.bypasses_pending else money.funds_available_on(world, intent.account)
    charge.update(captured=True, amount_captured=amount)
    charge.hidden["available_on"] = available_on
    if card.dispute:
        world.schedule(world.now() + 1, "card_disputes", charge=charge.id, reason=card.dispute)
    if card.fraud_warning:
        world.schedule(world.now() + 1, "issuer_warns", charge=charge.id)
    if card.trigger:
        paid = intent["on_behalf_of"] or charge.account
        world.schedule(world.now() + 1, "card_triggers", account=paid, trigger=card.trigger)
    moved = transfer_flow.settle_charge(world, intent, charge, available_on)
    intent.update(status="succeeded", amount_capturable=0, amount_received=amount)
    session = world.state.objects.get(intent.hidden.get("checkout", ""))
    if session is not None and session["status"] == "complete":
        session["payment_status"] = "paid"
    events.emit(world, intent.account, first_event, charge)
    if moved.transfer is not None:
        events.emit(world, moved.transfer.account, "transfer.created", moved.transfer)
    if moved.fee is not None:
        events.emit(world, moved.fee.account, "application_fee.created", moved.fee)
    events.emit(world, intent.account, "payment_intent.succeeded", intent)


def cancel(world: World, intent: Resource, reason: str | None) -> None:
    """Ends the intent and releases its hold. Since 2025-03-31 no refund is made for a hold that was never captured."""
    if intent["status"] not in CANCELABLE:
        raise state_error(
            f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}. Only a PaymentIntent with one of the "
            f"following statuses may be canceled: {', '.join(CANCELABLE)}.",
            intent,
        )
    intent.update(
        status="canceled", canceled_at=world.now(), cancellation_reason=reason, amount_capturable=0, next_action=None
    )
    events.emit(world, intent.account, "payment_intent.canceled", intent)


@job
def hold_lapses(world: World, *, intent: str) -> None:
    """The authorisation was not captured in time."""
    found = world.get(intent)
    if found["status"] == "requires_capture":
        charge = world.get(found["latest_charge"])
        found.update(status="canceled", canceled_at=world.now(), cancellation_reason="expired", amount_capturable=0)
        events.emit(world, found.account, "charge.expired", charge)
        events.emit(world, found.account, "payment_intent.canceled", found)
