"""Payment methods: cards, made from Stripe's magic ids, and attached to customers."""

from typing import Any

from stripe_sandbox import events
from stripe_sandbox.errors import Json, StripeError, missing_param, no_such, validation
from stripe_sandbox.rendering import by, page
from stripe_sandbox.routing import Call, metadata, route
from stripe_sandbox.world import Resource, World

from . import banks, cards, tokens
from .cards import CARDS, Card

NOT_REUSABLE = (
    "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, shared with a connected account without "
    "Customer attachment, or was detached from a Customer. It may not be used again. To use a PaymentMethod multiple times, you must attach it "
    "to a Customer first."
)
EXPIRY = {"exp_month", "exp_year"}
CONSUMED = "This PaymentMethod was previously used without being attached to a Customer or was detached from a Customer, and may not be used again."


def card_of(payment_method: Resource) -> Card:
    return CARDS[payment_method.hidden["card"]]


def clone(world: World, account: str, name: str, params: Json | None = None) -> Resource:
    """A new payment method for a test card, as every use of a magic id makes one."""
    card, given = CARDS[name], params or {}
    checks = {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"}
    if card.failed_check:
        checks[card.failed_check] = "fail"
    details = given.get("billing_details") or {}
    return world.create(
        "payment_method",
        account,
        {
            "allow_redisplay": given.get("allow_redisplay", "unspecified"),
            "radar_options": given.get("radar_options") or None,
            "type": "card",
            "metadata": metadata({}, given.get("metadata")),
            "billing_details": {
                "address": {
                    **dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state")),
                    **(details.get("address") or {}),
                },
                "email": details.get("email") or None,
                "name": details.get("name") or None,
                "phone": details.get("phone") or None,
                "tax_id": details.get("tax_id") or None,
            },
            "card": {
                "brand": card.brand,
                "checks": checks,
                "country": card.country,
                "display_brand": card.brand,
                "exp_month": 12,
                "exp_year": 2034,
                "fingerprint": f"sandbox{card.number[-9:]}",
                "funding": card.funding,
                "generated_from": None,
                "last4": card.number[-4:],
                "networks": {"available": [card.brand], "preferred": None},
                "regulated_status": "unregulated",
                "three_d_secure_usage": {"supported": True},
                "wallet": None,
            },
        },
        hidden={"card": name, "set_up": card.authentication == "already_set_up", "used": False},
    )


def resolve(world: World, account: str, id: str, param: str = "payment_method") -> Resource:
    """The payment method for an id in a request; a magic id gives a new one."""
    name = cards.name_of(id)
    if name:
        return clone(world, account, name)
    return world.require("payment_method", id, account, param=param, label="PaymentMethod")


def check_cards_taken(intent: Resource, name: str) -> None:
    """An intent may be made for other methods of payment, but the sandbox has cards alone to go through with it."""
    types = intent["payment_method_types"]
    if "card" not in types:
        raise StripeError(
            f"The PaymentMethod provided (card) is not allowed for this {name}. Please attach a payment method of one of the following types: "
            f"{', '.join(types)}.",
            param="payment_method",
        )


def refuse_data(params: Json) -> None:
    """A payment method that a request brings along as data may be anything but a card."""
    if params.get("payment_method_data"):
        raise validation("The sandbox offers cards alone: pass a payment_method.", "payment_method_data")


def three_d_secure(world: World) -> Json:
    """How a charge or an attempt shows that the customer has passed the bank's question."""
    return {
        "authentication_flow": "challenge",
        "electronic_commerce_indicator": "05",
        "result": "authenticated",
        "result_reason": None,
        "transaction_id": world.token(36),
        "version": "2.2.0",
    }


def check_attachable(payment_method: Resource) -> None:
    """Stripe asks the bank before it keeps a card: a declining one is a 402."""
    card = card_of(payment_method)
    if card.decline and card.declines_attach:
        raise declined(card, payment_method=payment_method)


def attach_to(world: World, payment_method: Resource, customer: str) -> None:
    """Attaches it, which checks the card; emits payment_method.attached. Attaching again to the same customer does nothing."""
    if payment_method["customer"] == customer:
        return
    if payment_method["customer"]:
        raise StripeError("The payment method you provided has already been attached to a customer.")
    if payment_method.hidden["used"]:
        raise StripeError(CONSUMED)
    payment_method["customer"] = customer
    events.emit(world, payment_method.account, "payment_method.attached", payment_method)


@route("POST", "/v1/payment_methods", "PaymentMethodCreateParams")
def create(call: Call) -> Json:
    params = call.params
    if params.get("type") != "card" and "payment_method" not in params:
        raise (
            missing_param("type")
            if "type" not in params
            else validation("The sandbox makes payment methods of type card only.", "type")
        )
    card = params.get("card")
    if not isinstance(card, dict):
        raise missing_param("card")
    name = (
        cards.name_of(str(card["token"]))
        if "token" in card
        else cards.BY_NUMBER.get(str(card.get("number", "")).replace(" ", ""))
    )
    if name is None and "token" in card:
        name = tokens.card_name(call.world, call.account, str(card["token"]), param="card[token]")
    if name is None:
        raise StripeError(
            "Your card number is incorrect.", status=402, type="card_error", code="incorrect_number", param="number"
        )
    expiry = banks.expiry(call.world, card) if card.keys() & EXPIRY else {}
    made = clone(call.world, call.account, name, params)
    made["card"] = {**made["card"], **expiry}
    return made


@route("GET", "/v1/payment_methods/{id}", "PaymentMethodRetrieveParams")
def retrieve(call: Call) -> Json:
    return _named(call)


@route("POST", "/v1/payment_methods/{id}", "PaymentMethodUpdateParams")
def update(call: Call) -> Json:
    found, params = _named(call), call.params
    changes: Json = {name: params[name] for name in ("allow_redisplay",) if name in params}
    if "metadata" in params:
        changes["metadata"] = metadata(found["metadata"], params["metadata"])
    if (params.get("card") or {}).keys() & EXPIRY:
        expiry = banks.expiry(call.world, {**found["card"], **params["card"]})
        changes["card"] = {**found["card"], **expiry}
    if "billing_details" in params:
        known, given = found["billing_details"], params["billing_details"]
        address = {**known["address"], **(given.get("address") or {})}
        changes["billing_details"] = {**known, **given, "address": address}
    events.changed(call.world, found.account, "payment_method.updated", found, **changes)
    return found


@route("GET", "/v1/payment_methods", "PaymentMethodListParams")
def list_methods(call: Call) -> Json:
    return page(
        call,
        "payment_method",
        "/v1/payment_methods",
        {"customer": by("customer"), "type": by("type")},
        only=lambda each: each["customer"] is not None,
    )


@route("POST", "/v1/payment_methods/{id}/attach", "PaymentMethodAttachParams")
def attach(call: Call) -> Json:
    if "customer" not in call.params:
        raise missing_param("customer")
    customer = call.world.require("customer", call.params["customer"], call.account, param="customer")
    found = resolve(call.world, call.account, call.path["id"]) if cards.name_of(call.path["id"]) else _named(call)
    check_attachable(found)
    attach_to(call.world, found, customer.id)
    return found


@route("POST", "/v1/payment_methods/{id}/detach", "PaymentMethodDetachParams")
def detach(call: Call) -> Json:
    found = _named(call)
    customer = found["customer"]
    if customer is None:
        raise StripeError("The payment method you provided is not attached to a customer so detachment is impossible.")
    found["customer"], found.hidden["used"] = None, True
    settings = call.world.get(customer)["invoice_settings"]
    if settings["default_payment_method"] == found.id:
        call.world.get(customer)["invoice_settings"] = {**settings, "default_payment_method": None}
    events.emit(call.world, found.account, "payment_method.detached", found, {"customer": customer})
    return found


@route("GET", "/v1/customers/{customer}/payment_methods", "CustomerListPaymentMethodsParams")
def list_of_customer(call: Call) -> Json:
    customer = call.require("customer", "customer", param="id")
    return page(
        call,
        "payment_method",
        f"/v1/customers/{customer.id}/payment_methods",
        {"type": by("type")},
        only=lambda each: bool(each["customer"] == customer.id),
    )


@route("GET", "/v1/customers/{customer}/payment_methods/{id}", "CustomerRetrievePaymentMethodParams")
def retrieve_of_customer(call: Call) -> Json:
    customer = call.require("customer", "customer", param="id")
    found = _named(call)
    if found["customer"] != customer.id:
        raise no_such("PaymentMethod", found.id, param="payment_method", status=404)
    return found


def _named(call: Call) -> Resource:
    return call.require("payment_method", "id", param="payment_method", label="PaymentMethod")


def declined(card: Card, **extra: Any) -> StripeError:
    """The 402 of a declined card; `extra` adds the objects that the error names."""
    decline = card.decline
    assert decline is not None
    return StripeError(
        decline.message,
        status=402,
        type="card_error",
        code=decline.code,
        decline_code=None
        if decline.decline_code == decline.code and decline.code not in ("card_declined", "authentication_required")
        else decline.decline_code,
        advice_code=decline.advice_code,
        network_decline_code=decline.network_code,
        param="cvc" if decline.code == "incorrect_cvc" else None,
        **extra,
    )
