"""Payment pages of ours that we believe open: a card may be saved there, or the page closed, without any intent."""

from functools import partial

from django.db.models import Exists, OuterRef, QuerySet

from payments import services
from payments.errors import NotYetError, StripeMismatchError
from payments.gateway import GatewayError
from payments.models import Difference, Operation, Payment
from payments.reconcile import kinds
from payments.reconcile.comparing import UNDER_WAY_FOR, YOUNG
from payments.reconcile.findings import Finding, Round

TYPE = "checkout_session"


def compare_all(around: Round) -> None:
    """One by one, since Stripe's list of pages has no word of what was done on them; they are open for half an hour."""
    for payment in _open(around).iterator(chunk_size=1000):
        around.count(TYPE, 1)
        _compare(payment, around)
    # What is settled otherwise, such as by its time, is not on that list any more.
    known = Difference.objects.filter(object_type=TYPE, state=Difference.State.OPEN)
    around.gone(TYPE, list(known.exclude(payment__status=Payment.Status.OPEN).values_list("object_id", flat=True)))


def _open(around: Round) -> QuerySet[Payment]:
    asked = Operation.objects.filter(
        payment=OuterRef("pk"), state__in=Operation.OPEN_STATES, created_at__gt=around.now - UNDER_WAY_FOR
    )
    pages = Payment.objects.filter(~Exists(asked), status=Payment.Status.OPEN, checkout_session_id__isnull=False)
    return pages.filter(created_at__lte=around.now - YOUNG).select_related("payer__stripe_customer").order_by("pk")


def _compare(payment: Payment, around: Round) -> None:
    page = str(payment.checkout_session_id)
    finding = partial(Finding, kinds.STATE_DIFFERS, TYPE, page, payment_id=payment.pk, coach_id=payment.coach_id)
    before = {"payment": payment.pk, "status": payment.status}
    try:
        services.refresh_payment(payment=payment, now=around.now)
    except (NotYetError, StripeMismatchError) as error:
        around.report(finding(ours=before), str(error))
        return
    except GatewayError as error:
        if not error.permanent:
            raise
        around.report(Finding(kinds.ORPHAN_WITH_US, TYPE, page, before, {}, payment.pk, payment.coach_id))
        return
    payment.refresh_from_db()
    if payment.status != before["status"]:
        around.repaired(finding(ours=before, stripes={"status_recorded": payment.status}))
    around.gone(TYPE, [page])
