"""Changing a session that is agreed: cancelling it, and answering a proposal of another time."""

from datetime import datetime

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from bookings import process, selectors, services
from bookings.forms import CancelForm, ProposalForm
from bookings.models import Booking
from bookings.process import Role
from marketplace import clock
from marketplace.lib.access import signed_in
from marketplace.lib.errors import DomainError
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
@require_POST
def agree(request: HttpRequest, booking_id: int) -> HttpResponse:
    user = signed_in(request)
    booking, role = own_session(user, booking_id)
    form = ProposalForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Please look at the proposal again.")
        return redirect(page_of(role), booking.pk)
    try:
        services.agree(booking=booking, actor=user, expected_starts_at=form.cleaned_data["start"], now=clock.now())
    except DomainError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The session is moved to the new time.")
    return redirect(page_of(role), booking.pk)


@login_required
@require_POST
def withdraw(request: HttpRequest, booking_id: int) -> HttpResponse:
    user = signed_in(request)
    booking, role = own_session(user, booking_id)
    try:
        services.withdraw(booking=booking, actor=user, now=clock.now())
    except DomainError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The session stays where it is.")
    return redirect(page_of(role), booking.pk)


def own_session(user: User, booking_id: int) -> tuple[Booking, Role]:
    """The session and the side on which the person is. Somebody else's does not exist here."""
    booking = selectors.bookings_of(user).filter(pk=booking_id).first()
    if booking is None:
        raise Http404
    return booking, Role.STUDENT if booking.student.user_id == user.pk else Role.COACH


def page_of(role: Role) -> str:
    return "bookings:session" if role == Role.STUDENT else "bookings:teaching_session"
