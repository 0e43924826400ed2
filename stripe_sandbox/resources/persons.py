"""Persons: the people behind an account, its individual and a company's representative among them."""

from stripe_sandbox import events
from stripe_sandbox.errors import Json, StripeError, no_such
from stripe_sandbox.rendering import page
from stripe_sandbox.routing import Call, metadata, route
from stripe_sandbox.world import Resource, World

from . import account_review, account_state, kyc, person_view, tokens
from .account_access import editable, owned

PATH = "/v1/accounts/{account}/persons"
PLAIN = (
    "email",
    "first_name",
    "first_name_kana",
    "first_name_kanji",
    "gender",
    "last_name",
    "last_name_kana",
    "last_name_kanji",
    "maiden_name",
    "nationality",
    "phone",
    "political_exposure",
)
# Given once, never shown again: only that they were given.
SECRET = ("id_number", "id_number_secondary", "ssn_last_4")
ADDRESS = ("city", "country", "line1", "line2", "postal_code", "state")
ROLES = ("authorizer", "director", "executive", "legal_guardian", "owner", "representative")
HASHES = (
    "additional_tos_acceptances",
    "address",
    "address_kana",
    "address_kanji",
    "dob",
    "registered_address",
    "relationship",
    "us_cfpb_data",
)
SECOND_REPRESENTATIVE = (
    "This account already has a representative. Update that person, or take the relationship from them first."
)
# Stripe documents that the account opener cannot be deleted, not in which words.
OPENER = "You cannot delete the person who opened the account."


def blank() -> Json:
    """The nested fields of a person of whom nothing is known."""
    nothing: Json = {"back": None, "details": None, "details_code": None, "front": None}
    return {
        "additional_tos_acceptances": {"account": {"date": None, "ip": None, "user_agent": None}},
        "address": dict.fromkeys(ADDRESS),
        "dob": dict.fromkeys(("day", "month", "year")),
        "full_name_aliases": [],
        "future_requirements": account_state.no_requirements(),
        "id_number_provided": False,
        "id_number_secondary_provided": False,
        "political_exposure": "none",
        "relationship": {**dict.fromkeys(ROLES, False), "percent_ownership": None, "title": None},
        "requirements": account_state.no_requirements(),
        "ssn_last_4_provided": False,
        "verification": {
            "additional_document": nothing,
            "details": None,
            "details_code": None,
            "document": {**nothing},
            "status": "unverified",
        },
    }


def check(world: World, caller: str, params: Json) -> None:
    """Refuses documents that nobody uploaded, before anything is changed."""
    for name in ("document", "additional_document"):
        given = (params.get("verification") or {}).get(name) or {}
        for side, file in given.items():
            if file and file not in kyc.MAGIC_DOCUMENTS and world.find("file", file, caller) is None:
                raise no_such("file upload", file, param=f"verification[{name}][{side}]")


def make(world: World, account: Resource, params: Json, *, status: str = "unverified") -> Resource:
    """A new person of the account; tells of it."""
    person = world.create("person", account.id, {"account": account.id, **blank()})
    person.update(_changes(person, params))
    person["verification"] = {**person["verification"], "status": status}
    events.emit(world, account.id, "person.created", person_view.seen(world, person))
    return person


def alter(world: World, person: Resource, params: Json, *, status: str | None = None) -> None:
    changes = _changes(person, params)
    if status:
        changes["verification"] = {**changes.get("verification", person["verification"]), "status": status}
    person_view.changed(world, person, **changes)


def _changes(person: Resource, params: Json) -> Json:
    changes: Json = {name: params[name] or None for name in PLAIN if name in params}
    if "full_name_aliases" in params:
        changes["full_name_aliases"] = params["full_name_aliases"] or []
    if "metadata" in params:
        changes["metadata"] = metadata(person["metadata"], params["metadata"])
    for name in HASHES:
        if name in params:
            given = params[name] or dict.fromkeys(person[name] or {})
            changes[name] = {**(person[name] or {}), **{key: _none(value) for key, value in given.items()}}
    if (params.get("relationship") or {}).get("percent_ownership"):
        changes["relationship"]["percent_ownership"] = float(params["relationship"]["percent_ownership"])
    for name in SECRET:
        if name in params:
            person.hidden[name] = params[name] or None
            changes[f"{name}_provided"] = bool(params[name])
    if params.get("id_number"):
        changes["ssn_last_4_provided"] = True
    if params.get("verification"):
        changes["verification"] = _documents(person["verification"], params["verification"])
    return changes


def _none(value: object) -> object:
    return None if value == "" else value


def _documents(current: Json, given: Json) -> Json:
    return {**current, **{name: {**current[name], **sides} for name, sides in given.items()}}


@route("POST", PATH, "AccountCreatePersonParams")
def create(call: Call) -> Json:
    account = editable(call, owned(call, "account"))
    params = _given(call)
    check(call.world, call.account, params)
    _refuse_second_representative(call, account, params)
    person = make(call.world, account, params)
    account_review.reassess(call.world, account)
    return person


@route("GET", PATH + "/{id}", "AccountRetrievePersonParams")
def retrieve(call: Call) -> Json:
    return person_view.seen(call.world, _named(call, owned(call, "account")))


@route("POST", PATH + "/{id}", "AccountModifyPersonParams")
def update(call: Call) -> Json:
    account = editable(call, owned(call, "account"))
    person = _named(call, account)
    params = _given(call)
    check(call.world, call.account, params)
    _refuse_second_representative(call, account, params, person)
    alter(call.world, person, params)
    account_review.reassess(call.world, account)
    return person


@route("DELETE", PATH + "/{id}", "AccountDeletePersonParams")
def delete(call: Call) -> Json:
    account = editable(call, owned(call, "account"))
    person = _named(call, account)
    if person is kyc.part(account, "individual") or person["relationship"]["representative"]:
        raise StripeError(OPENER)
    call.world.forget(person)
    events.emit(call.world, account.id, "person.deleted", person)
    account_review.reassess(call.world, account)
    return {"id": person.id, "object": "person", "deleted": True}


@route("GET", PATH, "AccountListPersonsParams")
def list_persons(call: Call) -> Json:
    account, wanted = owned(call, "account"), call.params.get("relationship") or {}
    listed = page(
        call,
        "person",
        f"/v1/accounts/{account.id}/persons",
        within=call.world.all("person", account.id),
        only=lambda each: all(each["relationship"][role] == is_one for role, is_one in wanted.items()),
    )
    return {**listed, "data": [person_view.seen(call.world, each) for each in listed["data"]]}


def _given(call: Call) -> Json:
    """The parameters, with what a person token holds in the place of the token."""
    params = dict(call.params)
    if "person_token" in params:
        token = tokens.use(call.world, call.account, params.pop("person_token"), "person", param="person_token")
        params = {**token.hidden["details"], **params}
    return params


def _refuse_second_representative(call: Call, account: Resource, params: Json, person: Resource | None = None) -> None:
    if not (params.get("relationship") or {}).get("representative"):
        return
    head = kyc.representative(call.world.all("person", account.id))
    if head is not None and head is not person:
        raise StripeError(SECOND_REPRESENTATIVE, param="relationship[representative]")


def _named(call: Call, account: Resource) -> Resource:
    return call.world.require("person", call.path["id"], account.id, param="person", status=404)
