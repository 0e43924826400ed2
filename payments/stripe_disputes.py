"""What we need of Stripe's disputes, early fraud warnings and files, as frozen facts: minor units, times in UTC."""

import io
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from payments.stripe_objects import BalanceTransactionFacts, Json, read_balance_transaction, read_time


@dataclass(frozen=True, slots=True)
class DisputeEntry:
    """What a dispute did to our balance. `type`: "adjustment" is the money itself, "stripe_fee" a fee of its own."""

    type: str
    booked: BalanceTransactionFacts


@dataclass(frozen=True, slots=True)
class DisputeFacts:
    """`status` and `reason` are Stripe's own words. `due_by` is missing where no answer is possible any more.
    `evidence_fields` are those that are not empty at Stripe.
    """

    id: str
    amount: int
    currency: str
    reason: str
    status: str
    charge: str
    payment_intent: str
    due_by: datetime | None
    has_evidence: bool
    evidence_fields: tuple[str, ...]
    submissions: int
    refundable: bool
    created: datetime
    metadata: dict[str, str]
    entries: tuple[DisputeEntry, ...]


@dataclass(frozen=True, slots=True)
class FraudWarningFacts:
    """`actionable`: neither refunded in full nor disputed yet, so that a refund would still prevent a dispute."""

    id: str
    charge: str
    payment_intent: str
    fraud_type: str
    actionable: bool
    created: datetime


@dataclass(frozen=True, slots=True)
class FileFacts:
    id: str
    name: str


class Upload(io.BytesIO):
    """A file on its way: Stripe's library asks for its name, and reads it."""

    def __init__(self, name: str, content: bytes) -> None:
        super().__init__(content)
        self.name = name


def read_dispute(data: Json) -> DisputeFacts:
    details = data["evidence_details"]
    return DisputeFacts(
        id=data["id"],
        amount=data["amount"],
        currency=data["currency"],
        reason=data["reason"],
        status=data["status"],
        charge=str(data["charge"]),
        payment_intent=str(data.get("payment_intent") or ""),
        due_by=read_time(details["due_by"]) if details.get("due_by") else None,
        has_evidence=bool(details["has_evidence"]),
        evidence_fields=tuple(name for name, told in (data.get("evidence") or {}).items() if told),
        submissions=details["submission_count"],
        refundable=bool(data["is_charge_refundable"]),
        created=read_time(data["created"]),
        metadata=dict(data.get("metadata") or {}),
        entries=tuple(read_dispute_entry(each) for each in data["balance_transactions"]),
    )


def read_dispute_entry(data: Json) -> DisputeEntry:
    return DisputeEntry(type=data["type"], booked=read_balance_transaction(data))


def with_entries(dispute: DisputeFacts, beside: Iterable[DisputeEntry]) -> DisputeFacts:
    """Each balance transaction once."""
    entries = {entry.booked.id: entry for entry in (*dispute.entries, *beside)}
    return replace(dispute, entries=tuple(entries.values()))


def read_fraud_warning(data: Json) -> FraudWarningFacts:
    return FraudWarningFacts(
        id=data["id"],
        charge=str(data["charge"]),
        payment_intent=str(data.get("payment_intent") or ""),
        fraud_type=data["fraud_type"],
        actionable=bool(data["actionable"]),
        created=read_time(data["created"]),
    )


def read_file(data: Json) -> FileFacts:
    return FileFacts(id=data["id"], name=data.get("filename") or "")
