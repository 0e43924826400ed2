"""The claims desk: both sides' words, who was there, and what each outcome does to the money before it is decided."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from bookings.admin.claim_forms import DecisionForm
from bookings.evidence import attendance_lines
from bookings.models import Booking, Claim
from bookings.process import HOLD_MARGIN
from bookings.services import claim_desk
from bookings.words import room_says
from marketplace import clock
from marketplace.admin_desks import decisions_of, desk_page, posted_version, require_right
from marketplace.lib.access import signed_in
from marketplace.lib.admin import ReadOnly
from marketplace.lib.errors import DomainError
from marketplace.lib.money import Money, to_decimal
from marketplace.templatetags.ui import plain_time
from payments.models import Payment

Outcome = Claim.Outcome
WITHOUT_AMOUNT = (Outcome.NOTHING, Outcome.NO_SHOW_STUDENT, Outcome.NO_SHOW_COACH)


def decide_view(request: HttpRequest, claim_id: int) -> HttpResponse:
    """The case, for whoever may see it; then what the chosen outcome means, then exactly that."""
    require_right(request, "bookings.view_claim")
    claim = _get(claim_id)
    if request.method == "POST" and not _may_decide(request, claim):
        raise PermissionDenied
    form = DecisionForm(request.POST or None, currency=claim.booking.currency, initial=_proposed(claim))
    if request.method != "POST" or not form.is_valid() or "change" in request.POST:
        return _case(request, claim, form)
    try:
        if request.POST.get("shown"):
            return _confirm(request, claim, form)
        return _preview(request, claim, form)
    except DomainError as error:
        form.add_error(None, str(error))
        return _case(request, _get(claim_id), form, status=error.status)


def _get(claim_id: int) -> Claim:
    known = Claim.objects.select_related(
        "booking__student__user",
        "booking__coach__user",
        "booking__payment",
        "booking__offering",
        "decided_by",
        "proposed_by",
    )
    return get_object_or_404(known, pk=claim_id)


def _case(request: HttpRequest, claim: Claim, form: DecisionForm, status: int = 200) -> HttpResponse:
    booking = claim.booking
    return desk_page(
        request,
        "admin/desks/claim.html",
        title=f"{claim.get_kind_display()}: {booking}",
        status=status,
        claim=claim,
        booking=booking,
        form=form,
        undecided=claim.state in Claim.UNDECIDED,
        may_decide=_may_decide(request, claim),
        facts=_case_facts(claim),
        sides=_sides(claim),
        attendance=attendance_lines(booking),
        consequences=[(outcome.label, _consequence(booking, outcome)) for outcome in WITHOUT_AMOUNT],
        decisions=decisions_of(claim, booking.payment),
    )


def _preview(
    request: HttpRequest, claim: Claim, form: DecisionForm, changed: DomainError | None = None
) -> HttpResponse:
    wish = form.cleaned_data
    facts = claim_desk.consequence(claim.booking, _payment(claim.booking), wish["outcome"], wish["money"])
    return desk_page(
        request,
        "admin/desks/claim_confirm.html",
        title=f"{wish['outcome'].label}: {claim.booking}?",
        status=changed.status if changed else 200,
        claim=claim,
        form=form,
        changed=changed,
        facts=facts,
        shown=claim_desk.summary(facts),
        version=request.POST.get("version", ""),
    )


def _confirm(request: HttpRequest, claim: Claim, form: DecisionForm) -> HttpResponse:
    wish, actor = form.cleaned_data, signed_in(request)
    require_right(request, claim_desk.right_to_confirm(claim, actor=actor, outcome=wish["outcome"], back=wish["money"]))
    try:
        decided = claim_desk.confirm_outcome(
            claim=claim,
            shown=request.POST["shown"],
            outcome=wish["outcome"],
            back=wish["money"],
            reason=wish["reason"],
            version=posted_version(request),
            actor=actor,
            now=clock.now(),
        )
    except claim_desk.OutcomeChanged as error:
        return _preview(request, _get(claim.pk), form, changed=error)
    outcome = wish["outcome"].label.lower()
    messages.success(request, f"Decided: {outcome}." if decided else f"Waits for a second person: {outcome}.")
    return redirect("admin:bookings_claim_change", claim.pk)


def _may_decide(request: HttpRequest, claim: Claim) -> bool:
    """Whoever approves refunds may agree to what a colleague would decide, and to nothing else."""
    seconds = claim.proposed_by_id is not None and request.user.has_perm("payments.change_refund")
    return seconds or request.user.has_perm("bookings.change_claim")


def _proposed(claim: Claim) -> dict[str, Any]:
    if claim.proposed_by is None:
        return {}
    back = _proposed_back(claim)
    return {
        "outcome": claim.proposed_outcome,
        "back": back and to_decimal(back),
        "reason": claim.proposed_reason,
    }


def _proposed_back(claim: Claim) -> Money | None:
    return None if claim.proposed_back is None else Money(claim.proposed_back, claim.booking.currency)


def _proposal(claim: Claim) -> list[tuple[str, str]]:
    """What waits for a second person."""
    if claim.proposed_by is None or claim.state not in Claim.UNDECIDED:
        return []
    back = _proposed_back(claim)
    what = claim.get_proposed_outcome_display() + (f", {back}" if back else "")
    return [(f"{claim.proposed_by.name} would decide", f"{what}: {claim.proposed_reason}")]


def _payment(booking: Booking) -> Payment:
    assert booking.payment is not None  # it is made with the booking
    return booking.payment


def _consequence(booking: Booking, outcome: Claim.Outcome) -> list[tuple[str, str]]:
    try:
        return claim_desk.consequence(booking, _payment(booking), outcome)
    except DomainError as error:
        return [("Not possible", str(error))]


def _case_facts(claim: Claim) -> list[tuple[str, str]]:
    booking, payment = claim.booking, _payment(claim.booking)
    return [
        ("Session", f"{_when(booking.starts_at)} to {_when(booking.ends_at)}, {booking.get_status_display().lower()}"),
        ("Student", str(booking.student.user)),
        ("Coach", f"{booking.coach.display_name} <{booking.coach.user.email}>"),
        ("Price", str(booking.price)),
        ("The money", f"{payment.get_status_display()}{_until(payment)}"),
        ("The other side may answer until", _when(claim.answer_due_at)),
        ("State of the claim", claim.get_state_display()),
        *([("Nobody has contradicted", room_says(claim))] if claim.left_to_staff else []),
        *_proposal(claim),
    ]


def _until(payment: Payment) -> str:
    if payment.status != Payment.Status.HELD or payment.capture_before is None:
        return ""
    return f"; undecided, it is taken and kept back at {_when(payment.capture_before - HOLD_MARGIN)}"


def _sides(claim: Claim) -> list[tuple[str, str]]:
    """Whoever reported it first, then the other."""
    answer = claim.answer or "Has not answered."
    return [
        (f"The {claim.side} says ({_when(claim.opened_at)})", claim.words or "Nothing but that."),
        (f"The {claim.other_side} says" + (f" ({_when(claim.answered_at)})" if claim.answered_at else ""), answer),
    ]


def _when(instant: Any) -> str:
    return plain_time(instant, "UTC")


@admin.register(Claim)
class ClaimAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    list_display = ("id", "booking", "coach", "kind", "side", "state", "price", "answer_due_at", "outcome", "act")
    list_filter = ("state", "kind", "outcome")
    list_select_related = ("booking__coach",)
    search_fields = ("=booking__id", "booking__coach__display_name", "booking__student__user__email")
    date_hierarchy = "opened_at"
    ordering = ("answer_due_at", "pk")
    fields = (
        "act", "booking_link", "kind", "side", "words", "state", "opened_at", "answer_due_at", "answer", "answered_at",
        "proposed_outcome", "proposed_by", "outcome", "decision", "decided_by", "decided_at", "decisions",
    )  # fmt: skip
    readonly_fields = ("act", "booking_link", "decisions")

    def get_urls(self) -> list[URLPattern]:
        decide = path("<int:claim_id>/decide/", self.admin_site.admin_view(decide_view), name="bookings_claim_decide")
        return [decide, *super().get_urls()]

    @admin.display(description="Coach")
    def coach(self, claim: Claim) -> str:
        return claim.booking.coach.display_name

    @admin.display(description="Price")
    def price(self, claim: Claim) -> str:
        return str(claim.booking.price)

    @admin.display(description="Booking")
    def booking_link(self, claim: Claim) -> SafeString:
        address = reverse("admin:bookings_booking_change", args=[claim.booking_id])
        return format_html('<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>', address, claim.booking)

    @admin.display(description="What is to do")
    def act(self, claim: Claim) -> str | SafeString:
        if claim.state not in Claim.UNDECIDED:
            return "-"
        look = "font-semibold text-primary-600 dark:text-primary-500"
        address = reverse("admin:bookings_claim_decide", args=[claim.pk])
        return format_html('<a class="{}" href="{}">Decide</a>', look, address)

    @admin.display(description="What staff decided")
    def decisions(self, claim: Claim) -> str | SafeString:
        return decisions_of(claim, claim.booking.payment)
