"""Test cards that bring trouble to the account they pay: a direct charge's, or the one a charge is made on behalf of.

What a verified account has still to give is its document here, as long as none was given. Stripe does not say how long an
account then has before it is stopped: 14 days.
"""

from stripe_sandbox.money import DAY
from stripe_sandbox.world import Resource, World, job

from . import account_state, kyc
from .account_state import apply, requirements

PATIENCE = 14 * DAY


@job
def card_triggers(world: World, *, account: str, trigger: str) -> None:
    """Without effect before an account has given what it must to be paid at all, and when nothing is left to ask."""
    found = world.connected(account)
    if found is None or not found["details_submitted"] or found["requirements"]["disabled_reason"] is not None:
        return
    due = found["requirements"]["currently_due"] or _next(world, found)
    if not due:
        return
    if trigger == "next_requirements":
        if not found["requirements"]["currently_due"]:
            account_state.restrict(world, found, deadline=world.now() + PATIENCE)
        return
    account_state.ask_for_document(world, found)
    overdue = requirements(past_due=due, disabled_reason="requirements.past_due")
    if trigger == "charge_block":
        apply(world, found, requirements=overdue, capability="inactive", charges_enabled=False)
    else:
        apply(world, found, requirements=overdue, payouts_enabled=False)


def _next(world: World, account: Resource) -> list[str]:
    persons = world.all("person", account.id)
    return [] if kyc.documents(account, persons) else [kyc.document_requirement(account, persons)]
