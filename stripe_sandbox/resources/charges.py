"""Charges: what was tried on a card, and the payments that transfers arrive as."""

from stripe_sandbox import events
from stripe_sandbox.errors import Json, StripeError, no_such
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
    if "customer" in params and charge["customer"] not in (None, params["customer"]):
        raise StripeError("You cannot change the customer of a charge that already has one.", param="customer")
    if params.get("customer"):
        call.world.require("customer", params["customer"], call.account, param="customer")
    changes: Json = {
        name: params[name] or None
        for name in ("customer", "description", "receipt_email", "shipping", "transfer_group")
        if name in params
    }
    if params.get("fraud_details"):
        report = params["fraud_details"]["user_report"]
        changes["fraud_details"] = {**charge["fraud_details"], "user_report": report} if report else {}
    if "metadata" in params:
        changes["metadata"] = metadata(charge["metadata"], params["metadata"])
    events.changed(call.world, call.account, "charge.updated", charge, **changes)
    return charge


@route("POST", "/v1/charges/{id}/capture", "ChargeCaptureParams")
def capture(call: Call) -> Json:
    """Only for charges made without a PaymentIntent, which the sandbox does not have."""
    charge = call.require("charge", "id", param="charge")
    raise StripeError(
        f"The charge {charge.id} belongs to the PaymentIntent {charge['payment_intent']}: capture that instead."
        if charge["payment_intent"]
        else f"Charge {charge.id} has already been captured.",
        code=None if charge["payment_intent"] else "charge_already_captured",
    )


@route("GET", "/v1/charges/{id}/refunds/{refund}", "ChargeRetrieveRefundParams")
def retrieve_refund(call: Call) -> Json:
    charge = call.require("charge", "id", param="charge")
    refund = call.require("refund", "refund", param="refund")
    if refund["charge"] != charge.id:
        raise no_such("refund", refund.id, param="refund", status=404)
    return refund


@route("GET", "/v1/charges/{id}/refunds", "ChargeListRefundsParams")
def list_refunds(call: Call) -> Json:
    charge = call.require("charge", "id", param="charge")
    return page(call, "refund", f"/v1/charges/{charge.id}/refunds", only=lambda each: bool(each["charge"] == charge.id))
