"""When the thing that a payment is for ends without money, is moved, or was never paid for."""

from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import Q

from payments import settlement
from payments.models import Payment
from payments.services.capture import set_aside_capture
from payments.services.checkout import request_close
from payments.services.holds import LIVE
from payments.services.locks import lock_payments
from payments.services.opening import UNDER_WAY
from payments.services.release import request_release

log = structlog.get_logger(__name__)

Status = Payment.Status

# Nothing is held, and nothing is asked for: it can be ended without Stripe.
AT_REST = (Status.SAVED, Status.REFUSED, Status.LOST)


def give_back(*, payment: Payment, now: datetime) -> None:
    """In the caller's transaction: no money is wanted of this payment, in whatever state it is.

    A hold that is being asked for is left to come: what is held for nothing is given back by whoever hears of it.
    """
    payment.refresh_from_db()
    if payment.status == Status.HELD:
        request_release(payment=payment, now=now)
    elif payment.status == Status.OPEN:
        request_close(payment=payment, now=now)
    elif payment.status == Status.CAPTURED:
        set_aside_capture(payment=payment)
    elif Payment.objects.filter(pk=payment.pk, status__in=AT_REST).update(status=Status.RELEASED, released_at=now):
        payment.refresh_from_db()


def move_service_end(*, payment: Payment, service_ends_at: datetime) -> None:
    """In the caller's transaction, before the capture: what it pays for ends at another time.

    So it does for a payment of the same reference that is under way, and may soon take over.
    """
    under_way = Q(reference=payment.reference, status__in=UNDER_WAY)
    Payment.objects.filter(Q(pk=payment.pk) | under_way).update(service_ends_at=service_ends_at)
    payment.service_ends_at = service_ends_at


@transaction.atomic
def write_off(*, payment: Payment, now: datetime) -> None:
    """In the caller's transaction: nobody has paid for what took place, so the platform pays the coach. Once.

    What is paid for it later is the platform's. Nothing is done where it is paid for, or about to be.
    """
    attempts = lock_payments(payment.reference).values()
    if any(attempt.status in LIVE for attempt in attempts):
        log.error("paid_and_not_written_off", payment=payment.pk)
        return
    if any(attempt.written_off_at for attempt in attempts):
        return
    payment.written_off_at = now
    payment.save(update_fields=["written_off_at"])
    settlement.book_write_off(payment, now)
    log.warning("written_off", payment=payment.pk, reference=payment.reference)
