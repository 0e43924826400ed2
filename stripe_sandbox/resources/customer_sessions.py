"""Customer sessions: what lets a page or an app see one customer's saved payment methods."""

from stripe import CustomerSession

from stripe_sandbox.errors import Json, missing_param
from stripe_sandbox.routing import Call, route

from .account_sessions import components

LIFETIME = 1800  # seconds; Stripe names no number
# The payment element's features are never null.
ELEMENT_DEFAULTS = {
    "payment_method_allow_redisplay_filters": ["always"],
    "payment_method_redisplay": "disabled",
    "payment_method_redisplay_limit": 3,
    "payment_method_remove": "disabled",
    "payment_method_save": "disabled",
    "payment_method_save_usage": None,
}


@route("POST", "/v1/customer_sessions", "CustomerSessionCreateParams")
def create(call: Call) -> Json:
    world, params = call.world, call.params
    if "customer" not in params:
        raise missing_param("customer")
    customer = world.require("customer", params["customer"], call.account, param="customer")
    return {
        "object": "customer_session",
        "client_secret": f"cuss_secret_{world.token(40)}",
        "components": _shown(params["components"]),
        "created": call.now(),
        "customer": customer.id,
        "customer_account": None,
        "expires_at": call.now() + LIFETIME,
        "livemode": False,
    }


def _shown(given: Json) -> Json:
    shown = components(CustomerSession, given)
    for name in ("customer_sheet", "mobile_payment_element", "payment_element"):
        if not shown[name]["enabled"]:
            shown[name]["features"] = None
    element = shown["payment_element"]
    if element["enabled"]:
        features = (given.get("payment_element") or {}).get("features") or {}
        element["features"] = {**ELEMENT_DEFAULTS, **features}
    return shown
