"""What the staff's desks share: who may, how a page is answered, and what was decided about a row."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe

from marketplace.models import StaffDecision
from marketplace.templatetags.ui import plain_time


def require_right(request: HttpRequest, right: str) -> None:
    """`right` as in "payments.add_refund". Never a group's name: who may what is the groups' own business."""
    if not request.user.has_perm(right):
        raise PermissionDenied


def posted_version(request: HttpRequest) -> int:
    """Of the row as the page showed it; 0, which no row has, for what is no version."""
    sent = request.POST.get("version", "")
    return int(sent) if sent.isdecimal() and sent.isascii() and len(sent) < 9 else 0


def desk_page(request: HttpRequest, template: str, *, title: str, status: int = 200, **context: Any) -> HttpResponse:
    """A page in the admin's frame."""
    whole = {**admin.site.each_context(request), "title": title, **context}
    return TemplateResponse(request, template, whole, status=status)


def decisions_of(*rows: Model | None) -> str | SafeString:
    """What staff decided about these, newest first: when, who, what and why. One query."""
    about = Q(pk=None)
    for row in rows:
        if row is not None:
            # Django's documented way to a model's names.
            about |= Q(subject_type=row._meta.label, subject_id=str(row.pk))  # noqa: SLF001
    found = StaffDecision.objects.filter(about).select_related("actor").order_by("-at", "-pk")
    lines = ((_when(each), each.actor.name, each.decision.replace("_", " "), each.reason or "-") for each in found)
    return format_html_join(mark_safe("<br>"), "{}, {}: {} ({})", lines) or "None."


def _when(decision: StaffDecision) -> str:
    return plain_time(decision.at, "UTC")


# What a payment's reference leads to, by its beginning: "booking:12" to the page for 12. Each app names its own.
SUBJECT_PAGES: dict[str, str] = {}


def subject_address(reference: str) -> str:
    """The page of what was paid for; empty where nobody has named one."""
    kind, _, number = reference.partition(":")
    page = SUBJECT_PAGES.get(kind)
    return reverse(page, args=[number]) if page and number.isdecimal() else ""
