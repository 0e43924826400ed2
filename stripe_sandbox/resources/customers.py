"""Customers."""

from stripe_sandbox import events
from stripe_sandbox.errors import Json, StripeError
from stripe_sandbox.rendering import by, page
from stripe_sandbox.routing import Call, metadata, route
from stripe_sandbox.shapes import kept
from stripe_sandbox.world import Resource, World

from . import payment_methods

PLAIN = (
    "name",
    "email",
    "phone",
    "description",
    "address",
    "shipping",
    "preferred_locales",
    "tax_exempt",
    "business_name",
    "individual_name",
)
BILLING = ("balance", "invoice_prefix", "next_invoice_sequence")  # kept, though nothing is billed
NO_INVOICE_SETTINGS = dict.fromkeys(("custom_fields", "default_payment_method", "footer", "rendering_options"))


def new_customer(world: World, account: str, params: Json) -> Resource:
    """Makes a customer and tells of it."""
    customer = world.create(
        "customer",
        account,
        {
            **{name: params[name] or None for name in PLAIN if name in params},
            "balance": 0,
            "delinquent": False,
            "invoice_prefix": world.token(8).upper(),
            "livemode": False,
            "next_invoice_sequence": 1,
            "invoice_settings": _invoice_settings(NO_INVOICE_SETTINGS, params),
            "metadata": metadata({}, params.get("metadata")),
            "preferred_locales": params.get("preferred_locales") or [],
            "tax_exempt": params.get("tax_exempt") or "none",
            **{name: params[name] for name in BILLING if name in params},
        },
    )
    events.emit(world, account, "customer.created", customer)
    return customer


def _invoice_settings(current: Json, params: Json) -> Json:
    """The settings after a request; the default payment method is set apart, once it is known to be the customer's."""
    given = kept("customer", params, ["invoice_settings"]).get("invoice_settings") or {}
    return {**current, **given, "default_payment_method": current["default_payment_method"]}


@route("POST", "/v1/customers", "CustomerCreateParams")
def create(call: Call) -> Json:
    world, params = call.world, call.params
    method = None
    if "payment_method" in params:
        method = payment_methods.resolve(world, call.account, params["payment_method"])
        payment_methods.check_attachable(method)
    wanted = _default_method(call, method.id if method is not None else None)
    customer = new_customer(world, call.account, params)
    if wanted:
        customer["invoice_settings"] = {**customer["invoice_settings"], "default_payment_method": wanted}
    if method is not None:
        payment_methods.attach_to(world, method, customer.id)
    return customer


@route("GET", "/v1/customers/{id}", "CustomerRetrieveParams")
def retrieve(call: Call) -> Json:
    stored = call.world.state.objects.get(call.path["id"])
    if (
        stored is not None
        and stored["object"] == "customer"
        and stored.account == call.account
        and stored.hidden.get("deleted")
    ):
        return {"id": stored.id, "object": "customer", "deleted": True}
    return call.require("customer", "id", param="id")


@route("POST", "/v1/customers/{id}", "CustomerUpdateParams")
def update(call: Call) -> Json:
    customer, params = call.require("customer", "id", param="id"), call.params
    changes: Json = {name: params[name] or None for name in PLAIN if name in params}
    if "metadata" in params:
        changes["metadata"] = metadata(customer["metadata"], params["metadata"])
    changes |= {name: params[name] for name in BILLING if name in params}
    changes["invoice_settings"] = _invoice_settings(customer["invoice_settings"], params)
    wanted = _default_method(call, None, customer.id)
    if wanted:
        changes["invoice_settings"]["default_payment_method"] = wanted
    events.changed(call.world, call.account, "customer.updated", customer, **changes)
    return customer


def _default_method(call: Call, given: str | None, customer: str | None = None) -> str | None:
    """The wanted default card: one that the customer has, or that it is `given` right now."""
    wanted: str | None = (call.params.get("invoice_settings") or {}).get("default_payment_method")
    if not wanted or wanted == given:
        return wanted
    where = "invoice_settings[default_payment_method]"
    method = call.world.require("payment_method", wanted, call.account, param=where, label="PaymentMethod")
    if customer is None or method["customer"] != customer:
        raise StripeError(
            f"The customer does not have a payment method with the ID {wanted}. The payment method must be attached to the customer.",
            code="resource_missing",
            param=where,
        )
    return wanted


@route("DELETE", "/v1/customers/{id}", "CustomerDeleteParams")
def delete(call: Call) -> Json:
    customer = call.require("customer", "id", param="id")
    for method in call.world.all("payment_method", call.account):
        if method["customer"] == customer.id:
            method["customer"], method.hidden["used"] = None, True
    call.world.forget(customer)
    events.emit(call.world, call.account, "customer.deleted", customer)
    return {"id": customer.id, "object": "customer", "deleted": True}


@route("GET", "/v1/customers", "CustomerListParams")
def list_customers(call: Call) -> Json:
    return page(call, "customer", "/v1/customers", {"email": by("email")})
