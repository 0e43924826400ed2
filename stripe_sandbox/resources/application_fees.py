"""Application fees: what the platform keeps of a charge, and gives back."""

from stripe_sandbox import events, money
from stripe_sandbox.errors import Json, StripeError, no_such
from stripe_sandbox.rendering import by, page
from stripe_sandbox.routing import Call, metadata, route
from stripe_sandbox.world import Resource, World


@route("GET", "/v1/application_fees/{id}", "ApplicationFeeRetrieveParams")
def retrieve(call: Call) -> Json:
    return call.require("application_fee", "id", param="id")


@route("GET", "/v1/application_fees", "ApplicationFeeListParams")
def list_fees(call: Call) -> Json:
    return page(call, "application_fee", "/v1/application_fees", {"charge": by("charge")})


@route("POST", "/v1/application_fees/{id}/refunds", "ApplicationFeeCreateRefundParams")
def create_refund(call: Call) -> Json:
    fee, params = call.require("application_fee", "id", param="id"), call.params
    left = fee["amount"] - fee["amount_refunded"]
    if left == 0:
        raise StripeError(f"Application fee {fee.id} has already been refunded.")
    amount = params.get("amount", left)
    if amount < 1:
        raise StripeError("Invalid positive integer", code="parameter_invalid_integer", param="amount")
    if amount > left:
        raise StripeError(
            f"Refund amount ({money.formatted(amount, fee['currency'])}) is greater than unrefunded amount on fee "
            f"({money.formatted(left, fee['currency'])})",
            param="amount",
        )
    refund = give_back(call.world, fee, amount, credit_account=True, metadata=metadata({}, params.get("metadata")))
    events.emit(call.world, call.account, "application_fee.refunded", fee)
    return refund


def give_back(
    world: World, fee: Resource, amount: int, *, credit_account: bool, metadata: Json | None = None
) -> Resource:
    """Returns part of the fee. `credit_account` is false when a transfer reversal credits the account already."""
    source = world.get(fee["balance_transaction"])
    waiting = source["available_on"] if source["status"] == "pending" else None
    refund = world.create(
        "fee_refund",
        fee.account,
        {"amount": amount, "currency": fee["currency"], "fee": fee.id, "metadata": metadata or {}},
    )
    booking = {"type": "application_fee_refund", "category": "platform_earning_refund", "currency": fee["currency"]}
    refund["balance_transaction"] = money.post(
        world, fee.account, amount=-amount, source=refund.id, available_on=waiting, **booking
    ).id
    if credit_account:
        money.post(world, fee["account"], amount=amount, source=refund.id, available_on=waiting, **booking)
    fee["amount_refunded"] += amount
    fee["refunded"] = fee["amount_refunded"] == fee["amount"]
    listed = [refund, *fee["refunds"]["data"]]
    fee["refunds"] = {**fee["refunds"], "data": listed, "total_count": len(listed)}
    return refund


@route("GET", "/v1/application_fees/{id}/refunds", "ApplicationFeeListRefundsParams")
def list_refunds(call: Call) -> Json:
    fee = call.require("application_fee", "id", param="id")
    return page(
        call, "fee_refund", f"/v1/application_fees/{fee.id}/refunds", only=lambda each: bool(each["fee"] == fee.id)
    )


@route("GET", "/v1/application_fees/{id}/refunds/{refund}", "ApplicationFeeRefundRetrieveParams")
def retrieve_refund(call: Call) -> Json:
    return _refund(call)


@route("POST", "/v1/application_fees/{id}/refunds/{refund}", "ApplicationFeeRefundUpdateParams")
def update_refund(call: Call) -> Json:
    refund = _refund(call)
    changed = metadata(refund["metadata"], call.params.get("metadata"))
    events.changed(call.world, call.account, "application_fee.refund.updated", refund, metadata=changed)
    return refund


def _refund(call: Call) -> Resource:
    fee = call.require("application_fee", "id", param="id")
    refund = call.require("fee_refund", "refund", param="refund")
    if refund["fee"] != fee.id:
        raise no_such("fee_refund", refund.id, param="refund", status=404)
    return refund
