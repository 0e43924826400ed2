"""How money is fetched back from a transfer: done, or refused and then kept as a debt."""

from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import F

from marketplace.lib.money import Money
from payments import gateway, ledger, operations
from payments.errors import StripeMismatchError
from payments.gateway import GatewayError
from payments.ledger import Line
from payments.models import Earning, Operation, Payment, Reversal, Transfer
from payments.operations import KindHandler
from payments.postings import post, stripe_side
from payments.services.locks import lock_payments
from payments.settlement import RELEASE_AFTER
from payments.stripe_objects import ReversalFacts

log = structlog.get_logger(__name__)

Status = Reversal.Status


def record_reversal(*, reversal: Reversal, facts: ReversalFacts, now: datetime) -> None:
    """The money is back: booked once, whoever reports it. Raises StripeMismatchError, NotYetError."""
    expected = (reversal.transfer.stripe_transfer_id, reversal.amount, reversal.currency)
    if (facts.transfer, facts.amount, facts.currency) != expected:
        raise StripeMismatchError(f"{facts.id} is not {reversal}.")
    with transaction.atomic():
        payment = _locked_payment(reversal)
        asked = Reversal.objects.filter(pk=reversal.pk, status=Status.REQUESTED)
        if not asked.update(status=Status.DONE, stripe_reversal_id=facts.id, settled_at=now):
            _require_same(reversal, facts)
            return
        money = Money(facts.amount, facts.currency)
        lines = [
            *stripe_side(payment, facts.balance_transaction, money),
            Line(ledger.coach_payable(reversal.transfer.coach_id), -money),
        ]
        post("reversal", facts.id, lines, payment, now)
        _add_earning(reversal, payment, now)


def _locked_payment(reversal: Reversal) -> Payment:
    """The payment whose refund or dispute asked for it."""
    cause = reversal.refund or reversal.dispute
    if cause is None:
        raise StripeMismatchError(f"{reversal} has no cause.")
    return lock_payments(cause.payment.reference)[cause.payment_id]


def _require_same(reversal: Reversal, facts: ReversalFacts) -> None:
    reversal.refresh_from_db()
    if reversal.stripe_reversal_id != facts.id:
        raise StripeMismatchError(f"{facts.id} came for {reversal}, which is {reversal.status}.")


def _add_earning(reversal: Reversal, payment: Payment, now: datetime) -> None:
    """What is fetched back for a refund meets its debt. For a dispute it is theirs again if won, or meets its debt
    then; while the dispute is open no run looks at it, and the flag is that of a claim.
    """
    for_refund = reversal.refund_id is not None
    Earning.objects.create(
        payment=payment,
        kind=Earning.Kind.REVERSED,
        coach_id=payment.coach_id,
        amount=reversal.amount,
        currency=reversal.currency,
        release_at=payment.service_ends_at + RELEASE_AFTER,
        frozen=Earning.objects.filter(payment=payment, line=None, frozen=True).exists(),
        reversal=reversal if for_refund else None,
        created_at=now,
    )


# --- how operations carry it --------------------------------------------------------------------


def _send(operation: Operation) -> ReversalFacts:
    params = operation.params
    return gateway.create_reversal(params["transfer"], params=params["params"], key=operation.idempotency_key)


def _look_up(operation: Operation) -> ReversalFacts | None:
    return gateway.find_reversal(operation_id=str(operation.pk), transfer_id=operation.params["transfer"])


def _record(operation: Operation, facts: ReversalFacts, now: datetime) -> str:
    record_reversal(reversal=Reversal.objects.get(operations=operation), facts=facts, now=now)
    return facts.id


def _refuse(operation: Operation, error: GatewayError, now: datetime) -> None:
    """Their balance is short, or the account is gone: the debt is left to what they earn next."""
    reversal = Reversal.objects.get(operations=operation)
    refusal = (error.message or error.code)[:300]
    asked = Reversal.objects.filter(pk=reversal.pk, status=Status.REQUESTED)
    if not asked.update(status=Status.REFUSED, refusal=refusal, settled_at=now):
        return
    # In the order in which a refund or dispute locks them.
    Earning.objects.filter(reversal=reversal).update(reversal=None)
    Transfer.objects.filter(pk=reversal.transfer_id).update(reversed_amount=F("reversed_amount") - reversal.amount)
    log.warning("reversal_refused", reversal=reversal.pk, coach=reversal.transfer.coach_id, code=error.code)


operations.register(Operation.Kind.REVERSAL, KindHandler(_send, _look_up, _record, _refuse))
