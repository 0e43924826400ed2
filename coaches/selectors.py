"""What may be read about coaches. Nothing here changes anything."""

from dataclasses import dataclass

from django.conf import settings
from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet

from coaches.models import Coach, Offering, WeeklyHours
from coaches.slots import Window
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
    rows = coach.weekly_hours.order_by("weekday", "starts")
    return [Window(row.weekday, row.starts, row.ends) for row in rows]


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
