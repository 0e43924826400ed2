"""Payouts to banks: those of coaches, failed ones first to be seen, and the desk where the platform's own are made."""

from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from marketplace import clock
from marketplace.admin_desks import decisions_of, desk_page, require_right
from marketplace.lib.access import signed_in
from marketplace.lib.errors import DomainError
from marketplace.lib.money import Money
from payments.admin.base import ReadOnlyAdmin, ReadOnlyInline, ShowsMoney, link
from payments.admin.lists import Columns, ListedAdmin, decimal
from payments.forms import AmountField
from payments.models import BankAccount, Operation, Payout
from payments.payout_selectors import what_went_wrong
from payments.services import platform_payout
from payments.services.platform_payout import PlatformFunds, PlatformFundsTooLow

LATEST = 10
Facts = list[tuple[str, str]]


# --- the platform's own -------------------------------------------------------------------------


class PlatformPayoutForm(forms.Form):
    """`cleaned_data["money"]`, at most what may be paid out, and the reason."""

    reason = forms.CharField(
        label="Why",
        max_length=500,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="For staff alone; it is kept in the log of decisions.",
    )

    def __init__(self, *args: Any, funds: PlatformFunds, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.payable = funds.payable
        amount = AmountField(
            currency=funds.payable.currency,
            widget=UnfoldAdminTextInputWidget,
            label=f"Amount in {funds.payable.currency.upper()}",
            help_text=f"At most {funds.payable}.",
        )
        self.fields = {"money": amount, **self.fields}

    def clean_money(self) -> Money:
        money: Money = self.cleaned_data["money"]
        if self.payable < money:
            raise forms.ValidationError(str(PlatformFundsTooLow(self.payable)), code=PlatformFundsTooLow.code)
        return money


def platform_view(request: HttpRequest) -> HttpResponse:
    """What is really ours in one currency, then how much of it goes to our bank, then exactly that."""
    require_right(request, platform_payout.RIGHT)
    currency = request.POST.get("currency") or request.GET.get("currency") or settings.CURRENCIES[0]
    if currency not in settings.CURRENCIES:
        raise Http404
    try:
        funds = platform_payout.available(currency)
    except DomainError as error:
        return _desk(request, currency, refused=str(error), status=error.status)
    form = PlatformPayoutForm(request.POST or None, funds=funds)
    if request.method != "POST" or "change" in request.POST:
        return _desk(request, currency, funds=funds, form=form)
    if not form.is_valid():
        return _desk(request, currency, funds=funds, form=form, status=400)
    if "confirm" in request.POST:
        return _request(request, funds, form)
    return _preview(request, funds, form)


def _desk(request: HttpRequest, currency: str, status: int = 200, **context: Any) -> HttpResponse:
    funds = context.get("funds")
    own = Payout.objects.filter(account=None).select_related("requested_by").order_by("-pk")
    return desk_page(
        request,
        "admin/desks/platform_payout.html",
        title=f"Pay out what is ours in {currency.upper()}",
        status=status,
        currency=currency,
        currencies=settings.CURRENCIES,
        facts=_facts(funds) if funds else [],
        latest=[(payout, what_went_wrong(payout)) for payout in own[:LATEST]],
        all_of_them=f"{reverse('admin:payments_payout_changelist')}?account__isempty=1",
        **context,
    )


def _facts(funds: PlatformFunds) -> Facts:
    return [
        ("Available at Stripe", str(funds.at_stripe)),
        ("Owed to coaches", str(-funds.owed_to_coaches)),
        ("Owed to students", str(-funds.owed_to_students)),
        ("Questioned by students' banks", str(-funds.in_dispute)),
        ("Not explained yet", str(-funds.unexplained)),
        ("Payouts on their way", str(-funds.on_its_way)),
        ("Kept as a reserve", str(-funds.reserve)),
        ("May be paid out", str(funds.payable)),
    ]


def _preview(request: HttpRequest, funds: PlatformFunds, form: PlatformPayoutForm) -> HttpResponse:
    money = form.cleaned_data["money"]
    facts = [
        ("Goes to our bank", str(money)),
        ("May be paid out now", str(funds.payable)),
        ("Could still be paid out after it", str(funds.payable - money)),
        ("Why", form.cleaned_data["reason"]),
    ]
    return desk_page(
        request,
        "admin/desks/platform_payout_confirm.html",
        title=f"Pay out {money}?",
        form=form,
        money=money,
        currency=money.currency,
        facts=facts,
    )


def _request(request: HttpRequest, funds: PlatformFunds, form: PlatformPayoutForm) -> HttpResponse:
    try:
        payout = platform_payout.request(actor=signed_in(request), now=clock.now(), **form.cleaned_data)
    except DomainError as error:
        form.add_error(None, str(error))
        return _desk(request, funds.payable.currency, funds=funds, form=form, status=error.status)
    messages.success(request, f"{payout.money} is on its way to our bank: {payout.get_status_display().lower()}.")
    return redirect(f"{reverse('admin:payments_payout_platform')}?currency={payout.currency}")


# --- all payouts --------------------------------------------------------------------------------


class PayoutOperationInline(ReadOnlyInline):
    model = Operation
    fields = ("kind", "state", "attempt", "tries", "error_code", "error_message", "created_at", "finished_at")
    ordering = ("created_at",)


def _whose(payout: Payout) -> str:
    return payout.account.coach.display_name if payout.account else "The platform"


@admin.register(Payout)
class PayoutAdmin(ShowsMoney, ListedAdmin):
    list_display = ("__str__", "whose", "money", "state", "what_went_wrong", "arrives_on", "created_at")
    list_filter = ("status", ("account", admin.EmptyFieldListFilter), "automatic", "method", "currency")
    list_select_related = ("account__coach",)
    search_fields = (
        "=stripe_payout_id", "=account__stripe_account_id", "account__coach__display_name",
        "account__coach__user__email",
    )  # fmt: skip
    date_hierarchy = "created_at"
    ordering = ("-created_at", "-pk")
    inlines = (PayoutOperationInline,)
    columns: ClassVar[Columns] = {
        "payout": lambda payout: payout.stripe_payout_id or "",
        "whose": _whose,
        "amount": decimal("amount"),
        "currency": lambda payout: payout.currency,
        "status": lambda payout: payout.status,
        "failure": lambda payout: payout.failure_code,
        "bank": lambda payout: f"{payout.bank_name} {payout.bank_last4}".strip(),
        "arrives on": lambda payout: payout.arrives_on,
        "made": lambda payout: payout.created_at,
    }
    fields = (
        "account_link", "money", "status", "what_went_wrong", "way_out", "failure_code", "failure_message", "bank_name",
        "bank_last4", "method", "made_by", "arrives_on", "stripe_payout_id", "requested_by", "created_at",
        "recorded_at", "failed_at", "untracked_at", "told_status", "decisions",
    )  # fmt: skip
    readonly_fields = ("account_link", "money", "what_went_wrong", "way_out", "made_by", "decisions")

    def get_urls(self) -> list[URLPattern]:
        guarded = self.admin_site.admin_view
        return [path("platform/", guarded(platform_view), name="payments_payout_platform"), *super().get_urls()]

    @admin.display(description="Whose", ordering="account__coach__display_name")
    def whose(self, payout: Payout) -> str:
        return _whose(payout)

    @admin.display(description="Account")
    def account_link(self, payout: Payout) -> str | SafeString:
        return link(payout.account) if payout.account else "The platform's own"

    @display(  # type: ignore[untyped-decorator]  # unfold ships no types
        description="State",
        ordering="status",
        label={
            "paid": "success",
            "failed": "danger",
            "refused": "danger",
            "canceled": "warning",
            "untracked": "warning",
        },
    )
    def state(self, payout: Payout) -> tuple[str, str]:
        return payout.status, payout.get_status_display()

    @admin.display(description="What went wrong")
    def what_went_wrong(self, payout: Payout) -> str:
        words = what_went_wrong(payout)
        return words.what if words else "-"

    @admin.display(description="The way out, as the coach reads it")
    def way_out(self, payout: Payout) -> str:
        words = what_went_wrong(payout)
        return words.way_out if words else "-"

    @admin.display(description="Made")
    def made_by(self, payout: Payout) -> str:
        return "By Stripe, by the schedule" if payout.automatic else "On demand"

    @admin.display(description="What staff decided")
    def decisions(self, payout: Payout) -> str | SafeString:
        return decisions_of(payout)


@admin.register(BankAccount)
class BankAccountAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "coach", "kind", "currency", "is_default", "state", "removed_at", "created_at")
    list_filter = ("kind", "status", "is_default", ("removed_at", admin.EmptyFieldListFilter), "currency")
    list_select_related = ("account__coach",)
    search_fields = ("=stripe_bank_id", "=account__stripe_account_id", "account__coach__display_name", "=last4")
    ordering = ("-pk",)
    fields = (
        "account_link", "coach", "kind", "name", "last4", "currency", "is_default", "status", "stripe_bank_id",
        "created_at", "told_at", "removed_at",
    )  # fmt: skip
    readonly_fields = ("account_link", "coach")

    @admin.display(description="Coach", ordering="account__coach__display_name")
    def coach(self, bank: BankAccount) -> str | SafeString:
        return link(bank.account.coach)

    @admin.display(description="Account")
    def account_link(self, bank: BankAccount) -> str | SafeString:
        return link(bank.account)

    @display(  # type: ignore[untyped-decorator]  # unfold ships no types
        description="State", ordering="status", label={"errored": "danger", "verification_failed": "danger"}
    )
    def state(self, bank: BankAccount) -> tuple[str, str]:
        return bank.status, bank.status.replace("_", " ") or "-"
