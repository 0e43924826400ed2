"""Payments, what coaches earn by them, and how they are paid."""

from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.urls import URLPattern
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe

from marketplace.admin_desks import decisions_of
from payments.admin.base import ReadOnlyAdmin, ReadOnlyInline, ShowsMoney, link, link_to, money
from payments.admin.lists import ListedAdmin, decimal
from payments.admin.refund_desk import refund_link
from payments.admin.story import story_address, story_link, story_url
from payments.models import (
    Customer,
    Earning,
    LedgerTransaction,
    Operation,
    Payment,
    PayoutAccount,
    StripeEvent,
    Transfer,
)


class OperationInline(ReadOnlyInline):
    model = Operation
    fields = (
        "kind",
        "state",
        "attempt",
        "tries",
        "result_id",
        "error_code",
        "error_message",
        "created_at",
        "finished_at",
    )
    ordering = ("created_at",)


class LedgerTransactionInline(ReadOnlyInline):
    model = LedgerTransaction
    fields = ("kind", "reference", "occurred_at", "recorded_at")
    ordering = ("pk",)


class EarningInline(ShowsMoney, ReadOnlyInline):
    model = Earning
    fields = ("kind", "money", "release_at", "frozen", "line", "reversal")
    ordering = ("pk",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("payment", "line__run", "reversal__transfer")


class TransferInline(ShowsMoney, ReadOnlyInline):
    model = Transfer
    fields = ("stripe_transfer_id", "destination", "money", "created_at")


# On the page of a transfer; its line has them all.
MOST_STORIES = 100
AT_STRIPE = (
    "checkout_session_id", "setup_intent_id", "card", "payment_intent_id", "charge_id", "capture_before", "events",
)  # fmt: skip
MONEY = (
    "price", "fee", "taken", "stripe_fee", "refunded", "taken_back", "fee_bps", "settlement_mode", "destination",
)  # fmt: skip
TIMES = (
    "created_at", "checkout_ends_at", "held_at", "captured_at", "released_at", "written_off_at", "service_ends_at",
    "polled_at",
)  # fmt: skip


@admin.register(Payment)
class PaymentAdmin(ListedAdmin):
    list_display = (
        "id", "reference", "payer", "coach", "price", "status", "refunded", "settlement_mode", "created_at",
        "story", "give_back",
    )  # fmt: skip
    list_filter = ("status", "settlement_mode", "currency")
    list_select_related = ("payer", "coach")
    search_fields = (
        "=id", "=reference", "=payment_intent_id", "=charge_id", "=checkout_session_id", "=setup_intent_id",
        "payer__email", "coach__display_name",
    )  # fmt: skip
    date_hierarchy = "created_at"
    ordering = ("-pk",)
    inlines = (OperationInline, LedgerTransactionInline, EarningInline, TransferInline)
    readonly_fields = (
        "story",
        "price",
        "fee",
        "taken",
        "stripe_fee",
        "refunded",
        "taken_back",
        "events",
        "give_back",
        "decisions",
    )
    fieldsets = (
        (
            None,
            {"fields": ("story", "give_back", "reference", "description", "status", "last_refusal", "payer", "coach")},
        ),
        ("How it began", {"fields": ("opening", "replaces")}),
        ("Money", {"fields": MONEY}),
        ("At Stripe", {"fields": AT_STRIPE}),
        ("When", {"fields": TIMES}),
        ("Decisions", {"fields": ("decisions",)}),
    )
    sums_mean = "of prices, taken or not"
    columns = {
        "id": lambda payment: payment.pk,
        "paid for": lambda payment: payment.reference,
        "description": lambda payment: payment.description,
        "student": lambda payment: payment.payer_id,
        "coach": lambda payment: payment.coach.display_name,
        "status": lambda payment: payment.status,
        "settlement mode": lambda payment: payment.settlement_mode,
        "currency": lambda payment: payment.currency,
        "price": decimal("amount"),
        "platform fee": decimal("platform_fee"),
        "taken": decimal("captured_amount"),
        "stripe's fee": decimal("stripe_fee_amount"),
        "refunded": decimal("refunded_amount"),
        "taken back from the coach": decimal("taken_back_amount"),
        "of our fee": decimal("returned_fee_amount"),
        "created at": lambda payment: payment.created_at,
        "held at": lambda payment: payment.held_at,
        "captured at": lambda payment: payment.captured_at,
        "released at": lambda payment: payment.released_at,
        "payment intent": lambda payment: payment.payment_intent_id,
        "charge": lambda payment: payment.charge_id,
    }

    def get_urls(self) -> list[URLPattern]:
        return [story_url(self.admin_site.admin_view), *super().get_urls()]

    @admin.display(description="Story")
    def story(self, payment: Payment) -> str | SafeString:
        return story_link(payment)

    @admin.display(description="Give back")
    def give_back(self, payment: Payment) -> str | SafeString:
        return refund_link(payment)

    @admin.display(description="What staff decided")
    def decisions(self, payment: Payment) -> str | SafeString:
        return decisions_of(payment)

    @admin.display(description="Price")
    def price(self, payment: Payment) -> str:
        return money(payment.amount, payment.currency)

    @admin.display(description="Platform fee")
    def fee(self, payment: Payment) -> str:
        return money(payment.platform_fee, payment.currency)

    @admin.display(description="Taken")
    def taken(self, payment: Payment) -> str:
        return money(payment.captured_amount, payment.currency)

    @admin.display(description="Stripe's fee")
    def stripe_fee(self, payment: Payment) -> str:
        return money(payment.stripe_fee_amount, payment.currency)

    @admin.display(description="Refunded")
    def refunded(self, payment: Payment) -> str:
        return money(payment.refunded_amount, payment.currency)

    @admin.display(description="Of that, the coach's part")
    def taken_back(self, payment: Payment) -> str:
        return money(payment.taken_back_amount, payment.currency)

    @admin.display(description="What Stripe reported")
    def events(self, payment: Payment) -> str | SafeString:
        ids = (payment.checkout_session_id, payment.payment_intent_id, payment.charge_id)
        rows = StripeEvent.objects.filter(object_id__in=[known for known in ids if known]).order_by("received_at")
        return format_html_join("", "<div>{} ({})</div>", ((link(row), row.get_state_display()) for row in rows)) or "-"


@admin.register(Earning)
class EarningAdmin(ShowsMoney, ListedAdmin):
    list_display = ("id", "kind", "coach", "money", "release_at", "frozen", "paid_by")
    list_filter = ("kind", "frozen", "currency", "line__status")
    list_select_related = ("coach", "line__run")
    search_fields = ("coach__display_name", "=payment__reference", "=payment__payment_intent_id")
    date_hierarchy = "release_at"
    ordering = ("-pk",)
    fields = (
        "payment_link", "story", "kind", "coach", "money", "release_at", "frozen", "paid_by", "reversal", "created_at",
    )  # fmt: skip
    readonly_fields = ("payment_link", "story", "money", "paid_by")
    columns = {
        "id": lambda earning: earning.pk,
        "payment": lambda earning: earning.payment_id,
        "coach": lambda earning: earning.coach.display_name,
        "kind": lambda earning: earning.kind,
        "currency": lambda earning: earning.currency,
        "amount": decimal("amount"),
        "release at": lambda earning: earning.release_at,
        "frozen": lambda earning: "yes" if earning.frozen else "no",
        "payout line": lambda earning: earning.line_id,
        "reversal": lambda earning: earning.reversal_id,
        "created at": lambda earning: earning.created_at,
        "correction": lambda earning: earning.correction_id,
    }

    @admin.display(description="Payout line")
    def paid_by(self, earning: Earning) -> str | SafeString:
        return link(earning.line)

    @admin.display(description="Payment or correction")
    def payment_link(self, earning: Earning) -> str | SafeString:
        return link(earning.payment or earning.correction)

    @admin.display(description="Story")
    def story(self, earning: Earning) -> str | SafeString:
        return story_link(earning.payment)


@admin.register(Transfer)
class TransferAdmin(ShowsMoney, ListedAdmin):
    list_display = ("stripe_transfer_id", "coach", "money", "made_by", "created_at")
    list_filter = ("currency",)
    list_select_related = ("coach", "line__run", "payment")
    search_fields = ("=stripe_transfer_id", "=destination", "coach__display_name")
    date_hierarchy = "created_at"
    ordering = ("-pk",)
    fields = ("stripe_transfer_id", "coach", "destination", "money", "made_by", "stories", "created_at")
    readonly_fields = ("money", "made_by", "stories")
    columns = {
        "id": lambda transfer: transfer.stripe_transfer_id,
        "coach": lambda transfer: transfer.coach.display_name,
        "destination": lambda transfer: transfer.destination,
        "currency": lambda transfer: transfer.currency,
        "amount": decimal("amount"),
        "reversed": decimal("reversed_amount"),
        "payout line": lambda transfer: transfer.line_id,
        "payment": lambda transfer: transfer.payment_id,
        "created at": lambda transfer: transfer.created_at,
    }

    @admin.display(description="Made by")
    def made_by(self, transfer: Transfer) -> str | SafeString:
        return link(transfer.line or transfer.payment)

    @admin.display(description="Stories of what it paid")
    def stories(self, transfer: Transfer) -> str | SafeString:
        by_line = Q(earnings__line=transfer.line_id) if transfer.line_id else Q(pk=transfer.payment_id)
        paid = Payment.objects.filter(by_line).distinct().order_by("pk")[:MOST_STORIES]
        return format_html_join(mark_safe("<br>"), "{}", ((link_to(story_address(each), str(each)),) for each in paid))


@admin.register(PayoutAccount)
class PayoutAccountAdmin(ReadOnlyAdmin):
    list_display = (
        "stripe_account_id", "coach", "country", "can_be_paid", "details_submitted", "disabled_reason",
        "settlement_mode", "read_at",
    )  # fmt: skip
    list_filter = ("transfers_active", "payouts_enabled", "details_submitted", "settlement_mode", "country")
    list_select_related = ("coach",)
    search_fields = ("=stripe_account_id", "coach__display_name", "coach__user__email")
    ordering = ("-pk",)

    @admin.display(description="Can be paid", boolean=True)
    def can_be_paid(self, account: PayoutAccount) -> bool:
        return account.payable


@admin.register(Customer)
class CustomerAdmin(ReadOnlyAdmin):
    list_display = ("stripe_customer_id", "user", "created_at")
    list_select_related = ("user",)
    search_fields = ("=stripe_customer_id", "user__email")
    ordering = ("-pk",)
