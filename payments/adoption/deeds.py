"""One thing that was done at Stripe, and how it is brought into our books."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from coaches.models import Coach
from payments import gateway, marks, payouts, services
from payments.errors import StripeMismatchError
from payments.gateway import MarkedFacts
from payments.models import (
    Dispute,
    Earning,
    Operation,
    Payment,
    PayoutAccount,
    PayoutLine,
    PayoutRun,
    Refund,
    Reversal,
    Transfer,
)
from payments.stripe_accounts import AccountFacts
from payments.stripe_disputes import DisputeFacts
from payments.stripe_objects import IntentFacts, RefundFacts, ReversalFacts, TransferFacts
from payments.stripe_payouts import PayoutFacts

Kind, State, Status = Operation.Kind, Operation.State, Payment.Status

# Stripe's own words for a hold whose time had run out; all else is somebody's doing.
RAN_OUT = ("expired", "automatic")
GROUP = "payouts-"
# By the event that tells of it. A page of Checkout that is closed cancels what was begun on it, too.
KIND_OF_CALL = {
    "charge.captured": Kind.CAPTURE,
    "payment_intent.canceled": Kind.RELEASE,
    "charge.dispute.updated": Kind.EVIDENCE,
    "charge.dispute.closed": Kind.CLOSE_DISPUTE,
    "payment_method.detached": Kind.REMOVE_CARD,
    "transfer.reversed": Kind.REVERSAL,
}
# A hold on the saved card was not asked for yet, or not answered.
BEFORE_A_HOLD = (Status.SAVED, Status.AUTHORISING)
# Stripe tells whole seconds, by its own clock.
SLACK = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Deed:
    """`take` brings it into our books as of a time; raises what `record_*` raise. It is safe to repeat.

    `rank`: what comes first of what Stripe did in one second. `operation_id`: the lost operation, where there was one.
    `about`: for whoever has to settle it by hand.
    """

    type: str
    id: str
    at: datetime
    rank: int
    take: Callable[[datetime], None]
    operation_id: uuid.UUID | None = None
    about: dict[str, Any] = field(default_factory=dict)


def of_intent(intent: IntentFacts, payment: Payment | None, calls: Sequence[MarkedFacts]) -> Deed:
    """`calls`: the lost ones by which it was captured or given back."""
    booked = intent.charge.balance_transaction if intent.charge else None
    last = max((call.created for call in calls), default=intent.created)
    return Deed(
        "payment_intent",
        intent.id,
        (booked.created if booked else None) or last,
        0,
        lambda at: _take_intent(intent, payment, calls, at),
        marks.operation_id(intent.metadata) or _first_operation(calls),
        {"amount": intent.amount, "currency": intent.currency, "status": intent.status, **intent.metadata},
    )


def of_transfer(facts: TransferFacts) -> Deed:
    about = {"amount": facts.amount, "currency": facts.currency, "destination": facts.destination}
    return Deed(
        "transfer",
        facts.id,
        facts.created,
        1,
        lambda at: _take_transfer(facts, at),
        marks.operation_id(facts.metadata),
        {**about, "transfer_group": facts.transfer_group},
    )


def of_refund(facts: RefundFacts) -> Deed:
    about = {"amount": facts.amount, "currency": facts.currency, "payment_intent": facts.payment_intent}
    lost = marks.operation_id(facts.metadata)
    return Deed("refund", facts.id, facts.created, 2, lambda at: _take_refund(facts, at), lost, about)


def of_dispute(facts: DisputeFacts, payment: Payment | None, calls: Sequence[MarkedFacts]) -> Deed:
    """`calls`: the lost ones by which it was answered."""
    about = {"amount": facts.amount, "currency": facts.currency, "payment_intent": facts.payment_intent}
    lost = _first_operation(calls)
    return Deed(
        "dispute", facts.id, facts.created, 3, lambda at: _take_dispute(facts.id, payment, calls, at), lost, about
    )


def of_reversal(facts: ReversalFacts, at: datetime) -> Deed:
    """Named by its transfer, as the event is that tells of it."""
    about = {"amount": facts.amount, "currency": facts.currency, "reversal": facts.id}
    lost = marks.operation_id(facts.metadata)
    return Deed("reversal", facts.transfer, at, 4, lambda at: _take_reversal(facts, at), lost, about)


def of_payout(facts: PayoutFacts) -> Deed:
    """The platform's own: what coaches get from their accounts is not in our books."""

    def take(at: datetime) -> None:
        services.record_payout(facts=facts, account=None, now=at)
        _remember(facts.id, marks.operation_id(facts.metadata), Kind.PAYOUT, at)

    about = {"amount": facts.amount, "currency": facts.currency}
    return Deed("payout", facts.id, facts.created, 5, take, marks.operation_id(facts.metadata), about)


def of_account(facts: AccountFacts, at: datetime) -> Deed:
    about = {"country": facts.country, **facts.metadata}
    lost = marks.operation_id(facts.metadata)
    return Deed("account", facts.id, at, 0, lambda at: _take_account(facts, at), lost, about)


def of_call(call: MarkedFacts) -> Deed:
    """A lost call that changed something else than payments, disputes and transfers."""
    return Deed(call.type, call.id, call.created, 6, lambda _: _take_call(call), call.operation_id)


def _first_operation(calls: Sequence[MarkedFacts]) -> uuid.UUID | None:
    return next((call.operation_id for call in calls), None)


# --- payments -----------------------------------------------------------------------------------


def _take_intent(intent: IntentFacts, payment: Payment | None, calls: Sequence[MarkedFacts], at: datetime) -> None:
    if payment is None:
        if intent.status in ("requires_capture", "succeeded", "processing"):
            raise StripeMismatchError("It is of a payment that this database does not have.")
        # Nothing was held, or it was given back: nobody has to do anything about it.
        _remember(intent.id, marks.operation_id(intent.metadata), Kind.HOLD, at)
        _remember_calls(calls)
        return
    _want_what_was_done(intent, payment)
    services.record_intent(payment=payment, intent=intent, now=at)
    payment.refresh_from_db()
    if payment.status in (Status.CAPTURED, Status.RELEASED, Status.LOST):
        _drop_unsent(payment.operations.filter(kind__in=(Kind.HOLD, Kind.CAPTURE, Kind.RELEASE)), at)
    _remember(intent.id, marks.operation_id(intent.metadata), Kind.HOLD, at, payment=payment)
    _remember_calls(calls, payment=payment)


def _want_what_was_done(intent: IntentFacts, payment: Payment) -> None:
    """A hold on the saved card was asked for, or a hold was given back: we have only forgotten that we wanted it.

    Taken for a loss, a hold that was given back would be made anew on the student's card.
    """
    if intent.status != "canceled":
        Payment.objects.filter(pk=payment.pk, status=Status.SAVED).update(status=Status.AUTHORISING)
    elif intent.cancellation_reason not in RAN_OUT:
        held = Payment.objects.filter(pk=payment.pk, status__in=(*BEFORE_A_HOLD, Status.HELD, Status.CAPTURING))
        held.update(status=Status.RELEASING)
    payment.refresh_from_db()


def _take_refund(facts: RefundFacts, at: datetime) -> None:
    payment = Payment.objects.filter(payment_intent_id=facts.payment_intent).first()
    if payment is None:
        raise StripeMismatchError("It is of a payment that this database does not have.")
    lost = marks.operation_id(facts.metadata)
    if lost is not None:
        _meet_same_wish(payment, facts, at)
    services.record_refund(payment=payment, facts=facts, now=at)
    refund = Refund.objects.get(stripe_refund_id=facts.id)
    _remember(facts.id, lost, Kind.REFUND, at, payment=payment, refund=refund)


@transaction.atomic
def _meet_same_wish(payment: Payment, facts: RefundFacts, at: datetime) -> None:
    """Somebody, or a rule, has asked for the same once more since the restore: it is this one."""
    wishes = payment.refunds.filter(
        status=Refund.Status.REQUESTED,
        stripe_refund_id=None,
        amount=facts.amount,
        operations__state=State.PENDING,
        operations__tries=0,
    )
    wish = wishes.order_by("pk").first()
    if wish is not None:
        _drop_unsent(wish.operations.all(), at)
        Refund.objects.filter(pk=wish.pk).update(stripe_refund_id=facts.id)


def _take_dispute(dispute_id: str, payment: Payment | None, calls: Sequence[MarkedFacts], at: datetime) -> None:
    if payment is None:
        raise StripeMismatchError("It is of a payment that this database does not have.")
    facts = gateway.retrieve_dispute(dispute_id)
    dispute = services.record_dispute(payment=payment, facts=facts, now=at)
    if any(KIND_OF_CALL[call.type] == Kind.CLOSE_DISPUTE for call in calls):
        Dispute.objects.filter(pk=dispute.pk).update(evidence_state=Dispute.Evidence.ACCEPTED)
    # What was told with which one is lost. What the bank would see of it all has to be known, to be taken back.
    told = {"evidence": dict.fromkeys(facts.evidence_fields, "")}
    _remember_calls(calls, dispute=dispute, params={"adopted": dispute_id, "params": told})


def _take_call(call: MarkedFacts) -> None:
    if KIND_OF_CALL[call.type] != Kind.REMOVE_CARD:
        raise StripeMismatchError("Stripe lists no payment, dispute or transfer of this name.")
    services.record_card_removed(payment_method_id=call.id, now=call.created)
    _remember_calls([call])


# --- the coaches' part --------------------------------------------------------------------------


def _take_transfer(facts: TransferFacts, at: datetime) -> None:
    lost = marks.operation_id(facts.metadata)
    known = Transfer.objects.filter(stripe_transfer_id=facts.id).first()
    if known is not None:
        _remember(facts.id, lost, Kind.TRANSFER, at, line=known.line)
        return
    line = _line_of(facts, _run_of(facts, at))
    _drop_unsent(line.operations.all(), at)
    payouts.record_transfer(line=line, facts=facts, now=at)
    _remember(facts.id, lost, Kind.TRANSFER, at, line=line)


def _run_of(facts: TransferFacts, at: datetime) -> PayoutRun:
    """Opened where it was lost, too: planned from what was due then."""
    group, month = facts.transfer_group[: len(GROUP)], facts.transfer_group[len(GROUP) :]
    if group != GROUP:
        raise StripeMismatchError("It belongs to no monthly run.")
    return PayoutRun.objects.filter(month=month).first() or _open_as_of(month, at)


@transaction.atomic
def _open_as_of(month: str, at: datetime) -> PayoutRun:
    """What has come into being since, such as a refund that was asked for after the restore, was not planned then."""
    later = Earning.objects.filter(line=None, frozen=False, created_at__gt=at)
    kept = list(later.values_list("pk", flat=True))
    later.update(frozen=True)
    run = payouts.plan_run(month, at)
    Earning.objects.filter(pk__in=kept).update(frozen=False)
    return run


def _line_of(facts: TransferFacts, run: PayoutRun) -> PayoutLine:
    """By what it paid: the line that was lost had another number, perhaps."""
    account = PayoutAccount.objects.filter(stripe_account_id=facts.destination).first()
    coachs = run.lines.filter(coach=account.coach, currency=facts.currency) if account else run.lines.none()
    line = coachs.exclude(status=PayoutLine.Status.PAID).first()
    if line is None or line.amount != facts.amount:
        planned = f"{line.amount} {line.currency}" if line else "nothing"
        raise StripeMismatchError(f"{run} has {planned} for {facts.destination}, and {facts.amount} was transferred.")
    return line


def _take_reversal(facts: ReversalFacts, at: datetime) -> None:
    lost = marks.operation_id(facts.metadata)
    transfer = Transfer.objects.filter(stripe_transfer_id=facts.transfer).first()
    if transfer is None:
        raise StripeMismatchError("It is of a transfer that is not in our books.")
    asked = transfer.reversals.filter(
        status=Reversal.Status.REQUESTED,
        amount=facts.amount,
        operations__state=State.PENDING,
        operations__tries=0,
    )
    reversal = None
    if lost is not None:
        # The one that asked for it, where it was not lost; else one that asks for the same once more since the restore.
        reversal = asked.filter(operations__pk=lost).first() or asked.order_by("pk").first()
    if reversal is None:
        services.record_any_reversal(transfer=transfer, facts=facts, now=at)
    else:
        _drop_unsent(reversal.operations.all(), at)
        services.record_reversal(reversal=reversal, facts=facts, now=at)
    _remember(facts.id, lost, Kind.REVERSAL, at, reversal=Reversal.objects.get(stripe_reversal_id=facts.id))


def _take_account(facts: AccountFacts, at: datetime) -> None:
    """Only for a coach who was here before it: numbers of coaches who are lost are given anew."""
    number = facts.metadata.get("coach_id", "")
    known = PayoutAccount.objects.filter(stripe_account_id=facts.id).first()
    coach = known.coach if known else Coach.objects.filter(pk=int(number) if number.isdecimal() else 0).first()
    if coach is None or coach.created_at > at + SLACK:
        raise StripeMismatchError("It is the account of a coach whom this database does not have.")
    if known is None:
        if PayoutAccount.objects.filter(coach=coach).exists():
            raise StripeMismatchError(f"{coach} has another account.")
        _drop_unsent(Operation.objects.filter(kind=Kind.CREATE_ACCOUNT, coach=coach), at)
        PayoutAccount.objects.create(
            coach=coach, stripe_account_id=facts.id, account_type=facts.type, country=facts.country
        )
        services.record_account(facts=facts, now=at)
    _remember(facts.id, marks.operation_id(facts.metadata), Kind.CREATE_ACCOUNT, at, coach=coach)


# --- operations ---------------------------------------------------------------------------------


def _drop_unsent(rows: Any, at: datetime) -> None:
    """What was never sent has no effect; what it was to do is done."""
    unsent = rows.filter(state=State.PENDING, tries=0)
    unsent.update(state=State.FAILED, error_code="overtaken", finished_at=at)


def _remember_calls(calls: Sequence[MarkedFacts], **about: Any) -> None:
    for call in calls:
        _remember(call.id, call.operation_id, KIND_OF_CALL[call.type], call.created, **about)


def _remember(object_id: str, operation_id: uuid.UUID | None, kind: Operation.Kind, at: datetime, **about: Any) -> None:
    """As a row of its own again; what exactly was sent is lost. One that was not sent yet when the backup was taken is
    there, and is done.
    """
    if operation_id is None:
        return
    done = {
        "state": State.DONE,
        "result_id": object_id,
        "tries": 1,
        "first_sent_at": at,
        "finished_at": at,
        "error_code": "",
    }
    if Operation.objects.filter(pk=operation_id, tries=0).update(**done):
        return
    lost = {"kind": kind, "params": {"adopted": object_id}, "next_try_at": at, "created_at": at}
    Operation.objects.get_or_create(pk=operation_id, defaults={**lost, **done, **about})
