"""What Stripe says of a line's transfer, and how it enters the books."""

from datetime import datetime

from django.db import transaction
from django.db.models import Q, QuerySet

from marketplace.lib.money import Money
from payments import gateway, ledger, operations
from payments.errors import NotYetError, StripeMismatchError
from payments.gateway import GatewayError
from payments.models import Operation, Payment, PayoutLine, Transfer
from payments.payouts.lines import PASSING, REFUSED, WRONG_CURRENCY, wait
from payments.services.debts import fetch_back
from payments.stripe_objects import TransferFacts


def record_transfer(*, line: PayoutLine, facts: TransferFacts, now: datetime) -> None:
    """Stripe has moved the line's money: the transfer, its place in the books, and the line, all or none.

    Safe to repeat, from our own call and from Stripe's event alike. Raises StripeMismatchError where the facts
    are not the line's, and NotYetError while the balance transaction that the books need is missing.
    """
    if (facts.amount, facts.currency) != (line.amount, line.currency):
        raise StripeMismatchError(f"Transfer {facts.id} does not fit payout line {line.pk}.")
    if facts.balance_transaction is None:
        raise NotYetError(f"Transfer {facts.id} has no balance transaction yet.")
    money = Money(facts.amount, facts.currency)
    with transaction.atomic():
        payments = list(_locked_payments(line))
        Transfer.objects.get_or_create(
            stripe_transfer_id=facts.id,
            defaults={
                "coach_id": line.coach_id,
                "destination": facts.destination,
                "amount": facts.amount,
                "currency": facts.currency,
                "line": line,
                "created_at": now,
            },
        )
        ledger.post(
            kind="transfer",
            reference=facts.id,
            now=now,
            lines=[
                ledger.Line(ledger.coach_payable(line.coach_id), money),
                ledger.Line(
                    ledger.STRIPE_BALANCE, -money, facts.balance_transaction.id, facts.balance_transaction.created
                ),
            ],
        )
        unpaid = PayoutLine.objects.filter(~Q(status=PayoutLine.Status.PAID), pk=line.pk)
        if unpaid.update(status=PayoutLine.Status.PAID, waiting_for="", paid_at=now):
            for payment in payments:
                if payment.taken_back_amount:
                    fetch_back(payment=payment, now=now)


def _locked_payments(line: PayoutLine) -> QuerySet[Payment]:
    """In the order in which all lock them: what was taken back of them meanwhile is fetched back."""
    theirs = Payment.objects.filter(pk__in=line.earnings.values("payment"))
    return theirs.select_for_update(no_key=True).order_by("pk")


# --- how operations carry a transfer ------------------------------------------------------------


def _line_of(operation: Operation) -> PayoutLine:
    return PayoutLine.objects.get(operations=operation)


def _send(operation: Operation) -> TransferFacts:
    return gateway.create_transfer(params=operation.params, key=operation.idempotency_key)


def _look_up(operation: Operation) -> TransferFacts | None:
    return gateway.find_transfer(
        operation_id=str(operation.pk),
        transfer_group=operation.params["transfer_group"],
        destination=operation.params["destination"],
    )


def _record(operation: Operation, facts: TransferFacts, now: datetime) -> str:
    record_transfer(line=_line_of(operation), facts=facts, now=now)
    return facts.id


def _refuse(operation: Operation, error: GatewayError, now: datetime) -> None:  # noqa: ARG001  # the interface's
    wait(_line_of(operation), _words_for(error))


def _words_for(error: GatewayError) -> str:
    # Stripe has no code for an account that can't hold a currency, but its message names the currency.
    unknown = WRONG_CURRENCY if "currenc" in error.message.lower() else REFUSED
    return PASSING.get(error.code, unknown)


operations.register(
    Operation.Kind.TRANSFER,
    operations.KindHandler(send=_send, look_up=_look_up, record=_record, refuse=_refuse),
)
