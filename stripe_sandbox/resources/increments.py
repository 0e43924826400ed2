"""Incremental authorisation: a hold that grows before it is captured.

It has to be asked for when the card is charged (`request_incremental_authorization`), as at Stripe; which cards offer it
depends on the merchant's category there, here all do. The words of its refusals are the sandbox's own.
"""

from stripe_sandbox import events, money
from stripe_sandbox.errors import Json, StripeError
from stripe_sandbox.routing import Call, metadata, route
from stripe_sandbox.world import Resource

from . import payment_flow, payment_intents

MOST = 10  # increments of one PaymentIntent


@route("POST", "/v1/payment_intents/{id}/increment_authorization", "PaymentIntentIncrementAuthorizationParams")
def increment(call: Call) -> Json:
    """`amount` is the new total in minor units."""
    intent, world = call.require("payment_intent", "id", param="intent"), call.world
    _check(intent)
    charge, amount = world.get(intent["latest_charge"]), call.params["amount"]
    if charge["payment_method_details"]["card"]["incremental_authorization"]["status"] != "available":
        raise StripeError(f"The PaymentIntent {intent.id} does not support incremental authorizations.", param="intent")
    if amount <= intent["amount"]:
        raise StripeError(
            f"The new amount must be greater than the authorized amount of {money.formatted(intent['amount'], intent['currency'])}.",
            param="amount",
        )
    money.check_amount(amount, intent["currency"])
    transfer_data = {**(intent["transfer_data"] or {}), **(call.params.get("transfer_data") or {})} or None
    payment_intents.check_connect(
        world, call.account, {**intent, **call.params, "transfer_data": transfer_data}, amount
    )
    _grow(call, intent, charge, amount, transfer_data)
    return intent


def _check(intent: Resource) -> None:
    if intent["status"] != "requires_capture":
        raise payment_flow.state_error(
            f"This PaymentIntent's authorization could not be incremented because it has a status of {intent['status']}. Only a "
            "PaymentIntent with one of the following statuses may be incremented: requires_capture.",
            intent,
        )
    if intent.hidden.get("increments", 0) >= MOST:
        raise StripeError(f"A PaymentIntent's authorization can be incremented at most {MOST} times.")


def _grow(call: Call, intent: Resource, charge: Resource, amount: int, transfer_data: Json | None) -> None:
    world, params = call.world, call.params
    intent.hidden["increments"] = intent.hidden.get("increments", 0) + 1
    for name in ("application_fee_amount", "description", "statement_descriptor"):
        if name in params:
            intent[name] = charge[name] = params[name] or None
    if "metadata" in params:
        intent["metadata"] = metadata(intent["metadata"], params["metadata"])
    if transfer_data:
        intent["transfer_data"] = transfer_data
        charge["transfer_data"] = {**charge["transfer_data"], "amount": transfer_data.get("amount")}
    details = charge["payment_method_details"]
    overcapture = {**details["card"]["overcapture"], "maximum_amount_capturable": amount}
    card = {**details["card"], "amount_authorized": amount, "overcapture": overcapture}
    intent.update(amount=amount, amount_capturable=amount)
    events.changed(
        world,
        intent.account,
        "charge.updated",
        charge,
        amount=amount,
        payment_method_details={**details, "card": card},
    )
    events.emit(world, intent.account, "payment_intent.amount_capturable_updated", intent)
