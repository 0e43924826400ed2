"""What may be read about coaches. Nothing here changes anything."""

from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet

from coaches.models import Coach, DateOverride, Offering, WeeklyHours
from coaches.slots import DayWindow, Override, Rules, Window
from marketplace.models import User


@dataclass(frozen=True, slots=True)
class SetupStep:
    """One step on the way to the first booking, in words, and the name of the page that does it."""

    title: str
    detail: str
    url_name: str
    state: str  # "done", "now" for the first that is missing, "next" for the others


def published_offerings() -> QuerySet[Offering]:
    """Active, and in a currency that the platform settles in; cheapest first."""
    return Offering.objects.filter(active=True, currency__in=settings.CURRENCIES).order_by("price_amount", "pk")


def bookable_coaches() -> QuerySet[Coach]:
    """Coaches who can be paid and have something to sell and hours to do it in, each with `published` offerings."""
    return (
        Coach.objects.filter(
            Exists(published_offerings().filter(coach=OuterRef("pk"))),
            Exists(WeeklyHours.objects.filter(coach=OuterRef("pk"))),
            payable=True,
            user__is_active=True,
        )
        .prefetch_related(Prefetch("offerings", published_offerings(), to_attr="published"))
        .order_by("display_name", "pk")
    )


def search_coaches(text: str) -> QuerySet[Coach]:
    """Bookable coaches in whose name, subject or headline each word of the text occurs."""
    found = bookable_coaches()
    for word in text.split():
        found = found.filter(Q(display_name__icontains=word) | Q(subject__icontains=word) | Q(headline__icontains=word))
    return found


def subjects() -> list[str]:
    """What bookable coaches teach, for the search box."""
    return list(bookable_coaches().order_by("subject").values_list("subject", flat=True).distinct())


def get_coach(slug: str) -> Coach:
    """Anyone's public profile. Raises Coach.DoesNotExist."""
    return Coach.objects.get(slug=slug, user__is_active=True)


def is_bookable(coach: Coach) -> bool:
    return bookable_coaches().filter(pk=coach.pk).exists()


def get_bookable_offering(offering_id: int) -> Offering:
    """Raises Offering.DoesNotExist unless the offering can be booked now. The coach and user come with it."""
    return published_offerings().filter(coach__in=bookable_coaches()).select_related("coach__user").get(pk=offering_id)


def coach_of(user: User) -> Coach | None:
    return Coach.objects.filter(user=user).first()


def windows_of(coach: Coach) -> list[Window]:
    """The coach's week, Monday first."""
    rows = WeeklyHours.objects.filter(coach=coach).order_by("weekday", "starts")
    return [Window(*row) for row in rows.values_list("weekday", "starts", "ends", "ends_next_day")]


def rules_of(*, offering: Offering, since: date) -> Rules:
    """How this offering's time is offered, for starts from the day `since` of any zone on. Two queries."""
    coach = offering.coach
    buffer_before, buffer_after = buffers_of(offering)
    return Rules(
        zone=coach.time_zone,
        windows=tuple(windows_of(coach)),
        overrides=overrides_of(coach, since=since),
        step=_minutes(offering.step_minutes, coach.step_minutes),
        buffer_before=buffer_before,
        buffer_after=buffer_after,
        notice=_minutes(offering.notice_minutes, coach.notice_minutes),
        furthest_days=coach.furthest_days,
        most_a_day=coach.most_a_day,
        most_a_week=coach.most_a_week,
    )


def buffers_of(offering: Offering) -> tuple[timedelta, timedelta]:
    """The coach's time that is kept before and after a session."""
    coach = offering.coach
    before = _minutes(offering.buffer_before_minutes, coach.buffer_before_minutes)
    return before, _minutes(offering.buffer_after_minutes, coach.buffer_after_minutes)


def overrides_of(coach: Coach, *, since: date) -> tuple[Override, ...]:
    """The dates with other hours that can matter from then on; what began the day before may run over midnight."""
    rows = DateOverride.objects.filter(coach=coach, last_day__gte=since - timedelta(days=2))
    return tuple(
        Override(first_day, last_day, tuple(_day_window(window) for window in windows))
        for first_day, last_day, windows in rows.values_list("first_day", "last_day", "windows")
    )


def coming_overrides(coach: Coach, *, today: date) -> list[DateOverride]:
    """What is not over yet, soonest first; `today` is the coach's."""
    return list(DateOverride.objects.filter(coach=coach, last_day__gte=today).order_by("first_day"))


def override_windows(override: DateOverride) -> list[DayWindow]:
    return [_day_window(window) for window in override.windows]


def _day_window(window: dict[str, Any]) -> DayWindow:
    starts, ends = time.fromisoformat(window["starts"]), time.fromisoformat(window["ends"])
    return DayWindow(starts, ends, window.get("ends_next_day", False))


def _minutes(own: int | None, of_coach: int) -> timedelta:
    """The offering's own, where it has one. Nothing at all is one, too: no buffer."""
    return timedelta(minutes=of_coach if own is None else own)


def setup_steps(coach: Coach | None) -> list[SetupStep]:
    """The four steps to the first booking, in order."""
    offered = coach is not None and published_offerings().filter(coach=coach).exists()
    done = [
        coach is not None,
        offered,
        coach is not None and coach.weekly_hours.exists(),
        bool(coach and coach.payable),
    ]
    first_missing = done.index(False) if False in done else len(done)
    states = ["done" if is_done else "now" if index == first_missing else "next" for index, is_done in enumerate(done)]
    words = [
        ("Your profile", "Your name, what you teach and the time zone you work in.", "coaches:edit_profile"),
        (
            "Something to book",
            "An offering with its length and price.",
            "coaches:offerings" if offered else "coaches:new_offering",
        ),
        ("Weekly hours", "When students can book you.", "coaches:hours"),
        (
            "Payouts",
            "Where your earnings go. Students can't book you before this is ready.",
            "payments:payouts",
        ),
    ]
    return [SetupStep(*each, state) for each, state in zip(words, states, strict=True)]
