"""Where a coach says whom our invoices are made out to."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from coaches.models import BillingDetails
from coaches.selectors import coach_of
from marketplace.lib.access import signed_in
from payments.forms import BillingForm
from payments.statements.invoices import missing_of, recipient_of
from payments.statements.papers import party


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def billing(request: HttpRequest) -> HttpResponse:
    """What is saved is on the next invoice; one that is made stays as it is."""
    coach = coach_of(signed_in(request))
    if coach is None:
        return redirect("coaches:edit_profile")
    saved = BillingDetails.objects.filter(coach=coach).first()
    form = BillingForm.of(saved, request.POST or None)
    if request.method == "POST" and form.is_valid():
        BillingDetails.objects.update_or_create(coach=coach, defaults=form.cleaned_data)
        messages.success(request, "Your details are saved. They are on your invoices from the next one on.")
        return redirect("payments:billing")
    context = {"form": form, "missing": missing_of(coach), "recipient": party(recipient_of(coach))}
    return render(request, "statements/billing.html", context, status=400 if request.method == "POST" else 200)
