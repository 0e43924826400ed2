"""Whether a bank account in the United States is its account's own: Stripe asks after a short delay, of two test numbers.

000999999991 is confirmed by itself, 000999999992 needs a document. How long Stripe waits for it is not documented: here 14 days.
"""

from typing import Any

from stripe_sandbox import events
from stripe_sandbox.errors import Json, no_such
from stripe_sandbox.money import DAY
from stripe_sandbox.world import Resource, World, job

from . import kyc
from .account_state import VERIFICATION_SECONDS, apply
from .banks import CONFIRMED_OWNERSHIP

PATIENCE = 14 * DAY


def check(world: World, caller: str, documents: Json) -> None:
    """Refuses documents that nobody uploaded, before anything is changed."""
    for file in _files(documents):
        if file not in kyc.MAGIC_DOCUMENTS and world.find("file", file, caller) is None:
            raise no_such("file upload", file, param="documents[bank_account_ownership_verification][files]")


def answer(world: World, account: Resource, documents: Json) -> None:
    """The account gave documents; they are looked at for a while when there is something they could prove."""
    files, case = _files(documents), account.hidden.get("ownership")
    if not files or case is None:
        return
    if kyc.FAILING_DOCUMENT in files:
        account.hidden["ownership"] = {**case, "failed": True}
    else:
        account.hidden["ownership"] = {**case, "state": "pending", "failed": False}
        world.schedule(world.now() + VERIFICATION_SECONDS, "bank_ownership_confirmed", bank=case["bank"])
    _refresh(world, account)


def _files(documents: Json) -> list[str]:
    return (documents.get("bank_account_ownership_verification") or {}).get("files") or []


def _owner(world: World, bank: str) -> Resource | None:
    """The account that the bank account still belongs to."""
    owner = world.get(world.get(bank).account)
    kept = any(each["id"] == bank for each in owner["external_accounts"]["data"])
    return owner if kept and not owner.hidden.get("deleted") else None


@job
def bank_ownership_checked(world: World, *, bank: str) -> None:
    owner = _owner(world, bank)
    if owner is None:
        return
    if world.get(bank).hidden["number"] == CONFIRMED_OWNERSHIP:
        owner.hidden["ownership"] = {"bank": bank, "state": "pending"}
        world.schedule(world.now() + VERIFICATION_SECONDS, "bank_ownership_confirmed", bank=bank)
    else:
        deadline = world.now() + PATIENCE
        owner.hidden["ownership"] = {"bank": bank, "state": "due", "deadline": deadline}
        _tell(world, bank, requirements={**world.get(bank)["requirements"], "currently_due": [kyc.OWNERSHIP]})
        world.schedule(deadline, "bank_ownership_overdue", bank=bank)
    _refresh(world, owner)


@job
def bank_ownership_confirmed(world: World, *, bank: str) -> None:
    owner = _owner(world, bank)
    if owner is None or owner.hidden.get("ownership", {}).get("state") != "pending":
        return
    settle(world, owner)
    _refresh(world, owner)


def settle(world: World, account: Resource) -> None:
    """Nothing more is asked about the owner of the bank account."""
    case = account.hidden.pop("ownership", None)
    if case is not None and _owner(world, case["bank"]) is not None:
        answered = {**world.get(case["bank"])["requirements"], "currently_due": []}
        _tell(world, case["bank"], status="new", requirements=answered)


@job
def bank_ownership_overdue(world: World, *, bank: str) -> None:
    owner = _owner(world, bank)
    if owner is None or owner.hidden.get("ownership", {}).get("state") != "due":
        return
    owner.hidden["ownership"] = {**owner.hidden["ownership"], "state": "past_due"}
    _tell(world, bank, status="verification_failed")
    _refresh(world, owner)


def _tell(world: World, bank: str, **changes: Any) -> None:
    found = world.get(bank)
    events.changed(world, found.account, "account.external_account.updated", found, **changes)


def _refresh(world: World, account: Resource) -> None:
    """The account's requirements follow; payouts go on when they were stopped for nothing else."""
    asked = kyc.with_ownership(account, account["requirements"])
    free = account["charges_enabled"] and not asked["past_due"] and asked["disabled_reason"] is None
    apply(world, account, requirements=asked, payouts_enabled=free or account["payouts_enabled"])
