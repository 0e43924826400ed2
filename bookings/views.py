"""The pages of bookings: choosing a time, paying, and what follows, for both sides."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from bookings import claim_page, picker, picker_views, policy, selectors, services, session_page
from bookings.forms import BookForm, ReasonForm, SlotForm
from bookings.models import Booking
from bookings.process import Role
from coaches import selectors as coach_selectors
from coaches.models import Coach, Offering
from marketplace import clock
from marketplace.lib.access import network_address, signed_in
from marketplace.lib.errors import DomainError
from marketplace.lib.zones import viewer_zone
from marketplace.models import User
from payments import pricing
from payments import selectors as payment_selectors
from payments.consent import consent_words

ON_A_PAGE = 20


# --- choosing a time ----------------------------------------------------------------------------


@require_GET
def choose_slot(request: HttpRequest, offering_id: int) -> HttpResponse:
    offering = _offering(offering_id)
    return _slot_page(request, offering, picker_views.chosen_zone(request), status=200)


def _slot_page(request: HttpRequest, offering: Offering, zone: str, *, status: int) -> HttpResponse:
    user = request.user if isinstance(request.user, User) else None
    wanted = picker.Wanted(offering=offering, zone=zone, now=clock.now(), user=user)
    context = {
        **picker_views.context(request, wanted),
        "offering": offering,
        "picker_url": reverse("bookings:choose_slot", args=[offering.pk]),
        "slot_url": reverse("bookings:review", args=[offering.pk]),
        "own": user is not None and user.pk == offering.coach.user_id,
    }
    return render(request, "bookings/choose_slot.html", context, status=status)


def _offering(offering_id: int) -> Offering:
    try:
        return coach_selectors.get_bookable_offering(offering_id)
    except Offering.DoesNotExist:
        raise Http404 from None


# --- agreeing and paying ------------------------------------------------------------------------


@login_required
@require_GET
def review(request: HttpRequest, offering_id: int) -> HttpResponse:
    offering = _offering(offering_id)
    chosen = SlotForm({"start": request.GET.get("start"), "zone": picker_views.chosen_zone(request)})
    if not chosen.is_valid():
        messages.error(request, "Please choose a time from the list.")
        return _slot_page(request, offering, picker_views.chosen_zone(request), status=400)
    zone = chosen.cleaned_data["zone"]
    return _review_page(request, offering, BookForm(), chosen.cleaned_data["start"], zone)


@login_required
@require_POST
def book(request: HttpRequest, offering_id: int) -> HttpResponse:
    # Also one that was withdrawn a moment ago: the service refuses it in words, and what was typed is kept.
    offering = get_object_or_404(Offering.objects.select_related("coach__user"), pk=offering_id)
    user, now = signed_in(request), clock.now()
    form = BookForm(request.POST)
    agreed = form.is_valid()
    starts_at, zone = form.cleaned_data.get("start"), form.cleaned_data.get("zone")
    if starts_at is None or zone is None:
        messages.error(request, "Please choose a time from the list.")
        return _slot_page(request, _offering(offering_id), zone or viewer_zone(request), status=400)
    if not agreed:
        return _review_page(request, offering, form, starts_at, zone, status=400)
    try:
        booking = services.book(
            student_user=user,
            offering=offering,
            starts_at=starts_at,
            expected_price=form.cleaned_data["expected_price"],
            expected_minutes=form.cleaned_data["minutes"],
            expected_policy=form.cleaned_data["expected_policy"],
            agreed_zone=zone,
            agreed_from=network_address(request),
            note=form.cleaned_data["note"],
            now=now,
        )
    except DomainError as error:
        form.add_error(None, str(error))
        nearest = _instead(error, offering, starts_at, user, now)
        return _review_page(request, offering, form, starts_at, zone, nearest=nearest, status=error.status)
    return _to_checkout(request, booking, now)


def _instead(
    error: DomainError, offering: Offering, starts_at: datetime, user: User, now: datetime
) -> list[datetime] | None:
    """Other times, where it is the time that is refused."""
    if isinstance(error, services.SlotUnavailable):
        return error.nearest
    if isinstance(error, services.SlotInPast | services.SlotTooSoon | services.SlotTooFar | services.OutsideHours):
        return selectors.nearest_free(offering=offering, starts_at=starts_at, now=now, user=user)
    return None


def _review_page(
    request: HttpRequest,
    offering: Offering,
    form: BookForm,
    starts_at: datetime,
    zone: str,
    *,
    nearest: list[datetime] | None = None,
    status: int = 200,
) -> HttpResponse:
    """What the person agrees to, at today's price; what they typed stays. `nearest` stand in for a taken time."""
    now, ends_at = clock.now(), starts_at + offering.duration
    context = {
        "offering": offering,
        "form": form,
        "starts_at": starts_at,
        "missed": policy.if_missed(offering.price),
        "ends_at": ends_at,
        "zone": zone,
        "quote": pricing.quote(offering.price, settings.PLATFORM_FEE_BPS),
        "steps": selectors.money_ahead(offering=offering, starts_at=starts_at, now=now),
        "terms": policy.current(offering.cancellation),
        "consent": consent_words(selectors.opening_of(ends_at, now), offering.price),
        "nearest": nearest,
        "other_times": f"{reverse('bookings:choose_slot', args=[offering.pk])}?{urlencode({'zone': zone})}",
    }
    return render(request, "bookings/review.html", context, status=status)


def _to_checkout(request: HttpRequest, booking: Booking, now: datetime) -> HttpResponse:
    try:
        address = services.pay(booking=booking, now=now)
    except DomainError as error:
        messages.error(request, str(error))
        return redirect("bookings:session", booking.pk)
    return redirect(address)


@login_required
@require_POST
def continue_paying(request: HttpRequest, booking_id: int) -> HttpResponse:
    """For a new booking, and for a confirmed one whose bank wants the student."""
    return _to_checkout(request, _taken_session(request, booking_id), clock.now())


@login_required
@never_cache
@require_GET
def paid(request: HttpRequest, booking_id: int) -> HttpResponse:
    """Where Stripe sends the student back. To arrive here proves nothing and changes nothing."""
    booking = _taken_session(request, booking_id)
    return render(request, "bookings/paid.html", session_page.money(booking, Role.STUDENT, clock.now()))


@login_required
@never_cache
@require_GET
def state(request: HttpRequest, booking_id: int) -> HttpResponse:
    """The part of that page that follows the state."""
    booking = _taken_session(request, booking_id)
    return render(request, "bookings/_state.html", session_page.money(booking, Role.STUDENT, clock.now()))


# --- sessions taken -----------------------------------------------------------------------------


@login_required
@require_GET
def sessions(request: HttpRequest) -> HttpResponse:
    own = selectors.bookings_of_student(signed_in(request))
    return render(request, "bookings/sessions.html", _list_context(request, own))


@login_required
@require_GET
def session(request: HttpRequest, booking_id: int) -> HttpResponse:
    booking = _taken_session(request, booking_id)
    return render(request, "bookings/session.html", _page(booking, Role.STUDENT))


@login_required
@require_POST
def let_go(request: HttpRequest, booking_id: int) -> HttpResponse:
    return _act(request, _taken_session(request, booking_id), services.abandon, "bookings:session")


def _taken_session(request: HttpRequest, booking_id: int) -> Booking:
    try:
        return selectors.get_for_student(signed_in(request), booking_id)
    except Booking.DoesNotExist:
        raise Http404 from None


# --- sessions given -----------------------------------------------------------------------------


@login_required
@require_GET
def teaching(request: HttpRequest) -> HttpResponse:
    coach = coach_selectors.coach_of(signed_in(request))
    if coach is None:
        return redirect("coaches:teach")
    own = selectors.bookings_of_coach(coach)
    waiting = own.filter(status=Booking.Status.REQUESTED).order_by("answer_due_at")
    return render(request, "bookings/teaching.html", {**_list_context(request, own), "waiting": waiting.count()})


@login_required
@require_GET
def teaching_session(request: HttpRequest, booking_id: int) -> HttpResponse:
    booking = _given_session(request, booking_id)
    return render(request, "bookings/teaching_session.html", _page(booking, Role.COACH))


@login_required
@require_POST
def accept(request: HttpRequest, booking_id: int) -> HttpResponse:
    return _act(request, _given_session(request, booking_id), services.accept, "bookings:teaching_session")


@login_required
@require_POST
def decline(request: HttpRequest, booking_id: int) -> HttpResponse:
    return _act_with_reason(request, _given_session(request, booking_id), services.decline)


@login_required
@require_POST
def cancel_by_coach(request: HttpRequest, booking_id: int) -> HttpResponse:
    return _act_with_reason(request, _given_session(request, booking_id), services.cancel_by_coach)


@login_required
@require_POST
def complete(request: HttpRequest, booking_id: int) -> HttpResponse:
    return _act(request, _given_session(request, booking_id), services.complete, "bookings:teaching_session")


def _given_session(request: HttpRequest, booking_id: int) -> Booking:
    try:
        coach = Coach.objects.get(user=signed_in(request))
        return selectors.get_for_coach(coach, booking_id)
    except (Coach.DoesNotExist, Booking.DoesNotExist):
        raise Http404 from None


# --- shared -------------------------------------------------------------------------------------


def _act(request: HttpRequest, booking: Booking, service: Callable[..., None], page: str, **facts: str) -> HttpResponse:
    """Does what the button says and shows the session as it then is, with the refusal if there was one."""
    try:
        service(booking=booking, actor=signed_in(request), now=clock.now(), **facts)
    except DomainError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"The session is now {booking.get_status_display().lower()}.")
    return redirect(page, booking.pk)


def _act_with_reason(request: HttpRequest, booking: Booking, service: Callable[..., None]) -> HttpResponse:
    form = ReasonForm(request.POST)
    if not form.is_valid():
        context = {**_page(booking, Role.COACH), "reason_form": form}
        return render(request, "bookings/teaching_session.html", context, status=400)
    return _act(request, booking, service, "bookings:teaching_session", reason=form.cleaned_data["reason"])


def _page(booking: Booking, role: Role) -> dict[str, Any]:
    now = clock.now()
    return {**session_page.detail(booking, role, now), **claim_page.context(booking, role, now)}


def _list_context(request: HttpRequest, own: QuerySet[Booking]) -> dict[str, Any]:
    """One page of the sessions that somebody still has to do something about, or of those that are settled."""
    earlier = "earlier" in request.GET
    rows = own.exclude(status__in=Booking.LIVE) if earlier else own.filter(status__in=Booking.LIVE).reverse()
    page = Paginator(rows, ON_A_PAGE).get_page(request.GET.get("page"))
    entries = [{"booking": row, "steps": payment_selectors.timeline(row.payment)} for row in page]
    return {"page": page, "entries": entries, "earlier": earlier}
