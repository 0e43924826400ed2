"""The session's room: a plain page with the link to the call. While it is open, it tells that its reader is there."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRefresh

from bookings import selectors, services
from bookings.change_views import own_session, page_of
from bookings.models import Booking
from bookings.process import Role
from bookings.services.attendance import CLOSES_AFTER, OPENS_BEFORE, is_open, there
from marketplace import clock
from marketplace.lib.access import signed_in
from marketplace.lib.errors import DomainError


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def room(request: HttpRequest, booking_id: int) -> HttpResponse:
    """To look at it changes nothing; who joins is on record."""
    user = signed_in(request)
    booking, role = own_session(user, booking_id)
    if request.method == "POST":
        try:
            services.join(booking=booking, user=user, now=clock.now())
        except DomainError as error:
            messages.error(request, str(error))
            return redirect(page_of(role), booking.pk)
        return redirect("bookings:room", booking.pk)
    return render(request, "bookings/room.html", _context(booking, role))


@login_required
@require_POST
def seen(request: HttpRequest, booking_id: int) -> HttpResponse:
    """A sign of life: from the page by itself, or by its button where there are no scripts."""
    user = signed_in(request)
    booking, role = own_session(user, booking_id)
    services.seen(booking=booking, user=user, now=clock.now())
    if "HX-Request" not in request.headers:
        return redirect("bookings:room", booking.pk)
    context = _context(booking, role)
    if context["open"] and not context["here"]:
        # They have left in another window: this one would go on saying that they are in the room.
        return HttpResponseClientRefresh()
    return render(request, "bookings/_room_who.html", context)


@login_required
@require_POST
def leave(request: HttpRequest, booking_id: int) -> HttpResponse:
    user = signed_in(request)
    booking, role = own_session(user, booking_id)
    services.leave(booking=booking, user=user, now=clock.now())
    messages.success(request, "You have left the room. As long as it is open, you can come back.")
    return redirect(page_of(role), booking.pk)


def _context(booking: Booking, role: Role) -> dict[str, object]:
    """`here`: this person has joined; `other_here`: so has the other side."""
    now = clock.now()
    sides = there(booking=booking, now=now)
    other = Role.COACH if role == Role.STUDENT else Role.STUDENT
    return {
        "booking": booking,
        "open": is_open(booking, now),
        "opens_at": booking.starts_at - OPENS_BEFORE,
        "closes_at": booking.ends_at + CLOSES_AFTER,
        "early": now < booking.starts_at - OPENS_BEFORE,
        "here": role.value in sides,
        "other_here": other.value in sides,
        "other": booking.coach.display_name if role == Role.STUDENT else booking.student.user.name,
        "meeting_url": selectors.meeting_url(booking),
        "page": page_of(role),
    }
