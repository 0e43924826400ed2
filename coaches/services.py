"""What coaches change about themselves. Each function is one decision, whole or not at all."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime

from django.db import IntegrityError, transaction
from django.utils.crypto import get_random_string
from django.utils.text import slugify

from coaches.models import Coach, DateOverride, Offering, WeeklyHours
from coaches.slots import DayWindow, Window
from coaches.windows import days_in_words, overlap_in_words, overlaps, overlaps_of_day, span_in_words
from marketplace.lib.errors import DomainError
from marketplace.lib.money import Money
from marketplace.lib.zones import in_zone
from marketplace.models import User

SLUG_TRIES = 10
MOST_COMING_OVERRIDES = 100


class HoursOverlapError(DomainError):
    """Two windows cover the same time."""

    code = "hours_overlap"
    status = 400


class OverridesOverlapError(DomainError):
    """Another override has some of the days already; the words name it."""

    code = "overrides_overlap"
    status = 400


class TooManyOverridesError(DomainError):
    """A coach plans so many dates ahead, and no more."""

    code = "too_many_overrides"
    message = f"You have {MOST_COMING_OVERRIDES} dates with other hours ahead, the most there can be. Remove one first."


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferingRules:
    """Of one offering; minutes, and None where it is as for all sessions of the coach."""

    buffer_before_minutes: int | None = None
    buffer_after_minutes: int | None = None
    notice_minutes: int | None = None
    step_minutes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CoachRules:
    """How all of a coach's time is offered. None is no limit."""

    buffer_before_minutes: int
    buffer_after_minutes: int
    notice_minutes: int
    furthest_days: int
    step_minutes: int
    most_a_day: int | None
    most_a_week: int | None


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
    cancellation: str,
    rules: OfferingRules,
) -> Offering:
    """A new offering of the coach, or a change to theirs. Bookings keep the price, terms and buffers they have."""
    if offering is None:
        offering = Offering(coach=coach)
    if offering.coach_id != coach.pk:
        raise ValueError("The offering belongs to another coach.")
    facts = {
        "title": title,
        "description": description,
        "minutes": minutes,
        "price_amount": price.amount,
        "currency": price.currency,
        "instant": instant,
        "cancellation": cancellation,
        **asdict(rules),
    }
    for name, value in facts.items():
        setattr(offering, name, value)
    if offering.pk is None:
        offering.save(force_insert=True)
    else:
        offering.save(update_fields=list(facts))
    return offering


def set_offering_active(*, offering: Offering, active: bool) -> None:
    """An inactive offering can't be booked any more; what is booked stays booked."""
    offering.active = active
    offering.save(update_fields=["active"])


def save_hours(*, coach: Coach, windows: Sequence[Window]) -> None:
    """Replaces the coach's week. Raises HoursOverlapError; windows that only touch are welcome. Moves no booking."""
    for earlier, later in overlaps(windows):
        raise HoursOverlapError(overlap_in_words(earlier, later))
    with transaction.atomic():
        # Two saves at once would mix their weeks.
        Coach.objects.select_for_update().get(pk=coach.pk)
        coach.weekly_hours.all().delete()
        WeeklyHours.objects.bulk_create(WeeklyHours(coach=coach, **asdict(window)) for window in windows)


def save_rules(*, coach: Coach, rules: CoachRules) -> None:
    """How the coach's time is offered from now on; what is booked stays as it is."""
    facts = asdict(rules)
    for name, value in facts.items():
        setattr(coach, name, value)
    coach.save(update_fields=list(facts))


def save_override(
    *,
    coach: Coach,
    override: DateOverride | None,
    first_day: date,
    last_day: date,
    windows: Sequence[DayWindow],
    note: str,
    now: datetime,
) -> DateOverride:
    """Other hours on these days of the coach's calendar, or none; a new one, or a change to theirs.

    Raises HoursOverlapError, OverridesOverlapError, TooManyOverridesError.
    """
    if override is None:
        override = DateOverride(coach=coach)
    if override.coach_id != coach.pk:
        raise ValueError("The override belongs to another coach.")
    for earlier, later in overlaps_of_day(windows):
        raise HoursOverlapError(f"{span_in_words(later)} overlaps {span_in_words(earlier)}.")
    override.first_day = first_day
    override.last_day = last_day
    override.windows = [_stored(window) for window in sorted(windows, key=lambda window: window.starts)]
    override.note = note
    with transaction.atomic():
        # Two saves at once would not see each other's days.
        Coach.objects.select_for_update().get(pk=coach.pk)
        _refuse_shared_days(override)
        if override.pk is None:
            _refuse_one_too_many(coach, now)
            override.save(force_insert=True)
        else:
            override.save(update_fields=["first_day", "last_day", "windows", "note"])
    return override


def _refuse_shared_days(override: DateOverride) -> None:
    others = DateOverride.objects.filter(coach=override.coach).exclude(pk=override.pk)
    other = others.filter(first_day__lte=override.last_day, last_day__gte=override.first_day).first()
    if other:
        noted = f" ({other.note})" if other.note else ""
        raise OverridesOverlapError(
            f"You already have other hours for {days_in_words(other.first_day, other.last_day)}{noted}. "
            "Change or remove them first, or choose other days."
        )


def _refuse_one_too_many(coach: Coach, now: datetime) -> None:
    today = in_zone(now, coach.time_zone).date()
    if DateOverride.objects.filter(coach=coach, last_day__gte=today).count() >= MOST_COMING_OVERRIDES:
        raise TooManyOverridesError


def _stored(window: DayWindow) -> dict[str, str | bool]:
    return {
        "starts": f"{window.starts:%H:%M}",
        "ends": f"{window.ends:%H:%M}",
        "ends_next_day": window.ends_next_day,
    }


def remove_override(*, override: DateOverride) -> None:
    """The weekly hours hold on its days again."""
    override.delete()


def set_payable(*, coach: Coach, payable: bool) -> None:
    """Whether the coach can be paid, and so be booked. Told by whoever knows about money."""
    Coach.objects.filter(pk=coach.pk).update(payable=payable)
    coach.payable = payable
