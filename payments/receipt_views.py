"""A student's receipts."""

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from marketplace.lib.access import signed_in
from payments.models import Payment
from payments.receipts import Receipt, receipt_of, receipt_pdf


@login_required
@never_cache
@require_GET
def receipt(request: HttpRequest, payment_id: int) -> HttpResponse:
    payment, shown = _own(request, payment_id)
    return render(request, "payments/receipt.html", {"payment": payment, "receipt": shown})


@login_required
@never_cache
@require_GET
def receipt_file(request: HttpRequest, payment_id: int) -> HttpResponse:
    _, shown = _own(request, payment_id)
    content = receipt_pdf(shown, zone=signed_in(request).time_zone)
    disposition = f'attachment; filename="receipt-{shown.number}.pdf"'
    return HttpResponse(content, content_type="application/pdf", headers={"Content-Disposition": disposition})


def _own(request: HttpRequest, payment_id: int) -> tuple[Payment, Receipt]:
    """The payer's own, where something was taken; anything else does not exist here."""
    own = Payment.objects.select_related("payer", "coach").filter(pk=payment_id, payer=signed_in(request)).first()
    shown = receipt_of(own) if own else None
    if own is None or shown is None:
        raise Http404
    return own, shown
