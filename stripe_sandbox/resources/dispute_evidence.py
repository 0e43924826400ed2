"""What the platform says in a dispute: the fields, their limits, and whether it goes to the bank or is kept for later."""

from typing import Any

from stripe_sandbox.errors import Json, StripeError
from stripe_sandbox.routing import Call
from stripe_sandbox.shapes import annotations
from stripe_sandbox.world import Resource

from . import files

MOST_IN_ALL, MOST_PER_FIELD = 150_000, 20_000  # characters
FILES = frozenset(
    "cancellation_policy customer_communication customer_signature duplicate_charge_documentation receipt refund_policy "
    "service_documentation shipping_documentation uncategorized_file".split()
)


def empty() -> Json:
    """Every field that a dispute's evidence has, with nothing said."""
    evidence: Any = annotations("dispute")["evidence"]
    names = [name for name in evidence.__annotations__ if not name.startswith("_")]
    return dict.fromkeys(names) | {"enhanced_evidence": {}}


def merged(call: Call, dispute: Resource, given: Json) -> Json:
    """The evidence after an update: new values over the earlier ones. Raises StripeError beyond the limits."""
    for name, value in given.items():
        if name in FILES and value:
            files.check_evidence(call, name, value)
        elif isinstance(value, str) and len(value) > MOST_PER_FIELD:
            raise StripeError(
                f"Invalid string: {value[:4]}...{value[-4:]}; must be at most {MOST_PER_FIELD} characters",
                param=f"evidence[{name}]",
            )
    evidence: Json = {**dispute["evidence"], **given}
    evidence["enhanced_evidence"] = evidence["enhanced_evidence"] or {}
    said = sum(len(value) for name, value in evidence.items() if isinstance(value, str) and name not in FILES)
    if said > MOST_IN_ALL:
        raise StripeError(
            f"The combined character count of all evidence is {said}; it may be at most {MOST_IN_ALL}.",
            param="evidence",
        )
    return evidence
