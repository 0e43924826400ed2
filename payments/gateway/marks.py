"""The newest objects of a kind with the marks that operations leave on them, and no more of them."""

from dataclasses import dataclass
from datetime import datetime

from payments.gateway.calls import read
from payments.stripe_objects import Json, read_time

_PATHS = {
    "transfer": "/v1/transfers",
    "refund": "/v1/refunds",
    "payment_intent": "/v1/payment_intents",
    "payout": "/v1/payouts",
    "account": "/v1/accounts",
}
MARKED_TYPES = tuple(_PATHS)


@dataclass(frozen=True, slots=True)
class MarkedFacts:
    """An object of ours or of anybody's: `metadata` says whose."""

    type: str
    id: str
    created: datetime
    metadata: dict[str, str]


def list_newest(object_type: str, *, limit: int) -> list[MarkedFacts]:
    """One page, newest first; `limit` is 100 at most. KeyError: an unknown type."""

    def parse(data: Json) -> list[MarkedFacts]:
        return [
            MarkedFacts(object_type, each["id"], read_time(each["created"]), dict(each["metadata"] or {}))
            for each in data["data"]
        ]

    return read(_PATHS[object_type], {"limit": limit}, parse)
