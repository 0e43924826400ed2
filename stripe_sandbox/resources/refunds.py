"""Refunds of captured charges.

A card refund never needs its customer; `requires_action` is reached by the control plane only, and ends as Stripe words
it: cancelled by the API, or failed when its 45 days are over. That its money returns then is believed, not documented;
and so is that a transfer which the refund reversed stays reversed when it fails, that the bank's reference comes after
a day, and that a chargeback fails a refund that still waits (Stripe only names the reason).
"""

from typing import Any

from stripe_sandbox import events, money
from stripe_sandbox.errors import Json, StripeError, exclusive, validation
from stripe_sandbox.money import DAY
from stripe_sandbox.rendering import by, page
from stripe_sandbox.routing import Call, metadata, route
from stripe_sandbox.world import Resource, World, job

from . import application_fees, disputes, early_fraud_warnings, payment_methods, transfer_flow

ACTION_DAYS = 45
FAILURES = (
    "charge_for_pending_refund_disputed",
    "declined",
    "expired_or_canceled_card",
    "insufficient_funds",
    "lost_or_stolen_card",
    "merchant_request",
    "unknown",
)
SETTLING = 60  # seconds until the pending and the failing test card make up their mind
REFERENCE_DIGITS = 23  # of an acquirer reference number


UNCAPTURED_PART = (
    "You cannot partially refund an uncaptured charge. Instead, capture the charge for an amount less than the "
    "original amount"
)


@route("POST", "/v1/refunds", "RefundCreateParams")
def create(call: Call) -> Json:
    world, params = call.world, call.params
    charge = _charge(call)
    amount = _checked_amount(call, charge)
    card = {"type": "refund", "reference_status": "pending", "reference_type": "acquirer_reference_number"}
    refund = world.create(
        "refund",
        call.account,
        {
            "amount": amount,
            "charge": charge.id,
            "currency": charge["currency"],
            "destination_details": {"card": card, "type": "card"},
            "metadata": metadata({}, params.get("metadata")),
            "payment_intent": charge["payment_intent"],
            "reason": params.get("reason"),
            "status": "succeeded",
        },
    )
    if "instructions_email" in params:
        refund["instructions_email"] = params["instructions_email"]
    charge.hidden["refunds"].append(refund.id)
    reversed_transfer, returned_fee = _give_back(call, charge, refund)
    _pay_or_wait(world, charge, refund)
    before: Json = {"amount_refunded": charge["amount_refunded"]}
    charge["amount_refunded"] += amount
    if charge["amount_refunded"] == charge["amount_captured"]:
        before["refunded"], charge["refunded"] = False, True
    events.emit(world, call.account, "refund.created", refund)
    events.emit(world, call.account, "charge.refunded", charge, before)
    if reversed_transfer is not None:
        events.emit(world, reversed_transfer.account, "transfer.reversed", reversed_transfer)
    if returned_fee is not None:
        events.emit(world, returned_fee.account, "application_fee.refunded", returned_fee)
    disputes.close_inquiries(world, charge)
    if charge["refunded"]:
        early_fraud_warnings.settle(world, charge)
    return refund


def _checked_amount(call: Call, charge: Resource) -> int:
    """How much to refund, after every reason not to."""
    params, left = call.params, charge["amount_captured"] - charge["amount_refunded"]
    if not disputes.leaves_refundable(call.world, charge):
        raise StripeError(f"Charge {charge.id} has been charged back; cannot issue a refund.", code="charge_disputed")
    if left == 0:
        raise StripeError(f"Charge {charge.id} has already been refunded.", code="charge_already_refunded")
    amount = int(params.get("amount", left))
    if amount < 1:
        raise StripeError("Invalid positive integer", code="parameter_invalid_integer", param="amount")
    if amount > left:
        wanted, unrefunded = (money.formatted(each, charge["currency"]) for each in (amount, left))
        raise StripeError(
            f"Refund amount ({wanted}) is greater than unrefunded amount on charge ({unrefunded})", param="amount"
        )
    for flag, field in (("reverse_transfer", "transfer"), ("refund_application_fee", "application_fee")):
        if params.get(flag) and not charge[field]:
            raise StripeError(f"Charge {charge.id} has no {field.replace('_', ' ')} for {flag}.", param=flag)
    return amount


def _charge(call: Call) -> Resource:
    world, params = call.world, call.params
    if "charge" in params and "payment_intent" in params:
        raise exclusive("charge", "payment_intent")
    if "charge" in params:
        charge = world.require("charge", params["charge"], call.account, param="charge")
    elif "payment_intent" in params:
        intent = world.require("payment_intent", params["payment_intent"], call.account, param="payment_intent")
        if intent["status"] != "succeeded":
            raise StripeError(
                f"This PaymentIntent ({intent.id}) does not have a successful charge to refund.", param="payment_intent"
            )
        charge = world.get(intent["latest_charge"])
    else:
        raise validation(
            "One of the following params should be provided for this request: payment_intent or charge.", None
        )
    if not charge["captured"]:
        raise StripeError(
            UNCAPTURED_PART
            if params.get("amount", charge["amount"]) < charge["amount"]
            else f"Charge {charge.id} has not been captured; cancel its PaymentIntent instead.",
            param="charge",
        )
    if charge["source_transfer"]:  # Stripe's words are not known
        raise StripeError(
            f"Charge {charge.id} was made by the transfer {charge['source_transfer']}: reverse that instead.",
            param="charge",
        )
    return charge


def _give_back(call: Call, charge: Resource, refund: Resource) -> tuple[Resource | None, Resource | None]:
    """With Stripe's flags: takes the refunded share back from the destination, and returns the share of the fee, pro rata.

    Answers the transfer and the fee that changed; what was given back before is not given back again.
    """
    share = refund["amount"], charge["amount_captured"]
    transfer, fee, reversible, returned = None, None, 0, 0
    if call.params.get("reverse_transfer"):
        transfer, reversible = _part(call.world.get(charge["transfer"]), "amount_reversed", *share)
    if call.params.get("refund_application_fee"):
        fee, returned = _part(call.world.get(charge["application_fee"]), "amount_refunded", *share)
    if transfer is not None:
        reversal = transfer_flow.reverse(
            call.world, transfer, reversible, source_refund=refund.id, returned_fee=returned
        )
        refund["transfer_reversal"] = reversal.id
    if fee is not None:
        application_fees.give_back(call.world, fee, returned, credit_account=transfer is None)
    return transfer, fee


def _part(source: Resource, given_back: str, part: int, whole: int) -> tuple[Resource | None, int]:
    """A transfer or fee with the amount of it that belongs to this part of its charge, as far as it was not given back."""
    amount = min(_share(source["amount"], part, whole), source["amount"] - source[given_back])
    return (source, amount) if amount else (None, 0)


def _share(amount: int, part: int, whole: int) -> int:
    """amount * part / whole, rounded half up."""
    return (2 * amount * part + whole) // (2 * whole)


def _pay_or_wait(world: World, charge: Resource, refund: Resource) -> None:
    """Pays the refund from the balance; without funds it waits as pending until there are some."""
    card = payment_methods.card_of(world.get(charge["payment_method"]))
    if not _funded(world, charge, refund):
        refund.update(status="pending", pending_reason="insufficient_funds")
        return
    _pay(world, charge, refund)
    if card.refund == "pending":
        refund.update(status="pending", pending_reason="processing")
    if card.refund:
        world.schedule(world.now() + SETTLING, "refund_settles", refund=refund.id, fails=card.refund == "fails")


def _funded(world: World, charge: Resource, refund: Resource) -> bool:
    if world.get(charge["balance_transaction"])["status"] == "pending":
        return bool(money.total(world, refund.account, refund["currency"]) >= refund["amount"])
    return bool(money.available(world, refund.account, refund["currency"]) >= refund["amount"])


def _pay(world: World, charge: Resource, refund: Resource) -> None:
    source = world.get(charge["balance_transaction"])
    refund["balance_transaction"] = money.post(
        world,
        refund.account,
        type="refund",
        category="refund",
        amount=-refund["amount"],
        currency=refund["currency"],
        source=refund.id,
        available_on=source["available_on"] if source["status"] == "pending" else None,
    ).id
    world.schedule(world.now() + DAY, "refund_gets_reference", refund=refund.id)


@job
def refund_gets_reference(world: World, *, refund: str) -> None:
    """The number by which the customer's bank can find the refund."""
    found = world.get(refund)
    if found["status"] == "succeeded":
        number = "".join(str(world.state.random.randrange(10)) for _ in range(REFERENCE_DIGITS))
        details = found["destination_details"]
        card = {**details["card"], "reference": number, "reference_status": "available"}
        _change(world, found, destination_details={**details, "card": card})


@job
def refund_settles(world: World, *, refund: str, fails: bool) -> None:
    """The outcome of a refund that its test card delays."""
    found = world.get(refund)
    if found["status"] not in ("pending", "succeeded"):
        return
    if fails:
        fail(world, found, "expired_or_canceled_card")
        return
    found.pop("pending_reason", None)
    _change(world, found, status="succeeded")


def _change(world: World, refund: Resource, **changes: Any) -> None:
    """Changes the refund and tells of it twice: by its old event, which Stripe still sends, and by its own."""
    before = {name: refund.get(name) for name, value in changes.items() if refund.get(name) != value}
    if before:
        refund.update(changes)
        for type in ("charge.refund.updated", "refund.updated"):
            events.emit(world, refund.account, type, refund, before)


def can_fail(refund: Resource) -> bool:
    """Whether the money is on its way or with the customer; a reversed transfer's refund goes to nobody's bank."""
    on_its_way = refund["status"] in ("pending", "succeeded", "requires_action")
    return on_its_way and not refund.get("source_transfer_reversal")


def fail(world: World, refund: Resource, reason: str) -> None:
    """The bank could not pay the customer: the money comes back, and the charge counts as not refunded."""
    if not can_fail(refund):
        raise StripeError(f"This refund is {refund['status']} and cannot fail.")
    _take_back(world, refund)
    _change(world, refund, status="failed", failure_reason=reason)
    events.emit(world, refund.account, "refund.failed", refund)


def _take_back(world: World, refund: Resource) -> None:
    """Books the money of a refund that did not reach its customer, and lets the charge be refunded again."""
    charge = world.get(refund["charge"])
    if refund["balance_transaction"]:
        refund["failure_balance_transaction"] = money.post(
            world,
            refund.account,
            type="refund_failure",
            category="refund_failure",
            amount=refund["amount"],
            currency=refund["currency"],
            source=refund.id,
        ).id
    refund.pop("pending_reason", None)
    refund.pop("next_action", None)
    charge["amount_refunded"] -= refund["amount"]
    charge["refunded"] = False


def require_action(world: World, refund: Resource) -> None:
    """The customer is asked where the money should go, and has 45 days to say."""
    if refund["status"] not in ("pending", "succeeded") or refund["balance_transaction"] is None:
        raise StripeError(f"This refund is {refund['status']} and cannot wait for its customer.")
    expires_at = world.now() + ACTION_DAYS * DAY
    sent = {"email_sent_at": world.now(), "email_sent_to": refund.get("instructions_email") or "customer@example.com"}
    details = {"email_sent": sent, "expires_at": expires_at}
    world.schedule(expires_at, "refund_expires", refund=refund.id)
    _change(
        world, refund, status="requires_action", next_action={"type": "display_details", "display_details": details}
    )


@job
def refund_expires(world: World, *, refund: str) -> None:
    found = world.get(refund)
    if found["status"] == "requires_action":
        fail(world, found, "unknown")


@job
def fund_pending_refunds(world: World, *, account: str) -> None:
    """Pays the refunds that wait for funds, oldest first in each currency, as far as the funds reach."""
    exhausted = set()
    for refund in world.all("refund", account):
        if refund.get("pending_reason") != "insufficient_funds" or refund["currency"] in exhausted:
            continue
        charge = world.get(refund["charge"])
        if not _funded(world, charge, refund):
            exhausted.add(refund["currency"])
            continue
        _pay(world, charge, refund)
        del refund["pending_reason"]
        _change(world, refund, status="succeeded")


@job
def refunds_meet_chargeback(world: World, *, charge: str) -> None:
    """Who disputes a charge gets the money that way: refunds of it that still wait fail."""
    for id in world.get(charge).hidden["refunds"]:
        if world.get(id)["status"] == "pending":
            fail(world, world.get(id), "charge_for_pending_refund_disputed")


@route("GET", "/v1/refunds/{id}", "RefundRetrieveParams")
def retrieve(call: Call) -> Json:
    return call.require("refund", "id", param="refund")


@route("POST", "/v1/refunds/{id}", "RefundUpdateParams")
def update(call: Call) -> Json:
    refund = call.require("refund", "id", param="refund")
    _change(call.world, refund, metadata=metadata(refund["metadata"], call.params.get("metadata")))
    return refund


@route("POST", "/v1/refunds/{id}/cancel", "RefundCancelParams")
def cancel(call: Call) -> Json:
    refund = _waiting(call, "canceled")
    _take_back(call.world, refund)
    _change(call.world, refund, status="canceled")
    return refund


@route("POST", "/v1/test_helpers/refunds/{id}/expire", "test_helpers.RefundExpireParams")
def expire(call: Call) -> Json:
    refund = _waiting(call, "expired")
    fail(call.world, refund, "unknown")
    return refund


def _waiting(call: Call, what: str) -> Resource:
    refund = call.require("refund", "id", param="refund")
    if refund["status"] != "requires_action":
        raise StripeError(
            f"Refund {refund.id} has a status of {refund['status']}. Only a refund with a status of requires_action can be {what}."
        )
    return refund


@route("GET", "/v1/refunds", "RefundListParams")
def list_refunds(call: Call) -> Json:
    return page(call, "refund", "/v1/refunds", {"charge": by("charge"), "payment_intent": by("payment_intent")})
