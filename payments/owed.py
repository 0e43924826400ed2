"""What we owe students whose banks have sent refunds back, and what they got by other means: read from the books."""

from django.db.models import Q, Sum

from marketplace.lib.money import Money
from payments.models import LedgerEntry, Payment, Refund
from payments.postings import BANK, refunds_owed

# How what was paid by other means is booked, under the refund's own number.
PAID_OTHERWISE = "refund_paid_otherwise"


def reference(refund: Refund) -> str:
    return f"refund:{refund.pk}"


def owed_of(payment: Payment) -> Money:
    """Of this payment alone."""
    of_the_student = Q(account__code=refunds_owed(payment), account__currency=payment.currency)
    return _credit(of_the_student & Q(transaction__payment=payment), payment.currency)


def owed_of_refund(refund: Refund) -> Money:
    """Of one that has failed: less than it where a lost dispute has given the student a part.

    Where several of a payment have failed, each may stand for the same rest.
    """
    return min(refund.money, owed_of(refund.payment))


def paid_otherwise(payment: Payment) -> Money:
    """Of all refunds of the payment."""
    return _from_our_bank(Q(transaction__payment=payment), payment.currency)


def reached(refund: Refund) -> Money:
    """What the student has by a refund that is with them: of one paid by other means, what was owed of it then."""
    if refund.status != Refund.Status.OTHERWISE:
        return refund.money
    return _from_our_bank(Q(transaction__reference=reference(refund)), refund.currency)


def _from_our_bank(which: Q, currency: str) -> Money:
    return _credit(which & Q(transaction__kind=PAID_OTHERWISE, account__code=BANK), currency)


def _credit(which: Q, currency: str) -> Money:
    return Money(-(LedgerEntry.objects.filter(which).aggregate(total=Sum("amount"))["total"] or 0), currency)
