"""What we owe a student whose bank has sent refunds back, beside what a lost dispute has given them."""

from datetime import datetime

from django.db.models import QuerySet, Sum

from marketplace.lib.money import Money
from payments.ledger import Line
from payments.models import Dispute, LedgerEntry, Payment, Refund
from payments.paid_otherwise import paid_otherwise
from payments.postings import PLATFORM_LOSSES, post, refunds_owed


def owed_of(payment: Payment) -> Money:
    """By the books, of this payment alone."""
    entries = LedgerEntry.objects.filter(
        account__code=refunds_owed(payment), account__currency=payment.currency, transaction__payment=payment
    )
    return Money(-(entries.aggregate(total=Sum("amount"))["total"] or 0), payment.currency)


def owed_of_refund(refund: Refund) -> Money:
    """Of one that has failed: less than it where a lost dispute has given the student a part.

    Where several of a payment have failed, each may stand for the same rest.
    """
    return min(refund.money, owed_of(refund.payment))


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
