"""A visit to Stripe's own onboarding pages: what the person gives there, and what comes of it.

Stripe documents which events a submission has and not in which order; here what is made is told before what it changes.
"""

from stripe_sandbox.errors import Json
from stripe_sandbox.world import Resource, World, job

from . import account_details, account_state, bank_ownership, kyc, person_view, persons
from .account_state import VERIFICATION_SECONDS, apply, requirements

OUTCOMES = ("complete", "pending", "partial", "restricted", "rejected")
# What the person gives, as far as the platform has not given it before: Stripe's own test values.
ADDRESS = {"city": "Test City", "line1": "address_full_match", "postal_code": "00000"}
PERSON: Json = {
    "address": ADDRESS,
    "dob": {"day": 1, "month": 1, "year": 1901},
    "email": "jenny.rosen@example.com",
    "first_name": "Jenny",
    "last_name": "Rosen",
    "phone": "0000000000",
}
COMPANY: Json = {
    "address": ADDRESS,
    "directors_provided": True,
    "executives_provided": True,
    "name": "Rosen Test Company",
    "owners_provided": True,
    "phone": "0000000000",
    "tax_id": "000000000",
}
HEAD: Json = {"executive": True, "owner": True, "percent_ownership": 100.0, "representative": True, "title": "CEO"}


def onboard(world: World, account: Resource, outcome: str) -> None:
    """Plays a visit that ends with one of `OUTCOMES`. Raises StripeError 400 when the account was rejected before."""
    account_state.refuse_rejected(account)
    account_state.hand_over(account)
    if outcome == "partial":
        _leave_half_way(world, account)
        return
    _submit(world, account)
    if outcome == "complete":
        _verify(world, account)
    elif outcome == "pending":
        world.schedule(world.now() + VERIFICATION_SECONDS, "verification_done", account=account.id)
    elif outcome == "restricted":
        account_state.restrict(world, account)
    elif outcome == "rejected":
        account_state.reject(world, account, "rejected.fraud")


@job
def verification_done(world: World, *, account: str) -> None:
    found = world.get(account)
    waiting = found["requirements"]["disabled_reason"] == "requirements.pending_verification"
    if waiting and not found.hidden.get("deleted"):
        _verify(world, found)


def _verify(world: World, account: Resource) -> None:
    person_view.mark(world, _people(world, account), "verified")
    account_state.verify(world, account)


def _leave_half_way(world: World, account: Resource) -> None:
    """The person has said who they are, and neither where to pay out nor what the business is."""
    head = _give_person(world, account, "unverified")
    theirs = ("individual.", "representative.", f"{head.id}.")
    left = [name for name in account["requirements"]["currently_due"] if not name.startswith(theirs)]
    left = left or ["external_account"]
    asked = requirements(past_due=left, disabled_reason="requirements.past_due")
    apply(world, account, requirements=asked)


def _submit(world: World, account: Resource) -> None:
    """The person has given everything on Stripe's own pages, and Stripe now looks at it."""
    account.hidden["hosted"] = True
    bank_ownership.settle(world, account)
    prefix = kyc.prefix(_give_person(world, account, "pending"), account)
    changes: Json = {"business_type": account["business_type"] or "individual"}
    if changes["business_type"] != "individual":
        changes |= _give_company(account)
    if not kyc.has_bank(account):
        account_state.add_bank_account(world, account)
    profile = account["business_profile"]
    apply(
        world,
        account,
        requirements=requirements(
            pending=[f"{prefix}.verification.document"], disabled_reason="requirements.pending_verification"
        ),
        capability="pending",
        details_submitted=True,
        charges_enabled=False,
        payouts_enabled=False,
        business_profile={
            **profile,
            "mcc": profile["mcc"] or "8299",
            "url": profile["url"] or "https://accessible.stripe.com",
        },
        tos_acceptance={**account["tos_acceptance"], "date": world.now(), "ip": "127.0.0.1"},
        **changes,
    )


def _give_person(world: World, account: Resource, status: str) -> Resource:
    """The individual, or the company's representative, with all that the platform has not given of them."""
    given: Json = {**PERSON, "email": account["email"] or PERSON["email"]}
    abode = {"country": account["country"], "state": "MA" if account["country"] == "US" else None}
    given["address"] = {**ADDRESS, **abode}
    given["ssn_last_4" if account["country"] == "US" else "id_number"] = "0000"
    if account["business_type"] not in (None, "individual"):
        given["relationship"] = HEAD
    head = kyc.head(account, world.all("person", account.id))
    if head is not None:
        persons.alter(world, head, _unknown(head, given), status=status)
        return head
    head = persons.make(world, account, given, status=status)
    if "relationship" not in given:
        (account.hidden if account.hidden.get("opened") else account)["individual"] = head
    return head


def _unknown(person: Resource, given: Json) -> Json:
    """Of what could be given, that of which the person's object has nothing yet."""
    known = {name for name in given if kyc.is_given(person, name)}
    return {name: value for name, value in given.items() if name not in known}


def _give_company(account: Resource) -> Json:
    """Keeps the company's details; returns what changes of the account as its platform sees it."""
    before = kyc.part(account, "company") or {}
    company = account_details.company_of(account, {name: COMPANY[name] for name in COMPANY if not before.get(name)})
    if account.hidden.get("opened"):
        account.hidden["company"] = company
        return {}
    return {"company": company}


def _people(world: World, account: Resource) -> list[Resource]:
    return [person for _, person in kyc.checked(account, world.all("person", account.id))]
