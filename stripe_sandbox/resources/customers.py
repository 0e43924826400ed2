"""Customers."""

from stripe_sandbox import events
from stripe_sandbox.errors import Json
from stripe_sandbox.rendering import by, page
from stripe_sandbox.routing import Call, metadata, route
from stripe_sandbox.world import Resource, World

from . import payment_methods

PLAIN = ("name", "email", "phone", "description", "address", "shipping", "preferred_locales", "tax_exempt")


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
            "invoice_settings": {
                "custom_fields": None,
                "default_payment_method": None,
                "footer": None,
                "rendering_options": None,
            },
            "metadata": metadata({}, params.get("metadata")),
            "preferred_locales": params.get("preferred_locales") or [],
            "tax_exempt": params.get("tax_exempt") or "none",
        },
    )
    events.emit(world, account, "customer.created", customer)
    return customer


@route("POST", "/v1/customers", "CustomerCreateParams")
def create(call: Call) -> Json:
    world, params = call.world, call.params
    method = (
        payment_methods.resolve(world, call.account, params["payment_method"]) if "payment_method" in params else None
    )
    customer = new_customer(world, call.account, params)
    if method is not None:
        payment_methods.attach_to(world, method, customer.id)
    _set_default(call, customer)
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
    _set_default(call, customer)
    events.changed(call.world, call.account, "customer.updated", customer, **changes)
    return customer


def _set_default(call: Call, customer: Resource) -> None:
    wanted = (call.params.get("invoice_settings") or {}).get("default_payment_method")
    if wanted:
        method = call.world.require(
            "payment_method",
            wanted,
            call.account,
            param="invoice_settings[default_payment_method]",
            label="PaymentMethod",
        )
        payment_methods.attach_to(call.world, method, customer.id)
        customer["invoice_settings"] = {**customer["invoice_settings"], "default_payment_method": method.id}


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
