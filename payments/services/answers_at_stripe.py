"""How operations carry our side of a dispute: files, evidence, and that we give in."""

from datetime import datetime, timedelta

import structlog

from payments import gateway, operations
from payments.gateway import GatewayError
from payments.models import Dispute, EvidenceFile, Operation
from payments.operations import KindHandler
from payments.services.disputes import record_dispute
from payments.stripe_disputes import DisputeFacts, FileFacts

log = structlog.get_logger(__name__)

Kind = Operation.Kind

# Stripe's clock and ours may differ by this much when a list is searched by time.
CLOCK_SLACK = timedelta(minutes=10)


# --- files --------------------------------------------------------------------------------------


def _file_of(operation: Operation) -> EvidenceFile:
    return EvidenceFile.objects.get(pk=operation.params["file"])


def _upload(operation: Operation) -> FileFacts:
    file = _file_of(operation)
    return gateway.upload_evidence(name=file.name, content=bytes(file.content), key=operation.idempotency_key)


def _look_up_file(operation: Operation) -> FileFacts | None:
    since = operation.created_at - CLOCK_SLACK
    return gateway.find_evidence_file(name=_file_of(operation).name, created_after=since)


def _record_file(operation: Operation, facts: FileFacts, now: datetime) -> str:  # noqa: ARG001  # the interface's
    EvidenceFile.objects.filter(pk=operation.params["file"]).update(stripe_file_id=facts.id)
    return facts.id


# --- evidence -----------------------------------------------------------------------------------


def _send_evidence(operation: Operation) -> DisputeFacts:
    params = operation.params
    return gateway.update_dispute(params["dispute"], params=params["params"], key=operation.idempotency_key)


def _look_up_evidence(operation: Operation) -> DisputeFacts | None:
    """Each change of ours leaves its mark on the dispute, and a second one begins only after the first is done."""
    dispute = gateway.retrieve_dispute(operation.params["dispute"])
    return dispute if dispute.metadata.get("operation_id") == str(operation.pk) else None


# --- giving in ----------------------------------------------------------------------------------


def _close(operation: Operation) -> DisputeFacts:
    return gateway.close_dispute(operation.params["dispute"], key=operation.idempotency_key)


def _look_up_closed(operation: Operation) -> DisputeFacts | None:
    dispute = gateway.retrieve_dispute(operation.params["dispute"])
    return dispute if dispute.status in Dispute.ENDS else None


def _record_closed(operation: Operation, facts: DisputeFacts, now: datetime) -> str:
    # The payment is locked first, as everywhere: the event of the same news comes at this moment.
    made = _record(operation, facts, now)
    Dispute.objects.filter(operations=operation).update(evidence_state=Dispute.Evidence.ACCEPTED)
    return made


# --- what they share ----------------------------------------------------------------------------


def _record(operation: Operation, facts: DisputeFacts, now: datetime) -> str:
    dispute = Dispute.objects.select_related("payment").get(operations=operation)
    record_dispute(payment=dispute.payment, facts=facts, now=now)
    # The answer does not show the fee for it: the next look at Stripe does, and is due at once.
    Dispute.objects.filter(pk=dispute.pk).update(polled_at=None)
    return facts.id


def _refuse(operation: Operation, error: GatewayError, now: datetime) -> None:  # noqa: ARG001  # the interface's
    """Staff see Stripe's words on the operation, and may change the evidence and try again."""
    log.error("dispute_answer_refused", dispute=operation.dispute_id, kind=operation.kind, code=error.code)


operations.register(Kind.EVIDENCE_FILE, KindHandler(_upload, _look_up_file, _record_file, _refuse))
operations.register(Kind.EVIDENCE, KindHandler(_send_evidence, _look_up_evidence, _record, _refuse))
operations.register(Kind.CLOSE_DISPUTE, KindHandler(_close, _look_up_closed, _record_closed, _refuse))
