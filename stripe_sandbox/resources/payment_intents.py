"""PaymentIntents: the endpoints. What happens inside is in `payment_flow`."""

from stripe_sandbox import events, money
from stripe_sandbox.errors import Json, StripeError, no_such, validation
from stripe_sandbox.rendering import by, page
from stripe_sandbox.routing import Call, metadata, route
from stripe_sandbox.shapes import kept
from stripe_sandbox.world import Resource, World

from . import account_state, payment_flow, payment_methods

FEE_WITHOUT_CONNECT = (
    "Can only apply an application_fee_amount when the PaymentIntent is attempting a direct payment (using an OAuth key or Stripe-Account header) "
    "or destination payment (using `transfer_data[destination]`)."
)
NEEDS_RETURN_URL = (
    "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of these payment methods might redirect "
    "your customer off of your page, you must provide a `return_url`. If you don't want to accept redirect-based payment methods, set "
    "`automatic_payment_methods[enabled]` to `true` and `automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and "
    "Payment Intents."
)
NO_METHOD = (
    "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the PaymentIntent with a payment method and "
    "then confirm it again, or confirm it again directly with a payment method or ConfirmationToken."
)
NO_CAPABILITY = "Your destination account needs to have at least one of the following capabilities enabled: transfers, crypto_transfers, legacy_payments"
CARD_OPTIONS: Json = {
    "installments": None,
    "mandate_options": None,
    "network": None,
    "request_three_d_secure": "automatic",
}
# What a PaymentIntent is about to charge; after a confirmation these stay as they are.
TERMS = {
    "amount",
    "capture_method",
    "currency",
    "customer",
    "payment_method",
    "payment_method_options",
    "payment_method_types",
    "setup_future_usage",
    "transfer_data",
}
KEPT = ("allowed_payment_method_types", "excluded_payment_method_types", "hooks", "payment_details")
WITH_CONFIRM = ("error_on_requires_action", "mandate", "mandate_data", "off_session", "return_url")
COPIED = (
    "description",
    "receipt_email",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "setup_future_usage",
    "shipping",
    "transfer_group",
    "on_behalf_of",
    "application_fee_amount",
)


def new_intent(world: World, account: str, params: Json) -> Resource:
    """Makes an unconfirmed PaymentIntent from create parameters, and tells of it."""
    currency = money.check_currency(params["currency"])
    money.check_amount(params["amount"], currency)
    payment_methods.refuse_data(params)
    check_connect(world, account, params, params["amount"])
    if params.get("customer"):
        world.require("customer", params["customer"], account, param="customer")
    automatic = params.get("automatic_payment_methods")
    types = params.get("payment_method_types")
    if automatic and types:
        raise validation(
            "You may only specify one of these parameters: automatic_payment_methods, payment_method_types.",
            "automatic_payment_methods",
        )
    method = payment_methods.resolve(world, account, params["payment_method"]) if params.get("payment_method") else None
    id = world.new_id("payment_intent")
    intent = world.create(
        "payment_intent",
        account,
        {
            "id": id,
            "amount": params["amount"],
            "amount_capturable": 0,
            "amount_details": {"tip": {}, **_amount_details(params)},
            "amount_received": 0,
            "automatic_payment_methods": _automatic_methods(params),
            "capture_method": params.get("capture_method", "automatic_async"),
            "client_secret": f"{id}_secret_{world.token(25)}",
            "confirmation_method": params.get("confirmation_method", "automatic"),
            "currency": currency,
            "customer": params.get("customer") or None,
            "metadata": metadata({}, params.get("metadata")),
            "payment_method": method.id if method else None,
            "payment_method_types": types or ["card"],
            "payment_method_options": {"card": _card_options(CARD_OPTIONS, params)},
            "status": "requires_confirmation" if method else "requires_payment_method",
            "transfer_data": params.get("transfer_data") or None,
            **{name: params[name] or None for name in COPIED if name in params},
            **kept("payment_intent", params, KEPT),
        },
        hidden={"off_session": False},
    )
    events.emit(world, account, "payment_intent.created", intent)
    return intent


def check_connect(world: World, account: str, params: Json, amount: int) -> None:
    """The rules about destinations and application fees."""
    destination = (params.get("transfer_data") or {}).get("destination")
    fee = params.get("application_fee_amount")
    if fee and not destination and world.is_platform(account):
        raise StripeError(FEE_WITHOUT_CONNECT, param="application_fee_amount")
    if fee and destination and params["transfer_data"].get("amount") is not None:
        raise validation(
            "You may only specify one of these parameters: application_fee_amount, transfer_data[amount].",
            "application_fee_amount",
        )
    if fee and fee > amount:
        raise StripeError(
            "Your application fee cannot be larger than the charge amount.", param="application_fee_amount"
        )
    if destination:
        check_destination(world, destination)
        if (params["transfer_data"].get("amount") or 0) > amount:
            raise StripeError(
                "The transfer_data[amount] cannot be larger than the charge amount.", param="transfer_data[amount]"
            )


def check_destination(world: World, destination: str) -> None:
    """The account must still be ours and able to receive transfers; asked again when a hold is captured."""
    found = world.connected(destination)
    if found is None:
        raise no_such("destination", destination, param="transfer_data[destination]")
    if not account_state.can_receive_transfers(found):
        raise StripeError(
            NO_CAPABILITY, code="insufficient_capabilities_for_transfer", param="transfer_data[destination]"
        )


@route("POST", "/v1/payment_intents", "PaymentIntentCreateParams")
def create(call: Call) -> Json:
    params = call.params
    for name in WITH_CONFIRM if not params.get("confirm") else ():
        if params.get(name):
            raise validation(f"Received `{name}` without `confirm`: it can only be used when confirming.", name)
    if params.get("confirm"):
        _check_return_url(params, _automatic_methods(params))
        stored = call.world.find("payment_method", params.get("payment_method", ""), call.account)
        if stored is not None:
            payment_flow.check_method(stored, params.get("customer"))
    intent = new_intent(call.world, call.account, params)
    if params.get("confirm"):
        _confirm(call, intent)
    return intent


@route("GET", "/v1/payment_intents/{id}", "PaymentIntentRetrieveParams")
def retrieve(call: Call) -> Json:
    return _named(call)


@route("GET", "/v1/payment_intents", "PaymentIntentListParams")
def list_intents(call: Call) -> Json:
    return page(call, "payment_intent", "/v1/payment_intents", {"customer": by("customer")})


@route("POST", "/v1/payment_intents/{id}", "PaymentIntentUpdateParams")
def update(call: Call) -> Json:
    intent, params, world = _named(call), call.params, call.world
    payment_methods.refuse_data(params)
    terms = params.keys() & TERMS
    if intent["status"] in ("succeeded", "canceled"):
        terms |= params.keys() & {"application_fee_amount"}
    if terms and intent["status"] not in payment_flow.CONFIRMABLE:
        raise payment_flow.state_error(
            f"This PaymentIntent's {min(terms)} could not be updated because it has a status of {intent['status']}. You may only update the "
            f"{min(terms)} of a PaymentIntent with one of the following statuses: requires_payment_method, requires_confirmation, "
            "requires_action.",
            intent,
        )
    amount = params.get("amount", intent["amount"])
    currency = money.check_currency(params.get("currency") or intent["currency"])
    money.check_amount(amount, currency)
    transfer_data = {**(intent["transfer_data"] or {}), **(params.get("transfer_data") or {})} or None
    if params.keys() & {"amount", "transfer_data", "application_fee_amount"}:
        check_connect(world, call.account, {**intent, **params, "transfer_data": transfer_data}, amount)
    if params.get("customer"):
        world.require("customer", params["customer"], call.account, param="customer")
        intent["customer"] = params["customer"]
    if params.get("payment_method"):
        intent["payment_method"] = payment_methods.resolve(world, call.account, params["payment_method"]).id
        intent["status"] = "requires_confirmation"
    if terms and intent["status"] == "requires_action":  # the bank's question was about other terms
        intent.update(status="requires_confirmation", next_action=None)
    for name in ("capture_method", "payment_method_types"):
        if name in params:
            intent[name] = params[name]
    intent["payment_method_options"] = {"card": _card_options(intent["payment_method_options"]["card"], params)}
    intent.update(
        amount=amount,
        currency=currency,
        transfer_data=transfer_data,
        metadata=metadata(intent["metadata"], params.get("metadata")),
        amount_details={**intent["amount_details"], **_amount_details(params)},
        **{name: params[name] or None for name in COPIED if name in params},
        **kept("payment_intent", params, KEPT),
    )
    return intent


def _amount_details(params: Json) -> Json:
    """What makes up the amount, as the caller says; its line items come only when asked for, and are not built."""
    given = kept("payment_intent", params, ["amount_details"]).get("amount_details") or {}
    return {name: value for name, value in given.items() if name != "line_items"}


@route("POST", "/v1/payment_intents/{id}/confirm", "PaymentIntentConfirmParams")
def confirm(call: Call) -> Json:
    intent = _named(call)
    if intent["status"] in payment_flow.CONFIRMABLE:
        _check_return_url(call.params, intent["automatic_payment_methods"])
    _confirm(call, intent)
    return intent


@route("POST", "/v1/payment_intents/{id}/capture", "PaymentIntentCaptureParams")
def capture(call: Call) -> Json:
    intent, params = _named(call), call.params
    if intent["status"] != "requires_capture":
        already = intent["status"] == "succeeded"
        raise payment_flow.state_error(
            "This PaymentIntent could not be captured because it has already been captured."
            if already
            else f"This PaymentIntent could not be captured because it has a status of {intent['status']}. Only a PaymentIntent with one of the "
            "following statuses may be captured: requires_capture.",
            intent,
        )
    amount = params.get("amount_to_capture", intent["amount_capturable"])
    if amount < 1:
        raise validation("Invalid positive integer", "amount_to_capture", "parameter_invalid_integer")
    if params.get("final_capture") is False:
        raise StripeError(
            "You can only set final_capture to false for a PaymentIntent that supports multicapture.",
            param="final_capture",
        )
    if amount > intent["amount_capturable"]:
        raise StripeError(
            "This PaymentIntent could not be captured because the requested capture amount is greater than the amount you can capture for this "
            "charge.",
            code="amount_too_large",
            param="amount_to_capture",
        )
    _capture_terms(call, intent, amount)
    payment_flow.capture(call.world, intent, call.world.get(intent["latest_charge"]), amount=amount)
    return intent


def _capture_terms(call: Call, intent: Resource, amount: int) -> None:
    """What a capture may still change: the application fee, the transferred amount, metadata, descriptors."""
    params, charge = call.params, call.world.get(intent["latest_charge"])
    if intent["transfer_data"]:
        check_destination(call.world, intent["transfer_data"]["destination"])
    if "application_fee_amount" in params:
        check_connect(
            call.world, call.account, {**intent, "application_fee_amount": params["application_fee_amount"]}, amount
        )
        intent["application_fee_amount"] = charge["application_fee_amount"] = params["application_fee_amount"]
    wanted = (params.get("transfer_data") or {}).get("amount")
    if wanted is not None:
        if intent["transfer_data"] is None:
            raise StripeError(
                "You cannot pass transfer_data to a PaymentIntent that was created without it.", param="transfer_data"
            )
        check_connect(
            call.world, call.account, {"transfer_data": {**intent["transfer_data"], "amount": wanted}}, amount
        )
        intent["transfer_data"] = {**intent["transfer_data"], "amount": wanted}
        charge["transfer_data"] = {**charge["transfer_data"], "amount": wanted}
    if "metadata" in params:
        intent["metadata"] = metadata(intent["metadata"], params["metadata"])
    for name in ("statement_descriptor", "statement_descriptor_suffix"):
        if name in params:
            intent[name] = charge[name] = params[name] or None


@route("POST", "/v1/payment_intents/{id}/cancel", "PaymentIntentCancelParams")
def cancel(call: Call) -> Json:
    intent = _named(call)
    if "checkout" in intent.hidden and intent["status"] in payment_flow.CONFIRMABLE:
        raise payment_flow.state_error(
            "You cannot cancel this PaymentIntent because it was created by a Checkout Session. Expire the Checkout Session instead.",
            intent,
        )
    payment_flow.cancel(call.world, intent, call.params.get("cancellation_reason"))
    return intent


@route("POST", "/v1/payment_intents/{id}/verify_microdeposits", "PaymentIntentVerifyMicrodepositsParams")
def verify_microdeposits(call: Call) -> Json:
    """Belongs to bank debits, which the sandbox has not."""
    raise payment_flow.state_error(
        "You cannot verify microdeposits for this PaymentIntent: it takes cards.", _named(call)
    )


@route("POST", "/v1/payment_intents/{id}/apply_customer_balance", "PaymentIntentApplyCustomerBalanceParams")
def apply_customer_balance(call: Call) -> Json:
    """Belongs to bank transfers, which the sandbox has not."""
    raise payment_flow.state_error("You cannot apply a balance to this PaymentIntent: it takes cards.", _named(call))


def _confirm(call: Call, intent: Resource) -> None:
    params, world = call.params, call.world
    payment_methods.refuse_data(params)
    given = params.get("payment_method")
    if given and intent["payment_method"] and given != intent["payment_method"] and call.path:
        method = payment_methods.resolve(world, call.account, given)
    elif intent["payment_method"]:
        method = world.get(intent["payment_method"])
    elif given:
        method = payment_methods.resolve(world, call.account, given)
    else:
        payment_flow.check_confirmable(intent)
        raise payment_flow.state_error(NO_METHOD, intent)
    intent["payment_method_options"] = {"card": _card_options(intent["payment_method_options"]["card"], params)}
    if "setup_future_usage" in params:
        intent["setup_future_usage"] = params["setup_future_usage"] or None
    off_session = params.get("off_session")
    payment_flow.confirm(
        world,
        intent,
        method,
        off_session=bool(off_session),
        return_url=params.get("return_url"),
        error_on_requires_action=bool(params.get("error_on_requires_action")),
    )


def _card_options(current: Json, params: Json) -> Json:
    """The card options after a request: what it names replaces what was there, an empty value takes it back."""
    given = (params.get("payment_method_options") or {}).get("card") or {}
    return {**current, **{name: value or CARD_OPTIONS.get(name) for name, value in given.items()}}


def _automatic_methods(params: Json) -> Json | None:
    """Naming the types turns automatic payment methods off; otherwise they are on, redirects included."""
    given = params.get("automatic_payment_methods") or {"enabled": True}
    if params.get("payment_method_types") or not given["enabled"]:
        return None
    return {"allow_redirects": given.get("allow_redirects", "always"), "enabled": True}


def _check_return_url(params: Json, automatic: Json | None) -> None:
    """Automatic payment methods may redirect, so that a confirmation needs to know where to come back to."""
    redirects = automatic is not None and automatic["allow_redirects"] != "never"
    if redirects and not params.get("return_url") and not params.get("off_session"):
        raise StripeError(NEEDS_RETURN_URL)


def _named(call: Call) -> Resource:
    return call.require("payment_intent", "id", param="intent")
