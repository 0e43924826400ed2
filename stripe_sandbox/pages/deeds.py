"""What only the outside world does to an object, by a button of the control room."""

from collections.abc import Callable

from stripe_sandbox import webhooks
from stripe_sandbox.resources import (
    account_state,
    checkout_flow,
    disputes,
    early_fraud_warnings,
    hosted_onboarding,
    payouts,
    refunds,
)
from stripe_sandbox.world import Resource, World

# What happens to a connected account.
MOVES = (
    ("complete", "Onboard"),
    ("restrict", "Restrict"),
    ("reject", "Reject"),
    ("deauthorize", "Deauthorise"),
)
DECISIONS = (("won", "Decide for the platform"), ("lost", "Decide for the cardholder"))
ESCALATION = (("escalate", "Make it a chargeback"),)
COMPLAINTS = (("dispute", "Open a dispute"), ("inquiry", "Open an inquiry"), ("warn", "Warn of fraud"))

Choices = tuple[tuple[str, str], ...]


def possible(world: World, found: Resource) -> Choices:
    """What can happen to the object now: (value, words) of each button."""
    kind, status = found["object"], found.get("status")
    choices: Choices = ()
    if kind == "payout" and status in ("pending", "in_transit", "paid"):
        choices = (("fail", "Fail this payout"),)
    elif kind == "payment_intent" and status == "succeeded":
        choices = COMPLAINTS if disputes.disputable(world, world.get(found["latest_charge"])) > 0 else COMPLAINTS[2:]
    elif kind == "dispute" and status in disputes.OPEN:
        choices = ESCALATION + DECISIONS if status.startswith("warning") else DECISIONS
    elif kind == "refund" and refunds.can_fail(found):
        choices = (("fail", "Fail this refund"),)
    elif kind == "account" and not world.is_platform(found.id) and not found.hidden.get("deleted"):
        choices = MOVES
    elif kind == "webhook_endpoint":
        choices = (("roll", "Roll the secret (the old one lives for a day)"),)
    return choices


def _expire_session(world: World, session: Resource, wish: str) -> None:
    if session["status"] == "open":
        checkout_flow.expire(world, session)


def _complain(world: World, intent: Resource, wish: str) -> Resource | None:
    """The dispute, inquiry or warning that was made."""
    if not intent["latest_charge"]:
        return None
    charge = world.get(intent["latest_charge"])
    if wish == "warn":
        return early_fraud_warnings.warn(world, charge)
    return disputes.open_dispute(world, charge, inquiry=wish == "inquiry")


def _resolve(world: World, dispute: Resource, wish: str) -> None:
    if wish == "escalate":
        disputes.escalate(world, dispute)
    elif dispute["status"] in disputes.OPEN:
        disputes.resolve(world, dispute, won=wish == "won")


def _fail_payout(world: World, payout: Resource, wish: str) -> None:
    if payout["status"] in ("pending", "in_transit", "paid"):
        payouts.fail(world, payout, "could_not_process")


def _fail_refund(world: World, refund: Resource, wish: str) -> None:
    if refunds.can_fail(refund):
        refunds.fail(world, refund, "expired_or_canceled_card")


def _move_account(world: World, account: Resource, wish: str) -> None:
    if wish == "complete":
        hosted_onboarding.onboard(world, account, "complete")
    elif wish == "restrict":
        account_state.restrict(world, account)
    elif wish == "reject":
        account_state.reject(world, account, "rejected.other")
    elif wish == "deauthorize":
        account_state.deauthorize(world, account)


def _roll_secret(world: World, endpoint: Resource, wish: str) -> None:
    webhooks.roll_secret(world, endpoint, expires_in=webhooks.LONGEST_ROLL)


# The plural of an object's type in the form's address -> what its buttons do; the answer is what it made, if anything.
DEEDS: dict[str, Callable[[World, Resource, str], Resource | None]] = {
    "accounts": _move_account,
    "sessions": _expire_session,
    "payment_intents": _complain,
    "disputes": _resolve,
    "payouts": _fail_payout,
    "refunds": _fail_refund,
    "webhook_endpoints": _roll_secret,
}
