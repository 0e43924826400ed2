"""The books, to be read: from a transaction to its lines and its payment, and from an account to what moved it."""

from typing import Any

from django.contrib import admin
from django.db.models import BigIntegerField, Sum, Value
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.safestring import SafeString

from payments.admin.base import ReadOnlyAdmin, ReadOnlyInline, link, money
from payments.models import LedgerAccount, LedgerEntry, LedgerTransaction


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
class LedgerTransactionAdmin(ReadOnlyAdmin):
    list_display = ("id", "kind", "reference", "payment", "occurred_at", "recorded_at")
    list_filter = ("kind",)
    list_select_related = ("payment",)
    search_fields = ("=reference", "=payment__reference", "=entries__balance_transaction_id")
    date_hierarchy = "occurred_at"
    ordering = ("-pk",)
    inlines = (LedgerEntryInline,)
    fields = ("kind", "reference", "payment_link", "occurred_at", "recorded_at")
    readonly_fields = ("payment_link",)

    @admin.display(description="Payment")
    def payment_link(self, fact: LedgerTransaction) -> str | SafeString:
        return link(fact.payment)


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnlyAdmin):
    list_display = ("id", "account", "signed", "balance_transaction_id", "transaction")
    list_filter = ("account__currency",)
    list_select_related = ("account", "transaction")
    search_fields = ("=account__code", "=balance_transaction_id", "=transaction__reference")
    ordering = ("-pk",)
    fields = ("transaction_link", "account", "signed", "balance_transaction_id")
    readonly_fields = ("transaction_link", "signed")

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """The front page's revenue of a week leads to its entries."""
        ours = ("account__code", "transaction__occurred_at__gte", "transaction__occurred_at__lt")
        return lookup in ours or bool(super().lookup_allowed(lookup, value, request))

    @admin.display(description="Amount")
    def signed(self, entry: LedgerEntry) -> str:
        return money(entry.amount, entry.account.currency)

    @admin.display(description="Transaction")
    def transaction_link(self, entry: LedgerEntry) -> str | SafeString:
        return link(entry.transaction)


@admin.register(LedgerAccount)
class LedgerAccountAdmin(ReadOnlyAdmin):
    """Debits are positive: a negative `coach_payable` is what we owe that coach."""

    list_display = ("code", "currency", "balance")
    list_filter = ("currency",)
    search_fields = ("code",)
    ordering = ("code", "currency")
    fields = ("code", "currency", "balance")
    readonly_fields = ("balance",)

    def get_queryset(self, request: HttpRequest) -> Any:
        nothing = Value(0, output_field=BigIntegerField())
        return super().get_queryset(request).annotate(total=Coalesce(Sum("entries__amount"), nothing))

    @admin.display(description="Balance")
    def balance(self, account: Any) -> str:
        return money(int(account.total), account.currency)
