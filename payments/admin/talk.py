"""What we asked of Stripe, and what Stripe reported."""

import json

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from marketplace import clock
from payments import webhooks
from payments.admin.base import ReadOnlyAdmin
from payments.models import Operation, StripeEvent


@admin.register(Operation)
class OperationAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "kind",
        "state",
        "payment",
        "line",
        "attempt",
        "tries",
        "error_code",
        "next_try_at",
        "created_at",
    )
    list_filter = ("state", "kind")
    list_select_related = ("payment", "line__run")
    search_fields = ("=id", "=result_id", "=payment__reference", "=error_code")
    date_hierarchy = "created_at"
    ordering = ("-created_at",)


@admin.register(StripeEvent)
class StripeEventAdmin(ReadOnlyAdmin):
    list_display = ("event_id", "type", "account", "state", "reason", "mirror_state", "tries", "received_at")
    list_filter = ("state", "mirror_state", "type")
    search_fields = ("=event_id", "=object_id", "=account")
    date_hierarchy = "received_at"
    ordering = ("-received_at",)
    actions = ("work_again",)
    fields = (
        "event_id", "type", "account", "object_id", "livemode", "received_at", "state", "reason", "tries",
        "next_try_at", "worked_at", "mirror_state", "mirror_tries", "mirror_error", "body",
    )  # fmt: skip
    readonly_fields = ("body",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[StripeEvent]:
        rows: QuerySet[StripeEvent] = super().get_queryset(request)
        return rows.defer("payload")

    def has_work_again_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.change_stripeevent")

    @admin.action(description="Work again (parked events)", permissions=["work_again"])
    def work_again(self, request: HttpRequest, chosen: QuerySet[StripeEvent]) -> None:
        replayed = sum(webhooks.replay(event=event, now=clock.now()) for event in chosen)
        left = len(chosen) - replayed
        self.message_user(request, f"{replayed} event(s) will be worked again.", messages.SUCCESS)
        if left:
            self.message_user(request, f"{left} event(s) were left: not parked, or without a body.", messages.WARNING)

    @admin.display(description="As it came")
    def body(self, event: StripeEvent) -> str | SafeString:
        if not event.payload:
            return "Emptied after 30 days."
        readable = json.dumps(json.loads(bytes(event.payload)), indent=2, ensure_ascii=False)
        return format_html("<pre>{}</pre>", readable)
