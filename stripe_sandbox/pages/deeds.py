"""What only the outside world does to an object, by a button of the control room."""

from collections.abc import Callable

from stripe_sandbox import webhooks
from stripe_sandbox.resources import account_state, checkout_flow, disputes, hosted_onboarding, payouts
from stripe_sandbox.world import Resource, World

# What happens to a connected account.
MOVES = (
    ("complete", "Onboard"),
    ("restrict", "Restrict"),
    ("reject", "Reject"),
    ("deauthorize", "Deauthorise"),
)


def _expire_session(world: World, session: Resource, wish: str) -> None:
    if session["status"] == "open":
        checkout_flow.expire(world, session)


def _dispute(world: World, intent: Resource, wish: str) -> None:
    if intent["latest_charge"]:
        disputes.open_dispute(world, world.get(intent["latest_charge"]))


def _resolve(world: World, dispute: Resource, wish: str) -> None:
    if dispute["status"] in disputes.OPEN:
        disputes.resolve(world, dispute, won=wish == "won")


def _fail_payout(world: World, payout: Resource, wish: str) -> None:
    if payout["status"] in ("pending", "in_transit", "paid"):
        payouts.fail(world, payout, "could_not_process")


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


# The plural of an object's type in the form's address -> what its buttons do.
DEEDS: dict[str, Callable[[World, Resource, str], None]] = {
    "accounts": _move_account,
    "sessions": _expire_session,
    "payment_intents": _dispute,
    "disputes": _resolve,
    "payouts": _fail_payout,
    "webhook_endpoints": _roll_secret,
}
