"""Where a coach says when they can be booked: the week, dates with other hours, and the rules."""

from datetime import date

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from coaches import preview, selectors, services
from coaches.forms import RulesForm
from coaches.hours_forms import OverrideForm, WeekForm
from coaches.models import Coach, DateOverride
from coaches.views import get_or_post, onwards, steps_of
from coaches.windows import days_in_words, span_in_words
from marketplace import clock
from marketplace.lib.access import signed_in
from marketplace.lib.errors import DomainError
from marketplace.lib.zones import in_zone


@login_required
@get_or_post
def hours(request: HttpRequest) -> HttpResponse:
    coach = selectors.coach_of(signed_in(request))
    if coach is None:
        return redirect("coaches:edit_profile")
    if request.method != "POST":
        return _hours_page(request, coach, WeekForm.of(selectors.windows_of(coach)))
    week = WeekForm.typed(request.POST)
    if "another" in request.POST:
        return _hours_page(request, coach, week.with_another_row(request.POST["another"]))
    if not week.is_valid():
        return _hours_page(request, coach, week)
    services.save_hours(coach=coach, windows=week.windows)
    messages.success(request, "Your weekly hours are saved. What is booked stays as it is.")
    missing = steps_of(coach)["missing"]
    return onwards(coach) if missing else redirect("coaches:hours")


@login_required
@get_or_post
def rules(request: HttpRequest) -> HttpResponse:
    coach = selectors.coach_of(signed_in(request))
    if coach is None:
        return redirect("coaches:edit_profile")
    form = RulesForm(coach, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        services.save_rules(coach=coach, rules=form.rules)
        messages.success(request, "Saved. What is booked stays as it is.")
        return redirect("coaches:rules")
    return render(request, "coaches/rules.html", {"coach": coach, "form": form})


@login_required
@require_GET
def overrides(request: HttpRequest) -> HttpResponse:
    """The coming dates with other hours."""
    coach = selectors.coach_of(signed_in(request))
    if coach is None:
        return redirect("coaches:edit_profile")
    coming = [_shown(override) for override in selectors.coming_overrides(coach, today=_today(coach))]
    room = len(coming) < services.MOST_COMING_OVERRIDES
    return render(request, "coaches/overrides.html", {"coach": coach, "overrides": coming, "room": room})


@login_required
@get_or_post
def new_override(request: HttpRequest) -> HttpResponse:
    coach = selectors.coach_of(signed_in(request))
    if coach is None:
        return redirect("coaches:edit_profile")
    return _override_page(request, coach, None)


@login_required
@get_or_post
def edit_override(request: HttpRequest, override_id: int) -> HttpResponse:
    override = _own_override(request, override_id)
    return _override_page(request, override.coach, override)


@login_required
@require_POST
def remove_override(request: HttpRequest, override_id: int) -> HttpResponse:
    override = _own_override(request, override_id)
    services.remove_override(override=override)
    days = days_in_words(override.first_day, override.last_day)
    messages.success(request, f"Removed. Your weekly hours hold again for {days}.")
    return redirect("coaches:overrides")


# --- parts --------------------------------------------------------------------------------------


def _today(coach: Coach) -> date:
    return in_zone(clock.now(), coach.time_zone).date()


def _hours_page(request: HttpRequest, coach: Coach, week: WeekForm) -> HttpResponse:
    now = clock.now()
    offerings = list(selectors.published_offerings().filter(coach=coach).select_related("coach"))
    asked = request.GET.get("offering")
    chosen = next((each for each in offerings if str(each.pk) == asked), offerings[0] if offerings else None)
    context = {
        "coach": coach,
        "week": week,
        "offerings": offerings,
        "preview": preview.preview_of(chosen, now=now) if chosen else None,
        "warnings": preview.warnings_of(coach, offerings, now=now),
        **steps_of(coach),
    }
    return render(request, "coaches/hours.html", context)


def _override_page(request: HttpRequest, coach: Coach, override: DateOverride | None) -> HttpResponse:
    today = _today(coach)
    if request.method == "POST":
        form = OverrideForm.typed(request.POST, today=today)
        if "another" in request.POST:
            form = form.with_another_row()
        elif form.is_valid() and _saved(request, form, coach, override):
            return redirect("coaches:overrides")
    elif override:
        form = OverrideForm.of(override, selectors.override_windows(override), today=today)
    else:
        form = OverrideForm.new(today=today)
    return render(request, "coaches/override_form.html", {"coach": coach, "form": form, "override": override})


def _saved(request: HttpRequest, form: OverrideForm, coach: Coach, override: DateOverride | None) -> bool:
    try:
        saved = services.save_override(coach=coach, override=override, now=clock.now(), **form.facts())
    except DomainError as error:
        form.add_error(None, str(error))
        return False
    days = days_in_words(saved.first_day, saved.last_day)
    messages.success(request, f"Saved for {days}. What is booked on these days stays as it is.")
    return True


def _shown(override: DateOverride) -> dict[str, object]:
    return {
        "pk": override.pk,
        "days": days_in_words(override.first_day, override.last_day),
        "hours": [span_in_words(window) for window in selectors.override_windows(override)],
        "note": override.note,
    }


def _own_override(request: HttpRequest, override_id: int) -> DateOverride:
    own = DateOverride.objects.filter(coach__user=signed_in(request)).select_related("coach")
    return get_object_or_404(own, pk=override_id)
