"""Account links: single-use ways into the hosted onboarding, dead after five minutes."""

from stripe_sandbox import addresses
from stripe_sandbox.errors import Json, StripeError, missing_param
from stripe_sandbox.routing import Call, route
from stripe_sandbox.world import World

from . import account_state

LIFETIME = 300  # seconds; the documented example, Stripe names no number
# By the type of the account, as in recorded addresses of Stripe's; the one of standard accounts is also that of newer links.
PATHS = {"express": "e", "custom": "c", "standard": "s"}


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
        addresses.check(params, name)
    if params["type"] == "account_update" and account["controller"]["stripe_dashboard"]["type"] != "none":
        raise StripeError(
            "You cannot create an account link of type account_update for an account with access to a Stripe-hosted dashboard.",
            param="type",
        )
    account_state.hand_over(account)
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
        "url": f"{world.base_url}/setup/{PATHS[account['type']]}/{account.id}/{token}",
    }


def of_account(world: World, account: str, token: str) -> Json | None:
    """The link with this token to the account's onboarding, used or not; None when there is none."""
    link = world.state.links.get(token)
    return link if link is not None and link["account"] == account and "return_url" in link else None


def open_link(world: World, link: Json) -> bool:
    """Uses the link up. False when it was used before, or is too old: the person then goes to its refresh URL."""
    if link["used"] or world.now() >= link["expires_at"]:
        return False
    link["used"] = True
    return True


def finish(link: Json) -> bool:
    """The page that the link opened is sent, once. False when it was before, or was never opened."""
    if not link["used"] or link.get("finished"):
        return False
    link["finished"] = True
    return True
