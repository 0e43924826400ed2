"""Pages that belong to no app: the home page, the person's own details, and the error pages."""

from typing import cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe
from structlog.contextvars import get_contextvars

from coaches import selectors
from marketplace.forms import DetailsForm
from marketplace.lib.money import Money
from marketplace.models import User
from payments.selectors import TimelineStep

COACHES_ON_HOME = 6


# The money timeline as the home page explains it: no dates, a round price.
PRICE = Money(6000, "usd")
IT_TAKES_PLACE = (
    TimelineStep("Held", None, "done", PRICE, "You book. The money is set aside on your card; nobody has it."),
    TimelineStep("Your session", None, "now", None, "Your coach has said yes, and you meet by video."),
    TimelineStep("Taken", None, "next", PRICE, "Only after the session, once it has taken place."),
    TimelineStep("Coach paid", None, "next", None, "Their share goes out with the next payout."),
)
IT_DOES_NOT = (
    TimelineStep("Held", None, "done", PRICE, "You book, and the money is set aside on your card."),
    TimelineStep("No session", None, "done", None, "Your coach can't make it, or you cancel in time."),
    TimelineStep("Released", None, "done", PRICE, "All of it is free again on your card."),
    TimelineStep("Taken", None, "undone", PRICE, "This never happens. You paid nothing."),
)


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    context = {
        "coaches": selectors.bookable_coaches()[:COACHES_ON_HOME],
        "it_takes_place": IT_TAKES_PLACE,
        "it_does_not": IT_DOES_NOT,
    }
    return render(request, "home.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def account_details(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)  # login_required
    form = DetailsForm(request.POST or None, initial={"name": user.name, "time_zone": user.time_zone})
    if request.method == "POST" and form.is_valid():
        user.name, user.time_zone = form.cleaned_data["name"], form.cleaned_data["time_zone"]
        user.save(update_fields=["name", "time_zone"])
        messages.success(request, "Saved.")
        return redirect("account_details")
    return render(request, "account/details.html", {"form": form})


@csrf_exempt
def no_phones(_request: HttpRequest) -> HttpResponse:
    """In place of allauth's own, which is there without any telephone numbers, too, and fails."""
    return JsonResponse({"status": 404}, status=404)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "errors/400.html", status=400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "errors/403.html", status=403)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form whose token is missing or old: forged, or open since before somebody signed in."""
    return render(request, "errors/403.html", status=403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "errors/404.html", status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    """Without context processors: they read the session from the database, which may be what is broken."""
    context = {
        "SITE_NAME": settings.SITE_NAME,
        "SUPPORT_EMAIL": settings.SUPPORT_EMAIL,
        "request_id": get_contextvars().get("request_id", ""),
    }
    return HttpResponse(render_to_string("errors/500.html", context), status=500)
