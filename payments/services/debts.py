"""What a coach owes for a refund: taken off what is still to be paid, or fetched back from what was."""

import uuid
from datetime import datetime

from django.db.models import F, Q

from marketplace.lib.money import Money
from payments import gateway, operations
from payments.models import Dispute, Earning, Operation, Payment, PayoutLine, Refund, Reversal, Transfer
from payments.settlement import RELEASE_AFTER

Kind = Earning.Kind


def owe_back(*, payment: Payment, part: Money, now: datetime, kind: Earning.Kind = Kind.TAKEN_BACK) -> None:
    """In the caller's transaction, with the payment locked: the coach's part of a refund or dispute is theirs no more.

    It is due with the session's own share, and kept back with it. Planning a run locks what it plans, so it either
    sees this, or this finds the line that was planned.
    """
    if not part.amount:
        return
    earnings = _locked_earnings(payment)
    debt = _add(payment, kind, -part, earnings, now)
    for earning in earnings:
        if earning.amount > 0 and earning.line_id and _take_off(debt, earning.line_id):
            return


def owe_again(*, payment: Payment, part: Money, now: datetime) -> None:
    """In the caller's transaction, with the payment locked: the refund did not come to be."""
    if part.amount:
        _add(payment, Kind.RETURNED, part, _locked_earnings(payment), now)


def _locked_earnings(payment: Payment) -> list[Earning]:
    """All of the thing that was paid for: the platform may have paid the coach for it by an earlier payment."""
    earnings = Earning.objects.select_for_update(of=("self",)).filter(payment__reference=payment.reference)
    return list(earnings.order_by("pk"))


def _add(payment: Payment, kind: Earning.Kind, money: Money, others: list[Earning], now: datetime) -> Earning:
    return Earning.objects.create(
        payment=payment,
        kind=kind,
        coach_id=payment.coach_id,
        amount=money.amount,
        currency=money.currency,
        release_at=payment.service_ends_at + RELEASE_AFTER,
        frozen=any(other.frozen and other.line_id is None for other in others),
        created_at=now,
    )


def _take_off(debt: Earning, line_id: int) -> bool:
    """Make a planned line smaller by the debt, or undo it; False where its transfer was asked for or made."""
    line = PayoutLine.objects.select_for_update().exclude(status=PayoutLine.Status.PAID).filter(pk=line_id).first()
    if line is None or line.operations.exclude(state=Operation.State.FAILED).exists():
        return False
    if line.amount + debt.amount > 0:
        line.amount += debt.amount
        line.save(update_fields=["amount"])
        debt.line = line
        debt.save(update_fields=["line"])
        return True
    Earning.objects.filter(line=line).update(line=None)
    # What Stripe has refused stays on record; that it was for this line is in its parameters.
    line.operations.update(line=None)
    line.delete()
    return True


# --- fetching back ------------------------------------------------------------------------------


def fetch_back(*, payment: Payment, now: datetime) -> None:
    """In the caller's transaction, with the payment locked: ask for the coach's part of refunds that are on their way.

    The student comes first, so nothing is asked for before Stripe has taken the refund. Only where the share was
    transferred, and its debt is on no line; else the debt waits for what they earn next.
    """
    taken = (Refund.Status.PENDING, Refund.Status.SUCCEEDED)
    for refund in payment.refunds.filter(status__in=taken, coach_part__gt=0, reversal=None).order_by("pk"):
        _fetch_back_part(payment, refund, now)


def _fetch_back_part(payment: Payment, refund: Refund, now: datetime) -> None:
    waiting = Earning.objects.select_for_update().filter(
        payment=payment, kind=Kind.TAKEN_BACK, line=None, reversal=None
    )
    debt = waiting.filter(amount=-refund.coach_part).order_by("pk").first()
    if debt is None:
        return
    reversal = request_reversal(
        payment=payment, money=Money(refund.coach_part, refund.currency), refund=refund, now=now
    )
    if reversal is not None:
        # From here on no run plans the debt; a refusal frees it again.
        debt.reversal = reversal
        debt.save(update_fields=["reversal"])


def request_reversal(
    *, payment: Payment, money: Money, now: datetime, refund: Refund | None = None, dispute: Dispute | None = None
) -> Reversal | None:
    """In the caller's transaction: fetch this much back from what was transferred for the payment.

    None where nothing was, or not as much.
    """
    for transfer in _transfers_for(payment):
        room = Transfer.objects.filter(pk=transfer.pk, reversed_amount__lte=F("amount") - money.amount)
        if room.update(reversed_amount=F("reversed_amount") + money.amount):
            reversal = Reversal.objects.create(
                transfer=transfer,
                amount=money.amount,
                currency=money.currency,
                refund=refund,
                dispute=dispute,
                created_at=now,
            )
            _write_down(reversal, now)
            return reversal
    return None


def _transfers_for(payment: Payment) -> list[Transfer]:
    """With the capture, or by a run's line that held something of it; the latest first."""
    by_line = Q(line__earnings__payment__reference=payment.reference, line__earnings__amount__gt=0)
    found = Transfer.objects.filter(Q(payment__reference=payment.reference) | by_line)
    return list(found.filter(currency=payment.currency).distinct().order_by("-pk"))


def _write_down(reversal: Reversal, now: datetime) -> None:
    operation_id = uuid.uuid4()
    params = {
        "transfer": reversal.transfer.stripe_transfer_id,
        "params": {
            "amount": reversal.amount,
            "metadata": {"operation_id": str(operation_id), "reversal_id": str(reversal.pk)},
            "expand": list(gateway.EXPAND_REVERSAL),
        },
    }
    operations.create(Operation.Kind.REVERSAL, operation_id=operation_id, params=params, reversal=reversal, now=now)
