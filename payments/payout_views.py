"""The coach's payouts: where the money is, what was sent to their bank, and what they may choose about it."""

from collections.abc import Callable

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from coaches.models import Coach
from coaches.selectors import coach_of
from marketplace import clock
from marketplace.lib.access import signed_in
from marketplace.lib.errors import DomainError
from marketplace.templatetags.ui import within
from payments import payout_selectors, selectors, services
from payments.earnings import unpaid_sums
from payments.forms import CountryForm, PayOutForm, PreferencesForm, ScheduleForm
from payments.lookout import is_standing_still
from payments.models import Payout, PayoutAccount, SettlementMode
from payments.payout_selectors import Balance

PAYOUTS_ON_A_PAGE = 10
SPEED_WORDS = {
    Payout.Method.STANDARD: "Your bank has it in a few working days",
    Payout.Method.INSTANT: "Your bank has it within half an hour, as a rule",
}

get_or_post = require_http_methods(["GET", "HEAD", "POST"])


@login_required
@never_cache
@require_GET
def payouts(request: HttpRequest) -> HttpResponse:
    coach = coach_of(signed_in(request))
    if coach is None:
        return redirect("coaches:edit_profile")
    return payouts_page(request, coach)


def payouts_page(
    request: HttpRequest, coach: Coach, form: CountryForm | None = None, status: int = 200
) -> HttpResponse:
    account = PayoutAccount.objects.filter(coach=coach).first()
    context = {
        "coach": coach,
        "account": account,
        "payout": selectors.payout_status(coach),
        "country_form": form or CountryForm(),
        **(_money_of(request, account) if account else {}),
    }
    return render(request, "payments/payouts.html", context, status=status)


def _money_of(request: HttpRequest, account: PayoutAccount) -> dict[str, object]:
    page = Paginator(payout_selectors.payouts_of(account), PAYOUTS_ON_A_PAGE).get_page(request.GET.get("page"))
    to_mend = payout_selectors.to_mend(account)
    waiting = payout_selectors.with_us(account.coach, clock.now())
    balances = payout_selectors.balances(account)
    return {
        "waiting": waiting,
        "waiting_sums": unpaid_sums(account.coach),
        "balances": balances,
        "in_balance": any(balance.available.amount for balance in balances),
        "on_their_way": payout_selectors.on_their_way(account),
        "has_money": bool(waiting) or any(balance.has_money for balance in balances),
        "banks": payout_selectors.banks_of(account),
        "schedule": payout_selectors.schedule_words(account),
        "why_not": payout_selectors.why_no_payout(account),
        "to_mend": payout_selectors.payout_row(to_mend) if to_mend else None,
        "page": page,
        "rows": [payout_selectors.payout_row(payout) for payout in page],
    }


# --- what they choose ---------------------------------------------------------------------------


@login_required
@never_cache
@get_or_post
def preferences(request: HttpRequest) -> HttpResponse:
    """How and when; it counts for new bookings."""
    account = own_account(request)
    if account is None:
        return redirect("payments:payouts")
    form = PreferencesForm.of(account, request.POST or None)
    if request.method != "POST" or not form.is_valid():
        status = 400 if request.method == "POST" else 200
        return render(request, "payments/preferences.html", {"form": form}, status=status)
    mode, method, now = SettlementMode(form.cleaned_data["mode"]), form.cleaned_data["method"], clock.now()
    services.choose_settlement_mode(coach=account.coach, mode=mode, now=now)
    services.choose_payout_method(coach=account.coach, method=method, now=now)
    later = "" if method else " What you earn waits with us for now."
    messages.success(request, f"New bookings will be paid out {mode.label.lower()}.{later}")
    return redirect("payments:payouts")


@login_required
@never_cache
@get_or_post
def schedule(request: HttpRequest) -> HttpResponse:
    """When Stripe sends the balance to the bank by itself."""
    account = own_account(request)
    if account is None:
        return redirect("payments:payouts")
    form = ScheduleForm(request.POST or None, initial=_schedule_of(account))
    status = 200
    if request.method == "POST":
        status = 400
        if form.is_valid():
            try:
                account = services.choose_schedule(coach=account.coach, now=clock.now(), **form.cleaned_data)
            except DomainError as error:
                form.add_error(None, str(error))
                status = error.status
            else:
                words = payout_selectors.schedule_words(account)
                messages.success(request, f"Your balance is sent to your bank: {within(words)}.")
                return redirect("payments:payouts")
    context = {"form": form, "now_words": payout_selectors.schedule_words(account)}
    return render(request, "payments/schedule.html", context, status=status)


def _schedule_of(account: PayoutAccount) -> dict[str, object]:
    """The form's beginning: as it is, and for a rhythm that is not theirs yet the usual day."""
    return {
        "interval": account.schedule_interval,
        "monthly_anchor": account.schedule_monthly_anchor or settings.PAYOUT_DAY,
        "weekly_anchor": account.schedule_weekly_anchor or "monday",
    }


# --- at Stripe ----------------------------------------------------------------------------------


@login_required
@never_cache
@require_POST
def change_bank(request: HttpRequest) -> HttpResponse:
    """To the page at Stripe where their bank is changed, by a key that is kept nowhere."""
    account = own_account(request)
    if account is None:
        return redirect("payments:payouts")
    try:
        return to_stripe(account, services.details_link)
    except DomainError as error:
        messages.error(request, str(error))
        return redirect("payments:payouts")


def to_stripe(account: PayoutAccount, make_link: Callable[..., str]) -> HttpResponse:
    """A fresh link is a key to the account for some minutes: kept nowhere, and told to no one on the way."""
    link = make_link(
        account=account,
        return_url=settings.SITE_URL + reverse("payments:onboarding_return"),
        refresh_url=settings.SITE_URL + reverse("payments:onboarding_refresh"),
        now=clock.now(),
    )
    response = HttpResponseRedirect(link)
    response["Referrer-Policy"] = "no-referrer"
    return response


@login_required
@require_POST
def read_balance(request: HttpRequest) -> HttpResponse:
    account = own_account(request)
    if account is not None:
        try:
            services.refresh_balance(account=account, now=clock.now())
        except DomainError as error:
            messages.error(request, str(error))
    return redirect("payments:payouts")


# --- paying out now -----------------------------------------------------------------------------


@login_required
@never_cache
@get_or_post
def pay_out(request: HttpRequest) -> HttpResponse:
    """How much, then what it means, then exactly that."""
    account = own_account(request)
    if account is None:
        return redirect("payments:payouts")
    balance = _balance_asked_for(request, account)
    if balance is None:
        return render(request, "payments/pay_out.html", {"why_not": payout_selectors.why_no_payout(account)})
    form = PayOutForm(request.POST or None, balance=balance)
    if request.method != "POST" or "change" in request.POST:
        return _ask(request, account, balance, form)
    if not form.is_valid():
        return _ask(request, account, balance, form, status=400)
    if "confirm" in request.POST:
        return _request(request, account, balance, form)
    return _preview(request, account, balance, form)


def _request(request: HttpRequest, account: PayoutAccount, balance: Balance, form: PayOutForm) -> HttpResponse:
    try:
        payout = services.request_payout(account=account, now=clock.now(), **form.cleaned_data)
    except DomainError as error:
        # The service has read the balance again: the page says what is there now.
        account.refresh_from_db()
        fresh = _in_currency(account, balance.currency) or balance
        form = PayOutForm(request.POST, balance=fresh)
        form.add_error(None, str(error))
        return _ask(request, account, fresh, form, status=error.status)
    messages.success(request, _asked_words(payout))
    return redirect("payments:payouts")


def _balance_asked_for(request: HttpRequest, account: PayoutAccount) -> Balance | None:
    """None where nothing may be paid out. Raises Http404 for a currency that the account has not."""
    if payout_selectors.why_no_payout(account):
        return None
    usual = payout_selectors.payable_balances(account)[0].currency
    found = _in_currency(account, request.POST.get("currency") or request.GET.get("currency") or usual)
    if found is None:
        raise Http404
    return found


def _in_currency(account: PayoutAccount, currency: str) -> Balance | None:
    balances = payout_selectors.payable_balances(account)
    return next((balance for balance in balances if balance.currency == currency), None)


def _ask(
    request: HttpRequest, account: PayoutAccount, balance: Balance, form: PayOutForm, status: int = 200
) -> HttpResponse:
    context = {
        "form": form,
        "balance": balance,
        "bank": payout_selectors.bank_for(account, balance.currency, Payout.Method.STANDARD),
        "others": [other for other in payout_selectors.payable_balances(account) if other != balance],
    }
    return render(request, "payments/pay_out.html", context, status=status)


def _preview(request: HttpRequest, account: PayoutAccount, balance: Balance, form: PayOutForm) -> HttpResponse:
    money = form.cleaned_data["money"]
    context = {
        "form": form,
        "balance": balance,
        "money": money,
        "rest": balance.available - money,
        "speed": SPEED_WORDS[form.cleaned_data["method"]],
        "bank": payout_selectors.bank_for(account, balance.currency, form.cleaned_data["method"]),
    }
    return render(request, "payments/pay_out_confirm.html", context)


def _asked_words(payout: Payout) -> str:
    if payout.status == Payout.Status.REQUESTED and is_standing_still():
        return f"{payout.money} is asked for. We send nothing to Stripe just now: it has to wait until we do again."
    if payout.status == Payout.Status.REQUESTED:
        return f"{payout.money} is asked for. Stripe has not answered yet: it is done in a minute."
    return f"{payout.money} is on its way to your bank."


def own_account(request: HttpRequest) -> PayoutAccount | None:
    return PayoutAccount.objects.filter(coach__user=signed_in(request)).select_related("coach").first()
