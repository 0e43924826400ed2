"""Where a coach names outside calendars, and sees how fresh what we know of them is."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from coaches import selectors
from coaches.calendar_forms import FeedForm, FeedNameForm
from coaches.feeds import keeping, showing
from coaches.feeds.addresses import shortened
from coaches.models import CalendarFeed
from marketplace import clock
from marketplace.lib.access import signed_in
from marketplace.lib.errors import DomainError

get_or_post = require_http_methods(["GET", "HEAD", "POST"])


@sensitive_post_parameters("address")
@login_required
@get_or_post
def calendars(request: HttpRequest) -> HttpResponse:
    coach = selectors.coach_of(signed_in(request))
    if coach is None:
        return redirect("coaches:edit_profile")
    form = FeedForm(request.POST or None)
    now = clock.now()
    if request.method == "POST" and form.is_valid():
        try:
            feed = keeping.add_feed(coach=coach, now=now, **form.cleaned_data)
        except DomainError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, f"{feed.name} is added, and is read in a moment.")
            return redirect("coaches:calendars")
    feeds = showing.feeds_of(coach, now=now)
    context = {
        "coach": coach,
        "form": form,
        "feeds": feeds,
        "waiting": any(feed.reading for feed in feeds),
        "room": len(feeds) < keeping.MOST_FEEDS,
    }
    return render(request, "coaches/calendars.html", context)


@login_required
@get_or_post
def edit_calendar(request: HttpRequest, feed_id: int) -> HttpResponse:
    feed = _own_feed(request, feed_id)
    form = FeedNameForm(request.POST or None, initial={"name": feed.name})
    if request.method == "POST" and form.is_valid():
        keeping.rename_feed(feed=feed, name=form.cleaned_data["name"])
        messages.success(request, f"It is called {feed.name} now.")
        return redirect("coaches:calendars")
    context = {"feed": feed, "place": shortened(feed.address), "form": form}
    return render(request, "coaches/calendar_form.html", context)


@login_required
@require_POST
def read_calendar(request: HttpRequest, feed_id: int) -> HttpResponse:
    feed = _own_feed(request, feed_id)
    if keeping.ask_for_reading(feed=feed, now=clock.now()):
        messages.success(request, f"{feed.name} is read in a moment.")
    else:
        messages.info(request, f"{feed.name} was read less than a minute ago.")
    return redirect("coaches:calendars")


@login_required
@require_POST
def remove_calendar(request: HttpRequest, feed_id: int) -> HttpResponse:
    feed = _own_feed(request, feed_id)
    keeping.remove_feed(feed=feed)
    messages.success(request, f"{feed.name} is removed, and its busy times with it.")
    return redirect("coaches:calendars")


def _own_feed(request: HttpRequest, feed_id: int) -> CalendarFeed:
    own = CalendarFeed.objects.filter(coach__user=signed_in(request)).select_related("coach")
    return get_object_or_404(own, pk=feed_id)
