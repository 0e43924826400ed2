"""Application fees: what the platform keeps of a charge, and gives back."""

from .. import events, money
from ..errors import Json, StripeError
from ..rendering import by, page
from ..routing import Call, metadata, route
from ..world import Resource, World


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
    amount = params.get("amount", left)
    if left == 0 or amount > left:
        raise StripeError(f"Refund amount ({money.formatted(amount, fee['currency'])}) is greater than unrefunded amount on fee "
                          f"({money.formatted(left, fee['currency'])})", param="amount")
    refund = give_back(call.world, fee, amount, metadata=metadata({}, params.get("metadata")))
    events.emit(call.world, call.account, "application_fee.refunded", fee)
    return refund


def give_back(world: World, fee: Resource, amount: int, **fields: Json) -> Resource:
    """Returns part of the fee to the account that paid it."""
    refund = world.create("fee_refund", fee.account, {"amount": amount, "currency": fee["currency"], "fee": fee.id, **fields})
    refund["balance_transaction"] = money.post(world, fee.account, type="application_fee_refund", category="platform_earning_refund",
                                               amount=-amount, currency=fee["currency"], source=refund.id).id
    money.post(world, fee["account"], type="application_fee_refund", category="platform_earning_refund", amount=amount, currency=fee["currency"],
               source=refund.id)
    fee["amount_refunded"] += amount
    fee["refunded"] = fee["amount_refunded"] == fee["amount"]
    listed = [refund, *fee["refunds"]["data"]]
    fee["refunds"] = {**fee["refunds"], "data": listed, "total_count": len(listed)}
    return refund


@route("GET", "/v1/application_fees/{id}/refunds", "ApplicationFeeListRefundsParams")
def list_refunds(call: Call) -> Json:
    fee = call.require("application_fee", "id", param="id")
    return page(call, "fee_refund", f"/v1/application_fees/{fee.id}/refunds", only=lambda each: bool(each["fee"] == fee.id))
