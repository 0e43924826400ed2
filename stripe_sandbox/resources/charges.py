"""Charges: what was tried on a card, and the payments that transfers arrive as."""

from stripe_sandbox.errors import Json, StripeError
from stripe_sandbox.rendering import by, included, list_of, page
from stripe_sandbox.routing import Call, metadata, route
from stripe_sandbox.world import Resource, World


def _refunds(world: World, charge: Resource) -> Json:
    shown = [world.get(id) for id in reversed(charge.hidden["refunds"])]
    return list_of(shown[:10], f"/v1/charges/{charge.id}/refunds", has_more=len(shown) > 10) | {
        "total_count": len(shown)
    }


included[("charge", "refunds")] = _refunds


@route("GET", "/v1/charges/{id}", "ChargeRetrieveParams")
def retrieve(call: Call) -> Json:
    return call.require("charge", "id", param="charge")


@route("GET", "/v1/charges", "ChargeListParams")
def list_charges(call: Call) -> Json:
    return page(
        call,
        "charge",
        "/v1/charges",
        {"customer": by("customer"), "payment_intent": by("payment_intent"), "transfer_group": by("transfer_group")},
    )


@route("POST", "/v1/charges/{id}", "ChargeUpdateParams")
def update(call: Call) -> Json:
    charge, params = call.require("charge", "id", param="charge"), call.params
    if "transfer_group" in params and charge["transfer_group"] not in (None, params["transfer_group"]):
        raise StripeError(
            "You cannot change the transfer_group of a charge that already has one.", param="transfer_group"
        )
    for name in ("description", "receipt_email", "transfer_group", "fraud_details"):
        if name in params:
            charge[name] = params[name] or None
    charge["metadata"] = metadata(charge["metadata"], params.get("metadata"))
    return charge


@route("GET", "/v1/charges/{id}/refunds", "ChargeListRefundsParams")
def list_refunds(call: Call) -> Json:
    charge = call.require("charge", "id", param="charge")
    return page(call, "refund", f"/v1/charges/{charge.id}/refunds", only=lambda each: bool(each["charge"] == charge.id))
