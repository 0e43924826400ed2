"""Transfers that somebody reverses in Stripe's dashboard: booked, and waiting until finance has decided about them."""

from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import F, Sum

from marketplace.lib.decisions import record_decision
from marketplace.lib.errors import DomainError
from marketplace.lib.money import Money
from marketplace.models import User
from payments import gateway, ledger, marks
from payments.errors import NotStaff, NotYetError, OwnMoney, StripeMismatchError
from payments.ledger import Line
from payments.models import Earning, Payment, Reversal, Transfer
from payments.postings import PLATFORM_LOSSES, SUSPENSE, post, stripe_side
from payments.services.locks import lock_payments
from payments.services.reversing import record_reversal
from payments.settlement import RELEASE_AFTER
from payments.stripe_objects import ReversalFacts

log = structlog.get_logger(__name__)

Status = Reversal.Status


class ReversalDecided(DomainError):
    code = "reversal_decided"
    status = 409
    message = "Somebody has decided this already."


def record_reversals(*, transfer: Transfer, now: datetime) -> None:
    """All that came back of it, the oldest first. Network: call it outside any transaction.

    One that can't be recorded keeps no other: what `record_any_reversal` raises of the first one is raised afterwards.
    """
    failures: list[NotYetError | StripeMismatchError] = []
    for facts in reversed(gateway.list_reversals(transfer.stripe_transfer_id)):
        try:
            record_any_reversal(transfer=transfer, facts=facts, now=now)
        except (NotYetError, StripeMismatchError) as error:
            failures.append(error)
    if failures:
        raise failures[0]


def record_any_reversal(*, transfer: Transfer, facts: ReversalFacts, now: datetime) -> None:
    """One that we asked for, or one that we did not; safe to repeat. Raises what the two of them raise."""
    operation_id = marks.operation_id(facts.metadata)
    ours = Reversal.objects.filter(operations=operation_id).first() if operation_id else None
    if ours is None:
        record_reversal_at_stripe(transfer=transfer, facts=facts, now=now)
    else:
        record_reversal(reversal=ours, facts=facts, now=now)


def record_reversal_at_stripe(*, transfer: Transfer, facts: ReversalFacts, now: datetime) -> None:
    """The money is back with us, and is the coach's: booked once, whoever reports it.

    No run pays it before finance has said so. Where nobody has ever paid for a session of this coach it waits on
    suspense, and two people say by a correction what becomes of it.

    Raises StripeMismatchError, and NotYetError while the balance transaction is missing or a reversal of our own is
    under way that leaves no room for this one.
    """
    if (facts.transfer, facts.currency) != (transfer.stripe_transfer_id, transfer.currency):
        raise StripeMismatchError(f"{facts.id} is not of {transfer}.")
    with transaction.atomic():
        payment = _locked_payment(transfer)
        if Reversal.objects.filter(stripe_reversal_id=facts.id).exists():
            return
        # Its earning before its transfer: in the order in which a refund or dispute locks them.
        _write_down(transfer, payment, facts, now)
        _count(transfer, facts.amount)
        money = Money(facts.amount, facts.currency)
        account = ledger.coach_payable(transfer.coach_id) if payment else SUSPENSE
        lines = [*stripe_side(payment or transfer, facts.balance_transaction, money), Line(account, -money)]
        post("reversal", facts.id, lines, payment, now)
    log.error("transfer_reversed_at_stripe", transfer=transfer.stripe_transfer_id, reversal=facts.id)


def pay_again(*, reversal: Reversal, actor: User, reason: str, now: datetime) -> None:
    """The next run pays it to the coach again. Raises NotStaff, OwnMoney, ReversalDecided."""
    with transaction.atomic():
        _settle(reversal, actor, now)
        Earning.objects.filter(reversal=reversal).update(reversal=None)
        _log("reversal_paid_again", reversal, actor, reason, now, kept=0)


def keep(*, reversal: Reversal, actor: User, reason: str, now: datetime) -> None:
    """It was not theirs: the platform keeps it, and asks for it by no refund or dispute later.

    What one has charged them for before is met first: the next run sets both against each other. What had paid for a
    correction alone is of no session, and touches none. Raises NotStaff, OwnMoney, ReversalDecided.
    """
    with transaction.atomic():
        _settle(reversal, actor, now)
        earning = Earning.objects.select_related("payment").get(reversal=reversal)
        payment = lock_payments(earning.paid_for.reference)[earning.paid_for.pk]
        of_session = _has_paid_for(reversal.transfer, payment)
        met = min(_charged(payment), earning.amount) if of_session else 0
        if met:
            _split_off(earning, reversal, met, now)
        kept = Money(reversal.amount - met, reversal.currency)
        if kept.amount and of_session:
            Payment.objects.filter(pk=payment.pk).update(kept_amount=F("kept_amount") + kept.amount)
        if kept.amount:
            lines = [Line(ledger.coach_payable(reversal.transfer.coach_id), kept), Line(PLATFORM_LOSSES, -kept)]
            post("reversal_kept", str(reversal.stripe_reversal_id), lines, payment, now)
        _log("reversal_kept", reversal, actor, reason, now, kept=kept.amount)


def _charged(payment: Payment) -> int:
    """What refunds and disputes have charged the coach with for it, and have not fetched back."""
    since = Earning.objects.filter(payment__reference=payment.reference, reversal=None).exclude(kind=Earning.Kind.SHARE)
    return max(0, -(since.aggregate(total=Sum("amount"))["total"] or 0))


def _split_off(earning: Earning, reversal: Reversal, met: int, now: datetime) -> None:
    """So much of it is the next run's, and the rest is done with."""
    rest = earning.amount - met
    Earning.objects.filter(pk=earning.pk).update(amount=met, reversal=None)
    if rest:
        _add_earning(earning.paid_for, reversal, rest, now)


def _locked_payment(transfer: Transfer) -> Payment | None:
    """Where there is none, the transfer is locked in its place."""
    about = _payment_of(transfer)
    if about is None:
        Transfer.objects.select_for_update().get(pk=transfer.pk)
        return None
    return lock_payments(about.reference)[about.pk]


def _payment_of(transfer: Transfer) -> Payment | None:
    """A run's transfer pays for several: what comes back of it is kept with the largest share.

    Where it has paid for a correction alone, with the coach's latest payment; none where nobody ever paid for theirs.
    """
    if transfer.payment is not None:
        return transfer.payment
    shares = Earning.objects.filter(line=transfer.line, payment__isnull=False).select_related("payment")
    largest = shares.order_by("-amount", "pk").first()
    return largest.payment if largest else transfer.coach.payments.order_by("-pk").first()


def _has_paid_for(transfer: Transfer, payment: Payment) -> bool:
    return transfer.payment_id is not None or Earning.objects.filter(line=transfer.line, payment=payment).exists()


def _count(transfer: Transfer, amount: int) -> None:
    rows = Transfer.objects.filter(pk=transfer.pk)
    if rows.filter(reversed_amount__lte=F("amount") - amount).update(reversed_amount=F("reversed_amount") + amount):
        return
    if transfer.reversals.filter(status=Status.REQUESTED).exists():
        raise NotYetError(f"More of {transfer} is asked back than is left: one of the reversals will be refused.")
    # They took from the coach what had come back to us as our fee before: nothing is left to be fetched.
    rows.update(reversed_amount=F("amount"))


def _write_down(transfer: Transfer, payment: Payment | None, facts: ReversalFacts, now: datetime) -> None:
    reversal = Reversal.objects.create(
        transfer=transfer,
        amount=facts.amount,
        currency=facts.currency,
        status=Status.AT_STRIPE if payment else Status.DONE,
        stripe_reversal_id=facts.id,
        created_at=now,
        settled_at=None if payment else now,
    )
    if payment is not None:
        _add_earning(payment, reversal, facts.amount, now)


def _add_earning(payment: Payment, reversal: Reversal, amount: int, now: datetime) -> None:
    """While a claim is open, no run pays it even if finance has it paid again."""
    Earning.objects.create(
        payment=payment,
        kind=Earning.Kind.REVERSED,
        coach_id=reversal.transfer.coach_id,
        amount=amount,
        currency=reversal.currency,
        release_at=payment.service_ends_at + RELEASE_AFTER,
        frozen=Earning.objects.filter(payment=payment, line=None, frozen=True).exists(),
        reversal=reversal,
        created_at=now,
    )


def _settle(reversal: Reversal, actor: User, now: datetime) -> None:
    # As they are now, and not as they were when they signed in.
    if not User.objects.filter(pk=actor.pk, is_active=True, is_staff=True).exists():
        raise NotStaff
    if actor.pk == reversal.transfer.coach.user_id:
        raise OwnMoney("This was taken from you: somebody else has to decide.")
    undecided = Reversal.objects.filter(pk=reversal.pk, status=Status.AT_STRIPE)
    if not undecided.update(status=Status.DONE, settled_at=now):
        raise ReversalDecided


def _log(decision: str, reversal: Reversal, actor: User, reason: str, now: datetime, *, kept: int) -> None:
    record_decision(
        actor=actor,
        decision=decision,
        subject=reversal,
        reason=reason,
        before={"status": Status.AT_STRIPE},
        after={"amount": reversal.amount, "kept": kept, "currency": reversal.currency},
        now=now,
    )
