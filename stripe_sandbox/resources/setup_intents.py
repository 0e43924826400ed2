"""SetupIntents: saving a card without charging it."""

from stripe_sandbox import events
from stripe_sandbox.errors import Json, StripeError
from stripe_sandbox.rendering import by, page
from stripe_sandbox.routing import Call, metadata, route
from stripe_sandbox.shapes import kept
from stripe_sandbox.world import Resource, World

from . import payment_methods, setup_attempts

KEPT = ("allowed_payment_method_types", "excluded_payment_method_types", "flow_directions")
OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")
CARD_OPTIONS: Json = {"mandate_options": None, "network": None, "request_three_d_secure": "automatic"}
NO_MICRODEPOSITS = "You cannot verify microdeposits for this SetupIntent: cards are saved without them."


def new_intent(world: World, account: str, params: Json) -> Resource:
    payment_methods.refuse_data(params)
    if params.get("customer"):
        world.require("customer", params["customer"], account, param="customer")
    method = payment_methods.resolve(world, account, params["payment_method"]) if params.get("payment_method") else None
    automatic = params.get("automatic_payment_methods") or (
        None if params.get("payment_method_types") else {"enabled": True}
    )
    id = world.new_id("setup_intent")
    intent = world.create(
        "setup_intent",
        account,
        {
            "id": id,
            "automatic_payment_methods": automatic
            and {"allow_redirects": automatic.get("allow_redirects", "always"), "enabled": True},
            "client_secret": f"{id}_secret_{world.token(29)}",
            "customer": params.get("customer") or None,
            "description": params.get("description") or None,
            "metadata": metadata({}, params.get("metadata")),
            "attach_to_self": params.get("attach_to_self"),
            "on_behalf_of": params.get("on_behalf_of"),
            "payment_method": method.id if method else None,
            "payment_method_options": {"card": _card_options(CARD_OPTIONS, params)},
            "payment_method_types": params.get("payment_method_types") or ["card"],
            "status": "requires_confirmation" if method else "requires_payment_method",
            "usage": params.get("usage", "off_session"),
            **kept("setup_intent", params, KEPT),
        },
    )
    events.emit(world, account, "setup_intent.created", intent)
    return intent


def _card_options(current: Json, params: Json) -> Json:
    given = (params.get("payment_method_options") or {}).get("card") or {}
    return {**current, **{name: value or CARD_OPTIONS.get(name) for name, value in given.items()}}


def _check_method(intent: Resource, method: Resource) -> None:
    """A card of another customer, or one that was used up, cannot be saved."""
    payment_methods.check_cards_taken(intent, "SetupIntent")
    if method["customer"] and method["customer"] != intent["customer"]:
        raise StripeError(
            f"The provided PaymentMethod {method.id} belongs to Customer {method['customer']}. To use it, pass that Customer "
            "with the SetupIntent.",
            param="payment_method",
        )
    if method["customer"] is None and method.hidden["used"]:
        raise StripeError(payment_methods.NOT_REUSABLE)


def confirm(
    world: World, intent: Resource, method: Resource, *, authenticated: bool = False, return_url: str | None = None
) -> None:
    """Saves the card: succeeded or requires_action. Raises StripeError 402 when the card is declined."""
    card = payment_methods.card_of(method)
    _check_method(intent, method)
    intent.update(payment_method=method.id, last_setup_error=None, next_action=None)
    if authenticated:
        setup_attempts.authenticated(world, intent)
    else:
        setup_attempts.begin(world, intent, method)
    if card.authentication in ("always", "unless_set_up") and not authenticated and not method.hidden["set_up"]:
        token = world.token(24)
        intent.hidden["authentication"], intent.hidden["return_url"] = token, return_url
        url = f"{world.base_url}/authenticate/{intent.id}/{token}"
        action: Json = (
            {"type": "redirect_to_url", "redirect_to_url": {"return_url": return_url, "url": url}}
            if return_url
            else {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect", "stripe_js": url}}
        )
        intent.update(status="requires_action", next_action=action)
        setup_attempts.end(world, intent, "requires_action")
        events.emit(world, intent.account, "setup_intent.requires_action", intent)
        return
    if card.decline and card.declines_attach:
        error = payment_methods.declined(card, payment_method=dict(method), payment_method_type="card")
        _fail(world, intent, dict(error.fields))
        error.fields["setup_intent"] = dict(intent)
        raise error
    if intent["customer"]:
        payment_methods.attach_to(world, method, intent["customer"])
    if intent["usage"] == "off_session":
        method.hidden["set_up"] = True
    intent["status"] = "succeeded"
    setup_attempts.end(world, intent, "succeeded")
    events.emit(world, intent.account, "setup_intent.succeeded", intent)


def authenticate(world: World, intent: Resource, *, succeeded: bool) -> None:
    """The customer answers the bank's question."""
    if intent["status"] != "requires_action":
        raise _state_error("authenticate", intent)
    intent.hidden.pop("authentication", None)
    if succeeded:
        confirm(world, intent, world.get(intent["payment_method"]), authenticated=True)
        return
    _fail(
        world,
        intent,
        {
            "code": "setup_intent_authentication_failure",
            "type": "invalid_request_error",
            "message": "The latest attempt to set up the payment method has failed because authentication failed.",
            "doc_url": "https://stripe.com/docs/error-codes/setup-intent-authentication-failure",
        },
    )


def _fail(world: World, intent: Resource, error: Json) -> None:
    intent.update(status="requires_payment_method", payment_method=None, next_action=None, last_setup_error=error)
    setup_attempts.end(world, intent, "failed", error)
    events.emit(world, intent.account, "setup_intent.setup_failed", intent)


@route("POST", "/v1/setup_intents", "SetupIntentCreateParams")
def create(call: Call) -> Json:
    intent = new_intent(call.world, call.account, call.params)
    if call.params.get("confirm"):
        _confirm(call, intent)
    return intent


@route("POST", "/v1/setup_intents/{id}/confirm", "SetupIntentConfirmParams")
def confirm_endpoint(call: Call) -> Json:
    intent = _named(call)
    if intent["status"] not in OPEN:
        raise _state_error("confirm", intent)
    _confirm(call, intent)
    return intent


def _confirm(call: Call, intent: Resource) -> None:
    payment_methods.refuse_data(call.params)
    given = call.params.get("payment_method")
    if given and call.path:
        method = payment_methods.resolve(call.world, call.account, given)
    elif intent["payment_method"]:
        method = call.world.get(intent["payment_method"])
    else:
        raise StripeError(
            "You cannot confirm this SetupIntent because it's missing a payment method. Update the SetupIntent with a payment method "
            "and then confirm it again.",
            code="setup_intent_unexpected_state",
            setup_intent=dict(intent),
        )
    intent["payment_method_options"] = {"card": _card_options(intent["payment_method_options"]["card"], call.params)}
    confirm(call.world, intent, method, return_url=call.params.get("return_url"))


@route("GET", "/v1/setup_intents/{id}", "SetupIntentRetrieveParams")
def retrieve(call: Call) -> Json:
    return _named(call)


@route("GET", "/v1/setup_intents", "SetupIntentListParams")
def list_intents(call: Call) -> Json:
    filters = {name: by(name) for name in ("customer", "payment_method", "attach_to_self")}
    return page(call, "setup_intent", "/v1/setup_intents", filters)


@route("POST", "/v1/setup_intents/{id}", "SetupIntentUpdateParams")
def update(call: Call) -> Json:
    intent, params = _named(call), call.params
    payment_methods.refuse_data(params)
    terms = params.keys() & {"customer", "payment_method", "payment_method_options", "payment_method_types"}
    if terms and intent["status"] not in OPEN:
        raise _state_error("update", intent)
    if params.get("customer"):
        call.world.require("customer", params["customer"], call.account, param="customer")
    if params.get("payment_method"):
        method = payment_methods.resolve(call.world, call.account, params["payment_method"])
        intent.update(payment_method=method.id, status="requires_confirmation", next_action=None)
    for name in ("customer", "description", "payment_method_types"):
        if name in params:
            intent[name] = params[name] or None
    intent["payment_method_options"] = {"card": _card_options(intent["payment_method_options"]["card"], params)}
    intent["metadata"] = metadata(intent["metadata"], params.get("metadata"))
    return intent


@route("POST", "/v1/setup_intents/{id}/verify_microdeposits", "SetupIntentVerifyMicrodepositsParams")
def verify_microdeposits(call: Call) -> Json:
    """Belongs to bank debits, which the sandbox has not."""
    intent = _named(call)
    raise StripeError(NO_MICRODEPOSITS, code="setup_intent_unexpected_state", setup_intent=dict(intent))


@route("POST", "/v1/setup_intents/{id}/cancel", "SetupIntentCancelParams")
def cancel(call: Call) -> Json:
    intent = _named(call)
    if intent["status"] not in OPEN or "checkout" in intent.hidden:
        raise _state_error("cancel", intent)
    end(call.world, intent, call.params.get("cancellation_reason"))
    return intent


def end(world: World, intent: Resource, reason: str | None) -> None:
    """Cancels an open SetupIntent, with the attempt that it may be in."""
    if intent["status"] == "requires_action":
        setup_attempts.end(world, intent, "abandoned")
    intent.update(status="canceled", cancellation_reason=reason, next_action=None)
    events.emit(world, intent.account, "setup_intent.canceled", intent)


def _state_error(verb: str, intent: Resource) -> StripeError:
    why = f"it has a status of {intent['status']}"
    if verb == "cancel" and intent["status"] in OPEN:
        why = "it was created by a Checkout Session. Expire the Checkout Session instead"
    return StripeError(
        f"You cannot {verb} this SetupIntent because {why}.",
        code="setup_intent_unexpected_state",
        setup_intent=dict(intent),
    )


def _named(call: Call) -> Resource:
    return call.require("setup_intent", "id", param="intent")
