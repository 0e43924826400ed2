"""The payout step: where a coach's money goes. Stripe's own pages ask for the details; ours lead there and back."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from coaches.selectors import coach_of
from marketplace import clock
from marketplace.lib.access import signed_in
from marketplace.lib.errors import DomainError
from payments import earnings as earning_selectors
from payments import services
from payments.forms import CountryForm
from payments.models import PayoutAccount
from payments.payout_views import own_account, payouts_page, to_stripe

EARNINGS_ON_A_PAGE = 20
UNREACHABLE_ON_RETURN = (
    "We can't reach our payment provider just now. What you entered there is safe, and this page will show it soon."
)


@login_required
@require_GET
def earnings(request: HttpRequest) -> HttpResponse:
    """What the coach has earned, session by session, and where each share is."""
    coach = coach_of(signed_in(request))
    if coach is None:
        return redirect("coaches:edit_profile")
    payments = earning_selectors.paid_sessions(coach)
    page = Paginator(payments, EARNINGS_ON_A_PAGE).get_page(request.GET.get("page"))
    now = clock.now()
    context = {
        "page": page,
        "rows": [earning_selectors.earning_row(payment, now) for payment in page],
        "unpaid": earning_selectors.unpaid_sums(coach),
    }
    return render(request, "payments/earnings.html", context)


@login_required
@never_cache
@require_POST
def start_onboarding(request: HttpRequest) -> HttpResponse:
    """Makes the account at the first click, and leads to Stripe's page at each."""
    coach = coach_of(signed_in(request))
    if coach is None:
        return redirect("coaches:edit_profile")
    account = PayoutAccount.objects.filter(coach=coach).first()
    form = CountryForm(request.POST)
    if account is None and not form.is_valid():
        return payouts_page(request, coach, form, status=400)
    try:
        if account is None:
            country = form.cleaned_data["country"]
            account = services.create_payout_account(coach=coach, country=country, now=clock.now())
        return to_stripe(account, services.onboarding_link)
    except DomainError as error:
        messages.error(request, str(error))
        return payouts_page(request, coach, form, status=error.status)


@login_required
@never_cache
@require_GET
def onboarding_return(request: HttpRequest) -> HttpResponse:
    """Back from Stripe's page. Arriving proves nothing: Stripe is asked how far the account is."""
    account = own_account(request)
    if account is not None:
        try:
            services.refresh_payout_account(account=account, now=clock.now())
        except DomainError:
            messages.warning(request, UNREACHABLE_ON_RETURN)
    return redirect("payments:payouts")


@login_required
@never_cache
@require_GET
def onboarding_refresh(request: HttpRequest) -> HttpResponse:
    """Stripe sends people here whose link has expired or was used. A new one is made for its owner alone."""
    account = own_account(request)
    if account is None:
        return redirect("payments:payouts")
    try:
        return to_stripe(account, services.onboarding_link)
    except DomainError as error:
        messages.error(request, str(error))
        return redirect("payments:payouts")
