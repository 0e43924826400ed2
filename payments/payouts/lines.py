"""One line, one transfer: asked for when nothing is in its way, and waiting in words while something is."""

import uuid
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from payments import gateway, operations
from payments.models import Operation, PayoutAccount, PayoutLine, PayoutRun
from payments.services.withholding import disputed_references

# A transfer that Stripe refused (balance too low, account restricted) is asked for again after this.
RETRY_AFTER = timedelta(hours=1)
CANT_RECEIVE = "The coach's Stripe account can't receive transfers at present."
DISPUTED = "A student's bank disputes what is on this line."


def due_lines(run: PayoutRun) -> QuerySet[PayoutLine]:
    return run.lines.exclude(status=PayoutLine.Status.PAID).select_related("run").order_by("pk")


def pay_line(line: PayoutLine, now: datetime) -> None:
    """Bring one line forward as far as it goes now: paid, on its way, or waiting with the reason on the line."""
    operation = line.operations.order_by("-created_at").first()
    if operation is None or _may_begin_anew(operation, now):
        _start_transfer(line, now)
        return
    if operation is not None and _is_due(operation, now):
        operations.run_operation(operation.pk, now=now)


def _may_begin_anew(operation: Operation, now: datetime) -> bool:
    """Stripe refused the last one, which proves that it had no effect, and that was some time ago."""
    if operation.state != Operation.State.FAILED or operation.finished_at is None:
        return False
    return operation.finished_at + RETRY_AFTER <= now


def _is_due(operation: Operation, now: datetime) -> bool:
    return operation.state in Operation.OPEN_STATES and operation.next_try_at <= now


def _start_transfer(line: PayoutLine, now: datetime) -> None:
    """Write the transfer down and make it, unless the coach can't be paid now or another process was first."""
    account = PayoutAccount.objects.filter(coach_id=line.coach_id).first()
    if account is None or not account.transfers_active or account.deauthorised_at is not None:
        wait(line, CANT_RECEIVE)
        return
    operation_id = uuid.uuid4()
    try:
        with transaction.atomic():
            # A refund may make the line smaller, or take it away, until its transfer is written down.
            locked = PayoutLine.objects.select_for_update(of=("self",)).select_related("run").filter(pk=line.pk).first()
            if locked is None or _has_transfer(locked):
                return
            if locked.earnings.filter(payment__reference__in=disputed_references()).exists():
                wait(locked, DISPUTED)
                return
            params = _transfer_params(locked, account.stripe_account_id, operation_id)
            operations.create_for_own_run(
                Operation.Kind.TRANSFER, operation_id=operation_id, params=params, now=now, line=line
            )
    except IntegrityError:
        # One transfer for each line: the unique index let a second beat's one in before ours.
        return
    operations.run_operation(operation_id, now=now)


def _has_transfer(line: PayoutLine) -> bool:
    """Another process was first. Asked under the lock: to find out by the unique index would be to wait there for
    whoever records that transfer, and who waits for this line.
    """
    return line.operations.filter(kind=Operation.Kind.TRANSFER).exclude(state=Operation.State.FAILED).exists()


def _transfer_params(line: PayoutLine, destination: str, operation_id: uuid.UUID) -> dict[str, object]:
    return {
        "amount": line.amount,
        "currency": line.currency,
        "destination": destination,
        "transfer_group": f"payouts-{line.run.month}",
        "description": f"Sessions released by the end of {line.run.month}",
        "metadata": {
            "operation_id": str(operation_id),
            "payout_line_id": str(line.pk),
            "session_type": "LIVE_SESSION",
        },
        "expand": list(gateway.EXPAND_TRANSFER),
    }


def wait(line: PayoutLine, reason: str) -> None:
    unpaid = PayoutLine.objects.filter(~Q(status=PayoutLine.Status.PAID), pk=line.pk)
    unpaid.update(status=PayoutLine.Status.WAITING, waiting_for=reason[:200])
