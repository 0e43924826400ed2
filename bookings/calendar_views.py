"""A person's sessions in their own calendar program."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from bookings import calendars, selectors
from bookings.models import CalendarAddress
from bookings.services.calendar_address import calendar_address, renew_calendar_address
from marketplace import clock
from marketplace.lib.access import signed_in


@login_required
@never_cache
@require_GET
def calendar(request: HttpRequest) -> HttpResponse:
    address = calendar_address(user=signed_in(request), now=clock.now())
    path = reverse("bookings:calendar_feed", args=[address.token])
    return render(request, "bookings/calendar.html", {"address": settings.SITE_URL + path, "since": address.created_at})


@login_required
@require_POST
def renew_calendar(request: HttpRequest) -> HttpResponse:
    renew_calendar_address(user=signed_in(request), now=clock.now())
    messages.success(request, "You have a new address. The old one has stopped working.")
    return redirect("bookings:calendar")


@never_cache
@require_http_methods(["GET", "HEAD"])
def calendar_feed(request: HttpRequest, token: str) -> HttpResponse:  # noqa: ARG001  # the address alone says who
    address = CalendarAddress.objects.select_related("user").filter(token=token, user__is_active=True).first()
    if address is None:
        raise Http404
    now = clock.now()
    content = calendars.whole_calendar(selectors.calendar_of(address.user, now=now), reader=address.user, at=now)
    return HttpResponse(content, content_type="text/calendar; charset=utf-8")
