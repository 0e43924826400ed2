"""Account links: single-use ways into the hosted onboarding, dead after five minutes."""

from urllib.parse import urlsplit

from stripe_sandbox.errors import Json, StripeError, missing_param, validation
from stripe_sandbox.routing import Call, route
from stripe_sandbox.world import World

LIFETIME = 300  # seconds; the documented example, Stripe names no number


@route("POST", "/v1/account_links", "AccountLinkCreateParams")
def create(call: Call) -> Json:
    world, params = call.world, call.params
    account = world.connected(params["account"])
    if account is None:
        raise StripeError(
            "You requested an account link for an account that is not connected to your platform or does not exist."
        )
    for name in ("refresh_url", "return_url"):
        if name not in params:
            raise missing_param(name)
        if urlsplit(params[name]).scheme not in ("http", "https"):
            raise validation("Not a valid URL", name, "url_invalid")
    if params["type"] == "account_update" and account["type"] != "custom":
        raise StripeError(
            "You cannot create an account link of type account_update for an account with access to a Stripe-hosted dashboard.",
            param="type",
        )
    token = world.token(24)
    expires_at = call.now() + LIFETIME
    world.state.links[token] = {
        "kind": params["type"],
        "account": account.id,
        "used": False,
        "expires_at": expires_at,
        "refresh_url": params["refresh_url"],
        "return_url": params["return_url"],
    }
    return {
        "object": "account_link",
        "created": call.now(),
        "expires_at": expires_at,
        "url": f"{world.base_url}/setup/e/{account.id}/{token}",
    }


def open_link(world: World, token: str) -> Json | None:
    """Uses the link up. None when it is unknown, was used before, or is too old: the person then goes to its refresh URL."""
    link = world.state.links.get(token)
    if link is None or link["used"] or world.now() >= link["expires_at"]:
        return None
    link["used"] = True
    return link
