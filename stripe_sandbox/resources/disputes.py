"""Disputes and inquiries: the cardholder objects, the platform answers, the bank decides.

Stripe publishes neither the balance transactions of the fee for countering a dispute nor whether `charge.updated`
comes with a new one: the fee is a transaction of its own here (type `stripe_fee`), given back by a second one after a
win, and the event is sent; an inquiry is told of by its own event alone. A deadline missed is a dispute lost. Nothing
leads to `prevented`: that is for networks which settle before a dispute exists.
"""

from stripe_sandbox import events, money
from stripe_sandbox.errors import Json, StripeError
from stripe_sandbox.money import DAY
from stripe_sandbox.rendering import by, page
from stripe_sandbox.routing import Call, metadata, route
from stripe_sandbox.world import Resource, World, job

from . import dispute_evidence, early_fraud_warnings

FEE = 1500  # minor units, kept whatever the outcome
COUNTERED_FEE = 1500  # minor units, taken when a chargeback is answered, given back when it is won
DAYS_TO_ANSWER = 20
INQUIRY_DAYS = 120
NETWORK_CODES = {
    "fraudulent": "10.4",
    "product_not_received": "13.1",
    "duplicate": "12.6.1",
    "credit_not_processed": "13.6",
}
REASONS = frozenset(
    "bank_cannot_process check_returned credit_not_processed customer_initiated debit_not_authorized duplicate fraudulent general "
    "incorrect_account_details insufficient_funds noncompliant product_not_received product_unacceptable subscription_canceled unrecognized".split()
)
WITHDRAWN = ("needs_response", "under_review", "lost")
OPEN = ("needs_response", "under_review", "warning_needs_response", "warning_under_review")


def open_dispute(
    world: World, charge: Resource, *, reason: str = "fraudulent", inquiry: bool = False, amount: int | None = None
) -> Resource:
    """The cardholder disputes a captured charge; a chargeback takes the money at once, an inquiry only asks."""
    if not charge["captured"] or not charge["payment_intent"]:
        raise StripeError(f"Charge {charge.id} has not been captured, so nobody can dispute it.", param="charge")
    if reason not in REASONS:
        raise StripeError(f"Invalid reason: must be one of {', '.join(sorted(REASONS))}", param="reason")
    left = disputable(world, charge)
    if amount is None:
        amount = left
    if not 1 <= amount <= left:
        raise StripeError(
            f"The amount must be from 1 to {left}: what is left of charge {charge.id} to dispute.", param="amount"
        )
    dispute = _new_dispute(world, charge, reason=reason, inquiry=inquiry, amount=amount)
    if inquiry:
        charge["disputed"] = True
        world.schedule(world.now() + INQUIRY_DAYS * DAY, "dispute_deadline", dispute=dispute.id)
        events.emit(world, charge.account, "charge.dispute.created", dispute)
    else:
        _withdraw(world, dispute)
        world.schedule(dispute["evidence_details"]["due_by"], "dispute_deadline", dispute=dispute.id)
        events.changed(world, charge.account, "charge.updated", charge, disputed=True)
        events.emit(world, charge.account, "charge.dispute.created", dispute)
        events.emit(world, charge.account, "charge.dispute.funds_withdrawn", dispute)
    early_fraud_warnings.settle(world, charge)
    return dispute


def _new_dispute(world: World, charge: Resource, *, reason: str, inquiry: bool, amount: int) -> Resource:
    code, details = NETWORK_CODES.get(reason, "10.4"), charge["payment_method_details"]["card"]
    card = {
        "brand": details["brand"],
        "case_type": "inquiry" if inquiry else "chargeback",
        "network": details["network"],
        "network_reason_code": code,
    }
    evidence_details = {
        "due_by": _due_by(world),
        "enhanced_eligibility": {},
        "has_evidence": False,
        "past_due": False,
        "submission_count": 0,
    }
    return world.create(
        "dispute",
        charge.account,
        {
            "amount": amount,
            "balance_transactions": [],
            "charge": charge.id,
            "currency": charge["currency"],
            "enhanced_eligibility_types": [],
            "evidence": dispute_evidence.empty(),
            "evidence_details": evidence_details,
            "is_charge_refundable": inquiry,
            "network_reason_code": code,
            "payment_intent": charge["payment_intent"],
            "payment_method_details": {"card": card, "type": "card"},
            "reason": reason,
            "status": "warning_needs_response" if inquiry else "needs_response",
        },
    )


def disputable(world: World, charge: Resource) -> int:
    """What was neither refunded (a refund that still waits is none yet) nor withdrawn by a chargeback before."""
    refunds = [world.get(id) for id in charge.hidden["refunds"]]
    waiting = sum(refund["amount"] for refund in refunds if refund["status"] == "pending")
    withdrawn = sum(dispute["amount"] for dispute in _of(world, charge) if dispute["status"] in WITHDRAWN)
    return int(charge["amount_captured"] - charge["amount_refunded"] + waiting - withdrawn)


def _of(world: World, charge: Resource) -> list[Resource]:
    if not charge["disputed"]:
        return []
    return [dispute for dispute in world.all("dispute", charge.account) if dispute["charge"] == charge.id]


def leaves_refundable(world: World, charge: Resource) -> bool:
    """Inquiries and disputes that were won leave the charge refundable; any chargeback that took the money does not."""
    return not any(dispute["status"] in WITHDRAWN for dispute in _of(world, charge))


def _due_by(world: World) -> int:
    """The last second of the day on which the answer must be there."""
    return (world.now() // DAY + DAYS_TO_ANSWER + 1) * DAY - 1


def _withdraw(world: World, dispute: Resource) -> None:
    fee = money.stripe_fee(FEE, dispute["currency"], "Dispute fee")
    _book(world, dispute, -dispute["amount"], "dispute", [fee])
    world.schedule(world.now(), "refunds_meet_chargeback", charge=dispute["charge"])


def _book(world: World, dispute: Resource, amount: int, category: str, fees: list[Json] | None = None) -> None:
    transaction = money.post(
        world,
        dispute.account,
        type="adjustment",
        category=category,
        amount=amount,
        currency=dispute["currency"],
        source=dispute.id,
        description=f"Chargeback {'withdrawal' if amount < 0 else 'reversal'} for {dispute['charge']}",
        fees=fees,
    )
    dispute["balance_transactions"] = [*dispute["balance_transactions"], transaction]


def _book_countered_fee(world: World, dispute: Resource, amount: int) -> None:
    money.post(
        world,
        dispute.account,
        type="stripe_fee",
        category="fee",
        amount=amount,
        currency=dispute["currency"],
        source=dispute.id,
        description="Dispute countered fee" if amount < 0 else "Dispute countered fee refund",
    )


def resolve(world: World, dispute: Resource, *, won: bool) -> None:
    """The bank decides. An inquiry simply ends, whichever way."""
    if dispute["status"] not in OPEN:
        raise StripeError(f"This dispute is {dispute['status']} and cannot be decided again.")
    if dispute["status"].startswith("warning"):
        dispute["status"] = "warning_closed"
    elif won:
        dispute["status"] = "won"
        _book(world, dispute, dispute["amount"], "dispute_reversal")
        if dispute.hidden.get("countered"):
            _book_countered_fee(world, dispute, COUNTERED_FEE)
        events.emit(world, dispute.account, "charge.dispute.funds_reinstated", dispute)
    else:
        dispute["status"] = "lost"
    events.emit(world, dispute.account, "charge.dispute.closed", dispute)


def escalate(world: World, dispute: Resource) -> None:
    """An inquiry becomes a chargeback, with a new time to answer."""
    if not dispute["status"].startswith("warning") or dispute["status"] not in OPEN:
        raise StripeError(f"This dispute is {dispute['status']}: only an open inquiry can become a chargeback.")
    due_by = _due_by(world)
    details = dispute["payment_method_details"]
    card = {**details["card"], "case_type": "chargeback"}
    changes = {
        "amount": min(dispute["amount"], disputable(world, world.get(dispute["charge"]))),
        "status": "needs_response",
        "is_charge_refundable": False,
        "payment_method_details": {**details, "card": card},
        "evidence_details": {**dispute["evidence_details"], "due_by": due_by, "submission_count": 0},
    }
    world.schedule(due_by, "dispute_deadline", dispute=dispute.id)
    events.changed(world, dispute.account, "charge.dispute.updated", dispute, **changes)
    _withdraw(world, dispute)
    events.emit(world, dispute.account, "charge.dispute.funds_withdrawn", dispute)


def close_inquiries(world: World, charge: Resource) -> None:
    """A full refund answers every inquiry about the charge."""
    for dispute in _of(world, charge) if charge["refunded"] else []:
        if dispute["status"].startswith("warning") and dispute["status"] in OPEN:
            resolve(world, dispute, won=False)


@job
def dispute_deadline(world: World, *, dispute: str) -> None:
    found = world.get(dispute)
    late = found["status"] == "needs_response" and world.now() >= found["evidence_details"]["due_by"]
    if late or found["status"] in ("warning_needs_response", "warning_under_review"):
        found["evidence_details"] = {**found["evidence_details"], "past_due": True}
        resolve(world, found, won=False)


@job
def card_disputes(world: World, *, charge: str, reason: str) -> None:
    """What the test cards do soon after they were charged."""
    found = world.get(charge)
    if reason == "multiple":
        half = found["amount_captured"] // 2
        open_dispute(world, found, amount=half)
        open_dispute(world, found, amount=found["amount_captured"] - half)
    elif reason == "inquiry":
        open_dispute(world, found, inquiry=True)
    else:
        open_dispute(world, found, reason=reason)


@route("GET", "/v1/disputes/{id}", "DisputeRetrieveParams")
def retrieve(call: Call) -> Json:
    return call.require("dispute", "id", param="dispute")


@route("GET", "/v1/disputes", "DisputeListParams")
def list_disputes(call: Call) -> Json:
    filters = {"charge": by("charge"), "payment_intent": by("payment_intent")}
    return page(call, "dispute", "/v1/disputes", filters)


@route("POST", "/v1/disputes/{id}", "DisputeUpdateParams")
def update(call: Call) -> Json:
    """Adds evidence; with `submit` (the default) it goes to the bank, once."""
    dispute, params, world = call.require("dispute", "id", param="dispute"), call.params, call.world
    given = params.get("evidence") or {}
    submits = bool(params.get("submit", bool(given)))
    if (given or submits) and dispute["status"] not in ("needs_response", "warning_needs_response"):
        raise StripeError("This dispute is not accepting evidence anymore.", param="evidence")
    details = dict(dispute["evidence_details"])
    changes: Json = {"metadata": metadata(dispute["metadata"], params.get("metadata"))}
    evidence = dispute_evidence.merged(call, dispute, given)
    details["has_evidence"] = any(evidence.values())
    if submits:
        details["submission_count"] += 1
        changes["status"] = dispute["status"].replace("needs_response", "under_review")
    counters = submits and dispute["status"] == "needs_response"
    changes |= {"evidence": evidence, "evidence_details": details}
    events.changed(world, call.account, "charge.dispute.updated", dispute, **changes)
    if counters:
        dispute.hidden["countered"] = True
        _book_countered_fee(world, dispute, -COUNTERED_FEE)
    _test_mode_outcome(world, dispute, evidence["uncategorized_text"] if submits else None)
    return dispute


def _test_mode_outcome(world: World, dispute: Resource, text: str | None) -> None:
    """What Stripe's test mode does at once with evidence of these words."""
    if text in ("winning_evidence", "losing_evidence"):
        resolve(world, dispute, won=text == "winning_evidence")
    elif text == "escalate_inquiry_evidence" and dispute["status"].startswith("warning"):
        escalate(world, dispute)


@route("POST", "/v1/disputes/{id}/close", "DisputeCloseParams")
def close(call: Call) -> Json:
    """Accepts the dispute: lost, for good; an inquiry only ends. What the bank is looking at cannot be accepted any more."""
    dispute = call.require("dispute", "id", param="dispute")
    if dispute["status"] == "under_review":  # Stripe only says that needs_response becomes lost
        raise StripeError("This dispute is under_review and cannot be closed.")
    resolve(call.world, dispute, won=False)
    return dispute
