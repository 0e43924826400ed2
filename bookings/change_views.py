"""Changing a session that is agreed: cancelling it, proposing another time, and answering that."""

from collections.abc import Callable
from datetime import datetime

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from bookings import picker, picker_views, process, selectors, services
from bookings.forms import CancelForm, ProposalForm, ProposeForm
from bookings.models import Booking
from bookings.process import Role
from marketplace import clock
from marketplace.lib.access import signed_in
from marketplace.lib.errors import DomainError
from marketplace.lib.zones import viewer_zone
from marketplace.models import User


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def cancel(request: HttpRequest, booking_id: int) -> HttpResponse:
    """What it costs, before it is confirmed; and then exactly that, or the new costs to read again."""
    booking, role = own_session(signed_in(request), booking_id)
    if role != Role.STUDENT:
        raise Http404
    now = clock.now()
    if not selectors.can(process.CANCEL_BY_STUDENT, booking=booking, now=now):
        messages.error(request, "This session can't be cancelled any more.")
        return redirect("bookings:session", booking.pk)
    form = CancelForm(request.POST or None)
    if not form.is_valid():
        return _cancel_page(request, booking, now, status=400 if request.method == "POST" else 200)
    try:
        services.cancel_by_student(
            booking=booking, actor=signed_in(request), expected_kept=form.kept(booking.currency), now=now
        )
    except DomainError as error:
        messages.error(request, str(error))
        return _cancel_page(request, booking, now, status=error.status)
    messages.success(request, "The session is cancelled.")
    return redirect("bookings:session", booking.pk)


def _cancel_page(request: HttpRequest, booking: Booking, now: datetime, *, status: int) -> HttpResponse:
    assert booking.payment is not None  # it is made with the booking
    costs = selectors.if_cancelled(booking=booking, payment=booking.payment, now=now)
    return render(request, "bookings/cancel.html", {"booking": booking, "costs": costs}, status=status)


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def propose(request: HttpRequest, booking_id: int) -> HttpResponse:
    """Choosing another time, then looking it over with a word why; a refusal loses neither."""
    booking, role = own_session(signed_in(request), booking_id)
    if request.method == "POST":
        return _propose(request, booking, role)
    if not selectors.can(process.PROPOSE, booking=booking, now=clock.now()):
        messages.error(request, "Another time can't be proposed for this session now.")
        return redirect(page_of(role), booking.pk)
    if "start" not in request.GET:
        return _other_times_page(request, booking, role)
    form = ProposeForm({"start": request.GET["start"], "zone": picker_views.chosen_zone(request)})
    return _proposal_page(request, booking, role, form, status=200 if form.is_valid() else 400)


def _propose(request: HttpRequest, booking: Booking, role: Role) -> HttpResponse:
    form = ProposeForm(request.POST)
    if not form.is_valid():
        return _proposal_page(request, booking, role, form, status=400)
    start, reason = form.cleaned_data["start"], form.cleaned_data["reason"]
    try:
        services.propose(booking=booking, actor=signed_in(request), starts_at=start, now=clock.now(), reason=reason)
    except DomainError as error:
        form.add_error(None, str(error))
        nearest = error.nearest if isinstance(error, services.SlotUnavailable) else []
        return _proposal_page(request, booking, role, form, nearest=nearest, status=error.status)
    messages.success(request, "The other time is proposed. Both times are kept until it is answered.")
    return redirect(page_of(role), booking.pk)


def _wanted(booking: Booking, zone: str) -> picker.Wanted:
    """Also where the offering can't be booked any more: what is agreed may still move."""
    student = booking.student.user
    return picker.Wanted(offering=booking.offering, zone=zone, now=clock.now(), user=student, but=booking)


def _other_times_page(request: HttpRequest, booking: Booking, role: Role) -> HttpResponse:
    address = reverse("bookings:propose", args=[booking.pk])
    context = {
        **picker_views.context(request, _wanted(booking, picker_views.chosen_zone(request))),
        "picker_url": address,
        "slot_url": address,
        "booking": booking,
        "session_url": reverse(page_of(role), args=[booking.pk]),
    }
    return render(request, "bookings/other_times.html", context)


def _proposal_page(
    request: HttpRequest,
    booking: Booking,
    role: Role,
    form: ProposeForm,
    *,
    nearest: list[datetime] | None = None,
    status: int,
) -> HttpResponse:
    """The old time and the new one. Where the new one is refused, free times take the place of its button."""
    zone = form.cleaned_data.get("zone") or viewer_zone(request)
    starts_at = form.cleaned_data.get("start")
    refused = starts_at is None or bool(form.non_field_errors())
    instead = nearest or (picker.soonest_free(_wanted(booking, zone)) if refused else [])
    context = {
        "booking": booking,
        "form": form,
        "zone": zone,
        "starts_at": starts_at,
        "ends_at": starts_at and starts_at + (booking.ends_at - booking.starts_at),
        "refused": refused,
        "instead": instead,
        "other_times": f"{reverse('bookings:propose', args=[booking.pk])}?{urlencode({'zone': zone})}",
        "session_url": reverse(page_of(role), args=[booking.pk]),
        "other_side": booking.coach.display_name if role == Role.STUDENT else booking.student.user.name,
    }
    return render(request, "bookings/propose.html", context, status=status)


@login_required
@require_POST
def agree(request: HttpRequest, booking_id: int) -> HttpResponse:
    return _answer(request, booking_id, services.agree, "The session is moved to the new time.")


@login_required
@require_POST
def withdraw(request: HttpRequest, booking_id: int) -> HttpResponse:
    return _answer(request, booking_id, services.withdraw, "The session stays where it is.")


def _answer(request: HttpRequest, booking_id: int, service: Callable[..., None], done: str) -> HttpResponse:
    """To the proposal that the person has read."""
    user = signed_in(request)
    booking, role = own_session(user, booking_id)
    form = ProposalForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Please look at the proposal again.")
        return redirect(page_of(role), booking.pk)
    try:
        service(booking=booking, actor=user, expected_starts_at=form.cleaned_data["start"], now=clock.now())
    except DomainError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, done)
    return redirect(page_of(role), booking.pk)


def own_session(user: User, booking_id: int) -> tuple[Booking, Role]:
    """The session and the side on which the person is. Somebody else's does not exist here."""
    booking = selectors.bookings_of(user).filter(pk=booking_id).first()
    if booking is None:
        raise Http404
    return booking, Role.STUDENT if booking.student.user_id == user.pk else Role.COACH


def page_of(role: Role) -> str:
    return "bookings:session" if role == Role.STUDENT else "bookings:teaching_session"
