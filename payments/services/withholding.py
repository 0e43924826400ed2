"""Keeping a session's money from the coach while the student's bank disputes it. Claims have a flag of their own."""

from django.db.models import QuerySet

from payments.models import Dispute, Earning, Operation, Payment, PayoutLine


def disputed_references() -> QuerySet[Dispute, str]:
    """What is paid for by payments with an open chargeback: no run pays anything of it. An inquiry moves nothing."""
    open_ones = Dispute.objects.filter(closed_at=None).exclude(status__startswith="warning_")
    return open_ones.values_list("payment__reference", flat=True)


def withhold(*, payment: Payment) -> None:
    """In the caller's transaction, with the payment locked: off the lines that are planned and not asked of Stripe yet.

    Planning a run locks what it plans, so it either sees the dispute, or this finds the line that was planned.
    """
    earnings = Earning.objects.select_for_update(of=("self",)).filter(payment__reference=payment.reference)
    for line_id in {earning.line_id for earning in earnings.order_by("pk") if earning.line_id}:
        _take_off(payment, line_id)


def _take_off(payment: Payment, line_id: int) -> None:
    unpaid = PayoutLine.objects.select_for_update().exclude(status=PayoutLine.Status.PAID)
    line = unpaid.filter(pk=line_id).first()
    if line is None or line.operations.exclude(state=Operation.State.FAILED).exists():
        return
    disputed = Earning.objects.filter(line=line, payment__reference=payment.reference)
    left = line.amount - sum(earning.amount for earning in disputed)
    if left > 0:
        disputed.update(line=None)
        line.amount = left
        line.save(update_fields=["amount"])
    elif not line.operations.exists():
        Earning.objects.filter(line=line).update(line=None)
        line.delete()
    # Else Stripe has refused it before: the line stays, waits until the dispute is closed, and is undone if it is lost.
