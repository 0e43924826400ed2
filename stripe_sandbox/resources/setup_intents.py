"""SetupIntents: saving a card without charging it."""

from stripe_sandbox import events
from stripe_sandbox.errors import Json, StripeError
from stripe_sandbox.rendering import by, page
from stripe_sandbox.routing import Call, metadata, route
from stripe_sandbox.world import Resource, World

from . import payment_methods

OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")


def new_intent(world: World, account: str, params: Json) -> Resource:
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
            "on_behalf_of": params.get("on_behalf_of"),
            "payment_method": method.id if method else None,
            "payment_method_options": {
                "card": {"mandate_options": None, "network": None, "request_three_d_secure": "automatic"}
            },
            "payment_method_types": params.get("payment_method_types") or ["card"],
            "status": "requires_confirmation" if method else "requires_payment_method",
            "usage": params.get("usage", "off_session"),
        },
    )
    events.emit(world, account, "setup_intent.created", intent)
    return intent


def confirm(
    world: World, intent: Resource, method: Resource, *, authenticated: bool = False, return_url: str | None = None
) -> None:
    """Saves the card: succeeded or requires_action. Raises StripeError 402 when the card is declined."""
    card = payment_methods.card_of(method)
    intent.update(payment_method=method.id, last_setup_error=None, next_action=None)
    intent["latest_attempt"] = world.new_id("setup_attempt")
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
        events.emit(world, intent.account, "setup_intent.requires_action", intent)
        return
    if card.decline and card.declines_attach:
        error = payment_methods.declined(card, payment_method=dict(method), payment_method_type="card")
        _fail(world, intent, dict(error.fields))
        error.fields["setup_intent"] = dict(intent)
        raise error
    if intent["customer"]:
        payment_methods.attach_to(world, method, intent["customer"])
    method.hidden["set_up"] = True
    intent["status"] = "succeeded"
    events.emit(world, intent.account, "setup_intent.succeeded", intent)


def authenticate(world: World, intent: Resource, *, succeeded: bool) -> None:
    """The customer answers the bank's question."""
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
    confirm(call.world, intent, method, return_url=call.params.get("return_url"))


@route("GET", "/v1/setup_intents/{id}", "SetupIntentRetrieveParams")
def retrieve(call: Call) -> Json:
    return _named(call)


@route("GET", "/v1/setup_intents", "SetupIntentListParams")
def list_intents(call: Call) -> Json:
    return page(
        call, "setup_intent", "/v1/setup_intents", {"customer": by("customer"), "payment_method": by("payment_method")}
    )


@route("POST", "/v1/setup_intents/{id}", "SetupIntentUpdateParams")
def update(call: Call) -> Json:
    intent, params = _named(call), call.params
    if params.get("payment_method"):
        intent["payment_method"] = payment_methods.resolve(call.world, call.account, params["payment_method"]).id
        intent["status"] = "requires_confirmation"
    for name in ("customer", "description"):
        if name in params:
            intent[name] = params[name] or None
    intent["metadata"] = metadata(intent["metadata"], params.get("metadata"))
    return intent


@route("POST", "/v1/setup_intents/{id}/cancel", "SetupIntentCancelParams")
def cancel(call: Call) -> Json:
    intent = _named(call)
    if intent["status"] not in OPEN or "checkout" in intent.hidden:
        raise _state_error("cancel", intent)
    intent.update(status="canceled", cancellation_reason=call.params.get("cancellation_reason"), next_action=None)
    events.emit(call.world, call.account, "setup_intent.canceled", intent)
    return intent


def _state_error(verb: str, intent: Resource) -> StripeError:
    return StripeError(
        f"You cannot {verb} this SetupIntent because it has a status of {intent['status']}.",
        code="setup_intent_unexpected_state",
        setup_intent=dict(intent),
    )


def _named(call: Call) -> Resource:
    return call.require("setup_intent", "id", param="intent")
