"""What a lost dispute has given a student of refunds that their bank had sent back: that part we owe no more."""

from datetime import datetime

from django.db.models import QuerySet, Sum

from marketplace.lib.money import Money
from payments.ledger import Line
from payments.models import Dispute, Payment, Refund
from payments.owed import owed_of, paid_otherwise
from payments.postings import PLATFORM_LOSSES, post, refunds_owed


def make_good(*, payment: Payment, reference: str, now: datetime) -> None:
    """In the caller's transaction, with the payment locked: nobody gets more back than they have paid.

    By a lost dispute the student has money of which the refunds failed before, or fail later: that part is ours again.
    `reference` names what has brought it about.
    """
    excess = owed_of(payment) - _at_most(payment)
    if excess.amount > 0:
        lines = [Line(refunds_owed(payment), excess), Line(PLATFORM_LOSSES, -excess)]
        post("refund_made_good", reference, lines, payment, now)


def _at_most(payment: Payment) -> Money:
    """What was taken, less what lost disputes and all other refunds have given back."""
    lost = payment.disputes.filter(status=Dispute.Status.LOST, closed_at__isnull=False, reinstated_at=None)
    came_back = payment.refunds.filter(status__in=(Refund.Status.FAILED, Refund.Status.OTHERWISE))
    others = payment.refunded_amount - _sum(came_back) + paid_otherwise(payment).amount
    return Money(max(0, payment.captured_amount - _sum(lost) - others), payment.currency)


def _sum(rows: QuerySet[Dispute] | QuerySet[Refund]) -> int:
    return rows.aggregate(total=Sum("amount"))["total"] or 0
