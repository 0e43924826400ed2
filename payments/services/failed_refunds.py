"""A refund that the student's bank has sent back to us: sent once more, or paid by other means as two people say.

Stripe refunds to the card of the payment alone, and gives back what did not arrive there; whether another try
arrives is the bank's affair, so staff decide (https://docs.stripe.com/refunds#failed-refunds).
"""

from datetime import datetime
from typing import Any

from django.db import transaction

from marketplace.lib.decisions import record_decision
from marketplace.lib.errors import DomainError
from marketplace.lib.money import Money
from marketplace.models import StaffDecision, User
from payments.errors import SecondPersonNeeded
from payments.facts import Fact, announce
from payments.ledger import Line
from payments.models import Dispute, Payment, Refund
from payments.owed import PAID_OTHERWISE, owed_of_refund, reference
from payments.postings import BANK, REFUNDS_IN_FLIGHT, post, refunds_owed
from payments.services.refunding import ask_stripe, locked_refund, require_staff_apart, require_undisputed

Status = Refund.Status

SAID = "refund_said_paid_otherwise"


class NotOwed(DomainError):
    code = "refund_not_owed"
    message = (
        "This refund is not owed to the student any more: it was sent again, or made good. Please look at it again."
    )


class PaidOtherwise(DomainError):
    code = "refund_paid_otherwise"
    message = "A colleague says that the student was paid by other means. That has to be confirmed or denied first."


class OwedChanged(DomainError):
    code = "refund_owed_changed"
    message = (
        "What we owe of this refund is not what it was: a dispute was lost, or another refund came back or was paid. "
        "Please look at it again."
    )


class TryAgainFirst(DomainError):
    code = "try_again_first"
    message = "Send it again first: only what fails a second time is paid by other means."


class NothingSaid(DomainError):
    code = "nothing_said"
    message = "Nobody says any more that the student was paid by other means. Please look at it again."


@transaction.atomic
def send_again(*, refund: Refund, reason: str, actor: User, now: datetime) -> Refund:
    """By a row of its own, which names the one that failed. What each side bears of it stays as it was decided.

    Raises NotOwed, OwedChanged, PaidOtherwise, NotStaff, OwnMoney, RefundWhileDisputed, RefundUnderWay.
    """
    refund = _owed(refund, actor)
    require_undisputed(refund.payment)
    _require_owed(refund, refund.money)
    _change(refund, actor=None, status=Status.REPLACED)
    again = Refund.objects.create(
        payment=refund.payment,
        replaces=refund,
        amount=refund.amount,
        currency=refund.currency,
        coach_part=refund.coach_part,
        fee_part=refund.fee_part,
        loss_part=refund.loss_part,
        bearer=refund.bearer,
        reason=refund.reason,
        note=reason,
        status=Status.REQUESTED,
        requested_by=actor,
        created_at=now,
    )
    lines = [Line(refunds_owed(refund.payment), refund.money), Line(REFUNDS_IN_FLIGHT, -refund.money)]
    post("refund_again", f"refund:{again.pk}", lines, refund.payment, now)
    ask_stripe(again, now)
    after = {"refund": again.pk, "status": again.status}
    _log("refund_sent_again", refund, refund.money, reason=reason, actor=actor, now=now, after=after)
    return again


@transaction.atomic
def say_paid_otherwise(*, refund: Refund, amount: Money, reason: str, actor: User, now: datetime) -> None:
    """The student has the money from our bank account, says one person; a second one has to confirm it.

    `amount` is all that is owed of it. Raises NotOwed, OwedChanged, PaidOtherwise, TryAgainFirst, NotStaff, OwnMoney.
    """
    refund = _owed(refund, actor)
    if not may_be_paid_otherwise(refund):
        raise TryAgainFirst
    _require_owed(refund, amount)
    _change(refund, actor=None, otherwise_by=actor, otherwise_note=reason)
    _log(SAID, refund, amount, reason=reason, actor=actor, now=now, after={"status": refund.status})


@transaction.atomic
def confirm_paid_otherwise(*, refund: Refund, reason: str, actor: User, now: datetime) -> None:
    """The second person's word: the books owe the student nothing more of it.

    It is about the amount that was said, and holds while that is what is owed.
    Raises SecondPersonNeeded, NothingSaid, NotOwed, OwedChanged, NotStaff, OwnMoney.
    """
    refund = _owed(refund, actor)
    first = _said_by(refund)
    if first.pk == actor.pk:
        raise SecondPersonNeeded
    amount = said_amount(refund)
    _require_owed(refund, amount)
    _change(refund, actor=first, status=Status.OTHERWISE, otherwise_agreed_by=actor, settled_at=now)
    lines = [Line(refunds_owed(refund.payment), amount), Line(BANK, -amount)]
    post(PAID_OTHERWISE, reference(refund), lines, refund.payment, now)
    announce(Fact.PAID_OTHERWISE, refund.payment, now)
    after = {"status": Status.OTHERWISE.value}
    _log("refund_paid_otherwise", refund, amount, reason=reason, actor=actor, now=now, after=after)


@transaction.atomic
def deny_paid_otherwise(*, refund: Refund, reason: str, actor: User, now: datetime) -> None:
    """It was not so, or whoever said it has thought better of it. Raises NothingSaid, NotOwed, NotStaff, OwnMoney."""
    refund = _owed(refund, actor)
    amount = said_amount(refund)
    _change(refund, actor=_said_by(refund), otherwise_by=None, otherwise_note="")
    after = {"status": refund.status}
    _log("refund_not_paid_otherwise", refund, amount, reason=reason, actor=actor, now=now, after=after)


def may_be_paid_otherwise(refund: Refund) -> bool:
    """It is a second try itself, or Stripe has refused one, or would."""
    return refund.replaces_id is not None or refund.replaced_by.exists() or is_lost(refund.payment)


def is_lost(payment: Payment) -> bool:
    """By a dispute, if about a part alone: Stripe refunds nothing of it any more."""
    return payment.disputes.filter(status=Dispute.Status.LOST).exists()


def said_amount(refund: Refund) -> Money:
    """How much the first person says that the student was paid: the row does not keep it, the log of decisions does.

    Raises NothingSaid.
    """
    _said_by(refund)
    said = StaffDecision.objects.filter(
        subject_type=refund.payment._meta.label,  # noqa: SLF001  # as the log names it
        subject_id=str(refund.payment_id),
        decision=SAID,
        before__refund=refund.pk,
    )
    return Money(said.latest("pk").before["amount"], refund.currency)


def _owed(refund: Refund, actor: User) -> Refund:
    """Locked with its payment. Raises NotOwed where the books say that it is made good, by a lost dispute, say."""
    refund = locked_refund(refund)
    require_staff_apart(actor, refund.payment)
    if refund.status != Status.FAILED or owed_of_refund(refund).amount <= 0:
        raise NotOwed
    return refund


def _require_owed(refund: Refund, amount: Money) -> None:
    if owed_of_refund(refund) != amount:
        raise OwedChanged


def _said_by(refund: Refund) -> User:
    if refund.otherwise_by is None:
        raise NothingSaid
    return refund.otherwise_by


def _change(refund: Refund, *, actor: User | None, **changes: object) -> None:
    """One conditional UPDATE: still failed, and paid by other means as `actor` says, or as nobody does."""
    if not Refund.objects.filter(pk=refund.pk, status=Status.FAILED, otherwise_by=actor).update(**changes):
        raise PaidOtherwise
    refund.refresh_from_db(fields=list(changes))


def _log(decision: str, refund: Refund, amount: Money, **facts: Any) -> None:
    worth = {"refund": refund.pk, "amount": amount.amount, "currency": amount.currency}
    before = {**worth, "status": Status.FAILED.value}
    record_decision(decision=decision, subject=refund.payment, before=before, **facts)
