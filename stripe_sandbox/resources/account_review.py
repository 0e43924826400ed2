"""How an account's state follows the details that its platform gives by the API.

Where the platform collects the requirements (custom accounts) the details are submitted when the last one is given;
Stripe then checks them, here for a minute unless a test value asks for an answer at once. Elsewhere they only prefill.
"""

from stripe_sandbox.errors import Json
from stripe_sandbox.world import Resource, World, job

from . import kyc
from .account_state import VERIFICATION_SECONDS, apply, requirements, verify
from .person_view import mark

PAST_DUE, PENDING = "requirements.past_due", "requirements.pending_verification"


def start(world: World, account: Resource) -> None:
    """The requirements of a new account; its creation is told in no event."""
    persons = world.all("person", account.id)
    account["requirements"] = requirements(past_due=kyc.missing(account, persons), disabled_reason=PAST_DUE)
    _share(account, persons)


def reassess(world: World, account: Resource) -> None:
    """After the platform wrote details: asks for what is missing, or has what was given checked."""
    persons = world.all("person", account.id)
    reason = account["requirements"]["disabled_reason"] or ""
    if world.is_platform(account.id) or reason.startswith("rejected."):
        return
    if "asked" in account.hidden:
        if kyc.documents(account, persons) != account.hidden["asked"]:
            verify(world, account)
        return
    if account.hidden.get("hosted"):
        _note_bank(world, account)
        return
    left = kyc.missing(account, persons)
    if account["controller"]["requirement_collection"] == "stripe":
        apply(world, account, requirements=requirements(past_due=left, disabled_reason=PAST_DUE))
    elif left:
        _ask(world, account, left)
    else:
        _check(world, account, persons)
    _share(account, persons)


def _note_bank(world: World, account: Resource) -> None:
    """Of an account whose person told Stripe the rest, the platform's view of a missing bank account alone changes."""
    if kyc.has_bank(account):
        asked = account["requirements"]
        listed = ("currently_due", "eventually_due", "past_due")
        left = {name: [each for each in asked[name] if each != "external_account"] for name in listed}
        asked = kyc.with_ownership(account, {**asked, **left})
        stopped = asked["past_due"] or asked["disabled_reason"]
        apply(world, account, requirements=asked, payouts_enabled=account["payouts_enabled"] if stopped else True)


def _ask(world: World, account: Resource, left: list[str]) -> None:
    """Something is missing. Without a bank account only payouts stop; without anything else, all does."""
    asked = requirements(past_due=left, disabled_reason=PAST_DUE)
    if left == ["external_account"] and account["details_submitted"]:
        apply(world, account, requirements=asked, payouts_enabled=False)
    else:
        apply(world, account, requirements=asked, capability="inactive", charges_enabled=False, payouts_enabled=False)


def _check(world: World, account: Resource, persons: list[Resource]) -> None:
    evidence = kyc.evidence(account, persons)
    known, account.hidden["evidence"] = account.hidden.get("evidence") == evidence, evidence
    waiting = account["requirements"]["disabled_reason"] == PENDING
    at_once = kyc.is_immediate(account, persons)
    if known and waiting and not at_once:
        return
    if known or at_once or account["charges_enabled"]:
        if not account["details_submitted"]:
            apply(world, account, details_submitted=True)
        judge(world, account)
        return
    pending = [f"{prefix}.verification.document" for prefix, _ in kyc.checked(account, persons)]
    mark(world, persons, "pending")
    apply(
        world,
        account,
        requirements=requirements(pending=pending, disabled_reason=PENDING),
        capability="pending",
        details_submitted=True,
    )
    world.schedule(world.now() + VERIFICATION_SECONDS, "details_checked", account=account.id)


@job
def details_checked(world: World, *, account: str) -> None:
    found = world.get(account)
    if found["requirements"]["disabled_reason"] == PENDING and not found.hidden.get("deleted"):
        judge(world, found)
        _share(found, world.all("person", found.id))


def judge(world: World, account: Resource) -> None:
    """What the checks find becomes the account's state."""
    persons = world.all("person", account.id)
    verdict = kyc.examine(account, persons)
    if verdict.listed:
        state = requirements(disabled_reason="listed")
    elif verdict.errors:
        state = requirements(past_due=verdict.due, disabled_reason=PAST_DUE, problems=verdict.errors)
    else:
        mark(world, persons, "verified")
        verify(world, account)
        return
    mark(world, persons, "unverified")
    charges = verdict.charges and not verdict.listed
    apply(
        world,
        account,
        requirements=state,
        capability="active" if charges else "inactive",
        charges_enabled=charges,
        payouts_enabled=False,
    )


def _share(account: Resource, persons: list[Resource]) -> None:
    """Each person's own requirements are those of the account that name them."""
    asked: Json = account["requirements"]
    for prefix, person in kyc.checked(account, persons):
        due = [name.removeprefix(f"{prefix}.") for name in asked["currently_due"] if name.startswith(f"{prefix}.")]
        person["requirements"] = {
            **person["requirements"],
            "currently_due": due,
            "eventually_due": due,
            "past_due": due,
        }
