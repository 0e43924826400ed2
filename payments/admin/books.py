"""The books, to be read: from a transaction to its lines and its payment, and from an account to what moved it."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from marketplace.admin_desks import desk_page, require_right
from marketplace.lib.money import Money, to_decimal
from marketplace.lib.months import UnknownMonth, end_of, start_of
from payments import chart
from payments.admin.base import ReadOnlyInline, link, link_to, money
from payments.admin.corrections import clear_links, told_by
from payments.admin.lists import ListedAdmin
from payments.admin.story import story_link
from payments.models import Correction, LedgerAccount, LedgerEntry, LedgerTransaction
from payments.postings import SUSPENSE
from payments.services import corrections

SEE = "payments.view_ledgerentry"
ENTRIES_ON_A_PAGE = 100


# --- the chart of accounts ----------------------------------------------------------------------


def chart_view(request: HttpRequest) -> HttpResponse:
    """What each account means and what is in it; each leads to what moved it."""
    require_right(request, SEE)
    currencies = [
        {
            "code": currency.upper(),
            "sum": sum((group.balance for group in groups), Money(0, currency)),
            "groups": [{"row": group, "address": _group_address(group)} for group in groups],
        }
        for currency, groups in chart.chart().items()
    ]
    return desk_page(
        request,
        "admin/books/chart.html",
        title="Chart of accounts",
        currencies=currencies,
        may_correct=request.user.has_perm(corrections.PROPOSE),
        suspense=SUSPENSE,
    )


def _group_address(group: chart.Group) -> str:
    if not group.of_people:
        return reverse("admin:payments_ledgeraccount_months", args=group.accounts)
    only = urlencode({"code__startswith": group.code, "currency__exact": group.currency})
    return f"{reverse('admin:payments_ledgeraccount_changelist')}?{only}"


def months_view(request: HttpRequest, account_id: int) -> HttpResponse:
    """One account by month, from what was in it at the beginning to what was at the end."""
    require_right(request, SEE)
    account = get_object_or_404(LedgerAccount, pk=account_id)
    months = chart.months_of(account)
    return desk_page(
        request,
        "admin/books/months.html",
        title=f"Account {account}",
        account=account,
        meaning=chart.MEANINGS.get(chart.group_of(account.code), chart.OTHER),
        months=months,
        balance=months[0].closing if months else Money(0, account.currency),
    )


def month_view(request: HttpRequest, account_id: int, month: str) -> HttpResponse:
    """The entries of one account and month, each with what was in the account after it."""
    require_right(request, SEE)
    account = get_object_or_404(LedgerAccount, pk=account_id)
    try:
        opening, entries = chart.opening_of(account, month), chart.entries_of(account, month)
    except UnknownMonth as error:
        raise Http404 from error
    page = Paginator(entries, ENTRIES_ON_A_PAGE).get_page(request.GET.get("p"))
    rows = [
        {
            "entry": entry,
            "amount": Money(entry.amount, account.currency),
            "after": opening + Money(entry.running, account.currency),
            "transaction": link(entry.transaction),
            "payment": link(entry.transaction.payment) if entry.transaction.payment else "",
        }
        for entry in page
    ]
    return desk_page(
        request,
        "admin/books/month.html",
        title=f"Account {account}, {month}",
        account=account,
        opening=opening,
        rows=rows,
        page=page,
        entries=_entries_address(account, month),
    )


def _entries_address(account: LedgerAccount, month: str) -> str:
    """The same entries as a list, with its sum, its search and its file."""
    only = {
        "account__code": account.code,
        "account__currency": account.currency,
        "transaction__occurred_at__gte": start_of(month).isoformat(sep=" "),
        "transaction__occurred_at__lt": end_of(month).isoformat(sep=" "),
    }
    return f"{reverse('admin:payments_ledgerentry_changelist')}?{urlencode(only)}"


# --- the lists ----------------------------------------------------------------------------------


class LedgerEntryInline(ReadOnlyInline):
    model = LedgerEntry
    fields = ("account", "signed", "balance_transaction_id")
    ordering = ("pk",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("account", "transaction")

    @admin.display(description="Amount")
    def signed(self, entry: LedgerEntry) -> str:
        return money(entry.amount, entry.account.currency)


@admin.register(LedgerTransaction)
class LedgerTransactionAdmin(ListedAdmin):
    list_display = ("id", "kind", "reference", "payment", "occurred_at", "recorded_at")
    list_filter = ("kind",)
    list_select_related = ("payment",)
    search_fields = ("=reference", "=payment__reference", "=entries__balance_transaction_id")
    date_hierarchy = "occurred_at"
    ordering = ("-pk",)
    inlines = (LedgerEntryInline,)
    fields = ("kind", "reference", "payment_link", "story", "correction_link", "suspense", "occurred_at", "recorded_at")
    readonly_fields = ("payment_link", "story", "correction_link", "suspense")
    columns = {
        "id": lambda fact: fact.pk,
        "kind": lambda fact: fact.kind,
        "reference": lambda fact: fact.reference,
        "payment": lambda fact: fact.payment_id,
        "paid for": lambda fact: fact.payment.reference if fact.payment else "",
        "occurred at": lambda fact: fact.occurred_at,
        "recorded at": lambda fact: fact.recorded_at,
    }

    def sums(self, *_: Any) -> list[Money]:
        """Each sums to zero, so there is nothing to say."""
        return []

    @admin.display(description="Payment")
    def payment_link(self, fact: LedgerTransaction) -> str | SafeString:
        return link(fact.payment)

    @admin.display(description="Story")
    def story(self, fact: LedgerTransaction) -> str | SafeString:
        return story_link(fact.payment)

    @admin.display(description="Correction")
    def correction_link(self, fact: LedgerTransaction) -> str | SafeString:
        """What it was booked for, why and by whom."""
        found = Correction.objects.select_related("proposed_by", "decided_by").filter(booked=fact).first()
        return format_html("{}: {}", link(found), told_by(found)) if found else "-"

    @admin.display(description="On suspense")
    def suspense(self, fact: LedgerTransaction) -> str | SafeString:
        """What was moved from there, and what is still to be."""
        moved = [link(each) for each in fact.cleared_by.order_by("pk")]
        return format_html_join("", "<div>{}</div>", ((each,) for each in [*moved, *clear_links(fact)])) or "-"


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ListedAdmin):
    list_display = ("id", "account", "signed", "balance_transaction_id", "transaction_link", "occurred_at")
    list_filter = ("account__currency",)
    list_select_related = ("account", "transaction")
    search_fields = ("=account__code", "=balance_transaction_id", "=transaction__reference")
    ordering = ("-pk",)
    fields = ("transaction_link", "account", "signed", "balance_transaction_id")
    readonly_fields = ("transaction_link", "signed")
    currency = "account__currency"
    sums_mean = "(debits are positive, credits negative)"
    columns = {
        "id": lambda entry: entry.pk,
        "occurred at": lambda entry: entry.transaction.occurred_at,
        "kind": lambda entry: entry.transaction.kind,
        "reference": lambda entry: entry.transaction.reference,
        "transaction": lambda entry: entry.transaction_id,
        "payment": lambda entry: entry.transaction.payment_id,
        "account": lambda entry: entry.account.code,
        "currency": lambda entry: entry.account.currency,
        "amount": lambda entry: to_decimal(Money(entry.amount, entry.account.currency)),
        "balance transaction": lambda entry: entry.balance_transaction_id,
    }

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """The front page's revenue of a week leads to its entries, and a month of an account to its own."""
        ours = ("account__code", "transaction__occurred_at__gte", "transaction__occurred_at__lt")
        return lookup in ours or bool(super().lookup_allowed(lookup, value, request))

    @admin.display(description="Amount")
    def signed(self, entry: LedgerEntry) -> str:
        return money(entry.amount, entry.account.currency)

    @admin.display(description="Occurred at")
    def occurred_at(self, entry: LedgerEntry) -> Any:
        return entry.transaction.occurred_at

    @admin.display(description="Transaction")
    def transaction_link(self, entry: LedgerEntry) -> str | SafeString:
        return link(entry.transaction)


@admin.register(LedgerAccount)
class LedgerAccountAdmin(ListedAdmin):
    """Debits are positive: a negative `coach_payable` is what we owe that coach."""

    list_display = ("code", "currency", "balance", "by_month")
    list_filter = ("currency",)
    search_fields = ("code",)
    ordering = ("code", "currency")
    fields = ("code", "currency", "balance", "meaning", "by_month")
    readonly_fields = ("balance", "meaning", "by_month")
    sums_mean = LedgerEntryAdmin.sums_mean
    columns = {
        "code": lambda account: account.code,
        "currency": lambda account: account.currency,
        "balance": lambda account: to_decimal(Money(account.total, account.currency)),
    }

    def get_urls(self) -> list[URLPattern]:
        guarded = self.admin_site.admin_view
        months = "<int:account_id>/months/"
        return [
            path("chart/", guarded(chart_view), name="payments_ledgeraccount_chart"),
            path(months, guarded(months_view), name="payments_ledgeraccount_months"),
            path(f"{months}<str:month>/", guarded(month_view), name="payments_ledgeraccount_month"),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> Any:
        return chart.with_balance(super().get_queryset(request))

    def sums(self, rows: QuerySet[LedgerAccount]) -> list[Money]:
        entries = LedgerEntry.objects.filter(account__in=rows.order_by().values("pk"))
        totals = entries.values_list("account__currency").annotate(total=Sum("amount")).order_by("account__currency")
        return [Money(total, currency) for currency, total in totals]

    @admin.display(description="Balance")
    def balance(self, account: Any) -> str:
        return money(int(account.total), account.currency)

    @admin.display(description="What it means")
    def meaning(self, account: LedgerAccount) -> str:
        return chart.MEANINGS.get(chart.group_of(account.code), chart.OTHER)

    @admin.display(description="What moved it")
    def by_month(self, account: LedgerAccount) -> SafeString:
        return link_to(reverse("admin:payments_ledgeraccount_months", args=[account.pk]), "By month")
