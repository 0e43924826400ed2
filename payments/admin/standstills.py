"""The button that stops all sending to Stripe, and the one that lets it go on."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse

from marketplace import clock
from marketplace.admin_desks import require_right
from marketplace.lib.access import signed_in
from marketplace.templatetags.ui import plain_time
from payments.admin.base import ReadOnlyAdmin
from payments.admin.deciding import Choice, decide
from payments.models import Operation, Standstill
from payments.services import standstill

BEGIN = (
    "While we stand still, nothing that changes anything is sent to Stripe: no hold, capture, refund, transfer or "
    "payout. What people and timers ask for is written down and waits; pages say so. Reading goes on."
)
END = "What waits is sent within a minute, and runs go on where they were."


def now_view(request: HttpRequest) -> HttpResponse:
    """Begin, or end what was begun. Each needs its own right."""
    require_right(request, "payments.view_standstill")
    current = standstill.current()
    return decide(
        request,
        current or Standstill(),
        [_end(request)] if current else [_begin(request), _begin_after_restore(request)],
        right="payments.change_standstill" if current else "payments.add_standstill",
        title="Let sending to Stripe go on?" if current else "Stop all sending to Stripe?",
        meaning=END if current else BEGIN,
        facts=_facts(current),
        back=reverse("admin:payments_standstill_changelist"),
    )


def _begin(request: HttpRequest) -> Choice:
    actor, now = signed_in(request), clock.now()
    return Choice(
        "begin",
        "Stop all sending",
        lambda reason: standstill.begin(reason=reason, actor=actor, now=now),
        "Nothing is sent to Stripe from now on.",
    )


def _begin_after_restore(request: HttpRequest) -> Choice:
    actor, now = signed_in(request), clock.now()
    return Choice(
        "restored",
        "The database was restored from a backup",
        lambda reason: standstill.begin_after_restore(reason=reason, actor=actor, now=now),
        "Nothing is sent to Stripe, nor recorded, before `manage.py reconcile --full` has taken over what was lost.",
    )


def _end(request: HttpRequest) -> Choice:
    actor, now = signed_in(request), clock.now()
    return Choice(
        "end",
        "Go on",
        lambda reason: standstill.end(reason=reason, actor=actor, now=now),
        "What waited is being sent.",
    )


def _facts(current: Standstill | None) -> list[tuple[str, str]]:
    waiting = Operation.objects.filter(state__in=Operation.OPEN_STATES).count()
    facts = [("Operations that are open", str(waiting))]
    if current is None:
        return facts
    hindrances = standstill.hindrances_to_end(current)
    return [
        ("Since", plain_time(current.began_at, "UTC")),
        ("Begun by", str(current.began_by or "Nobody: by itself, or on the machine")),
        ("Why", current.reason),
        *facts,
        *(("Has to be done first", hindrance) for hindrance in hindrances),
    ]


@admin.register(Standstill)
class StandstillAdmin(ReadOnlyAdmin):
    list_display = ("began_at", "reason", "began_by", "behind", "ended_at", "ended_by", "ended_reason")
    list_select_related = ("began_by", "ended_by")
    ordering = ("-began_at",)

    def get_urls(self) -> list[URLPattern]:
        guarded = self.admin_site.admin_view
        return [path("now/", guarded(now_view), name="payments_standstill_now"), *super().get_urls()]
