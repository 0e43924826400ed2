"""Transfers: money from the platform's balance to a connected account's, and back by reversals."""

from dataclasses import dataclass
from typing import Any

from .. import events, money
from ..errors import Json, StripeError, missing_param, no_such
from ..rendering import by, list_of, page
from ..routing import Call, metadata, route
from ..world import Resource, World
from . import account_state

NO_FUNDS = (
    "You have insufficient available funds in your Stripe account. Try adding funds directly to your available balance by creating Charges using "
    "the 4000000000000077 test card. See: https://stripe.com/docs/testing#available-balance"
)


@dataclass(slots=True)
class Moved:
    """What settling a charge made besides its balance transaction."""

    transfer: Resource | None = None
    fee: Resource | None = None


def settle_charge(world: World, intent: Resource, charge: Resource, available_on: int | None) -> Moved:
    """Books a captured charge: its fee, and where it has a destination, the transfer and the application fee.

    The platform bears Stripe's fee of destination charges; a direct charge's account bears it itself.
    """
    amount, currency, account = charge["amount_captured"], charge["currency"], charge.account
    own_fee = money.stripe_fee(money.processing_fee(amount, currency), currency)
    fee_amount = min(intent["application_fee_amount"] or 0, amount)
    direct = not world.is_platform(account) and bool(fee_amount)
    fees = [_application_fee_detail(world, fee_amount, currency)] if direct else []
    transaction = money.post(world, account, type="charge", category="charge", amount=amount, currency=currency, source=charge.id,
                             description=charge["description"], fees=[*fees, own_fee], available_on=available_on)
    charge["balance_transaction"] = transaction.id
    if direct:
        fee = _new_fee(world, account, fee_amount, currency, charge, None, available_on)
        charge["application_fee"] = fee.id
        return Moved(fee=fee)
    destination = charge["transfer_data"] and charge["transfer_data"]["destination"]
    if not destination:
        return Moved()
    share = charge["transfer_data"]["amount"]
    transfer = move(world, account, world.get(destination), amount=amount if share is None else min(share, amount), currency=currency,
                    charge=charge, group=charge["transfer_group"], fee_amount=fee_amount)
    charge["transfer"] = transfer.id
    if not fee_amount:
        return Moved(transfer)
    payment = world.get(transfer["destination_payment"])
    fee = world.get(payment["application_fee"])
    charge["application_fee"] = fee.id
    return Moved(transfer, fee)


def move(world: World, account: str, destination: Resource, *, amount: int, currency: str, charge: Resource | None, group: str | None,
         fee_amount: int = 0, **fields: Any) -> Resource:
    """Makes a transfer and the payment that it is on the other side, with both balance transactions.

    Money of a charge that is still pending arrives pending and becomes available with the charge.
    """
    available_on = charge.hidden["available_on"] if charge is not None else None
    transfer = world.create("transfer", account, {
        "amount": amount, "amount_reversed": 0, "currency": currency, "destination": destination.id, "reversed": False,
        "source_transaction": charge.id if charge is not None else None, "source_type": "card", "transfer_group": group, **fields,
    })
    transfer["reversals"] = list_of([], f"/v1/transfers/{transfer.id}/reversals") | {"total_count": 0}
    payment = _destination_payment(world, destination.id, transfer)
    transfer["destination_payment"] = payment.id
    transfer["balance_transaction"] = money.post(
        world, account, type="transfer", category="transfer", amount=-amount, currency=currency, source=transfer.id,
        description=transfer["description"], available_on=available_on).id
    details = []
    if fee_amount:
        payment.update(application_fee=_new_fee(world, destination.id, fee_amount, currency, payment, charge, available_on).id,
                       application_fee_amount=fee_amount)
        details = [_application_fee_detail(world, fee_amount, currency)]
    payment["balance_transaction"] = money.post(
        world, destination.id, type="payment", category="charge", amount=amount, currency=currency, source=payment.id, fees=details,
        available_on=available_on).id
    if charge is not None:
        charge.hidden["transfers"].append(transfer.id)
    return transfer


def _destination_payment(world: World, account: str, transfer: Resource) -> Resource:
    return world.create("charge", account, {
        "amount": transfer["amount"], "amount_captured": transfer["amount"], "amount_refunded": 0, "captured": True,
        "billing_details": {"address": dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state")), "email": None, "name": None,
                            "phone": None, "tax_id": None},
        "currency": transfer["currency"], "disputed": False, "fraud_details": {}, "paid": True, "payment_method_details":
        {"stripe_account": {}, "type": "stripe_account"}, "refunded": False, "source_transfer": transfer.id, "status": "succeeded",
    }, id_kind="payment", hidden={"refunds": [], "transfers": []})


def _application_fee_detail(world: World, amount: int, currency: str) -> Json:
    return {"amount": amount, "application": _application(world), "currency": currency, "description": "Sandbox platform application fee",
            "type": "application_fee"}


def _application(world: World) -> str:
    return str(world.get(world.settings.platform).hidden["application"])


def _new_fee(world: World, account: str, amount: int, currency: str, charge: Resource, originating: Resource | None,
             available_on: int | None) -> Resource:
    """The platform's fee out of the account's charge, on the platform's balance."""
    platform = world.settings.platform
    fee = world.create("application_fee", platform, {
        "account": account, "amount": amount, "amount_refunded": 0, "application": _application(world), "charge": charge.id, "currency": currency,
        "fee_source": {"charge": charge.id, "type": "charge"}, "originating_transaction": originating.id if originating is not None else None,
        "refunded": False,
    })
    fee["refunds"] = list_of([], f"/v1/application_fees/{fee.id}/refunds") | {"total_count": 0}
    fee["balance_transaction"] = money.post(
        world, platform, type="application_fee", category="platform_earning", amount=amount, currency=currency, source=fee.id,
        available_on=available_on).id
    return fee


@route("POST", "/v1/transfers", "TransferCreateParams")
def create(call: Call) -> Json:
    world, params = call.world, call.params
    currency = money.check_currency(params["currency"])
    destination = world.find("account", params["destination"], world.settings.platform)
    if destination is None:
        raise no_such("destination", params["destination"], param="destination")
    charge = _source(call, currency) if "source_transaction" in params else None
    amount = params.get("amount", charge["amount_captured"] if charge is not None else None)
    if amount is None:
        raise missing_param("amount")
    if amount < 1:
        raise StripeError("Invalid positive integer", code="parameter_invalid_integer", param="amount")
    if not account_state.can_receive_transfers(destination):
        raise StripeError("Your destination account needs to have at least one of the following capabilities enabled: transfers, "
                          "crypto_transfers, legacy_payments", code="insufficient_capabilities_for_transfer")
    if charge is not None:
        _check_source_amount(world, charge, amount)
    elif money.available(world, call.account, currency) < amount:
        raise StripeError(NO_FUNDS, code="balance_insufficient")
    group = params.get("transfer_group") or (_group_of(charge) if charge is not None else None)
    transfer = move(world, call.account, destination, amount=amount, currency=currency, charge=charge, group=group,
                    description=params.get("description") or None, metadata=metadata({}, params.get("metadata")))
    events.emit(world, call.account, "transfer.created", transfer)
    return transfer


def _source(call: Call, currency: str) -> Resource:
    charge = call.world.require("charge", call.params["source_transaction"], call.account, param="source_transaction")
    if not charge["captured"] or charge["status"] != "succeeded":
        raise StripeError(f"The charge {charge.id} has not been captured, so it cannot be used as a source_transaction.", param="source_transaction")
    if charge["currency"] != currency:
        raise StripeError(f"The currency of source_transaction's balance transaction ({charge['currency']}) must be the same as the transfer "
                          f"currency ({currency})", param="currency")
    return charge


def _check_source_amount(world: World, charge: Resource, amount: int) -> None:
    """All transfers of one charge together stay within it."""
    earlier = [world.get(id) for id in charge.hidden["transfers"]]
    used = sum(transfer["amount"] for transfer in earlier)
    if used + amount <= charge["amount_captured"]:
        return
    limit = money.formatted(charge["amount_captured"], charge["currency"])
    note = ""
    if len(earlier) == 1:
        note = f" (There is already a transfer using this source, amounting to {money.formatted(used, charge['currency'])}.)"
    elif earlier:
        note = f" (There are already {len(earlier)} transfers using this source, amounting to {money.formatted(used, charge['currency'])}.)"
    raise StripeError(f"Transfers using this transaction as a source must not exceed the source amount of {limit}.{note}")


def _group_of(charge: Resource) -> str:
    """The charge's group; a charge without one gets it, as its transfers then belong together."""
    if charge["transfer_group"] is None:
        charge["transfer_group"] = f"group_{charge['payment_intent'] or charge.id}"
    return str(charge["transfer_group"])


@route("GET", "/v1/transfers/{id}", "TransferRetrieveParams")
def retrieve(call: Call) -> Json:
    return call.require("transfer", "id", param="transfer")


@route("GET", "/v1/transfers", "TransferListParams")
def list_transfers(call: Call) -> Json:
    return page(call, "transfer", "/v1/transfers", {"destination": by("destination"), "transfer_group": by("transfer_group")})


@route("POST", "/v1/transfers/{id}", "TransferUpdateParams")
def update(call: Call) -> Json:
    transfer, params = call.require("transfer", "id", param="transfer"), call.params
    changes: Json = {"metadata": metadata(transfer["metadata"], params.get("metadata"))}
    if "description" in params:
        changes["description"] = params["description"] or None
    events.changed(call.world, call.account, "transfer.updated", transfer, **changes)
    return transfer


@route("POST", "/v1/transfers/{id}/reversals", "TransferCreateReversalParams")
def create_reversal(call: Call) -> Json:
    transfer, params = call.require("transfer", "id", param="transfer"), call.params
    left = transfer["amount"] - transfer["amount_reversed"]
    if left == 0:
        raise StripeError(f"The transfer {transfer.id} is already fully reversed.")
    amount = params.get("amount", left)
    if amount < 1:
        raise StripeError("Invalid positive integer", code="parameter_invalid_integer", param="amount")
    if amount > left:
        raise StripeError(f"Reversal amount ({money.formatted(amount, transfer['currency'])}) is greater than the unreversed amount on transfer "
                          f"({money.formatted(left, transfer['currency'])})", param="amount")
    if transfer["source_transaction"] is None and money.available(call.world, transfer["destination"], transfer["currency"]) < amount:
        raise StripeError("You have insufficient funds in your connected account's balance to reverse this transfer.", code="balance_insufficient")
    reversal = reverse(call.world, transfer, amount, metadata=metadata({}, params.get("metadata")))
    events.emit(call.world, call.account, "transfer.reversed", transfer)
    return reversal


def reverse(world: World, transfer: Resource, amount: int, *, source_refund: str | None = None, **fields: Any) -> Resource:
    """Takes an amount back from the destination. Its balance may go below zero; the platform stands in for that."""
    account, currency, destination = transfer.account, transfer["currency"], transfer["destination"]
    payment = world.get(transfer["destination_payment"])
    waiting = _still_pending(world, payment)
    reversal = world.create("transfer_reversal", account, {"amount": amount, "currency": currency, "source_refund": source_refund,
                                                           "transfer": transfer.id, **fields})
    refund = world.create("refund", destination, {"amount": amount, "charge": payment.id, "currency": currency, "status": "succeeded",
                                                  "source_transfer_reversal": reversal.id}, id_kind="payment_refund")
    refund["balance_transaction"] = money.post(world, destination, type="payment_refund", category="refund", amount=-amount, currency=currency,
                                               source=refund.id, available_on=waiting).id
    reversal["destination_payment_refund"] = refund.id
    reversal["balance_transaction"] = money.post(world, account, type="transfer_refund", category="transfer_reversal", amount=amount,
                                                 currency=currency, source=reversal.id, available_on=waiting).id
    payment["amount_refunded"] += amount
    payment["refunded"] = payment["amount_refunded"] == payment["amount"]
    transfer["amount_reversed"] += amount
    transfer["reversed"] = transfer["amount_reversed"] == transfer["amount"]
    listed = [reversal, *transfer["reversals"]["data"]]
    transfer["reversals"] = {**transfer["reversals"], "data": listed, "total_count": len(listed)}
    return reversal


def _still_pending(world: World, payment: Resource) -> int | None:
    """When the payment's money becomes available, while it is not: what is taken back of it waits as long."""
    transaction = world.get(payment["balance_transaction"])
    return int(transaction["available_on"]) if transaction["status"] == "pending" else None


@route("GET", "/v1/transfers/{id}/reversals", "TransferListReversalsParams")
def list_reversals(call: Call) -> Json:
    transfer = call.require("transfer", "id", param="transfer")
    return page(call, "transfer_reversal", f"/v1/transfers/{transfer.id}/reversals", only=lambda each: bool(each["transfer"] == transfer.id))


@route("GET", "/v1/transfers/{id}/reversals/{reversal}", "TransferRetrieveReversalParams")
def retrieve_reversal(call: Call) -> Json:
    transfer = call.require("transfer", "id", param="transfer")
    reversal = call.require("transfer_reversal", "reversal", param="id")
    if reversal["transfer"] != transfer.id:
        raise no_such("transfer_reversal", reversal.id, param="id", status=404)
    return reversal
