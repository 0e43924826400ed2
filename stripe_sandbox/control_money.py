"""The control calls for what banks do to money long after it was paid: disputes that grow, warnings, refunds that go wrong."""

from .control import MisuseError, action, choice, stored, text
from .errors import Json
from .resources import disputes, early_fraud_warnings, refunds
from .resources.early_fraud_warnings import FRAUD_TYPES
from .webhooks import Courier
from .world import World


@action("POST", "disputes/*/escalate")
async def escalate(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """An inquiry becomes a chargeback."""
    found = stored(world, "dispute", ids[0])
    disputes.escalate(world, found)
    return found


@action("POST", "early_fraud_warnings", "payment_intent", "fraud_type")
async def warn(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """The card's bank reports a payment as fraudulent."""
    intent = stored(world, "payment_intent", text(body, "payment_intent", ""))
    if not intent["latest_charge"]:
        raise MisuseError("This payment has no charge to warn of.")
    charge = world.get(intent["latest_charge"])
    return early_fraud_warnings.warn(world, charge, choice(body, "fraud_type", FRAUD_TYPES, "made_with_stolen_card"))


@action("POST", "refunds/*/require_action")
async def require_action(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """The customer has to say where the money goes, as with methods that have no way back of their own."""
    found = stored(world, "refund", ids[0])
    refunds.require_action(world, found)
    return found


@action("POST", "refunds/*/fail", "failure_reason")
async def fail_refund(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    found = stored(world, "refund", ids[0])
    refunds.fail(world, found, choice(body, "failure_reason", refunds.FAILURES, "expired_or_canceled_card"))
    return found
