"""How money moves between the platform and a connected account: settled charges, transfers, reversals, fees."""

from dataclasses import dataclass
from typing import Any

from stripe_sandbox import money
from stripe_sandbox.errors import Json
from stripe_sandbox.rendering import list_of
from stripe_sandbox.routing import metadata
from stripe_sandbox.world import Resource, World


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
    transaction = money.post(
        world,
        account,
        type="charge",
        category="charge",
        amount=amount,
        currency=currency,
        source=charge.id,
        description=charge["description"],
        fees=[*fees, own_fee],
        available_on=available_on,
    )
    charge["balance_transaction"] = transaction.id
    if direct:
        fee = _new_fee(world, charge, fee_amount, None, available_on)
        charge["application_fee"] = fee.id
        return Moved(fee=fee)
    destination = charge["transfer_data"] and charge["transfer_data"]["destination"]
    if not destination:
        return Moved()
    share = charge["transfer_data"]["amount"]
    transfer = move(
        world,
        account,
        world.get(destination),
        amount=amount if share is None else min(share, amount),
        currency=currency,
        charge=charge,
        group=charge["transfer_group"],
        fee_amount=fee_amount,
        **_words(intent["transfer_data"]),
    )
    charge["transfer"] = transfer.id
    world.get(transfer["destination_payment"]).update(_words(intent["transfer_data"].get("payment_data") or {}))
    if not fee_amount:
        return Moved(transfer)
    payment = world.get(transfer["destination_payment"])
    fee = world.get(payment["application_fee"])
    charge["application_fee"] = fee.id
    return Moved(transfer, fee)


def _words(said: Json) -> Json:
    """What a payment says of its transfer, or of the payment that this is on the other side."""
    return {"description": said.get("description") or None, "metadata": metadata({}, said.get("metadata"))}


def move(
    world: World,
    account: str,
    destination: Resource,
    *,
    amount: int,
    currency: str,
    charge: Resource | None,
    group: str | None,
    fee_amount: int = 0,
    **fields: Any,
) -> Resource:
    """Makes a transfer and the payment that it is on the other side, with both balance transactions.

    Money of a charge that is still pending arrives pending and becomes available with the charge.
    """
    transfer = world.create(
        "transfer",
        account,
        {
            "amount": amount,
            "amount_reversed": 0,
            "currency": currency,
            "destination": destination.id,
            "reversed": False,
            "source_transaction": charge.id if charge is not None else None,
            "source_type": "card",
            "transfer_group": group,
            **fields,
        },
    )
    transfer["reversals"] = list_of([], f"/v1/transfers/{transfer.id}/reversals") | {"total_count": 0}
    payment = _destination_payment(world, destination.id, transfer)
    transfer["destination_payment"] = payment.id
    _book_transfer(world, transfer, payment, charge, fee_amount)
    if charge is not None:
        charge.hidden["transfers"].append(transfer.id)
    return transfer


def _book_transfer(
    world: World, transfer: Resource, payment: Resource, charge: Resource | None, fee_amount: int
) -> None:
    """The balance transactions of both sides, and the application fee between them."""
    amount, currency = transfer["amount"], transfer["currency"]
    available_on = charge.hidden["available_on"] if charge is not None else None
    out: Json = {
        "type": "transfer",
        "category": "transfer",
        "source": transfer.id,
        "description": transfer["description"],
    }
    transfer["balance_transaction"] = money.post(
        world, transfer.account, amount=-amount, currency=currency, available_on=available_on, **out
    ).id
    fees = []
    if fee_amount:
        fee = _new_fee(world, payment, fee_amount, charge, available_on)
        payment.update(application_fee=fee.id, application_fee_amount=fee_amount)
        fees = [_application_fee_detail(world, fee_amount, currency)]
    into: Json = {"type": "payment", "category": "charge", "source": payment.id, "fees": fees}
    payment["balance_transaction"] = money.post(
        world, payment.account, amount=amount, currency=currency, available_on=available_on, **into
    ).id


def _destination_payment(world: World, account: str, transfer: Resource) -> Resource:
    return world.create(
        "charge",
        account,
        {
            "amount": transfer["amount"],
            "amount_captured": transfer["amount"],
            "amount_refunded": 0,
            "application": None,  # whether Stripe names one on what came by a transfer is not verified
            "captured": True,
            "billing_details": {
                "address": dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state")),
                "email": None,
                "name": None,
                "phone": None,
                "tax_id": None,
            },
            "currency": transfer["currency"],
            "disputed": False,
            "fraud_details": {},
            "paid": True,
            "payment_method_details": {"stripe_account": {}, "type": "stripe_account"},
            "refunded": False,
            "source_transfer": transfer.id,
            "status": "succeeded",
        },
        id_kind="payment",
        hidden={"refunds": [], "transfers": []},
    )


def _application_fee_detail(world: World, amount: int, currency: str) -> Json:
    return {
        "amount": amount,
        "application": world.application(),
        "currency": currency,
        "description": "Sandbox platform application fee",
        "type": "application_fee",
    }


def _new_fee(
    world: World, charge: Resource, amount: int, originating: Resource | None, available_on: int | None
) -> Resource:
    """The platform's fee out of an account's charge, on the platform's balance."""
    currency = charge["currency"]
    platform = world.settings.platform
    fee = world.create(
        "application_fee",
        platform,
        {
            "account": charge.account,
            "amount": amount,
            "amount_refunded": 0,
            "application": world.application(),
            "charge": charge.id,
            "currency": currency,
            "fee_source": {"charge": charge.id, "type": "charge"},
            "originating_transaction": originating.id if originating is not None else None,
            "refunded": False,
        },
    )
    fee["refunds"] = list_of([], f"/v1/application_fees/{fee.id}/refunds") | {"total_count": 0}
    fee["balance_transaction"] = money.post(
        world,
        platform,
        type="application_fee",
        category="platform_earning",
        amount=amount,
        currency=currency,
        source=fee.id,
        available_on=available_on,
    ).id
    return fee


def reverse(
    world: World,
    transfer: Resource,
    amount: int,
    *,
    source_refund: str | None = None,
    returned_fee: int = 0,
    metadata: Json | None = None,
) -> Resource:
    """Takes an amount back from the destination. Its balance may go below zero; the platform stands in for that.

    `returned_fee` is the part of the application fee that the platform gives back at the same time.
    """
    payment = world.get(transfer["destination_payment"])
    terms = {"amount": amount, "currency": transfer["currency"]}
    reversal = world.create(
        "transfer_reversal",
        transfer.account,
        {**terms, "metadata": metadata or {}, "source_refund": source_refund, "transfer": transfer.id},
    )
    refund = world.create(
        "refund",
        payment.account,
        {**terms, "charge": payment.id, "status": "succeeded", "source_transfer_reversal": reversal.id},
        id_kind="payment_refund",
    )
    reversal["destination_payment_refund"] = refund.id
    _book_reversal(world, reversal, refund, returned_fee, _still_pending(world, payment))
    payment["amount_refunded"] += amount
    payment["refunded"] = payment["amount_refunded"] == payment["amount"]
    transfer["amount_reversed"] += amount
    transfer["reversed"] = transfer["amount_reversed"] == transfer["amount"]
    listed = [reversal, *transfer["reversals"]["data"]]
    transfer["reversals"] = {**transfer["reversals"], "data": listed, "total_count": len(listed)}
    return reversal


def _book_reversal(
    world: World, reversal: Resource, refund: Resource, returned_fee: int, available_on: int | None
) -> None:
    """The balance transactions of both sides."""
    amount, currency = reversal["amount"], reversal["currency"]
    out: Json = {"type": "payment_refund", "category": "refund", "source": refund.id}
    if returned_fee:
        out["fees"] = [_application_fee_detail(world, -returned_fee, currency)]
    refund["balance_transaction"] = money.post(
        world, refund.account, amount=-amount, currency=currency, available_on=available_on, **out
    ).id
    into: Json = {"type": "transfer_refund", "category": "transfer_reversal", "source": reversal.id}
    reversal["balance_transaction"] = money.post(
        world, reversal.account, amount=amount, currency=currency, available_on=available_on, **into
    ).id


def _still_pending(world: World, payment: Resource) -> int | None:
    """When the payment's money becomes available, while it is not: what is taken back of it waits as long."""
    transaction = world.get(payment["balance_transaction"])
    return int(transaction["available_on"]) if transaction["status"] == "pending" else None
