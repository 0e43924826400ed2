"""The monthly run: how far it is, what it would pay, and why a coach gets what they get."""

from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from coaches.models import Coach
from marketplace import clock
from marketplace.admin_desks import decisions_of, desk_page, require_right
from marketplace.lib.access import signed_in
from marketplace.lib.errors import DomainError
from marketplace.lib.money import Money
from marketplace.lib.months import month_before, month_of
from marketplace.templatetags.ui import plain_time
from payments import payouts
from payments.admin.base import ReadOnlyAdmin, ReadOnlyInline, ShowsMoney, link
from payments.admin.deciding import Choice, decide
from payments.admin.lists import ListedAdmin, decimal
from payments.admin.money import TransferInline
from payments.admin.refund_desk import button
from payments.admin.statements import month_link, months_link
from payments.admin.story import story_link
from payments.models import Earning, Operation, PayoutLine, PayoutRun

ROWS = 100
SEE = "payments.view_payoutrun"
Status = PayoutLine.Status


# --- the run, live ------------------------------------------------------------------------------


def latest_view(request: HttpRequest) -> HttpResponse:
    """Last month's run, or what it would be."""
    require_right(request, SEE)
    month = month_before(clock.now())
    run = PayoutRun.objects.filter(month=month).first()
    return _watch(request, run) if run else _dry_run(request, month)


def watch_view(request: HttpRequest, run_id: int) -> HttpResponse:
    require_right(request, SEE)
    return _watch(request, get_object_or_404(PayoutRun, pk=run_id))


def _watch(request: HttpRequest, run: PayoutRun) -> HttpResponse:
    progress = payouts.progress(run)
    unpaid = run.lines.filter(status__in=(Status.WAITING, Status.HELD)).select_related("coach", "held_by")
    waiting = payouts.waiting(clock.now())
    return desk_page(
        request,
        "admin/desks/run.html",
        title=f"Payouts of {run.month}",
        run=run,
        progress=progress,
        # While something moves, the page comes again by itself.
        moves=any(part.status == Status.PLANNED for part in progress.parts),
        lines_of=f"{reverse('admin:payments_payoutline_changelist')}?run__id__exact={run.pk}",
        unpaid=[_unpaid_row(line) for line in unpaid.order_by("status", "pk")[:ROWS]],
        unpaid_more=max(0, unpaid.count() - ROWS),
        waiting=waiting[:ROWS],
        waiting_more=max(0, len(waiting) - ROWS),
    )


def _unpaid_row(line: PayoutLine) -> dict[str, Any]:
    return {
        "line": line,
        "address": reverse("admin:payments_payoutline_change", args=[line.pk]),
        "why": line.held_reason if line.status == Status.HELD else line.waiting_for,
    }


# --- what it would pay --------------------------------------------------------------------------


def dry_run_view(request: HttpRequest) -> HttpResponse:
    """Of the month that is asked for, or the last one. Nothing is opened by looking."""
    require_right(request, SEE)
    return _dry_run(request, request.GET.get("month", "") or month_before(clock.now()))


def _dry_run(request: HttpRequest, month: str) -> HttpResponse:
    now = clock.now()
    planned: list[payouts.PlannedLine] = []
    refusal, status = "", 200
    try:
        planned = payouts.dry_run(month, now)
    except DomainError as error:
        refusal, status = str(error), error.status
    page = Paginator(planned, ROWS).get_page(request.GET.get("page"))
    names = _names({line.coach_id for line in page})
    return desk_page(
        request,
        "admin/desks/dry_run.html",
        title=f"What a run for {month[:20]} would pay",
        status=status,
        month=month,
        refusal=refusal,
        run=PayoutRun.objects.filter(month=month[:7]).first(),
        page=page,
        lines=[(months_link(line.coach_id, names[line.coach_id]), line) for line in page],
        totals=_totals(planned),
    )


def _names(coach_ids: set[int]) -> dict[int, str]:
    return dict(Coach.objects.filter(pk__in=coach_ids).values_list("pk", "display_name"))


def _totals(planned: list[payouts.PlannedLine]) -> list[Money]:
    totals: dict[str, Money] = {}
    for line in planned:
        currency = line.money.currency
        totals[currency] = totals.get(currency, Money(0, currency)) + line.money
    return [totals[currency] for currency in sorted(totals)]


# --- one line: hold it, release it --------------------------------------------------------------


def line_view(request: HttpRequest, line_id: int) -> HttpResponse:
    """Hold the line back, or let it go on."""
    require_right(request, "payments.view_payoutline")
    line = get_object_or_404(PayoutLine.objects.select_related("run", "coach", "held_by"), pk=line_id)
    held = line.status == Status.HELD
    return decide(
        request,
        line,
        _choices(request, line),
        right="payments.change_payoutline",
        title=f"{'Release' if held else 'Hold'} {line.money} of {line.coach.display_name}?",
        meaning=_meaning(line),
        facts=[
            ("Coach", link(line.coach)),
            ("Month", line.run.month),
            ("Amount", str(line.money)),
            ("Now", line.get_status_display()),
            ("Waits for", line.waiting_for or "-"),
            ("Held by", f"{line.held_by.name}: {line.held_reason}" if line.held_by else "-"),
        ],
        back=reverse("admin:payments_payoutline_change", args=[line.pk]),
    )


def _meaning(line: PayoutLine) -> str:
    if line.status == Status.HELD:
        return "It is paid by the run once it is released."
    if line.status == Status.PAID:
        return "It is paid: nothing can be held any more."
    return "While it is held nothing of it is paid, and the run stays open. The coach is not told why."


def _choices(request: HttpRequest, line: PayoutLine) -> list[Choice]:
    actor, now = signed_in(request), clock.now()
    held = line.status == Status.HELD
    return [
        Choice(
            "release",
            "Release",
            lambda reason: payouts.release_line(line=line, actor=actor, reason=reason, now=now),
            "Released: the run pays it.",
            offered=held,
        ),
        Choice(
            "hold",
            "Hold",
            lambda reason: payouts.hold_line(line=line, actor=actor, reason=reason, now=now),
            "Held: nothing of it is paid until somebody releases it.",
            offered=not held and line.status != Status.PAID,
        ),
    ]


# --- the lists ----------------------------------------------------------------------------------


@admin.register(PayoutRun)
class PayoutRunAdmin(ReadOnlyAdmin):
    list_display = ("month", "status", "lines_paid", "lines_unpaid", "opened_at", "closed_at", "watch")
    list_filter = ("status",)
    ordering = ("-month",)
    fields = ("watch", "month", "status", "lines_paid", "lines_unpaid", "opened_at", "closed_at")
    readonly_fields = ("watch", "lines_paid", "lines_unpaid")

    def get_urls(self) -> list[URLPattern]:
        guarded = self.admin_site.admin_view
        return [
            path("latest/", guarded(latest_view), name="payments_payoutrun_latest"),
            path("dry-run/", guarded(dry_run_view), name="payments_payoutrun_dry_run"),
            path("<int:run_id>/watch/", guarded(watch_view), name="payments_payoutrun_watch"),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> Any:
        paid = Q(lines__status=Status.PAID)
        counted: QuerySet[PayoutRun] = super().get_queryset(request)
        return counted.annotate(
            paid=Count("lines", filter=paid), unpaid=Count("lines", filter=~paid & Q(lines__isnull=False))
        )

    @admin.display(description="Lines paid")
    def lines_paid(self, run: Any) -> int:
        return int(run.paid)

    @admin.display(description="Lines not paid")
    def lines_unpaid(self, run: Any) -> int:
        return int(run.unpaid)

    @admin.display(description="How far it is")
    def watch(self, run: PayoutRun) -> SafeString:
        return button(reverse("admin:payments_payoutrun_watch", args=[run.pk]), "Watch")


class PaidEarningInline(ShowsMoney, ReadOnlyInline):
    """What the amount is made of."""

    model = Earning
    verbose_name_plural = "why this amount: all that it is the sum of"
    fields = ("kind", "session", "story", "money", "release_at", "session_ended_at")
    ordering = ("payment__service_ends_at", "pk")
    show_change_link = False

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("payment", "correction")

    @admin.display(description="Payment or correction")
    def session(self, earning: Earning) -> str | SafeString:
        return link(earning.payment or earning.correction)

    @admin.display(description="Story")
    def story(self, earning: Earning) -> str | SafeString:
        return story_link(earning.payment)

    @admin.display(description="Session ended")
    def session_ended_at(self, earning: Earning) -> str:
        return plain_time(earning.payment.service_ends_at, "UTC") if earning.payment else "-"


class TransferOperationInline(ReadOnlyInline):
    model = Operation
    fields = ("kind", "state", "attempt", "tries", "error_code", "error_message", "created_at", "finished_at")
    ordering = ("created_at",)


@admin.register(PayoutLine)
class PayoutLineAdmin(ShowsMoney, ListedAdmin):
    list_display = ("id", "run", "coach", "money", "status", "waiting_for", "paid_at", "act")
    list_filter = ("status", "currency", "run__month")
    list_select_related = ("run", "coach")
    search_fields = ("coach__display_name", "=transfer__stripe_transfer_id")
    ordering = ("-pk",)
    inlines = (PaidEarningInline, TransferInline, TransferOperationInline)
    fields = (
        "act", "run", "coach_link", "coach_month", "money", "status", "waiting_for", "held_by", "held_reason",
        "held_at", "paid_at", "told_waiting_at", "told_paid_at", "decisions",
    )  # fmt: skip
    readonly_fields = ("act", "coach_link", "coach_month", "money", "decisions")
    columns = {
        "id": lambda line: line.pk,
        "month": lambda line: line.run.month,
        "coach": lambda line: line.coach.display_name,
        "currency": lambda line: line.currency,
        "amount": decimal("amount"),
        "status": lambda line: line.status,
        "waiting for": lambda line: line.waiting_for,
        "why held": lambda line: line.held_reason,
        "paid at": lambda line: line.paid_at,
    }

    def get_urls(self) -> list[URLPattern]:
        guarded = self.admin_site.admin_view(line_view)
        return [path("<int:line_id>/decide/", guarded, name="payments_payoutline_decide"), *super().get_urls()]

    @admin.display(description="What can be done")
    def act(self, line: PayoutLine) -> str | SafeString:
        if line.status == Status.PAID:
            return "-"
        words = "Release" if line.status == Status.HELD else "Hold"
        return button(reverse("admin:payments_payoutline_decide", args=[line.pk]), words)

    @admin.display(description="Coach")
    def coach_link(self, line: PayoutLine) -> str | SafeString:
        return link(line.coach)

    @admin.display(description="The coach's month")
    def coach_month(self, line: PayoutLine) -> SafeString:
        return month_link(line.coach_id, month_of(line.paid_at or clock.now()), line.currency)

    @admin.display(description="What staff decided")
    def decisions(self, line: PayoutLine) -> Any:
        return decisions_of(line)
