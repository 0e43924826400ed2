"""The coach's page about a dispute: what the bank asks, what it does to their money, and their own words on it."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from marketplace import clock
from marketplace.lib.access import signed_in
from marketplace.lib.errors import DomainError
from payments import services
from payments.forms import CoachSaysForm
from payments.models import Dispute
from payments.services.answering import ANSWERABLE


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def coach_dispute(request: HttpRequest, dispute_id: int) -> HttpResponse:
    user = signed_in(request)
    theirs = Dispute.objects.select_related("payment__coach", "payment__payer")
    dispute = get_object_or_404(theirs, pk=dispute_id, payment__coach__user=user)
    form = CoachSaysForm(request.POST or None, initial={"words": dispute.coach_says})
    status = 200
    if request.method == "POST":
        status = 400
        if form.is_valid():
            try:
                words, now = form.cleaned_data["words"], clock.now()
                services.coach_says(dispute=dispute, coach=dispute.payment.coach, words=words, now=now)
            except DomainError as error:
                form.add_error(None, str(error))
                status = error.status
            else:
                messages.success(request, "Thank you. We have your words, and may use them in our answer.")
                return redirect("payments:coach_dispute", dispute.pk)
    can_say = dispute.status in ANSWERABLE
    context = {"dispute": dispute, "payment": dispute.payment, "form": form, "can_say": can_say, "zone": user.time_zone}
    return render(request, "payments/dispute.html", context, status=status)
