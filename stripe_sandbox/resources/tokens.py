"""Tokens: details under an id that works once, for bank accounts, cards, accounts and persons."""

from typing import Any

from stripe_sandbox.errors import Json, StripeError, exclusive, missing_param, no_such
from stripe_sandbox.routing import Call, route
from stripe_sandbox.world import Resource, World

from . import banks, cards

KINDS = ("account", "bank_account", "card", "cvc_update", "person", "pii")


@route("POST", "/v1/tokens", "TokenCreateParams")
def create(call: Call) -> Json:
    given = [kind for kind in KINDS if kind in call.params]
    if not given:
        raise missing_param("card")
    if len(given) > 1:
        raise exclusive(*given)
    return _make(call, given[0])


def _make(call: Call, kind: str) -> Resource:
    world, details = call.world, call.params[kind]
    fields: Json = {"type": kind, "used": False, "client_ip": None}
    hidden: Json = {"details": details}
    if kind == "bank_account":
        hidden["draft"] = banks.from_hash(world, details, kind)
        fields[kind] = banks.shown(world, hidden["draft"])
    elif kind == "card":
        fields[kind], hidden = _card(world, details)
    return world.create("token", call.account, fields, id_kind=f"{kind}_token", hidden=hidden)


def _card(world: World, details: Any) -> tuple[Json, Json]:
    """A card to pay with, or to be paid out to, or both."""
    if not isinstance(details, dict):
        raise missing_param("card")
    number = str(details.get("number", "")).replace(" ", "")
    if number in banks.DEBIT_BY_NUMBER:
        draft = banks.from_hash(world, {**details, "object": "card"}, "card")
        return banks.shown(world, draft), {"draft": draft, "card": cards.BY_NUMBER.get(number)}
    name = cards.BY_NUMBER.get(number)
    if name is None:
        raise StripeError(
            "Your card number is incorrect.", status=402, type="card_error", code="incorrect_number", param="number"
        )
    card = cards.CARDS[name]
    fields = {
        "brand": card.brand.title(),
        "country": card.country,
        **banks.expiry(world, details),
        "funding": card.funding,
        "last4": number[-4:],
    }
    return banks.shown(world, banks.Draft("card", fields, number)), {"card": name}


@route("GET", "/v1/tokens/{id}", "TokenRetrieveParams")
def retrieve(call: Call) -> Json:
    return call.require("token", "id", param="token")


def use(world: World, account: str, id: str, kind: str, *, param: str) -> Resource:
    """Uses a stored token of the given type up. Raises StripeError when there is none, or when it was used before."""
    found = world.find("token", id, account)
    if found is None or found["type"] != kind:
        raise no_such("token", id, param=param)
    if found["used"]:
        raise StripeError(f"You cannot use a Stripe token more than once: {id}.", code="token_already_used")
    found["used"] = True
    return found


def payout_draft(world: World, account: str, id: str, *, param: str) -> banks.Draft:
    """The bank account or debit card behind a token, Stripe's own test tokens included."""
    magic = banks.from_magic(world, id)
    if magic is not None:
        return magic
    if cards.name_of(id):
        raise StripeError(banks.NOT_FOR_PAYOUTS, code="invalid_card_type", param=param)
    stored = world.find("token", id, account)
    kind = stored["type"] if stored is not None and stored["type"] in ("bank_account", "card") else "bank_account"
    token = use(world, account, id, kind, param=param)
    draft = token.hidden.get("draft")
    if draft is None:
        raise StripeError(banks.NOT_FOR_PAYOUTS, code="invalid_card_type", param=param)
    return banks.Draft(draft.kind, {**draft.fields, "id": token[kind]["id"]}, draft.number)


def card_name(world: World, account: str, id: str, *, param: str) -> str:
    """The test card behind a stored card token, for a payment method."""
    name = use(world, account, id, "card", param=param).hidden.get("card")
    if name is None:
        raise no_such("token", id, param=param)
    return str(name)
