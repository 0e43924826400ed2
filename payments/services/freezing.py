"""Keeping an earning back while a question about its session is open. Disputes keep it back by themselves."""

from payments.models import Earning, Payment


def freeze_earnings(*, payment: Payment) -> None:
    """In the caller's transaction: what is not on its way to the coach yet stays where it is."""
    Earning.objects.filter(payment=payment, line=None).update(frozen=True)


def unfreeze_earnings(*, payment: Payment) -> None:
    """In the caller's transaction: the question is settled."""
    Earning.objects.filter(payment=payment, line=None).update(frozen=False)
