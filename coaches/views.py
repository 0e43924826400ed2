"""The pages of coaches: what everyone sees, and where a coach sets up."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from coaches import selectors, services
from coaches.forms import OfferingForm, ProfileForm, SearchForm
from coaches.models import Coach, Offering
from marketplace.lib.access import signed_in
from marketplace.lib.zones import viewer_zone, zone_label

COACHES_ON_A_PAGE = 12

get_or_post = require_http_methods(["GET", "HEAD", "POST"])


# --- for everyone -------------------------------------------------------------------------------


@require_GET
def browse(request: HttpRequest) -> HttpResponse:
    form = SearchForm(request.GET)
    text = form.cleaned_data["q"] if form.is_valid() else ""
    page = Paginator(selectors.search_coaches(text), COACHES_ON_A_PAGE).get_page(request.GET.get("page"))
    context = {"form": form, "text": text, "page": page, "subjects": selectors.subjects()}
    return render(request, "coaches/browse.html", context)


@require_GET
def profile(request: HttpRequest, slug: str) -> HttpResponse:
    try:
        coach = selectors.get_coach(slug)
    except Coach.DoesNotExist:
        raise Http404 from None
    context = {
        "coach": coach,
        "offerings": selectors.published_offerings().filter(coach=coach),
        "bookable": selectors.is_bookable(coach),
        "own": coach.user_id == request.user.pk,
    }
    return render(request, "coaches/profile.html", context)


# --- for the coach ------------------------------------------------------------------------------


@login_required
@require_GET
def teach(request: HttpRequest) -> HttpResponse:
    coach = selectors.coach_of(signed_in(request))
    return render(request, "coaches/teach.html", {"coach": coach, **steps_of(coach)})


@login_required
@get_or_post
def edit_profile(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    coach = selectors.coach_of(user)
    if request.method == "POST":
        form = ProfileForm(request.POST)
        if form.is_valid():
            old_zone = coach.time_zone if coach else None
            saved = services.create_or_update_profile(user=user, **form.cleaned_data)
            messages.success(request, _profile_saved(old_zone, saved))
            return onwards(saved)
    else:
        form = ProfileForm(initial=_profile_initial(coach, user.name, viewer_zone(request)))
    context = {"form": form, "coach": coach, **steps_of(coach)}
    return render(request, "coaches/edit_profile.html", context)


@login_required
@require_GET
def offerings(request: HttpRequest) -> HttpResponse:
    coach = selectors.coach_of(signed_in(request))
    if coach is None:
        return redirect("coaches:edit_profile")
    context = {"coach": coach, "offerings": coach.offerings.order_by("-active", "pk"), **steps_of(coach)}
    return render(request, "coaches/offerings.html", context)


@login_required
@get_or_post
def new_offering(request: HttpRequest) -> HttpResponse:
    coach = selectors.coach_of(signed_in(request))
    if coach is None:
        return redirect("coaches:edit_profile")
    return _offering_page(request, coach, None)


@login_required
@get_or_post
def edit_offering(request: HttpRequest, offering_id: int) -> HttpResponse:
    offering = _own_offering(request, offering_id)
    return _offering_page(request, offering.coach, offering)


@login_required
@require_POST
def set_offering_active(request: HttpRequest, offering_id: int, active: bool) -> HttpResponse:
    offering = _own_offering(request, offering_id)
    services.set_offering_active(offering=offering, active=active)
    words = "can be booked again" if active else "can't be booked any more. What is booked stays booked"
    messages.success(request, f"{offering.title} {words}.")
    return redirect("coaches:offerings")


# --- parts --------------------------------------------------------------------------------------


def steps_of(coach: Coach | None) -> dict[str, object]:
    steps = selectors.setup_steps(coach)
    missing = [step for step in steps if step.state != "done"]
    return {"steps": steps, "missing": missing, "next_step": missing[0] if missing else None}


def onwards(coach: Coach) -> HttpResponseRedirect:
    """To the first step that is missing, or to the start page when none is."""
    missing = [step.url_name for step in selectors.setup_steps(coach) if step.state != "done"]
    return redirect(missing[0] if missing else "coaches:teach")


def _profile_saved(old_zone: str | None, coach: Coach) -> str:
    if old_zone in (None, coach.time_zone):
        return "Your profile is saved."
    return (
        f"Your profile is saved. Your hours now hold in {zone_label(coach.time_zone)}. "
        "Sessions that are booked stay when they were."
    )


def _profile_initial(coach: Coach | None, name: str, zone: str) -> dict[str, str]:
    if coach is None:
        return {"display_name": name, "time_zone": zone}
    return {field: getattr(coach, field) for field in ProfileForm.base_fields}


def _own_offering(request: HttpRequest, offering_id: int) -> Offering:
    own = Offering.objects.filter(coach__user=signed_in(request)).select_related("coach")
    return get_object_or_404(own, pk=offering_id)


def _offering_page(request: HttpRequest, coach: Coach, offering: Offering | None) -> HttpResponse:
    if request.method == "POST":
        form = OfferingForm(coach, request.POST, offering=offering)
        if form.is_valid():
            saved = services.save_offering(coach=coach, offering=offering, **form.facts())
            messages.success(request, f"{saved.title} is saved.")
            return redirect("coaches:offerings") if offering else onwards(coach)
    else:
        form = OfferingForm(coach, offering=offering)
    context = {"form": form, "coach": coach, "offering": offering, **steps_of(coach)}
    return render(request, "coaches/offering_form.html", context)
