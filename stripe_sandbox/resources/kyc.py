"""What Stripe still has to know about an account, and what its test values make of what it was told.

Test values: date of birth 1901-01-01 and 1902-01-01 match (the second at once), 1900-01-01 is on a sanctions list, any other
does not match until a document is given; `address_no_match` keeps payouts off, `address_line1_no_match` charges too; the id
number and tax id 111111111 do not match, the id number 222222222 does at once. Values that Stripe does not list are taken as matching.
"""

from dataclasses import dataclass, field
from typing import Any

from stripe_sandbox.errors import Json
from stripe_sandbox.world import Resource

PERSON = (
    "address.city",
    "address.line1",
    "address.postal_code",
    "dob.day",
    "dob.month",
    "dob.year",
    "email",
    "first_name",
    "last_name",
    "phone",
)
COMPANY = (
    "address.city",
    "address.line1",
    "address.postal_code",
    "name",
    "phone",
    "tax_id_provided",
)
# Asked of each person in a role; the representative is asked all that an individual is, and what they are in the company.
IN_A_ROLE = ("dob.day", "dob.month", "dob.year", "email", "first_name", "last_name")
OF_HEAD = ("relationship.executive", "relationship.title")
ROLES = {"director": "directors", "executive": "executives", "owner": "owners"}
OWNERLESS = ("government_entity", "non_profit")
OWNERSHIP = "documents.bank_account_ownership_verification.files"
# Nothing is paid out to an external account in one of these states.
UNUSABLE = ("errored", "verification_failed")
MATCHING, AT_ONCE, LISTED = (1901, 1, 1), (1902, 1, 1), (1900, 1, 1)
FAILING_DOCUMENT = "file_identity_document_failure"
MAGIC_DOCUMENTS = ("file_identity_document_success", FAILING_DOCUMENT)
REASONS = {
    "verification_failed_keyed_identity": "The person's identity could not be verified with the details given.",
    "verification_failed_id_number_match": "The person's id number does not match their name and date of birth.",
    "verification_failed_tax_id_match": "The company's tax id does not match its name.",
    "verification_failed_address_match": "The address could not be verified.",
    "verification_document_failed_test_mode": "A test data helper was supplied to simulate verification failure.",
}


@dataclass
class Verdict:
    """What the checks found: the requirements that came of it, and what the account may not do meanwhile."""

    errors: list[Json] = field(default_factory=list)
    charges: bool = True
    payouts: bool = True
    listed: bool = False

    @property
    def due(self) -> list[str]:
        return sorted({each["requirement"] for each in self.errors})

    def fault(self, code: str, requirement: str, *, charges: bool = False) -> None:
        self.errors.append({"code": code, "reason": REASONS[code], "requirement": requirement})
        self.payouts, self.charges = False, self.charges and charges


def missing(account: Resource, persons: list[Resource]) -> list[str]:
    """The names of what was not given yet, sorted."""
    profile, tos = account["business_profile"], account["tos_acceptance"]
    given = {
        "business_profile.mcc": profile["mcc"] or _recipient(account),
        "business_profile.url": profile["url"] or profile["product_description"] or _recipient(account),
        "business_type": account["business_type"],
        "external_account": has_bank(account),
        "tos_acceptance.date": tos["date"],
        "tos_acceptance.ip": tos["ip"],
    }
    asked = [name for name, value in given.items() if not value]
    if account["business_type"] in (None, "individual"):
        asked += _of_person(account, part(account, "individual"), "individual")
    else:
        asked += _of_company(account, part(account, "company") or {})
        asked += _of_people(account, persons)
    return sorted(set(asked))


def has_bank(account: Json) -> bool:
    """Whether there is somewhere to pay out to; a bank account that refused a payout is none."""
    return any(each.get("status") != "errored" for each in account["external_accounts"]["data"])


def with_ownership(account: Resource, asked: Json) -> Json:
    """The requirements with what is asked of the bank account's ownership, as it stands now."""
    listed = ("currently_due", "eventually_due", "past_due", "pending_verification")
    alone = asked["past_due"] == [OWNERSHIP]
    result = {**asked, **{name: [each for each in asked[name] if each != OWNERSHIP] for name in listed}}
    result["errors"] = [each for each in asked["errors"] if each["requirement"] != OWNERSHIP]
    if alone:
        result["disabled_reason"] = None
    if OWNERSHIP in asked["currently_due"] and not result["currently_due"]:
        result["current_deadline"] = None
    case = account.hidden.get("ownership")
    if case is None or all(each["id"] != case["bank"] for each in account["external_accounts"]["data"]):
        account.hidden.pop("ownership", None)
        return result
    places = {"pending": listed[3:], "due": listed[:2], "past_due": listed[:3]}[case["state"]]
    result |= {name: sorted([*result[name], OWNERSHIP]) for name in places}
    if case["state"] == "due":
        result["current_deadline"] = min(result["current_deadline"] or case["deadline"], case["deadline"])
    if case["state"] == "past_due":
        result["disabled_reason"] = result["disabled_reason"] or "requirements.past_due"
    if case.get("failed"):
        code = "verification_document_failed_test_mode"
        result["errors"] = [*result["errors"], {"code": code, "reason": REASONS[code], "requirement": OWNERSHIP}]
    return result


def _recipient(account: Json) -> bool:
    return bool(account["tos_acceptance"].get("service_agreement") == "recipient")


def _of_person(account: Json, person: Json | None, prefix: str) -> list[str]:
    asked = [name for name in PERSON if not _read(person, name)]
    if account["country"] == "US":
        known = person is not None and (person["ssn_last_4_provided"] or person["id_number_provided"])
        asked += [
            name for name, has in (("address.state", _read(person, "address.state")), ("ssn_last_4", known)) if not has
        ]
    return [f"{prefix}.{name}" for name in asked]


def _of_company(account: Json, company: Json) -> list[str]:
    names = [*COMPANY, "address.state"] if account["country"] == "US" else list(COMPANY)
    return [f"company.{name.replace('tax_id_provided', 'tax_id')}" for name in names if not _read(company, name)]


def roles(account: Json) -> list[str]:
    """The roles whose holders a company must name; which country asks for which is documented in tables of their own.

    Owners everywhere, except of bodies that have none; executives and directors outside the United States.
    """
    asked = [] if account["business_type"] in OWNERLESS else ["owner"]
    return asked if account["country"] == "US" else [*asked, "executive", "director"]


def _of_people(account: Resource, persons: list[Resource]) -> list[str]:
    """A representative, and for each role its people and the word that they are all."""
    head = representative(persons)
    name = head.id if head else "representative"
    asked = [*_of_person(account, head, name), *(f"{name}.{each}" for each in OF_HEAD if not _read(head, each))]
    company = part(account, "company") or {}
    for role in roles(account):
        people = [each for each in persons if each["relationship"][role]]
        asked += [f"{each.id}.{name}" for each in people for name in IN_A_ROLE if not _read(each, name)]
        if not company.get(f"{ROLES[role]}_provided"):
            asked.append(f"company.{ROLES[role]}_provided")
            asked += [f"{ROLES[role]}.{name}" for name in ("email", "first_name", "last_name") if not people]
    return asked


def _read(subject: Json | None, path: str) -> Any:
    value: Any = subject
    for part in path.split("."):
        value = value.get(part) if value else None
    return value


def part(account: Resource, name: str) -> Any:
    """The account's `individual` or `company`, which its platform may no longer see; None when there is none."""
    return account.get(name) or account.hidden.get(name)


def head(account: Resource, persons: list[Resource]) -> Resource | None:
    """The individual, or a company's representative."""
    if account["business_type"] in (None, "individual"):
        found: Resource | None = part(account, "individual")
        return found
    return representative(persons)


def prefix(person: Resource, account: Resource) -> str:
    """What the names of the person's requirements begin with."""
    return "individual" if account["business_type"] in (None, "individual") else person.id


def is_given(person: Json, name: str) -> bool:
    """Whether something is known of a person's field; of a hash, whether any of it is."""
    if name in ("id_number", "ssn_last_4"):
        return bool(person["id_number_provided"] or person["ssn_last_4_provided"])
    if name == "relationship":
        return bool(person[name]["title"])
    value = person[name]
    return any(value.values()) if isinstance(value, dict) else bool(value)


def representative(persons: list[Resource]) -> Resource | None:
    return next((each for each in persons if each["relationship"]["representative"]), None)


def checked(account: Resource, persons: list[Resource]) -> list[tuple[str, Resource]]:
    """The persons whose identity counts, each with its prefix in the names of requirements."""
    if account["business_type"] == "individual":
        individual = part(account, "individual")
        return [("individual", individual)] if individual else []
    return [(each.id, each) for each in persons]


def evidence(account: Resource, persons: list[Resource]) -> list[Any]:
    """All that the checks look at; while it stays the same there is nothing to check again."""
    people = [
        [person["dob"], person["address"], dict(person.hidden), document(person)]
        for _, person in checked(account, persons)
    ]
    return [*people, account.hidden.get("tax_id"), (part(account, "company") or {}).get("address")]


def document(person: Resource) -> str | None:
    front: str | None = person["verification"]["document"]["front"]
    return front


def documents(account: Resource, persons: list[Resource]) -> list[str]:
    """The documents given so far that can convince."""
    given = [document(person) for _, person in checked(account, persons)]
    return [each for each in given if each and each != FAILING_DOCUMENT]


def document_requirement(account: Resource, persons: list[Resource]) -> str:
    head = representative(persons) if account["business_type"] not in (None, "individual") else None
    return f"{head.id if head else 'individual'}.verification.document"


def is_immediate(account: Resource, persons: list[Resource]) -> bool:
    """Whether a test value asks for an answer at once."""
    return any(
        _born(person) == AT_ONCE or person.hidden.get("id_number") == "222222222"
        for _, person in checked(account, persons)
    )


def examine(account: Resource, persons: list[Resource]) -> Verdict:
    verdict = Verdict()
    for prefix, person in checked(account, persons):
        _identify(verdict, person, prefix)
        _check_address(verdict, person["address"], f"{prefix}.address.line1")
    if "company" in account:
        _check_address(verdict, account["company"]["address"], "company.address.line1")
        if account.hidden.get("tax_id") == "111111111":
            verdict.fault("verification_failed_tax_id_match", "company.tax_id")
    return verdict


def _identify(verdict: Verdict, person: Resource, prefix: str) -> None:
    front, born = document(person), _born(person)
    if born == LISTED:
        verdict.listed = True
    elif front == FAILING_DOCUMENT:
        verdict.fault("verification_document_failed_test_mode", f"{prefix}.verification.document")
    elif front is None and born not in (MATCHING, AT_ONCE):
        verdict.fault("verification_failed_keyed_identity", f"{prefix}.verification.document")
    if front is None and person.hidden.get("id_number") == "111111111":
        verdict.fault("verification_failed_id_number_match", f"{prefix}.id_number")


def _check_address(verdict: Verdict, address: Json, requirement: str) -> None:
    if address["line1"] == "address_no_match":
        verdict.fault("verification_failed_address_match", requirement, charges=True)
    elif address["line1"] == "address_line1_no_match":
        verdict.fault("verification_failed_address_match", requirement)


def _born(person: Json) -> tuple[int, int, int]:
    dob = person["dob"]
    return (dob["year"] or 0, dob["month"] or 0, dob["day"] or 0)
