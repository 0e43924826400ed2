"""The details that a platform gives of an account: individual, company, terms of service, external account."""

from dataclasses import dataclass

from stripe_sandbox.errors import Json, validation
from stripe_sandbox.routing import Call
from stripe_sandbox.world import Resource, World

from . import bank_ownership, banks, external_accounts, persons, tokens

NEEDS_BUSINESS_TYPE = (
    "The `business_type` must be provided when sending either of `individual` or `company` parameters."
)
NOT_ON_BEHALF = "You cannot accept the Terms of Service on behalf of Standard and Express connected accounts."
DETAILS = frozenset({"individual", "company", "tos_acceptance", "external_account", "account_token", "documents"})
COMPANY_PLAIN = (
    "directors_provided",
    "executives_provided",
    "export_license_id",
    "export_purpose_code",
    "name",
    "name_kana",
    "name_kanji",
    "owners_provided",
    "ownership_exemption_reason",
    "phone",
    "structure",
    "tax_id_registrar",
)
COMPANY_HASHES = (
    "address",
    "address_kana",
    "address_kanji",
    "administrative_address",
    "directorship_declaration",
    "ownership_declaration",
    "principal_place_of_business",
    "registration_date",
    "representative_declaration",
)


@dataclass(slots=True)
class Prepared:
    """Checked details, the account token's among them, that can be written without a further refusal."""

    params: Json
    draft: banks.Draft | None


def prepare(call: Call, business_type: str | None, *, collected_by_stripe: bool) -> Prepared:
    """Checks all that could be refused, before anything is changed. `business_type` is what the account has so far."""
    params = dict(call.params)
    if "account_token" in params:
        params = {**_from_token(call, params["account_token"]), **params}
    kind = params.get("business_type") or business_type
    if kind is None and params.keys() & {"individual", "company"}:
        raise validation(NEEDS_BUSINESS_TYPE)
    # Stripe refuses details of the other kind too, but does not document in which words.
    if "individual" in params and kind != "individual":
        raise validation("The `individual` parameter needs a `business_type` of individual.", "individual")
    if "company" in params and kind == "individual":
        raise validation("The `company` parameter needs a `business_type` other than individual.", "company")
    if collected_by_stripe and (params.get("tos_acceptance") or {}).keys() & {"date", "ip", "user_agent"}:
        raise validation(NOT_ON_BEHALF, "tos_acceptance[date]")
    persons.check(call.world, call.account, params.get("individual") or {})
    bank_ownership.check(call.world, call.account, params.get("documents") or {})
    draft = None
    if params.get("external_account"):
        draft = external_accounts.draft_of(call.world, call.account, params["external_account"])
    return Prepared(params, draft)


def _from_token(call: Call, id: str) -> Json:
    details = dict(tokens.use(call.world, call.account, id, "account", param="account_token").hidden["details"])
    if details.pop("tos_shown_and_accepted", False):
        details["tos_acceptance"] = {"date": call.now(), "ip": "127.0.0.1"}
    return details


def write(world: World, account: Resource, prepared: Prepared) -> Json:
    """Writes persons and external accounts, with their events, and returns what changes of the account itself."""
    params, changes = prepared.params, Json()
    if prepared.draft is not None:
        external_accounts.replace_default(world, account, prepared.draft)
    if params.get("individual"):
        if "individual" in account:
            persons.alter(world, account["individual"], params["individual"])
        else:
            changes["individual"] = persons.make(world, account, params["individual"])
    if params.get("company"):
        changes["company"] = company_of(account, params["company"])
    bank_ownership.answer(world, account, params.get("documents") or {})
    if params.get("tos_acceptance"):
        changes["tos_acceptance"] = {**account["tos_acceptance"], **params["tos_acceptance"]}
    return changes


def company_of(account: Resource, given: Json) -> Json:
    """The account's `company` after what is given was written into it."""
    company: Json = {**(account.get("company") or account.hidden.get("company") or _blank_company())}
    company |= {name: None if given[name] == "" else given[name] for name in COMPANY_PLAIN if name in given}
    for name in COMPANY_HASHES:
        if given.get(name):
            company[name] = {**(company.get(name) or {}), **given[name]}
    for name in ("tax_id", "vat_id"):
        if name in given:
            account.hidden[name] = given[name] or None
            company[f"{name}_provided"] = bool(given[name])
    document = (given.get("verification") or {}).get("document")
    if document:
        company["verification"] = {"document": {**company["verification"]["document"], **document}}
    return company


def _blank_company() -> Json:
    return {
        "address": dict.fromkeys(persons.ADDRESS),
        "directors_provided": False,
        "executives_provided": False,
        "name": None,
        "owners_provided": False,
        "phone": None,
        "tax_id_provided": False,
        "verification": {"document": dict.fromkeys(("back", "details", "details_code", "front"))},
    }
