"""What students were paid by other means than the card, of refunds that had failed: by the books."""

from django.db.models import Q, Sum

from marketplace.lib.money import Money
from payments.models import LedgerEntry, Payment, Refund
from payments.postings import BANK

# How it is booked, under the refund's own number.
KIND = "refund_paid_otherwise"


def reference(refund: Refund) -> str:
    return f"refund:{refund.pk}"


def paid_otherwise(payment: Payment) -> Money:
    """Of all refunds of the payment."""
    return _sum(Q(transaction__payment=payment), payment.currency)


def reached(refund: Refund) -> Money:
    """What the student has by a refund with them: of one paid by other means, what no lost dispute had given them."""
    if refund.status != Refund.Status.OTHERWISE:
        return refund.money
    return _sum(Q(transaction__reference=reference(refund)), refund.currency)


def _sum(which: Q, currency: str) -> Money:
    entries = LedgerEntry.objects.filter(which, transaction__kind=KIND, account__code=BANK)
    return Money(-(entries.aggregate(total=Sum("amount"))["total"] or 0), currency)
