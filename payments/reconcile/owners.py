"""Whose each object is, by our own rows: what a posting about it may be booked to."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from payments.models import Dispute, Payment, Refund, Reversal, Transfer


@dataclass(frozen=True, slots=True)
class Owner:
    """Where a payment is None, several are paid by one transfer."""

    payment_id: int | None
    coach_id: int
    payer_id: int | None


def read_owners(sources: Iterable[str]) -> dict[str, Owner]:
    """By the id of the object at Stripe. Five queries, whatever there is; an object that we don't know is left out."""
    return dict(_found([source for source in sources if source]))


def _found(ids: list[str]) -> Iterator[tuple[str, Owner]]:
    for charge, *owner in Payment.objects.filter(charge_id__in=ids).values_list(
        "charge_id", "pk", "coach_id", "payer_id"
    ):
        yield charge, Owner(*owner)
    for refund, *owner in Refund.objects.filter(stripe_refund_id__in=ids).values_list(
        "stripe_refund_id", "payment_id", "payment__coach_id", "payment__payer_id"
    ):
        yield str(refund), Owner(*owner)
    for dispute, *owner in Dispute.objects.filter(stripe_dispute_id__in=ids).values_list(
        "stripe_dispute_id", "payment_id", "payment__coach_id", "payment__payer_id"
    ):
        yield dispute, Owner(*owner)
    for transfer, payment, coach in Transfer.objects.filter(stripe_transfer_id__in=ids).values_list(
        "stripe_transfer_id", "payment_id", "coach_id"
    ):
        yield transfer, Owner(payment, coach, None)
    for reversal, coach in Reversal.objects.filter(stripe_reversal_id__in=ids).values_list(
        "stripe_reversal_id", "transfer__coach_id"
    ):
        yield str(reversal), Owner(None, coach, None)
