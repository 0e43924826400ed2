"""Which account a request is about, and whether the platform may write its details."""

from stripe_sandbox.errors import StripeError, account_invalid, mask_key
from stripe_sandbox.routing import Call
from stripe_sandbox.world import Resource


def owned(call: Call, name: str = "id") -> Resource:
    """The account in the URL: one of ours, or the caller's own. A deleted or foreign one is a 403, as at Stripe."""
    id = call.path[name]
    if id in (call.account, call.world.settings.platform):
        return call.world.get(id)
    found = call.world.connected(id) if call.on_platform else None
    if found is None:
        raise account_invalid(call.api_key, id)
    return found


def editable(call: Call, account: Resource) -> Resource:
    """The account, when the platform may write its person's and bank's details.

    Where Stripe collects the requirements it may prefill them until it makes an account link or account session. Stripe's words
    for the 403 are not documented for each of these calls; these are those of its other refusals of permission.
    """
    if account.hidden.get("opened"):
        key = mask_key(call.api_key)
        raise StripeError(
            f"The provided key '{key}' does not have the required permissions for this endpoint on account '{account.id}'.",
            status=403,
        )
    return account
