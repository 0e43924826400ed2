"""External accounts: the bank accounts and debit cards that a connected account is paid out to."""

from typing import Any

from stripe_sandbox import events
from stripe_sandbox.errors import Json, StripeError, no_such
from stripe_sandbox.rendering import page
from stripe_sandbox.routing import Call, metadata, route
from stripe_sandbox.world import Resource, World

from . import account_review, banks, tokens
from .account_access import editable, owned

STILL_DEFAULT = (
    "You cannot delete the default external account for your default currency. Please make another external account the default using the "
    "`default_for_currency` param, and then delete this one."
)
PLAIN = {
    "bank_account": ("account_holder_name", "account_holder_type", "account_type"),
    "card": (*banks.CARD_FIELDS, "exp_month", "exp_year", "name"),
}
PATH = "/v1/accounts/{account}/external_accounts"


@route("POST", PATH, "AccountCreateExternalAccountParams")
def create(call: Call) -> Json:
    account, params = editable(call, _account(call)), call.params
    draft = draft_of(call.world, call.account, params["external_account"])
    old, default = _default(account, draft.fields["currency"]), params.get("default_for_currency", False)
    made = banks.add(call.world, account, draft, default=default, metadata=params.get("metadata"))
    events.emit(call.world, account.id, "account.external_account.created", made)
    if default and old is not None:
        events.emit(call.world, account.id, "account.external_account.updated", old, {"default_for_currency": True})
    account_review.reassess(call.world, account)
    return made


def draft_of(world: World, caller: str, given: Any) -> banks.Draft:
    """Reads `external_account`, which is a token, a hash with a token, or a hash with the details."""
    if isinstance(given, dict) and "token" in given:
        return tokens.payout_draft(world, caller, given["token"], param="external_account[token]")
    if isinstance(given, dict):
        return banks.from_hash(world, given, "external_account")
    return tokens.payout_draft(world, caller, given, param="external_account")


def replace_default(world: World, account: Resource, draft: banks.Draft) -> None:
    """`external_account` of an account's create or update: the new default, in place of the old one of its currency."""
    old = _default(account, draft.fields["currency"])
    made = banks.add(world, account, draft, default=True)
    events.emit(world, account.id, "account.external_account.created", made)
    if old is not None:
        _remove(world, account, old)


@route("GET", PATH + "/{id}", "AccountRetrieveExternalAccountParams")
def retrieve(call: Call) -> Json:
    return _named(call, _account(call))


@route("GET", PATH, "AccountListExternalAccountsParams")
def list_external_accounts(call: Call) -> Json:
    account, wanted = _account(call), call.params.get("object")
    data = [each for each in account["external_accounts"]["data"] if wanted in (None, each["object"])]
    cursor = call.params.get("starting_after") or call.params.get("ending_before")
    at = next((each["object"] for each in data if each.id == cursor), "bank_account")
    return page(call, at, f"/v1/accounts/{account.id}/external_accounts", within=data)


@route("POST", PATH + "/{id}", "AccountModifyExternalAccountParams")
def update(call: Call) -> Json:
    account, params = editable(call, _account(call)), call.params
    found = _named(call, account)
    changes: Json = {name: params[name] or None for name in PLAIN[found["object"]] if name in params}
    if changes.keys() & {"exp_month", "exp_year"}:
        changes |= banks.expiry(call.world, {**found, **changes})
    if changes and found["status"] == "errored":
        changes["status"] = "new"
    if "metadata" in params:
        changes["metadata"] = metadata(found["metadata"], params["metadata"])
    old = _default(account, found["currency"])
    if params.get("default_for_currency") and old is not found:
        changes["default_for_currency"] = True
        if old is not None:
            events.changed(call.world, account.id, "account.external_account.updated", old, default_for_currency=False)
    events.changed(call.world, account.id, "account.external_account.updated", found, **changes)
    account_review.reassess(call.world, account)
    return found


@route("DELETE", PATH + "/{id}", "AccountDeleteExternalAccountParams")
def delete(call: Call) -> Json:
    account = editable(call, _account(call))
    found = _named(call, account)
    if found["default_for_currency"] and found["currency"] == account["default_currency"]:
        raise StripeError(STILL_DEFAULT)
    _remove(call.world, account, found)
    others = [each for each in account["external_accounts"]["data"] if each["currency"] == found["currency"]]
    if found["default_for_currency"] and others:
        events.changed(call.world, account.id, "account.external_account.updated", others[0], default_for_currency=True)
    account_review.reassess(call.world, account)
    return {"id": found.id, "object": found["object"], "currency": found["currency"], "deleted": True}


def _remove(world: World, account: Resource, found: Resource) -> None:
    banks.keep(account, [each for each in account["external_accounts"]["data"] if each is not found])
    world.forget(found)
    events.emit(world, account.id, "account.external_account.deleted", found)


def _default(account: Resource, currency: str) -> Resource | None:
    data: list[Resource] = account["external_accounts"]["data"]
    return next((each for each in data if each["currency"] == currency and each["default_for_currency"]), None)


def _account(call: Call) -> Resource:
    return owned(call, "account")


def _named(call: Call, account: Resource) -> Resource:
    for each in account["external_accounts"]["data"]:
        if each.id == call.path["id"]:
            found: Resource = each
            return found
    raise no_such("external account", call.path["id"], param="id", status=404)
