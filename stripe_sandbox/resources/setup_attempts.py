"""Setup attempts: each try to save a card by a SetupIntent, with how it ended."""

from stripe_sandbox.errors import Json
from stripe_sandbox.rendering import page
from stripe_sandbox.routing import Call, route
from stripe_sandbox.world import Resource, World

from . import payment_methods

FROM_CARD = ("brand", "checks", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4", "wallet")


def begin(world: World, intent: Resource, method: Resource) -> Resource:
    """A new attempt with this card; it is what the intent's `latest_attempt` names."""
    card = {**{name: method["card"][name] for name in FROM_CARD}, "network": method["card"]["brand"]}
    attempt = world.create(
        "setup_attempt",
        intent.account,
        {
            "customer": intent["customer"],
            "on_behalf_of": intent["on_behalf_of"],
            "payment_method": method.id,
            "payment_method_details": {"card": {**card, "moto": None, "three_d_secure": None}, "type": "card"},
            "setup_intent": intent.id,
            "status": "processing",
            "usage": intent["usage"],
        },
    )
    intent["latest_attempt"] = attempt.id
    return attempt


def authenticated(world: World, intent: Resource) -> None:
    """The customer has passed the bank's question of the latest attempt."""
    attempt = world.get(intent["latest_attempt"])
    card = {**attempt["payment_method_details"]["card"], "three_d_secure": payment_methods.three_d_secure(world)}
    attempt["payment_method_details"] = {"card": card, "type": "card"}


def end(world: World, intent: Resource, status: str, error: Json | None = None) -> None:
    """The latest attempt is `requires_action`, `succeeded`, `failed` or `abandoned` now."""
    if intent["latest_attempt"]:
        world.get(intent["latest_attempt"]).update(status=status, setup_error=error)


@route("GET", "/v1/setup_attempts", "SetupAttemptListParams")
def list_attempts(call: Call) -> Json:
    intent = call.world.require("setup_intent", call.params["setup_intent"], call.account, param="setup_intent")
    return page(call, "setup_attempt", "/v1/setup_attempts", only=lambda each: bool(each["setup_intent"] == intent.id))
