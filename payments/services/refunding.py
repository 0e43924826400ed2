"""Giving money back: asked for, agreed to by a second person where it is much, and written down for Stripe."""

import uuid
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F

from marketplace.lib.decisions import record_decision
from marketplace.lib.money import Money
from marketplace.models import User
from payments import gateway, ledger, operations
from payments.errors import (
    NotStaff,
    OwnMoney,
    RefundDecided,
    RefundUnderWay,
    RefundWhileDisputed,
    SecondPersonNeeded,
    TooMuchForOne,
)
from payments.ledger import Line
from payments.models import Dispute, Operation, Payment, Refund
from payments.postings import PLATFORM_LOSSES, PLATFORM_REVENUE, REFUNDS_IN_FLIGHT, post
from payments.refunds import (
    STRIPE_REASON,
    USUAL_BEARER,
    RefundQuote,
    RefundTooHigh,
    kept_after,
    left_of,
    refund_quote,
)
from payments.services.capture import request_capture_kept_back
from payments.services.debts import owe_again, owe_back
from payments.services.locks import lock_payments

Status = Refund.Status
WAITING = {"status": Status.TO_APPROVE}

# The bank has given up, or only asks: a refund would not be a second one.
HARMLESS = (
    Dispute.Status.WON,
    Dispute.Status.PREVENTED,
    Dispute.Status.WARNING_NEEDS_RESPONSE,
    Dispute.Status.WARNING_UNDER_REVIEW,
    Dispute.Status.WARNING_CLOSED,
)


@transaction.atomic
def request_refund(
    *,
    payment: Payment,
    amount: Money,
    reason: Refund.Reason,
    actor: User | None,
    now: datetime,
    bearer: Refund.Bearer | None = None,
    note: str = "",
) -> Refund | None:
    """Give this much back. None where it is only held: then it is not taken, and there is nothing to refund.

    `actor` is nobody where a rule decides; without `bearer` the reason says who bears it. Beyond the limit of one
    person the refund waits for a second one (`Status.TO_APPROVE`); it is counted from the start, so that no two refunds
    ever exceed what was captured. Raises NothingToRefund, RefundTooHigh, RefundAmountWrong, RefundWhileDisputed,
    RefundUnderWay, TooMuchForOne, OwnMoney, NotStaff.
    """
    payment = lock_payments(payment.reference)[payment.pk]
    if actor is not None:
        require_staff_apart(actor, payment)
    if payment.status in (Payment.Status.CAPTURING, Payment.Status.RELEASING):
        raise RefundUnderWay
    bearer = bearer or USUAL_BEARER[reason]
    quote = refund_quote(payment, amount=amount, reason=reason, bearer=bearer)
    if payment.status == Payment.Status.HELD:
        _reduce_hold(payment, quote, actor=actor, note=note, now=now)
        return None
    require_undisputed(payment)
    before = {"refunded_amount": payment.refunded_amount}
    waits = actor is not None and needs_second_person(payment, amount)
    status = Status.TO_APPROVE if waits else Status.REQUESTED
    refund = write_down(
        payment, quote, status=status, bearer=bearer, reason=reason, note=note, requested_by=actor, created_at=now
    )
    if not waits:
        _begin(refund, now)
    after = {"refund": refund.pk, "status": refund.status, "reason": reason, "bearer": bearer, **_worth(quote)}
    _log(actor, "refund_requested", payment, reason=note, before=before, after=after, now=now)
    return refund


def needs_second_person(payment: Payment, amount: Money) -> bool:
    """Whether all that is given back of this payment is then above what one person may.

    What was not taken of its hold counts too: a hold reduced first and refunded then would be twice the limit.
    """
    return (payment.money - kept_after(payment, amount)).amount > settings.REFUND_APPROVAL_LIMIT


def _reduce_hold(payment: Payment, quote: RefundQuote, *, actor: User | None, note: str, now: datetime) -> None:
    """Kept back: a question about the session may be open, and then nothing of it is the coach's yet."""
    if actor is not None and needs_second_person(payment, quote.amount):
        raise TooMuchForOne
    request_capture_kept_back(payment=payment, amount=payment.money - quote.amount, now=now)
    _log(actor, "hold_reduced", payment, reason=note, before={}, after=_worth(quote), now=now)


@transaction.atomic
def approve_refund(*, refund: Refund, actor: User, now: datetime) -> Refund:
    """Another person agrees, and Stripe is asked.

    Raises SecondPersonNeeded, NotStaff, OwnMoney, RefundDecided, RefundWhileDisputed, RefundUnderWay.
    """
    refund = locked_refund(refund)
    require_staff_apart(actor, refund.payment)
    if actor.pk == refund.requested_by_id:
        raise SecondPersonNeeded
    require_undisputed(refund.payment)
    _decide(refund, Status.REQUESTED, approved_by=actor)
    _begin(refund, now)
    _log(actor, "refund_approved", refund.payment, reason=refund.note, before=WAITING, after=_state(refund), now=now)
    return refund


@transaction.atomic
def dismiss_refund(*, refund: Refund, actor: User, now: datetime, note: str = "") -> Refund:
    """It is not agreed to, or whoever asked has thought better of it. Raises NotStaff, OwnMoney, RefundDecided."""
    refund = locked_refund(refund)
    require_staff_apart(actor, refund.payment)
    dismiss(refund, note, now)
    _log(actor, "refund_dismissed", refund.payment, reason=note, before=WAITING, after=_state(refund), now=now)
    return refund


# --- what the ways of a refund share ------------------------------------------------------------


def write_down(payment: Payment, quote: RefundQuote, **facts: object) -> Refund:
    """By the parts of the quote, and counted against what was captured."""
    refund = Refund.objects.create(
        payment=payment,
        amount=quote.amount.amount,
        currency=quote.amount.currency,
        coach_part=quote.coach_part.amount,
        fee_part=quote.fee_part.amount,
        loss_part=quote.loss_part.amount,
        **facts,
    )
    count(refund)
    return refund


def count(refund: Refund) -> None:
    """Against what was captured, before Stripe is asked: the database refuses what would exceed it."""
    payment = refund.payment
    captured = Payment.objects.filter(
        pk=payment.pk,
        status=Payment.Status.CAPTURED,
        refunded_amount__lte=F("captured_amount") - refund.amount,
    )
    if not captured.update(
        refunded_amount=F("refunded_amount") + refund.amount,
        taken_back_amount=F("taken_back_amount") + refund.coach_part,
        returned_fee_amount=F("returned_fee_amount") + refund.fee_part,
    ):
        raise RefundTooHigh(left_of(payment))
    payment.refresh_from_db()


def uncount(refund: Refund) -> None:
    """It never had an effect."""
    Payment.objects.filter(pk=refund.payment_id).update(
        refunded_amount=F("refunded_amount") - refund.amount,
        taken_back_amount=F("taken_back_amount") - refund.coach_part,
        returned_fee_amount=F("returned_fee_amount") - refund.fee_part,
    )
    refund.payment.refresh_from_db()


def book_decision(refund: Refund, now: datetime) -> None:
    """From here on the parts are taken from each side, and the whole is on its way to the student."""
    post("refund_decided", f"refund:{refund.pk}", _decision(refund), refund.payment, now)
    owe_back(payment=refund.payment, part=Money(refund.coach_part, refund.currency), now=now)


def undo_decision(refund: Refund, now: datetime) -> None:
    opposite = [Line(line.account, -line.money) for line in _decision(refund)]
    post("refund_undone", f"refund:{refund.pk}", opposite, refund.payment, now)
    owe_again(payment=refund.payment, part=Money(refund.coach_part, refund.currency), now=now)
    uncount(refund)


def dismiss(refund: Refund, why: str, now: datetime) -> None:
    """Nothing is booked yet of a refund that waits for a second person."""
    _decide(refund, Status.DISMISSED, failure=why[:300], settled_at=now)
    uncount(refund)


def _decision(refund: Refund) -> list[Line]:
    def money(amount: int) -> Money:
        return Money(amount, refund.currency)

    return [
        Line(ledger.coach_payable(refund.payment.coach_id), money(refund.coach_part)),
        Line(PLATFORM_REVENUE, money(refund.fee_part)),
        Line(PLATFORM_LOSSES, money(refund.loss_part)),
        Line(REFUNDS_IN_FLIGHT, money(-refund.amount)),
    ]


def locked_refund(refund: Refund) -> Refund:
    """With its payment, both as they are now."""
    payment = lock_payments(refund.payment.reference)[refund.payment_id]
    refund.refresh_from_db()
    refund.payment = payment
    return refund


def _decide(refund: Refund, status: Refund.Status, **more: object) -> None:
    if not Refund.objects.filter(pk=refund.pk, status=Status.TO_APPROVE).update(status=status, **more):
        raise RefundDecided
    refund.refresh_from_db(fields=["status", *more])


def _begin(refund: Refund, now: datetime) -> None:
    book_decision(refund, now)
    ask_stripe(refund, now)


def ask_stripe(refund: Refund, now: datetime) -> None:
    """In the caller's transaction. Raises RefundUnderWay."""
    # Asked of what is committed: to wait for an operation that waits for this payment would be a deadlock.
    if refund.payment.operations.filter(kind__in=Operation.MONEY_KINDS, state__in=Operation.OPEN_STATES).exists():
        raise RefundUnderWay
    operation_id = uuid.uuid4()
    operations.create(
        Operation.Kind.REFUND,
        operation_id=operation_id,
        params=_params(refund, operation_id),
        payment=refund.payment,
        refund=refund,
        now=now,
    )


def _params(refund: Refund, operation_id: uuid.UUID) -> dict[str, object]:
    return {
        "payment_intent": refund.payment.payment_intent_id,
        "amount": refund.amount,
        "reason": STRIPE_REASON.get(Refund.Reason(refund.reason), "requested_by_customer"),
        "metadata": {
            "operation_id": str(operation_id),
            "refund_id": str(refund.pk),
            "payment_id": str(refund.payment_id),
            # So that a database that was restored from a backup can tell how it was decided.
            "reason": refund.reason,
            "bearer": refund.bearer,
        },
        "expand": list(gateway.EXPAND_REFUND),
    }


# --- who may, and when --------------------------------------------------------------------------


def require_staff_apart(actor: User, payment: Payment) -> None:
    """As they are now, and not as they were when they signed in."""
    if not User.objects.filter(pk=actor.pk, is_active=True, is_staff=True).exists():
        raise NotStaff
    if actor.pk in (payment.payer_id, payment.coach.user_id):
        raise OwnMoney


def require_undisputed(payment: Payment) -> None:
    """A lost dispute has given the money back for good."""
    if payment.disputes.exclude(status__in=HARMLESS).exists():
        raise RefundWhileDisputed


def _worth(quote: RefundQuote) -> dict[str, object]:
    return {
        "amount": quote.amount.amount,
        "currency": quote.amount.currency,
        "coach_part": quote.coach_part.amount,
        "fee_part": quote.fee_part.amount,
        "loss_part": quote.loss_part.amount,
    }


def _state(refund: Refund) -> dict[str, object]:
    return {"refund": refund.pk, "status": refund.status, "amount": refund.amount, "currency": refund.currency}


def _log(actor: User | None, decision: str, payment: Payment, **facts: Any) -> None:
    """Where a rule has decided, and nobody, the rule is its own record."""
    if actor is not None:
        record_decision(actor=actor, decision=decision, subject=payment, **facts)
