"""Money fetched back from coaches' accounts; and what is to become of it where somebody did so at Stripe."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from marketplace import clock
from marketplace.admin_desks import decisions_of, require_right
from marketplace.lib.access import signed_in
from payments.admin.base import ReadOnlyAdmin, ShowsMoney, link, money
from payments.admin.deciding import Choice, decide
from payments.admin.refund_desk import button
from payments.models import Reversal
from payments.services import reversed_at_stripe

MEANING = (
    "Somebody has taken this back from the coach's account in Stripe's dashboard. It is with us again, and in "
    "the books it is the coach's; no run pays it before you have decided."
)


def decide_view(request: HttpRequest, reversal_id: int) -> HttpResponse:
    require_right(request, "payments.view_reversal")
    reversal = get_object_or_404(Reversal.objects.select_related("transfer__coach"), pk=reversal_id)
    return decide(
        request,
        reversal,
        _choices(request, reversal),
        right="payments.change_reversal",
        title=f"What becomes of {money(reversal.amount, reversal.currency)}?",
        meaning=MEANING if _undecided(reversal) else "This is decided.",
        facts=[
            ("Coach", link(reversal.transfer.coach)),
            ("Amount", money(reversal.amount, reversal.currency)),
            ("Transfer", link(reversal.transfer)),
            ("Reversal at Stripe", reversal.stripe_reversal_id or "-"),
            ("Now", reversal.get_status_display()),
        ],
        back=reverse("admin:payments_reversal_change", args=[reversal.pk]),
    )


def _choices(request: HttpRequest, reversal: Reversal) -> list[Choice]:
    actor, now = signed_in(request), clock.now()
    return [
        Choice(
            "pay_again",
            "Pay it to the coach again",
            lambda reason: reversed_at_stripe.pay_again(reversal=reversal, actor=actor, reason=reason, now=now),
            "The next run pays it to the coach.",
            offered=_undecided(reversal),
        ),
        Choice(
            "keep",
            "The platform keeps it",
            lambda reason: reversed_at_stripe.keep(reversal=reversal, actor=actor, reason=reason, now=now),
            "The platform keeps it, but for what the coach owed for the same session: that is set off.",
            offered=_undecided(reversal),
        ),
    ]


def _undecided(reversal: Reversal) -> bool:
    return reversal.status == Reversal.Status.AT_STRIPE


@admin.register(Reversal)
class ReversalAdmin(ShowsMoney, ReadOnlyAdmin):
    list_display = ("id", "transfer", "money", "status", "refusal", "created_at", "settled_at", "act")
    list_filter = ("status", "currency")
    list_select_related = ("transfer",)
    search_fields = ("=stripe_reversal_id", "=transfer__stripe_transfer_id")
    ordering = ("-pk",)
    fields = (
        "act", "transfer_link", "money", "refund", "dispute", "status", "refusal", "stripe_reversal_id", "created_at",
        "settled_at", "decisions",
    )  # fmt: skip
    readonly_fields = ("act", "transfer_link", "money", "decisions")

    def get_urls(self) -> list[URLPattern]:
        guarded = self.admin_site.admin_view(decide_view)
        return [path("<int:reversal_id>/decide/", guarded, name="payments_reversal_decide"), *super().get_urls()]

    @admin.display(description="What is to do")
    def act(self, reversal: Reversal) -> str | SafeString:
        if not _undecided(reversal):
            return "-"
        return button(reverse("admin:payments_reversal_decide", args=[reversal.pk]), "Decide")

    @admin.display(description="Transfer")
    def transfer_link(self, reversal: Reversal) -> str | SafeString:
        return link(reversal.transfer)

    @admin.display(description="What staff decided")
    def decisions(self, reversal: Reversal) -> Any:
        return decisions_of(reversal)
