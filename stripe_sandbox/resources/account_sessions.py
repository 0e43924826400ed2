"""Account sessions: what a page with Stripe's embedded components is opened with."""

from typing import Any

from stripe import AccountSession, CustomerSession

from stripe_sandbox.errors import Json, StripeError
from stripe_sandbox.routing import Call, route

from . import account_state

LIFETIME = 3600  # seconds; Stripe says "relatively quickly" and names no number
FOREIGN = "You requested an account session for an account that is not connected to your platform or does not exist."
# Off unless asked for, even where the component is on; which of the others Stripe turns on by default is documented in part only.
OFF_BY_DEFAULT = frozenset({"disable_stripe_user_authentication", "destination_on_behalf_of_charge_management"})


@route("POST", "/v1/account_sessions", "AccountSessionCreateParams")
def create(call: Call) -> Json:
    world, params = call.world, call.params
    account = world.connected(params["account"])
    if account is None:
        raise StripeError(FOREIGN, param="account")
    account_state.hand_over(account)
    return {
        "object": "account_session",
        "account": account.id,
        "client_secret": f"accs_secret__{world.token(43)}",
        "components": components(AccountSession, params["components"]),
        "expires_at": call.now() + LIFETIME,
        "livemode": False,
    }


def components(session: type[AccountSession | CustomerSession], given: Json) -> Json:
    """Every component that the package's class knows, on or off, with its features."""
    known: dict[str, Any] = session.Components._inner_class_types  # noqa: SLF001 - the package's own list of the classes
    return {name: _component(kind, given.get(name) or {}) for name, kind in known.items()}


def _component(kind: Any, given: Json) -> Json:
    enabled = bool(given.get("enabled"))
    shown: Json = {"enabled": enabled}
    features = getattr(kind, "Features", None)
    if features is not None:
        defaults = {name: _default(name, hint, enabled) for name, hint in features.__annotations__.items()}
        shown["features"] = {**defaults, **(given.get("features") or {})}
    return shown


def _default(name: str, hint: Any, enabled: bool) -> Any:
    """Switches follow their component, those that name a choice are null."""
    return enabled and name not in OFF_BY_DEFAULT if hint is bool else None
