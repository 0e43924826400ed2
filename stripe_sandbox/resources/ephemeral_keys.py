"""Ephemeral keys: for an hour, an app's access to one customer."""

from stripe_sandbox.errors import Json, StripeError, missing_param
from stripe_sandbox.routing import Call, route
from stripe_sandbox.world import World, job

LIFETIME = 3600  # seconds, as far as is known
# Stripe requires the header; its words for the refusal are not documented.
NO_VERSION = (
    "You must send the Stripe-Version header when you create an ephemeral key: the version that the client expects."
)


@route("POST", "/v1/ephemeral_keys", "EphemeralKeyCreateParams")
def create(call: Call) -> Json:
    world = call.world
    if not call.stripe_version:
        raise StripeError(NO_VERSION)
    if "customer" not in call.params:
        raise missing_param("customer")
    customer = world.require("customer", call.params["customer"], call.account, param="customer")
    expires = call.now() + LIFETIME
    key = world.create("ephemeral_key", call.account, {"expires": expires}, hidden={"customer": customer.id})
    world.schedule(expires, "ephemeral_key_dies", key=key.id)
    return {**key, "secret": f"ek_test_{world.token(64)}"}


@job
def ephemeral_key_dies(world: World, *, key: str) -> None:
    found = world.get(key)
    if not found.hidden.get("deleted"):
        world.forget(found)


@route("DELETE", "/v1/ephemeral_keys/{id}", "EphemeralKeyDeleteParams")
def delete(call: Call) -> Json:
    """Ends the key now. Stripe answers with the key itself."""
    found = call.require("ephemeral_key", "id", param="id")
    call.world.forget(found)
    return found
