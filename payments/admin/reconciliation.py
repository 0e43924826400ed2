"""What comparisons with Stripe have found: each difference, what it means, what to do, and both sides of it."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from marketplace import clock
from marketplace.admin_desks import decisions_of, require_right
from marketplace.lib.access import signed_in
from payments.admin.base import ReadOnlyAdmin, link
from payments.admin.corrections import clear_links
from payments.admin.deciding import Choice, decide
from payments.admin.refund_desk import button
from payments.admin.story import at_stripe, story_link
from payments.models import (
    Difference,
    Dispute,
    LedgerTransaction,
    Payment,
    Payout,
    PayoutLine,
    Reconciliation,
    Refund,
    Transfer,
)
from payments.reconcile import KINDS, explain
from payments.reconcile.booked import TYPE as BALANCE_TRANSACTION
from payments.services import corrections
from payments.story import AtStripe

# What `Difference.ours` names by a row's number.
ROWS: dict[str, type[Model]] = {
    "payment": Payment,
    "refund": Refund,
    "dispute": Dispute,
    "transfer": Transfer,
    "payout_line": PayoutLine,
    "payout": Payout,
    "ledger_transaction": LedgerTransaction,
}
# The facts are shown as they are kept.
WITH_US = "With us (amounts in the smallest unit)"
WITH_STRIPE = "At Stripe (amounts in the smallest unit)"
AT_STRIPE = (
    BALANCE_TRANSACTION, "account", "application_fee", "checkout_session", "dispute", "payment_intent",
    "payment_method", "payout", "refund", "transfer",
)  # fmt: skip


def explain_view(request: HttpRequest, difference_id: int) -> HttpResponse:
    require_right(request, "payments.view_difference")
    known = Difference.objects.select_related("payment", "coach")
    difference = get_object_or_404(known, pk=difference_id)
    kind = KINDS[difference.code]
    return decide(
        request,
        difference,
        [_choice(request, difference)],
        right="payments.change_difference",
        title=f"{kind.title}: {difference.object_id}",
        meaning=kind.meaning,
        facts=[
            ("What to do", kind.what_to_do),
            *(("On suspense", words) for words in _on_suspense(request, difference)),
            ("What", _object(difference)),
            ("Payment", link(difference.payment)),
            ("Coach", link(difference.coach)),
            (WITH_US, _words(difference.ours)),
            (WITH_STRIPE, _words(difference.stripes)),
            ("Now", difference.get_state_display()),
        ],
        back=reverse("admin:payments_difference_change", args=[difference.pk]),
    )


def _on_suspense(request: HttpRequest, difference: Difference) -> Iterable[SafeString]:
    """The way to move what is there, for who may, and the corrections that were proposed."""
    fact = corrections.entry_of(difference)
    if fact is not None and request.user.has_perm(corrections.PROPOSE):
        yield from clear_links(fact, difference)
    for correction in difference.corrections.order_by("pk"):
        yield format_html("{}: {}", link(correction), correction.get_status_display())


def _choice(request: HttpRequest, difference: Difference) -> Choice:
    actor, now = signed_in(request), clock.now()
    return Choice(
        "explain",
        "It is right as it is",
        lambda reason: explain(difference=difference, actor=actor, reason=reason, now=now),
        "Explained. It comes back when one of the two sides changes.",
        offered=difference.state == Difference.State.OPEN,
    )


class KindFilter(admin.SimpleListFilter):
    title = "what differs"
    parameter_name = "code"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002  # Django's
        return [(kind.code, f"{kind.family}: {kind.title}") for kind in KINDS.values()]

    def queryset(self, request: HttpRequest, rows: QuerySet[Difference]) -> QuerySet[Difference]:  # noqa: ARG002
        return rows.filter(code=self.value()) if self.value() else rows


@admin.register(Difference)
class DifferenceAdmin(ReadOnlyAdmin):
    list_display = ("title", "at_stripe", "object_type", "payment", "coach", "state", "found_at", "seen_at", "act")
    list_filter = ("state", KindFilter, "object_type")
    list_select_related = ("payment", "coach")
    search_fields = ("=object_id", "=payment__reference", "coach__display_name")
    date_hierarchy = "found_at"
    ordering = ("-seen_at", "-pk")
    fields = (
        "act", "title", "meaning", "what_to_do", "object_type", "at_stripe", "payment_link", "story", "coach_link",
        "with_us", "rows", "with_stripe", "state", "found_at", "seen_at", "settled_at", "settled_by", "settlement",
        "decisions",
    )  # fmt: skip
    readonly_fields = (
        "act", "title", "meaning", "what_to_do", "at_stripe", "payment_link", "story", "coach_link", "with_us", "rows",
        "with_stripe", "decisions",
    )  # fmt: skip

    def get_urls(self) -> list[URLPattern]:
        guarded = self.admin_site.admin_view(explain_view)
        return [path("<int:difference_id>/explain/", guarded, name="payments_difference_explain"), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Difference]:
        rows: QuerySet[Difference] = super().get_queryset(request)
        return rows.select_related("payment", "coach", "settled_by")

    @admin.display(description="What differs", ordering="code")
    def title(self, difference: Difference) -> str:
        return KINDS[difference.code].title

    @admin.display(description="What it means")
    def meaning(self, difference: Difference) -> str:
        return KINDS[difference.code].meaning

    @admin.display(description="What to do")
    def what_to_do(self, difference: Difference) -> str:
        return KINDS[difference.code].what_to_do

    @admin.display(description="Object")
    def at_stripe(self, difference: Difference) -> str | SafeString:
        return _object(difference)

    @admin.display(description="Payment")
    def payment_link(self, difference: Difference) -> str | SafeString:
        return link(difference.payment)

    @admin.display(description="Story")
    def story(self, difference: Difference) -> str | SafeString:
        return story_link(difference.payment)

    @admin.display(description="Coach")
    def coach_link(self, difference: Difference) -> str | SafeString:
        return link(difference.coach)

    @admin.display(description=WITH_US)
    def with_us(self, difference: Difference) -> str | SafeString:
        return _words(difference.ours)

    @admin.display(description="Our rows")
    def rows(self, difference: Difference) -> str | SafeString:
        return format_html_join("", "<div>{}</div>", ((link(row),) for row in _rows(difference))) or "-"

    @admin.display(description=WITH_STRIPE)
    def with_stripe(self, difference: Difference) -> str | SafeString:
        return _words(difference.stripes)

    @admin.display(description="What is to do")
    def act(self, difference: Difference) -> str | SafeString:
        if difference.state != Difference.State.OPEN:
            return "-"
        return button(reverse("admin:payments_difference_explain", args=[difference.pk]), "Explain")

    @admin.display(description="What staff decided")
    def decisions(self, difference: Difference) -> str | SafeString:
        return decisions_of(difference)


@admin.register(Reconciliation)
class ReconciliationAdmin(ReadOnlyAdmin):
    list_display = ("began_at", "scope", "objects", "outcome", "ended_at")
    list_filter = ("scope", ("failure", admin.EmptyFieldListFilter))
    date_hierarchy = "began_at"
    ordering = ("-began_at", "-pk")
    fields = ("scope", "since", "began_at", "ended_at", "outcome", "what", "missing")
    readonly_fields = ("outcome", "what", "missing")

    @admin.display(description="Objects compared")
    def objects(self, row: Reconciliation) -> int:
        return sum(row.compared.values())

    @admin.display(description="What came of it", ordering="failure")
    def outcome(self, row: Reconciliation) -> str:
        return row.failure or ("Complete" if row.ended_at else "Under way, or cut off")

    @admin.display(description="Compared")
    def what(self, row: Reconciliation) -> str | SafeString:
        return _words(row.compared)

    @admin.display(description="Not compared")
    def missing(self, row: Reconciliation) -> str | SafeString:
        return _words(row.not_compared)


def _object(difference: Difference) -> str | SafeString:
    if difference.object_type.removeprefix("lost_") in AT_STRIPE:
        return at_stripe(AtStripe(difference.object_id))
    return difference.object_id


def _rows(difference: Difference) -> Iterable[Model]:
    for name, model in ROWS.items():
        number = difference.ours.get(name)
        if isinstance(number, int):
            row = model._default_manager.filter(pk=number).first()  # noqa: SLF001  # Django's documented name
            if row is not None:
                yield row


def _words(facts: dict[str, Any]) -> str | SafeString:
    return (
        format_html_join("", "<div>{}: {}</div>", ((_name(name), _value(each)) for name, each in facts.items())) or "-"
    )


def _name(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _value(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(map(str, value))
    return "-" if value in ("", None) else str(value)
