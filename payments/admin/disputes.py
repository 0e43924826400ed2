"""Disputes by deadline, early fraud warnings, and what was fetched back from coaches."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from marketplace import clock
from marketplace.admin_desks import decisions_of
from marketplace.lib.access import signed_in
from marketplace.lib.errors import DomainError
from payments import services
from payments.admin.base import ReadOnlyAdmin, ShowsMoney, link
from payments.admin.dispute_desk import desk_view, file_view
from payments.admin.lists import ListedAdmin, decimal
from payments.admin.refund_desk import button, refund_link
from payments.models import Dispute, FraudWarning


@admin.register(Dispute)
class DisputeAdmin(ShowsMoney, ListedAdmin):
    list_display = (
        "stripe_dispute_id", "due_by", "money", "reason", "status", "evidence_state", "handled_by", "act",
    )  # fmt: skip
    list_filter = ("status", "evidence_state", "reason", "charged_to", "currency")
    list_select_related = ("handled_by",)
    search_fields = ("=stripe_dispute_id", "=charge_id", "=payment__reference", "payment__payer__email")
    date_hierarchy = "opened_at"
    ordering = ("due_by", "pk")
    fields = (
        "act", "payment_link", "money", "reason", "status", "evidence_state", "due_by", "charged_to", "withdrawn_at",
        "reinstated_at", "coach_asked_at", "coach_says", "handled_by", "opened_at", "closed_at", "decisions",
    )  # fmt: skip
    readonly_fields = ("act", "payment_link", "money", "decisions")
    columns = {
        "id": lambda dispute: dispute.stripe_dispute_id,
        "payment": lambda dispute: dispute.payment_id,
        "charge": lambda dispute: dispute.charge_id,
        "currency": lambda dispute: dispute.currency,
        "amount": decimal("amount"),
        "reason": lambda dispute: dispute.reason,
        "status": lambda dispute: dispute.status,
        "charged to": lambda dispute: dispute.charged_to,
        "due by": lambda dispute: dispute.due_by,
        "opened at": lambda dispute: dispute.opened_at,
        "withdrawn at": lambda dispute: dispute.withdrawn_at,
        "reinstated at": lambda dispute: dispute.reinstated_at,
        "closed at": lambda dispute: dispute.closed_at,
    }

    def get_urls(self) -> list[URLPattern]:
        guarded = self.admin_site.admin_view
        return [
            path("<int:dispute_id>/desk/", guarded(desk_view), name="payments_dispute_desk"),
            path("file/<int:file_id>/", guarded(file_view), name="payments_dispute_file"),
            *super().get_urls(),
        ]

    @admin.display(description="Payment")
    def payment_link(self, dispute: Dispute) -> str | SafeString:
        return link(dispute.payment)

    @admin.display(description="What is to do")
    def act(self, dispute: Dispute) -> SafeString:
        return button(reverse("admin:payments_dispute_desk", args=[dispute.pk]), "Open the desk")

    @admin.display(description="What staff decided")
    def decisions(self, dispute: Dispute) -> str | SafeString:
        return decisions_of(dispute, dispute.payment)


@admin.register(FraudWarning)
class FraudWarningAdmin(ReadOnlyAdmin):
    list_display = ("stripe_warning_id", "payment", "fraud_type", "actionable", "warned_at", "settled_at", "act")
    list_filter = ("actionable", "fraud_type", ("settled_at", admin.EmptyFieldListFilter))
    list_select_related = ("payment",)
    search_fields = ("=stripe_warning_id", "=payment__reference")
    ordering = ("-warned_at",)
    actions = ("let_stand",)
    fields = ("act", "payment_link", "fraud_type", "actionable", "warned_at", "settled_at", "decisions")
    readonly_fields = ("act", "payment_link", "decisions")

    def has_let_stand_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.change_fraudwarning")

    @admin.action(description="Let the payments stand (nothing is refunded)", permissions=["let_stand"])
    def let_stand(self, request: HttpRequest, chosen: QuerySet[FraudWarning]) -> None:
        for warning in chosen.select_related("payment__coach"):
            try:
                services.settle_fraud_warning(
                    warning=warning, reason="Let stand.", actor=signed_in(request), now=clock.now()
                )
            except DomainError as error:
                self.message_user(request, f"{warning}: {error}", messages.WARNING)
            else:
                self.message_user(request, f"{warning}: the payment stands.", messages.SUCCESS)

    @admin.display(description="Payment")
    def payment_link(self, warning: FraudWarning) -> str | SafeString:
        return link(warning.payment)

    @admin.display(description="What is to do")
    def act(self, warning: FraudWarning) -> str | SafeString:
        return "-" if warning.settled_at else refund_link(warning.payment)

    @admin.display(description="What staff decided")
    def decisions(self, warning: FraudWarning) -> str | SafeString:
        return decisions_of(warning, warning.payment)
