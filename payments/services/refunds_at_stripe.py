"""What Stripe says of refunds, brought into our state and our books: ours, and those made in its dashboard."""

from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import Q

from marketplace.lib.money import Money
from payments import gateway, marks, operations
from payments.errors import NotYetError, StripeMismatchError
from payments.facts import Fact, announce
from payments.gateway import GatewayError
from payments.ledger import Line
from payments.models import LedgerTransaction, Operation, Payment, Refund
from payments.operations import KindHandler
from payments.postings import REFUNDS_IN_FLIGHT, post, refunds_owed, stripe_side
from payments.refunds import left_of, refund_quote
from payments.services.debts import fetch_back
from payments.services.locks import lock_payments
from payments.services.owed import make_good
from payments.services.refunding import book_decision, dismiss, undo_decision, write_down
from payments.stripe_objects import RefundFacts

log = structlog.get_logger(__name__)

Status = Refund.Status

# Asked for, and no answer is recorded.
UNANSWERED = Q(status=Status.REQUESTED, stripe_refund_id=None)
ON_ITS_WAY = ("pending", "requires_action")
NEVER_ARRIVED = ("failed", "canceled")


def record_refund(*, payment: Payment, facts: RefundFacts, now: datetime) -> None:
    """Where a refund is by now, whoever made it: its state, its postings, and the coach's part, all or none.

    Safe to repeat and in any order. Raises StripeMismatchError, and NotYetError while Stripe does not show the
    money's way, or another refund has to be settled before.
    """
    if (facts.payment_intent, facts.currency) != (payment.payment_intent_id, payment.currency):
        raise StripeMismatchError(f"{facts.id} is not a refund of {payment}.")
    with transaction.atomic():
        payment = lock_payments(payment.reference)[payment.pk]
        if _is_history(facts):
            return
        refund = _known(payment, facts)
        if refund is None and _came_to_nothing(payment, facts):
            _book_there_and_back(payment, facts, now)
            return
        refund = refund or _made_elsewhere(payment, facts, now)
        _require_same(refund, facts)
        _book(refund, facts, now)
        _move(refund, facts, now)


def refresh_refund(*, refund: Refund, now: datetime) -> None:
    """Ask Stripe and record what it says. Network: call it outside any transaction."""
    facts = gateway.retrieve_refund(str(refund.stripe_refund_id))
    record_refund(payment=refund.payment, facts=facts, now=now)


def _is_history(facts: RefundFacts) -> bool:
    """It failed, and was sent once more: its row goes by the second try, and all of the first one is booked."""
    failed = LedgerTransaction.objects.filter(kind="refund_failed", reference=facts.id)
    return failed.exists() and not Refund.objects.filter(stripe_refund_id=facts.id).exists()


def _known(payment: Payment, facts: RefundFacts) -> Refund | None:
    known = Refund.objects.filter(stripe_refund_id=facts.id).first()
    if known is None and (operation_id := marks.operation_id(facts.metadata)) is not None:
        known = Refund.objects.filter(
            operations__pk=operation_id, operations__kind=Operation.Kind.REFUND, payment=payment
        ).first()
    if known is not None:
        known.payment = payment
    return known


def _require_same(refund: Refund, facts: RefundFacts) -> None:
    fits = refund.amount == facts.amount and refund.stripe_refund_id in (None, facts.id)
    if not fits or refund.status in (Status.TO_APPROVE, Status.REFUSED, Status.DISMISSED):
        raise StripeMismatchError(f"{facts.id} came for {refund}, which is {refund.status}.")
    Refund.objects.filter(pk=refund.pk, stripe_refund_id=None).update(stripe_refund_id=facts.id)


# --- state --------------------------------------------------------------------------------------


def _move(refund: Refund, facts: RefundFacts, now: datetime) -> None:
    payment = refund.payment
    if facts.status in NEVER_ARRIVED:
        open_ones = (Status.REQUESTED, Status.PENDING, Status.SUCCEEDED)
        if _become(refund, open_ones, Status.FAILED, failure=facts.failure_reason or facts.status, settled_at=now):
            make_good(payment=payment, reference=facts.id, now=now)
            log.critical("refund_failed", refund=refund.pk, payment=payment.pk, reason=facts.failure_reason)
        return
    if facts.status in ON_ITS_WAY:
        _become(refund, (Status.REQUESTED,), Status.PENDING)
    elif facts.status == "succeeded" and _become(refund, Refund.OPEN_STATES, Status.SUCCEEDED, settled_at=now):
        announce(Fact.REFUNDED, payment, now)
    fetch_back(payment=payment, now=now)


def _become(refund: Refund, sources: tuple[Refund.Status, ...], status: Refund.Status, **more: object) -> bool:
    return bool(Refund.objects.filter(pk=refund.pk, status__in=sources).update(status=status, **more))


# --- books --------------------------------------------------------------------------------------


def _book(refund: Refund, facts: RefundFacts, now: datetime) -> None:
    money, payment = Money(facts.amount, facts.currency), refund.payment
    if facts.balance_transaction is not None:
        lines = [Line(REFUNDS_IN_FLIGHT, money), *stripe_side(payment, facts.balance_transaction, -money)]
        post("refund", facts.id, lines, payment, now)
    elif facts.status == "succeeded":
        raise NotYetError(f"{facts.id} has no balance transaction yet.")
    if facts.status not in NEVER_ARRIVED:
        return
    if facts.balance_transaction is None:
        came_back = [Line(REFUNDS_IN_FLIGHT, money)]
    else:
        came_back = stripe_side(payment, facts.failure_balance_transaction, money)
    post("refund_failed", facts.id, [*came_back, Line(refunds_owed(payment), -money)], payment, now)


# --- made in Stripe's dashboard -----------------------------------------------------------------


def _came_to_nothing(payment: Payment, facts: RefundFacts) -> bool:
    """It failed at the bank, and others have given back since what it was to: nothing is owed of it."""
    moved = facts.balance_transaction is not None and facts.failure_balance_transaction is not None
    is_known = payment.status == Payment.Status.CAPTURED
    return facts.status in NEVER_ARRIVED and moved and is_known and left_of(payment).amount < facts.amount


def _book_there_and_back(payment: Payment, facts: RefundFacts, now: datetime) -> None:
    money = Money(facts.amount, facts.currency)
    there = [Line(REFUNDS_IN_FLIGHT, money), *stripe_side(payment, facts.balance_transaction, -money)]
    back = [*stripe_side(payment, facts.failure_balance_transaction, money), Line(REFUNDS_IN_FLIGHT, -money)]
    post("refund", facts.id, there, payment, now)
    post("refund_failed", facts.id, back, payment, now)


def _made_elsewhere(payment: Payment, facts: RefundFacts, now: datetime) -> Refund:
    if payment.status != Payment.Status.CAPTURED:
        raise NotYetError(f"{payment} is refunded at Stripe, and not captured in our books yet.")
    if payment.refunds.filter(UNANSWERED, replaces__isnull=False, amount=facts.amount).exists():
        raise NotYetError(f"{payment} is refunded at Stripe while we send the same again: ours is settled first.")
    again = _sent_again(payment, facts, now)
    if again is not None:
        return again
    money = Money(facts.amount, facts.currency)
    _make_room(payment, money, now)
    reason, bearer = _as_decided(facts)
    quote = refund_quote(payment, amount=money, reason=reason, bearer=bearer)
    refund = write_down(
        payment,
        quote,
        bearer=bearer,
        reason=reason,
        status=Status.REQUESTED,
        stripe_refund_id=facts.id,
        created_at=now,
    )
    log.warning("refund_made_at_stripe", refund=refund.pk, payment=payment.pk)
    book_decision(refund, now)
    return refund


def _as_decided(facts: RefundFacts) -> tuple[Refund.Reason, Refund.Bearer]:
    """One of ours that this database has forgotten says it in its marks; the dashboard's have none."""
    try:
        return Refund.Reason(facts.metadata["reason"]), Refund.Bearer(facts.metadata["bearer"])
    except (KeyError, ValueError):
        return Refund.Reason.AT_STRIPE, Refund.Bearer.SHARED


def _sent_again(payment: Payment, facts: RefundFacts, now: datetime) -> Refund | None:
    """What had failed, and is owed since, sent once more: the refund is on its way again, by its second try."""
    refund = payment.refunds.filter(status=Status.FAILED, amount=facts.amount).order_by("pk").first()
    if refund is None:
        return None
    money = Money(facts.amount, facts.currency)
    post(
        "refund_again",
        facts.id,
        [Line(refunds_owed(payment), money), Line(REFUNDS_IN_FLIGHT, -money)],
        payment,
        now,
    )
    refund.payment, refund.stripe_refund_id, refund.status = payment, facts.id, Status.REQUESTED
    refund.failure, refund.settled_at = "", None
    refund.otherwise_by, refund.otherwise_note = None, ""
    names = ["stripe_refund_id", "status", "failure", "settled_at", "otherwise_by", "otherwise_note"]
    refund.save(update_fields=names)
    return refund


def _make_room(payment: Payment, money: Money, now: datetime) -> None:
    """It is done at Stripe: what only waits here for a second person gives way.

    What is on its way to Stripe will be refused there, and gives way then. Raises NotYetError until it has.
    """
    for waiting in payment.refunds.filter(status=Status.TO_APPROVE).order_by("-pk"):
        if money <= left_of(payment):
            return
        waiting.payment = payment
        dismiss(waiting, "Refunded in Stripe's dashboard meanwhile.", now)
    if left_of(payment) < money:
        raise NotYetError(f"{payment} has no room for a refund of {money!r} made at Stripe.")


# --- how operations carry it --------------------------------------------------------------------


def _send(operation: Operation) -> RefundFacts:
    if operation.refund is not None and operation.refund.replaces_id is not None:
        _require_not_sent_meanwhile(operation)
    return gateway.create_refund(params=operation.params, key=operation.idempotency_key)


def _require_not_sent_meanwhile(operation: Operation) -> None:
    """What failed may have been sent again in the dashboard before us, and Stripe would do both.

    Raises GatewayError, as where Stripe refuses it. A try of ours that has had its effect is answered by its key.
    """
    params = operation.params
    made = gateway.list_refunds(payment_intent=params["payment_intent"])
    if any(marks.operation_id(facts.metadata) == operation.pk for facts in made):
        return
    alike = {facts.id for facts in made if facts.amount == params["amount"] and facts.status not in NEVER_ARRIVED}
    known = Refund.objects.filter(stripe_refund_id__in=alike).values_list("stripe_refund_id", flat=True)
    if alike - set(known):
        raise GatewayError("refused", "sent_meanwhile", "It was sent again in Stripe's dashboard meanwhile.")


def _look_up(operation: Operation) -> RefundFacts | None:
    return gateway.find_refund(operation_id=str(operation.pk), payment_intent=operation.params["payment_intent"])


def _record(operation: Operation, facts: RefundFacts, now: datetime) -> str:
    record_refund(payment=Payment.objects.get(operations=operation), facts=facts, now=now)
    return facts.id


def _refuse(operation: Operation, error: GatewayError, now: datetime) -> None:
    """It never had an effect: everything is as before it was decided, or sent again."""
    refund = Refund.objects.select_related("payment").get(operations=operation)
    refund.payment = lock_payments(refund.payment.reference)[refund.payment_id]
    why = (error.message or error.code)[:300]
    if _become(refund, (Status.REQUESTED,), Status.REFUSED, failure=why, settled_at=now):
        if refund.replaces_id is None:
            undo_decision(refund, now)
        else:
            _owe_as_before(refund, now)
        log.error("refund_refused", refund=refund.pk, payment=refund.payment_id, code=error.code)


def _owe_as_before(again: Refund, now: datetime) -> None:
    """It is not sent: what had failed before is owed to the student again."""
    lines = [Line(REFUNDS_IN_FLIGHT, again.money), Line(refunds_owed(again.payment), -again.money)]
    post("refund_again_undone", f"refund:{again.pk}", lines, again.payment, now)
    Refund.objects.filter(replaced_by=again, status=Status.REPLACED).update(status=Status.FAILED)
    make_good(payment=again.payment, reference=f"refund:{again.pk}", now=now)


operations.register(Operation.Kind.REFUND, KindHandler(_send, _look_up, _record, _refuse))
