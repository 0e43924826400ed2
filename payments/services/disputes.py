"""What Stripe says of disputes, brought into our state and our books: taken, given back, lost, and whose loss."""

from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import QuerySet, Sum

from marketplace.lib.money import Money, step
from payments import gateway, ledger, pricing
from payments.errors import NotYetError, StripeMismatchError
from payments.facts import Fact, announce
from payments.ledger import Line
from payments.models import Dispute, Earning, Payment, Refund
from payments.owed import owed_of
from payments.postings import (
    DISPUTES_HELD,
    PLATFORM_LOSSES,
    PLATFORM_REVENUE,
    STRIPE_FEES,
    SUSPENSE,
    post,
    refunds_owed,
    stripe_side,
)
from payments.refunds import coach_part_of
from payments.services.debts import owe_back, request_reversal
from payments.services.locks import lock_payments
from payments.services.owed import make_good
from payments.services.refunding import dismiss
from payments.services.withholding import withhold
from payments.stripe_disputes import DisputeEntry, DisputeFacts

log = structlog.get_logger(__name__)

Status, Evidence = Dispute.Status, Dispute.Evidence

# Stripe may answer two who ask at once, and the older answer may come last: nothing goes back in this order.
ORDER = (
    (Status.WARNING_NEEDS_RESPONSE,),
    (Status.WARNING_UNDER_REVIEW,),
    (Status.WARNING_CLOSED,),
    (Status.NEEDS_RESPONSE,),
    (Status.UNDER_REVIEW,),
    (Status.WON, Status.LOST, Status.PREVENTED),
)
RANK = {status.value: rank for rank, statuses in enumerate(ORDER) for status in statuses}


def record_dispute(*, payment: Payment, facts: DisputeFacts, now: datetime) -> Dispute:
    """Where a dispute is by now: its state, its postings, and the coach's part, all or none.

    Safe to repeat and in any order. Raises StripeMismatchError, and NotYetError while the payment is not captured
    in our books.
    """
    if facts.currency != payment.currency or facts.status not in RANK:
        raise StripeMismatchError(f"{facts.id} is not a dispute of {payment}: {facts.currency}, {facts.status}.")
    with transaction.atomic():
        payment = lock_payments(payment.reference)[payment.pk]
        if payment.status != Payment.Status.CAPTURED:
            raise NotYetError(f"{payment} is disputed, and not captured in our books yet.")
        dispute = _known(payment, facts) or _opened(payment, facts, now)
        _take_over(dispute, facts)
        # What is taken first: it may be given back in the same answer.
        for entry in sorted(facts.entries, key=lambda each: each.booked.amount > 0):
            _book(dispute, entry, now)
        _keep_from_the_coach(dispute, now)
        _close(dispute, now)
        return dispute


def refresh_dispute(*, dispute: Dispute, now: datetime) -> Dispute:
    """Ask Stripe and record what it says. Network: call it outside any transaction. Raises GatewayError too."""
    facts = gateway.retrieve_dispute(dispute.stripe_dispute_id)
    return record_dispute(payment=dispute.payment, facts=facts, now=now)


# --- state --------------------------------------------------------------------------------------


def _known(payment: Payment, facts: DisputeFacts) -> Dispute | None:
    dispute = Dispute.objects.select_for_update().filter(stripe_dispute_id=facts.id).first()
    if dispute is None:
        return None
    changed = dispute.withdrawn_at is not None and dispute.amount != facts.amount
    if dispute.payment_id != payment.pk or changed:
        raise StripeMismatchError(f"{facts.id} is not the dispute that we know: {facts.amount} of {payment}.")
    dispute.payment = payment
    return dispute


def _opened(payment: Payment, facts: DisputeFacts, now: datetime) -> Dispute:
    dispute = Dispute.objects.create(
        stripe_dispute_id=facts.id,
        payment=payment,
        charge_id=facts.charge,
        amount=facts.amount,
        currency=facts.currency,
        reason=facts.reason[:40],
        status=facts.status,
        due_by=facts.due_by,
        refundable=facts.refundable,
        opened_at=facts.created,
    )
    log.warning("dispute_opened", dispute=dispute.pk, payment=payment.pk, reason=facts.reason, status=facts.status)
    announce(Fact.DISPUTE_OPENED, payment, now)
    return dispute


def _take_over(dispute: Dispute, facts: DisputeFacts) -> None:
    """What staff see of it, as Stripe has it. An answer that is older than what we know changes nothing."""
    if RANK[facts.status] < RANK[dispute.status]:
        return
    if RANK[dispute.status] <= RANK[Status.WARNING_CLOSED] < RANK[facts.status]:
        # An inquiry has become a chargeback: a new deadline, and everybody is reminded anew.
        dispute.closed_at = dispute.reminded_at = dispute.coach_told_at = None
        dispute.evidence_state = Evidence.NONE
    dispute.status, dispute.reason, dispute.amount = facts.status, facts.reason[:40], facts.amount
    dispute.due_by, dispute.refundable = facts.due_by, facts.refundable
    if dispute.evidence_state != Evidence.ACCEPTED:
        dispute.evidence_state = _evidence_state(dispute, facts)
    names = ["status", "reason", "amount", "due_by", "refundable", "evidence_state", "closed_at"]
    dispute.save(update_fields=[*names, "reminded_at", "coach_told_at"])


def _evidence_state(dispute: Dispute, facts: DisputeFacts) -> str:
    if facts.submissions:
        return Evidence.SUBMITTED
    return Evidence.STAGED if facts.has_evidence else dispute.evidence_state


# --- books --------------------------------------------------------------------------------------


def _book(dispute: Dispute, entry: DisputeEntry, now: datetime) -> None:
    """One balance transaction, once, and as what it is."""
    booked, payment = entry.booked, dispute.payment
    if ledger.has_booked(booked.id):
        return
    if entry.type == "stripe_fee":
        fee = Money(booked.net, booked.currency)
        lines = [Line(ledger.STRIPE_BALANCE, fee, booked.id, booked.created), Line(STRIPE_FEES, -fee)]
        post("dispute_fee", booked.id, lines, payment, now)
    elif _is_withdrawal(dispute, entry):
        lines = [*stripe_side(payment, booked, -dispute.money), Line(DISPUTES_HELD, dispute.money)]
        post("dispute_withdrawn", dispute.stripe_dispute_id, lines, payment, now)
        _note(dispute, withdrawn_at=now)
        _dismiss_refunds_that_wait(payment, now)
    elif _is_reinstatement(dispute, entry):
        lines = [*stripe_side(payment, booked, dispute.money), Line(DISPUTES_HELD, -dispute.money)]
        post("dispute_reinstated", dispute.stripe_dispute_id, lines, payment, now)
        _note(dispute, reinstated_at=now)
    else:
        log.critical("dispute_moved_money_unexpectedly", dispute=dispute.pk, balance_transaction=booked.id)
        money = Money(booked.amount, booked.currency)
        post(
            "dispute_adjusted", booked.id, [*stripe_side(payment, booked, money), Line(SUSPENSE, -money)], payment, now
        )


def _dismiss_refunds_that_wait(payment: Payment, now: datetime) -> None:
    """Nobody may approve them any more; and their parts, counted already, would be missing from a dispute's."""
    for waiting in payment.refunds.filter(status=Refund.Status.TO_APPROVE).order_by("pk"):
        waiting.payment = payment
        dismiss(waiting, "The student's bank disputes the payment.", now)


def _is_withdrawal(dispute: Dispute, entry: DisputeEntry) -> bool:
    return entry.booked.amount < 0 and dispute.withdrawn_at is None and _fits(dispute, entry)


def _is_reinstatement(dispute: Dispute, entry: DisputeEntry) -> bool:
    held = dispute.withdrawn_at is not None and dispute.reinstated_at is None and dispute.closed_at is None
    return entry.booked.amount > 0 and held and _fits(dispute, entry)


def _fits(dispute: Dispute, entry: DisputeEntry) -> bool:
    """Where Stripe has converted it, the amounts can't be compared."""
    booked = entry.booked
    known_type = entry.type == "adjustment"
    return known_type and (booked.currency != dispute.currency or abs(booked.amount) == dispute.amount)


def _note(dispute: Dispute, **times: datetime) -> None:
    for name, time in times.items():
        setattr(dispute, name, time)
    dispute.save(update_fields=list(times))


# --- the coach's part ---------------------------------------------------------------------------


def _keep_from_the_coach(dispute: Dispute, now: datetime) -> None:
    """While the bank decides: what is not on its way to the coach stays, and what has reached them is fetched back.

    A transfer that is under way just now is fetched back by a later look.
    """
    if not dispute.withdrawn_at or dispute.reinstated_at or dispute.closed_at or dispute.status == Status.LOST:
        return
    withhold(payment=dispute.payment)
    if hasattr(dispute, "reversal"):
        return
    held = dispute.payment.disputes.filter(withdrawn_at__isnull=False, reinstated_at=None)
    part = _parts(dispute, _sum_of_others(dispute, held))[0]
    if part.amount:
        request_reversal(payment=dispute.payment, money=part, dispute=dispute, now=now)


def _parts(dispute: Dispute, others: Money) -> tuple[Money, Money]:
    """The coach's part of the disputed amount, and that of our fee, both as for a refund that both bear.

    `others`: the other disputes of the payment that count; the parts of all are those of their sum.
    """
    before, after = _shared(dispute.payment, others), _shared(dispute.payment, others + dispute.money)
    return after[0] - before[0], after[1] - before[1]


def _shared(payment: Payment, amount: Money) -> tuple[Money, Money]:
    shared = Money(amount.amount - amount.amount % step(amount.currency), amount.currency)
    coach = coach_part_of(payment, shared) if shared.amount else shared
    taken = Money(payment.captured_amount, payment.currency)
    fee_left = pricing.quote(taken, payment.fee_bps).platform_fee - Money(payment.returned_fee_amount, payment.currency)
    return coach, min(amount - coach, fee_left)


def _sum_of_others(dispute: Dispute, disputes: QuerySet[Dispute]) -> Money:
    total = disputes.exclude(pk=dispute.pk).aggregate(total=Sum("amount"))["total"]
    return Money(total or 0, dispute.currency)


# --- the end ------------------------------------------------------------------------------------


def _close(dispute: Dispute, now: datetime) -> None:
    """Once the bank has decided and the money is where it belongs. Until then, Stripe is asked again."""
    if dispute.closed_at is not None or dispute.status not in Dispute.ENDS:
        return
    if dispute.status == Status.LOST and dispute.reinstated_at is None:
        if dispute.withdrawn_at is None:
            return
        _lose(dispute, now)
    elif dispute.withdrawn_at and not dispute.reinstated_at:
        return
    _note(dispute, closed_at=now)
    make_good(payment=dispute.payment, reference=dispute.stripe_dispute_id, now=now)
    log.info("dispute_closed", dispute=dispute.pk, status=dispute.status)
    announce(Fact.DISPUTE_CLOSED, dispute.payment, now)


def _lose(dispute: Dispute, now: datetime) -> None:
    """Each side its share, as far as it has one; the platform bears the rest, and the coach's where staff say so."""
    payment = dispute.payment
    lost = payment.disputes.filter(status=Status.LOST, closed_at__isnull=False, reinstated_at=None)
    coach, fee = _parts(dispute, _sum_of_others(dispute, lost))
    by_coach = dispute.charged_to == Dispute.ChargedTo.COACH
    bearer = ledger.coach_payable(payment.coach_id) if by_coach else PLATFORM_LOSSES
    rest = dispute.money - coach - fee
    # Of what their bank had sent back to us: by the lost dispute the student has got it.
    owed = min(rest, owed_of(payment))
    lines = [
        Line(DISPUTES_HELD, -dispute.money),
        Line(bearer, coach),
        Line(PLATFORM_REVENUE, fee),
        Line(refunds_owed(payment), owed),
        Line(PLATFORM_LOSSES, rest - owed),
    ]
    post("dispute_lost", dispute.stripe_dispute_id, lines, payment, now)
    if by_coach:
        owe_back(payment=payment, part=coach, kind=Earning.Kind.DISPUTED, now=now)
