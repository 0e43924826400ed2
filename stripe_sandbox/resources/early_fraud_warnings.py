"""Early fraud warnings: the card's bank reports a payment as fraudulent, before or without a dispute."""

from stripe_sandbox import events
from stripe_sandbox.errors import Json, StripeError
from stripe_sandbox.rendering import by, page
from stripe_sandbox.routing import Call, route
from stripe_sandbox.world import Resource, World, job

KIND = "radar.early_fraud_warning"
FRAUD_TYPES = (
    "card_never_received",
    "fraudulent_card_application",
    "made_with_counterfeit_card",
    "made_with_lost_card",
    "made_with_stolen_card",
    "misc",
    "unauthorized_use_of_card",
)


def warn(world: World, charge: Resource, fraud_type: str = "made_with_stolen_card") -> Resource:
    """The bank's warning about a captured charge. It moves no money."""
    if not charge["captured"] or not charge["payment_intent"]:
        raise StripeError(f"Charge {charge.id} has not been captured, so no bank warns of it.", param="charge")
    warning = world.create(
        KIND,
        charge.account,
        {
            "actionable": not charge["refunded"] and not charge["disputed"],
            "charge": charge.id,
            "fraud_type": fraud_type,
            "payment_intent": charge["payment_intent"],
        },
    )
    events.emit(world, charge.account, f"{KIND}.created", warning)
    return warning


def settle(world: World, charge: Resource) -> None:
    """A charge that is refunded in full or disputed leaves nothing to do about its warnings."""
    for warning in world.all(KIND, charge.account):
        if warning["charge"] == charge.id:
            events.changed(world, charge.account, f"{KIND}.updated", warning, actionable=False)


@job
def issuer_warns(world: World, *, charge: str) -> None:
    """What the test card for warnings does soon after it was charged."""
    warn(world, world.get(charge))


@route("GET", "/v1/radar/early_fraud_warnings/{id}", "radar.EarlyFraudWarningRetrieveParams")
def retrieve(call: Call) -> Json:
    return call.require(KIND, "id", param="early_fraud_warning", label="early_fraud_warning")


@route("GET", "/v1/radar/early_fraud_warnings", "radar.EarlyFraudWarningListParams")
def list_warnings(call: Call) -> Json:
    filters = {"charge": by("charge"), "payment_intent": by("payment_intent")}
    return page(call, KIND, "/v1/radar/early_fraud_warnings", filters)
