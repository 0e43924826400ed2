"""Transfers: money from the platform's balance to a connected account's, and back by reversals."""

from stripe_sandbox import events, money
from stripe_sandbox.errors import Json, StripeError, missing_param, no_such
from stripe_sandbox.rendering import by, page
from stripe_sandbox.routing import Call, metadata, route
from stripe_sandbox.world import Resource, World

from . import account_state, application_fees, transfer_flow

NO_FUNDS = (
    "You have insufficient available funds in your Stripe account. Try adding funds directly to your available balance by creating Charges using "
    "the 4000000000000077 test card. See: https://stripe.com/docs/testing#available-balance"
)


@route("POST", "/v1/transfers", "TransferCreateParams")
def create(call: Call) -> Json:
    world, params = call.world, call.params
    currency = money.check_currency(params["currency"])
    destination = world.connected(params["destination"]) if world.is_platform(call.account) else None
    if destination is None:  # a connected account has none connected to itself
        raise no_such("destination", params["destination"], param="destination")
    charge = _source(call, currency) if "source_transaction" in params else None
    amount = params.get("amount", charge["amount_captured"] if charge is not None else None)
    if amount is None:
        raise missing_param("amount")
    if amount < 1:
        raise StripeError("Invalid positive integer", code="parameter_invalid_integer", param="amount")
    if not account_state.can_receive_transfers(destination):
        raise StripeError(
            "Your destination account needs to have at least one of the following capabilities enabled: transfers, "
            "crypto_transfers, legacy_payments",
            code="insufficient_capabilities_for_transfer",
        )
    if charge is not None:
        _check_source_amount(world, charge, amount)
    elif money.available(world, call.account, currency) < amount:
        raise StripeError(NO_FUNDS, code="balance_insufficient")
    group = params.get("transfer_group") or (_group_of(charge) if charge is not None else None)
    transfer = transfer_flow.move(
        world,
        call.account,
        destination,
        amount=amount,
        currency=currency,
        charge=charge,
        group=group,
        description=params.get("description") or None,
        metadata=metadata({}, params.get("metadata")),
    )
    events.emit(world, call.account, "transfer.created", transfer)
    return transfer


def _source(call: Call, currency: str) -> Resource:
    charge = call.world.require("charge", call.params["source_transaction"], call.account, param="source_transaction")
    if not charge["captured"] or charge["status"] != "succeeded":
        raise StripeError(
            f"The charge {charge.id} has not been captured, so it cannot be used as a source_transaction.",
            param="source_transaction",
        )
    if charge["currency"] != currency:
        raise StripeError(
            f"The currency of source_transaction's balance transaction ({charge['currency']}) must be the same as the transfer "
            f"currency ({currency})",
            param="currency",
        )
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
    raise StripeError(
        f"Transfers using this transaction as a source must not exceed the source amount of {limit}.{note}"
    )


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
    return page(
        call, "transfer", "/v1/transfers", {"destination": by("destination"), "transfer_group": by("transfer_group")}
    )


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
        raise StripeError(
            f"Reversal amount ({money.formatted(amount, transfer['currency'])}) is greater than the unreversed amount on transfer "
            f"({money.formatted(left, transfer['currency'])})",
            param="amount",
        )
    if (
        transfer["source_transaction"] is None
        and money.available(call.world, transfer["destination"], transfer["currency"]) < amount
    ):
        raise StripeError(
            "You have insufficient funds in your connected account's balance to reverse this transfer.",
            code="balance_insufficient",
        )
    fee, returned = _fee_to_return(call, transfer, amount)
    reversal = transfer_flow.reverse(
        call.world, transfer, amount, returned_fee=returned, metadata=metadata({}, params.get("metadata"))
    )
    if fee is not None and returned:
        application_fees.give_back(call.world, fee, returned, credit_account=False)
    events.emit(call.world, call.account, "transfer.reversed", transfer)
    if fee is not None and returned:
        events.emit(call.world, call.account, "application_fee.refunded", fee)
    return reversal


def _fee_to_return(call: Call, transfer: Resource, amount: int) -> tuple[Resource | None, int]:
    """With `refund_application_fee` the fee of a destination charge goes back pro rata, rounded half up."""
    id = call.world.get(transfer["destination_payment"])["application_fee"]
    if not call.params.get("refund_application_fee"):
        return None, 0
    if not id:
        raise StripeError(
            f"The transfer {transfer.id} has no application fee to refund.", param="refund_application_fee"
        )
    fee = call.world.get(id)
    share = (2 * fee["amount"] * amount + transfer["amount"]) // (2 * transfer["amount"])
    return fee, min(share, fee["amount"] - fee["amount_refunded"])


@route("GET", "/v1/transfers/{id}/reversals", "TransferListReversalsParams")
def list_reversals(call: Call) -> Json:
    transfer = call.require("transfer", "id", param="transfer")
    return page(
        call,
        "transfer_reversal",
        f"/v1/transfers/{transfer.id}/reversals",
        only=lambda each: bool(each["transfer"] == transfer.id),
    )


@route("GET", "/v1/transfers/{id}/reversals/{reversal}", "TransferRetrieveReversalParams")
def retrieve_reversal(call: Call) -> Json:
    return _reversal(call)


@route("POST", "/v1/transfers/{id}/reversals/{reversal}", "TransferReversalUpdateParams")
def update_reversal(call: Call) -> Json:
    """Metadata only; Stripe names no event for it."""
    reversal = _reversal(call)
    reversal["metadata"] = metadata(reversal["metadata"], call.params.get("metadata"))
    return reversal


def _reversal(call: Call) -> Resource:
    transfer = call.require("transfer", "id", param="transfer")
    reversal = call.require("transfer_reversal", "reversal", param="id")
    if reversal["transfer"] != transfer.id:
        raise no_such("transfer_reversal", reversal.id, param="id", status=404)
    return reversal
