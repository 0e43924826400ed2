"""Reporting a session that did not go as agreed, answering that, and taking it back."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from bookings import policy, process, selectors, services
from bookings.change_views import own_session, page_of
from bookings.claim_page import latest
from bookings.forms import AnswerForm, ReportForm
from bookings.models import Booking, Claim
from bookings.process import Role
from bookings.services.claims import REPORTS
from marketplace import clock
from marketplace.lib.access import signed_in
from marketplace.lib.errors import DomainError


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def report(request: HttpRequest, booking_id: int) -> HttpResponse:
    """What can be reported from this side and what follows from it; a refusal loses no words."""
    user = signed_in(request)
    booking, role = own_session(user, booking_id)
    if request.method == "GET" and not selectors.can(process.REPORT, booking=booking, now=clock.now()):
        messages.error(request, "This session can't be reported now.")
        return redirect(page_of(role), booking.pk)
    form = ReportForm(REPORTS[role], request.POST or None)
    if not form.is_valid():
        return _report_page(request, booking, role, form, status=400 if request.method == "POST" else 200)
    kind, words = Claim.Kind(form.cleaned_data["kind"]), form.cleaned_data["words"]
    try:
        services.report(booking=booking, actor=user, kind=kind, words=words, now=clock.now())
    except services.WordsMissing as error:
        form.add_error("words", str(error))
        return _report_page(request, booking, role, form, status=error.status)
    except DomainError as error:
        form.add_error(None, str(error))
        return _report_page(request, booking, role, form, status=error.status)
    messages.success(request, "Thank you. The other side is told, and nobody is paid before it is decided.")
    return redirect(page_of(role), booking.pk)


def _report_page(request: HttpRequest, booking: Booking, role: Role, form: ReportForm, *, status: int) -> HttpResponse:
    context = {
        "booking": booking,
        "form": form,
        "from_coach": role == Role.COACH,
        "costs": policy.if_missed(booking.price),
        "page": page_of(role),
        "other": booking.coach.display_name if role == Role.STUDENT else booking.student.user.name,
    }
    return render(request, "bookings/report.html", context, status=status)


@login_required
@require_POST
def contradict(request: HttpRequest, booking_id: int) -> HttpResponse:
    user = signed_in(request)
    booking, role = own_session(user, booking_id)
    claim, form = latest(booking), AnswerForm(request.POST)
    if claim is None or not form.is_valid():
        messages.error(request, "Please say in a few words what happened, in at most 2,000 characters.")
        return redirect(page_of(role), booking.pk)
    try:
        services.contradict(claim=claim, actor=user, words=form.cleaned_data["words"], now=clock.now())
    except DomainError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "Thank you. Our team now decides, and writes to you both.")
    return redirect(page_of(role), booking.pk)


@login_required
@require_POST
def take_back(request: HttpRequest, booking_id: int) -> HttpResponse:
    user = signed_in(request)
    booking, role = own_session(user, booking_id)
    claim = latest(booking)
    if claim is None:
        messages.error(request, "Nothing is reported.")
        return redirect(page_of(role), booking.pk)
    try:
        services.take_back(claim=claim, actor=user, now=clock.now())
    except DomainError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The report is taken back.")
    return redirect(page_of(role), booking.pk)
