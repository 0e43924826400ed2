"""The newest that operations of ours have done at Stripe, and no more of it than says which operation it was.

What an operation makes bears its id as metadata. What makes no object that is in a list (a capture, a release) is told
by the event that it caused, which keeps the idempotency key of the request:
https://docs.stripe.com/api/events/object. Stripe lists events for 30 days. A connected account's events are in a list
of its own, which is not read here.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from payments import marks
from payments.gateway.calls import list_all, read
from payments.stripe_objects import Json, read_time

_PATHS = {
    "transfer": "/v1/transfers",
    "refund": "/v1/refunds",
    "payment_intent": "/v1/payment_intents",
    "payout": "/v1/payouts",
    "account": "/v1/accounts",
}
MARKED_TYPES = tuple(_PATHS)
_EVENTS = "/v1/events"
# One for each kind of call that changes something of the platform's and makes nothing that is in one of these lists:
# reversals are listed under their transfer alone. Those whose loss does no harm are left out: a customer is made a
# second time, a page of Checkout is found closed.
CALL_TYPES = (
    "charge.captured",
    "payment_intent.canceled",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "payment_method.detached",
    "transfer.reversed",
)


@dataclass(frozen=True, slots=True)
class MarkedFacts:
    """One thing that was done, by us or by anybody: `operation_id` says whether by us.

    `type`: the object's, or the event's, one of CALL_TYPES. `id`: of the object; of a capture, its payment intent.
    `created`: when the object was made, or the event.
    """

    type: str
    id: str
    created: datetime
    operation_id: uuid.UUID | None


def list_newest(object_type: str, *, limit: int) -> list[MarkedFacts]:
    """One page, newest first; `limit` is 100 at most. KeyError: an unknown type."""

    def parse(data: Json) -> list[MarkedFacts]:
        return [
            MarkedFacts(object_type, each["id"], read_time(each["created"]), marks.operation_id(each["metadata"] or {}))
            for each in data["data"]
        ]

    return read(_PATHS[object_type], {"limit": limit}, parse)


def list_newest_calls(*, limit: int) -> list[MarkedFacts]:
    """As `list_newest`, of all CALL_TYPES in one page."""
    asked = {"types": list(CALL_TYPES), "limit": limit}
    return read(_EVENTS, asked, lambda data: [_read_call(each) for each in data["data"]])


def list_calls() -> Iterator[MarkedFacts]:
    """All of them that Stripe still has, newest first."""
    return list_all(_EVENTS, {"types": list(CALL_TYPES)}, _read_call)


def _read_call(event: Json) -> MarkedFacts:
    subject, request = event["data"]["object"], event.get("request")
    # Events of accounts on a version from before May 2017 name the request alone, without its key.
    key = request.get("idempotency_key") if isinstance(request, dict) else None
    object_id = subject.get("payment_intent") if event["type"] == "charge.captured" else None
    return MarkedFacts(
        event["type"], object_id or subject["id"], read_time(event["created"]), marks.operation_of_key(key or "")
    )
