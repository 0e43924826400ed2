"""Disputes, the evidence against them, and early fraud warnings."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from payments import stripe_disputes
from payments.gateway.calls import call, change, list_all, read
from payments.stripe_disputes import DisputeFacts, FileFacts, FraudWarningFacts
from payments.stripe_objects import Json


def retrieve_dispute(dispute_id: str) -> DisputeFacts:
    """With all that it did to our balance: the fee for answering it is a transaction beside the dispute's own."""
    dispute = read(f"/v1/disputes/{dispute_id}", {}, stripe_disputes.read_dispute)
    beside = list_all("/v1/balance_transactions", {"source": dispute_id}, stripe_disputes.read_dispute_entry)
    return stripe_disputes.with_entries(dispute, beside)


def list_disputes(**of: Any) -> Iterator[DisputeFacts]:
    """Newest first: those `created` since a time. Each with the dispute's own balance transactions only."""
    return list_all("/v1/disputes", of, stripe_disputes.read_dispute)


def update_dispute(dispute_id: str, *, params: Json, key: str) -> DisputeFacts:
    return change(f"/v1/disputes/{dispute_id}", params, key, stripe_disputes.read_dispute)


def close_dispute(dispute_id: str, *, key: str) -> DisputeFacts:
    """Accept it: lost, for good."""
    return change(f"/v1/disputes/{dispute_id}/close", {}, key, stripe_disputes.read_dispute)


def retrieve_fraud_warning(warning_id: str) -> FraudWarningFacts:
    return read(f"/v1/radar/early_fraud_warnings/{warning_id}", {}, stripe_disputes.read_fraud_warning)


def list_fraud_warnings(**of: Any) -> Iterator[FraudWarningFacts]:
    return list_all("/v1/radar/early_fraud_warnings", of, stripe_disputes.read_fraud_warning)


def upload_evidence(*, name: str, content: bytes, key: str) -> FileFacts:
    params = {"purpose": "dispute_evidence", "file": stripe_disputes.Upload(name, content), "base": "files"}
    options = {"idempotency_key": key, "content_type": "multipart/form-data"}
    return call("post", "/v1/files", params, options, stripe_disputes.read_file)


def find_evidence_file(*, name: str, created_after: datetime) -> FileFacts | None:
    """The file of this name, which its operation alone has given, or None where there is none."""
    params = {"purpose": "dispute_evidence", "created": {"gte": int(created_after.timestamp())}}
    return next((file for file in list_all("/v1/files", params, stripe_disputes.read_file) if file.name == name), None)
