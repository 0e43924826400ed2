"""What coaches change about themselves. Each function is one decision, whole or not at all."""

from collections.abc import Sequence
from itertools import pairwise

from django.db import IntegrityError, transaction
from django.utils.crypto import get_random_string
from django.utils.text import slugify

from coaches.models import Coach, Offering, Weekday, WeeklyHours
from coaches.slots import Window
from marketplace.lib.errors import DomainError
from marketplace.lib.money import Money
from marketplace.models import User

SLUG_TRIES = 10


class HoursOverlapError(DomainError):
    """Two windows of one day cover the same time."""

    code = "hours_overlap"
    status = 400


def create_or_update_profile(
    *, user: User, display_name: str, headline: str, bio: str, subject: str, time_zone: str
) -> Coach:
    """The user's one profile, made at the first call. Its address stays as it was first given."""
    facts = {
        "display_name": display_name,
        "headline": headline,
        "bio": bio,
        "subject": subject,
        "time_zone": time_zone,
    }
    coach = Coach.objects.filter(user=user).first() or _create(user, facts)
    changed = [name for name, value in facts.items() if getattr(coach, name) != value]
    for name in changed:
        setattr(coach, name, facts[name])
    if changed:
        coach.save(update_fields=changed)
    return coach


def _create(user: User, facts: dict[str, str]) -> Coach:
    """Two requests may race for the person or for the slug; the database lets one of them in."""
    base = slugify(facts["display_name"])[:60].strip("-") or "coach"
    slug = base
    for _ in range(SLUG_TRIES):
        try:
            with transaction.atomic():
                return Coach.objects.create(user=user, slug=slug, **facts)
        except IntegrityError:
            first = Coach.objects.filter(user=user).first()
            if first:
                return first
            slug = f"{base}-{get_random_string(5, 'abcdefghjkmnpqrstuvwxyz23456789')}"
    raise RuntimeError("No slug was free.")


def save_offering(
    *,
    coach: Coach,
    offering: Offering | None,
    title: str,
    description: str,
    minutes: int,
    price: Money,
    instant: bool,
) -> Offering:
    """A new offering of the coach, or a change to theirs. Bookings keep the price they were made at."""
    if offering is None:
        offering = Offering(coach=coach)
    if offering.coach_id != coach.pk:
        raise ValueError("The offering belongs to another coach.")
    offering.title = title
    offering.description = description
    offering.minutes = minutes
    offering.price_amount = price.amount
    offering.currency = price.currency
    offering.instant = instant
    if offering.pk is None:
        offering.save(force_insert=True)
    else:
        offering.save(update_fields=["title", "description", "minutes", "price_amount", "currency", "instant"])
    return offering


def set_offering_active(*, offering: Offering, active: bool) -> None:
    """An inactive offering can't be booked any more; what is booked stays booked."""
    offering.active = active
    offering.save(update_fields=["active"])


def save_hours(*, coach: Coach, windows: Sequence[Window]) -> None:
    """Replaces the coach's week. Raises HoursOverlapError; windows that only touch are welcome."""
    for earlier, later in overlaps(windows):
        raise HoursOverlapError(overlap_in_words(earlier, later))
    with transaction.atomic():
        # Two saves at once would mix their weeks.
        Coach.objects.select_for_update().get(pk=coach.pk)
        coach.weekly_hours.all().delete()
        WeeklyHours.objects.bulk_create(
            WeeklyHours(coach=coach, weekday=window.weekday, starts=window.starts, ends=window.ends)
            for window in windows
        )


def overlaps(windows: Sequence[Window]) -> list[tuple[Window, Window]]:
    """Neighbours of one day that share time, as (earlier, later); empty if and only if no two windows overlap."""
    ordered = sorted(windows, key=lambda window: (window.weekday, window.starts, window.ends))
    return [
        (earlier, later)
        for earlier, later in pairwise(ordered)
        if earlier.weekday == later.weekday and later.starts < earlier.ends
    ]


def overlap_in_words(earlier: Window, later: Window) -> str:
    return f"On {Weekday(later.weekday).label}, {_span(later)} overlaps {_span(earlier)}."


def _span(window: Window) -> str:
    return f"{window.starts:%H:%M} to {window.ends:%H:%M}"


def set_payable(*, coach: Coach, payable: bool) -> None:
    """Whether the coach can be paid, and so be booked. Told by whoever knows about money."""
    Coach.objects.filter(pk=coach.pk).update(payable=payable)
    coach.payable = payable
