"""Capabilities of an account: what it asked to do and whether it may."""

from stripe_sandbox.errors import Json, no_such
from stripe_sandbox.rendering import list_of
from stripe_sandbox.routing import Call, route
from stripe_sandbox.schema import schema

from . import account_state
from .account_access import owned


@route("GET", "/v1/accounts/{id}/capabilities", "AccountListCapabilitiesParams")
def list_capabilities(call: Call) -> Json:
    account = owned(call)
    shown = [account_state.capability_object(account, name) for name in sorted(account.hidden["capabilities"])]
    return list_of(shown, f"/v1/accounts/{account.id}/capabilities")


@route("GET", "/v1/accounts/{id}/capabilities/{capability}", "AccountRetrieveCapabilityParams")
def retrieve(call: Call) -> Json:
    account, name = owned(call), call.path["capability"]
    if name not in account.hidden["capabilities"]:
        raise no_such("capability", name, param="capability", status=404)
    return account_state.capability_object(account, name)


@route("POST", "/v1/accounts/{id}/capabilities/{capability}", "AccountCapabilityUpdateParams")
def update(call: Call) -> Json:
    account, name = owned(call), call.path["capability"]
    if name not in _known():
        raise no_such("capability", name, param="capability", status=404)
    account_state.request_capability(call.world, account, name, bool(call.params.get("requested", True)))
    return account_state.capability_object(account, name)


def _known() -> Json:
    """Every capability that the `stripe` package names."""
    named = (schema("AccountCreateParams").fields or {})["capabilities"]
    return named.fields or {}
