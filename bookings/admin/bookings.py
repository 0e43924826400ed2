"""Bookings, for staff: what happened and why. Nothing is edited here; what staff may do are transitions."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from unfold.admin import ModelAdmin, TabularInline
from unfold.widgets import UnfoldAdminTextareaWidget

from bookings import selectors, services
from bookings.admin.at_risk import at_risk_view
from bookings.models import Booking, BookingEvent, Claim, LiveSession, Notice, Student
from bookings.process import Role, Transition
from marketplace import clock
from marketplace.admin_desks import SUBJECT_PAGES, decisions_of
from marketplace.lib.access import signed_in
from marketplace.lib.admin import ReadOnly
from marketplace.lib.errors import DomainError
from marketplace.templatetags.ui import plain_time

SUBJECT_PAGES["booking"] = "admin:bookings_booking_change"
SERVICES: dict[str, Callable[..., None]] = {
    "accept": services.accept,
    "decline": services.decline,
    "cancel_by_coach": services.cancel_by_coach,
}


class StaffReasonForm(forms.Form):
    reason = forms.CharField(
        max_length=500,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Both sides can read this, and it is kept in the history.",
    )


class EventInline(ReadOnly, TabularInline):  # type: ignore[misc]  # unfold ships no types
    model = BookingEvent
    fields = ("at", "transition", "actor_role", "actor", "status_before", "status_after", "reason")
    ordering = ("at", "pk")
    extra = 0

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("actor")


class LiveSessionInline(ReadOnly, TabularInline):  # type: ignore[misc]  # unfold ships no types
    model = LiveSession
    fields = ("meeting_url", "created_at")
    readonly_fields = fields
    extra = 0


@admin.register(Booking)
class BookingAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    list_display = ("id", "title", "coach", "student", "starts_at", "status", "price", "payment_status")
    list_filter = ("status", "currency", "instant")
    list_select_related = ("coach", "student__user", "payment")
    search_fields = ("=id", "title", "coach__display_name", "student__user__email", "payment__payment_intent_id")
    date_hierarchy = "starts_at"
    ordering = ("-starts_at", "-pk")
    inlines = (EventInline, LiveSessionInline)
    fields = (
        "possible", "status", "title", "student", "coach", "offering", "starts_at", "ends_at", "agreed_zone", "price",
        "instant", "note", "policy", "policy_version", "payment", "story", "payment_due_at", "answer_due_at",
        "pay_due_at", "proposed_starts_at", "proposed_ends_at", "proposed_by", "proposal_due_at", "retry_at", "mails",
        "created_at", "version", "decisions",
    )  # fmt: skip
    readonly_fields = ("possible", "price", "story", "mails", "decisions")

    @admin.display(description="Payment")
    def payment_status(self, booking: Booking) -> str:
        return booking.payment.get_status_display() if booking.payment else "-"

    @admin.display(description="What became of the money")
    def story(self, booking: Booking) -> str | SafeString:
        if booking.payment_id is None:
            return "-"
        address = reverse("admin:payments_payment_story", args=[booking.payment_id])
        return format_html('<a class="text-primary-600 dark:text-primary-500" href="{}">The whole story</a>', address)

    @admin.display(description="Mails")
    def mails(self, booking: Booking) -> str:
        rows = Notice.objects.filter(event__booking=booking).order_by("pk")
        lines = ((row, f"sent {plain_time(row.sent_at, 'UTC')}" if row.sent_at else "not sent yet") for row in rows)
        return format_html_join(mark_safe("<br>"), "{}, {}", lines) or "-"

    @admin.display(description="What staff decided")
    def decisions(self, booking: Booking) -> str | SafeString:
        return decisions_of(booking, booking.payment, *booking.claims.all())

    @admin.display(description="What staff can do now")
    def possible(self, booking: Booking) -> str:
        links = [
            (reverse("admin:bookings_booking_do", args=[booking.pk, transition.name]), _label(transition))
            for transition in _offered(booking)
        ]
        claims = [
            (reverse("admin:bookings_claim_decide", args=[claim.pk]), f"Decide {claim}")
            for claim in booking.claims.filter(state__in=Claim.UNDECIDED)
        ]
        return format_html_join(" · ", '<a href="{}">{}</a>', links + claims) or "Nothing."

    def get_urls(self) -> list[URLPattern]:
        do = path(
            "<int:booking_id>/do/<slug:name>/", self.admin_site.admin_view(self.do_view), name="bookings_booking_do"
        )
        at_risk = path("at-risk/", self.admin_site.admin_view(at_risk_view), name="bookings_at_risk")
        return [do, at_risk, *super().get_urls()]

    def do_view(self, request: HttpRequest, booking_id: int, name: str) -> HttpResponse:
        """Asks for a reason and then makes the transition, in the name of the member of staff."""
        if not request.user.has_perm("bookings.change_booking"):
            raise PermissionDenied
        booking = get_object_or_404(Booking.objects.select_related("student__user", "coach__user"), pk=booking_id)
        transition = next((transition for transition in _offered(booking) if transition.name == name), None)
        if transition is None:
            raise Http404
        form = StaffReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            return _do(request, booking, name, form.cleaned_data["reason"])
        context = {
            **self.admin_site.each_context(request),
            "title": f"{_label(transition)}: {booking}",
            "booking": booking,
            "transition": transition,
            "form": form,
        }
        return TemplateResponse(request, "admin/bookings/do.html", context)


def _offered(booking: Booking) -> list[Transition]:
    """What this page can do; what becomes of a claim is decided at its desk."""
    possible = selectors.possible(booking=booking, role=Role.STAFF, now=clock.now())
    return [transition for transition in possible if transition.name in SERVICES]


def _label(transition: Transition) -> str:
    return transition.button.label if transition.button else transition.name


def _do(request: HttpRequest, booking: Booking, name: str, reason: str) -> HttpResponse:
    try:
        SERVICES[name](booking=booking, actor=signed_in(request), now=clock.now(), reason=reason)
    except DomainError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{booking} is {booking.get_status_display().lower()}.")
    return redirect("admin:bookings_booking_change", booking.pk)


@admin.register(Student)
class StudentAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    list_display = ("id", "user", "created_at")
    list_select_related = ("user",)
    search_fields = ("user__email", "user__name")


@admin.register(Notice)
class NoticeAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    list_display = ("id", "template", "recipient", "event", "tries", "next_try_at", "sent_at")
    list_filter = ("template", "recipient", ("sent_at", admin.EmptyFieldListFilter))
    list_select_related = ("event",)
    ordering = ("-pk",)
