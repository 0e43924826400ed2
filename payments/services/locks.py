"""One order of locks for all that is about the same thing: its payments first, by their age, then all else."""

from payments.models import Payment


def lock_payments(reference: str) -> dict[int, Payment]:
    """In a transaction: every payment of the reference by its key, locked until the end of it and as it is now.

    Whoever records a fact locks more than the one payment that it is about: its hold takes over from another one, and
    listeners ask for the rest. Locked one by one as they come, two of these facts would wait for each other.
    """
    payments = Payment.objects.select_for_update(no_key=True).filter(reference=reference).order_by("pk")
    # The oldest by itself: who makes another one has this one locked, and what was made while we waited for it would
    # be missing from the statement that waited.
    payments.first()
    return {payment.pk: payment for payment in payments}
