"""What a connected account may do, and how onboarding, verification and refusal change it.

The states follow section "state machine" of Stripe's account documentation as far as it is public; which
`disabled_reason` a rejection sets today is not documented, so the long-standing `rejected.*` values are used.
"""

from typing import Any

from stripe_sandbox import events
from stripe_sandbox.errors import Json, StripeError
from stripe_sandbox.money import currency_of_country
from stripe_sandbox.world import Resource, World, job

from . import banks, kyc, person_view

VERIFICATION_SECONDS = 60


def requirements(
    *,
    due: list[str] | None = None,
    past_due: list[str] | None = None,
    pending: list[str] | None = None,
    disabled_reason: str | None = None,
    deadline: int | None = None,
    problems: list[Json] | None = None,
) -> Json:
    """A requirements hash; what is past due is due as well."""
    past, now_due = past_due or [], due or []
    everything = sorted({*now_due, *past})
    return {
        "alternatives": [],
        "current_deadline": deadline,
        "currently_due": everything,
        "disabled_reason": disabled_reason,
        "errors": problems or [],
        "eventually_due": everything,
        "past_due": past,
        "pending_verification": pending or [],
    }


def no_requirements() -> Json:
    """A person's requirements hash when nothing is asked."""
    names = ("alternatives", "currently_due", "errors", "eventually_due", "past_due", "pending_verification")
    return {name: [] for name in names}


def is_rejected(account: Resource) -> bool:
    return (account["requirements"]["disabled_reason"] or "").startswith("rejected.")


def refuse_rejected(account: Resource) -> None:
    """Stripe offers no way back from a rejection by the API, and neither do its pages."""
    if is_rejected(account):
        reason = account["requirements"]["disabled_reason"]
        raise StripeError(f"Account {account.id} was rejected ({reason}). That is for good: nothing revives it.")


def hand_over(account: Resource) -> None:
    """Onboarding by Stripe begins. Where Stripe collects the requirements, the platform no longer sees or writes details.

    Documented for the creation of an account link or account session, not only for what is submitted there.
    """
    if account["controller"].get("requirement_collection") == "stripe":
        account.hidden["opened"] = True
        for private in ("individual", "company"):
            if private in account:
                account.hidden[private] = account.pop(private)


def verify(world: World, account: Resource) -> None:
    """Everything is in order: the requested capabilities become active."""
    account.hidden.pop("asked", None)
    apply(world, account, requirements=requirements(), capability="active", charges_enabled=True, payouts_enabled=True)


def restrict(world: World, account: Resource, *, deadline: int | None = None) -> None:
    """Stripe asks for a document: with a deadline (unix seconds) the account goes on until then, without one it stops at once."""
    refuse_rejected(account)
    due = [ask_for_document(world, account)]
    if deadline:
        apply(world, account, requirements=requirements(due=due, deadline=deadline))
        world.schedule(deadline, "deadline_passed", account=account.id, deadline=deadline)
        return
    problem = {
        "code": "verification_failed_keyed_identity",
        "reason": "The person's identity could not be verified with the details given.",
        "requirement": due[0],
    }
    apply(
        world,
        account,
        requirements=requirements(past_due=due, disabled_reason="requirements.past_due", problems=[problem]),
        capability="inactive",
        charges_enabled=False,
        payouts_enabled=False,
    )
    person_view.mark(world, [each for _, each in kyc.checked(account, world.all("person", account.id))], "unverified")


def ask_for_document(world: World, account: Resource) -> str:
    """Remembers which documents there are, so that another one ends what is asked now; returns the requirement's name."""
    persons = world.all("person", account.id)
    account.hidden["asked"] = kyc.documents(account, persons)
    return kyc.document_requirement(account, persons)


@job
def deadline_passed(world: World, *, account: str, deadline: int) -> None:
    found = world.get(account)
    if found["requirements"]["current_deadline"] == deadline and not found.hidden.get("deleted"):
        restrict(world, found)


def reject(world: World, account: Resource, reason: str, *, pause_payouts: bool = True) -> None:
    """Stripe or the platform refuses the account for good."""
    apply(
        world,
        account,
        requirements=requirements(disabled_reason=reason),
        capability="inactive",
        charges_enabled=False,
        payouts_enabled=False if pause_payouts else account["payouts_enabled"],
    )


def deauthorize(world: World, account: Resource) -> None:
    """The account leaves the platform: it can no longer be reached, and the platform hears of it."""
    application = {
        "id": world.state.objects[world.settings.platform].hidden["application"],
        "object": "application",
        "name": "Sandbox platform",
    }
    events.emit(world, account.id, "account.application.deauthorized", application)
    world.forget(account)


def request_capability(world: World, account: Resource, name: str, requested: bool) -> None:
    """Asks for a capability or gives it back; a verified account has it at once."""
    known = account.hidden["capabilities"].setdefault(
        name, {"requested": False, "requested_at": None, "status": "unrequested"}
    )
    if known["requested"] == requested:
        return
    verified = account["details_submitted"] and account["requirements"]["disabled_reason"] is None
    status = ("active" if verified else "inactive") if requested else "unrequested"
    known.update(requested=requested, requested_at=world.now() if requested else None, status=status)
    account["capabilities"] = _statuses(account)
    events.emit(world, account.id, "capability.updated", capability_object(account, name))


def capability_object(account: Resource, name: str) -> Json:
    known = account.hidden["capabilities"][name]
    listed = account["requirements"]
    shown = {**listed} if known["requested"] else requirements()
    return {
        "id": name,
        "object": "capability",
        "account": account.id,
        "future_requirements": requirements(),
        "requested": known["requested"],
        "requested_at": known["requested_at"],
        "requirements": shown,
        "status": known["status"],
    }


def can_receive_transfers(account: Resource) -> bool:
    return bool(account["capabilities"].get("transfers") == "active")


def add_bank_account(world: World, account: Resource) -> None:
    """Gives the account Stripe's test bank account, and tells of it."""
    events.emit(world, account.id, "account.external_account.created", new_bank_account(world, account))


def new_bank_account(world: World, account: Resource) -> Resource:
    """Stripe's test bank account, in the account's own country and currency."""
    draft = banks.Draft(
        "bank_account",
        {
            "account_holder_name": "Jenny Rosen",
            "account_holder_type": "individual",
            "available_payout_methods": ["standard"],
            "bank_name": "STRIPE TEST BANK",
            "country": account["country"],
            "currency": account["default_currency"] or currency_of_country(account["country"]),
            "fingerprint": world.token(16),
            "last4": "6789",
            "routing_number": "110000000" if account["country"] == "US" else None,
            "status": "new",
        },
        "000123456789",
    )
    return banks.add(world, account, draft, default=True)


def _statuses(account: Resource) -> dict[str, str]:
    return {
        name: known["status"] for name, known in sorted(account.hidden["capabilities"].items()) if known["requested"]
    }


def apply(world: World, account: Resource, *, capability: str | None = None, **changes: Any) -> None:
    """Changes the account and its requested capabilities together; capabilities are told first, the account last."""
    before = dict(account.hidden["capabilities"])
    if "requirements" in changes:
        changes["requirements"] = kyc.with_ownership(account, changes["requirements"])
        if kyc.OWNERSHIP in changes["requirements"]["past_due"]:
            changes["payouts_enabled"] = False
    altered = []
    for name, known in before.items():
        if capability and known["requested"] and known["status"] != capability:
            account.hidden["capabilities"][name] = {**known, "status": capability}
            altered.append(name)
    old = account["requirements"]
    account["requirements"] = changes.get("requirements", old)
    for name in altered:
        events.emit(
            world,
            account.id,
            "capability.updated",
            capability_object(account, name),
            {"status": before[name]["status"]},
        )
    account["requirements"] = old
    if altered:
        changes["capabilities"] = _statuses(account)
    events.changed(world, account.id, "account.updated", account, **changes)
