"""Who teaches what, and when. Nothing here knows how a coach is paid."""

from datetime import timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

from coaches.billing import (
    LONGEST_ADDRESS,
    LONGEST_TAX_ID,
    validate_address,
    validate_country,
    validate_line,
    validate_tax_id,
)
from marketplace.lib.money import Money
from marketplace.lib.zones import validate_zone

LONGEST_SESSION_MINUTES = 12 * 60
LONGEST_BUFFER_MINUTES = 4 * 60
LONGEST_NOTICE_MINUTES = 14 * 24 * 60
FURTHEST_DAYS = 365


class Step(models.IntegerChoices):
    """How far apart the starts of a window are, in minutes of wall time."""

    FIVE = 5, "every 5 minutes"
    TEN = 10, "every 10 minutes"
    QUARTER = 15, "every 15 minutes"
    TWENTY = 20, "every 20 minutes"
    HALF = 30, "every 30 minutes"
    HOUR = 60, "every hour"
    HOUR_AND_A_HALF = 90, "every hour and a half"
    TWO_HOURS = 120, "every 2 hours"


def _none_or_at_most(field: str, most: int) -> Q:
    return Q(**{field: None}) | Q(**{f"{field}__lte": most})


class Coach(models.Model):
    """A person who teaches. `payable` is a plain yes or no that payments keep up to date."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.PROTECT, related_name="coach")
    slug = models.SlugField(max_length=80, unique=True)
    display_name = models.CharField(max_length=120)
    headline = models.CharField(max_length=140)
    bio = models.TextField(max_length=4000)
    subject = models.CharField(max_length=60)
    time_zone = models.CharField(max_length=64, validators=[validate_zone])

    # How their time is offered; an offering may have its own of some of these. Minutes of real time.
    buffer_before_minutes = models.PositiveSmallIntegerField(default=0)
    buffer_after_minutes = models.PositiveSmallIntegerField(default=0)
    # On top of the platform's own least notice.
    notice_minutes = models.PositiveSmallIntegerField(default=0)
    # The last day that can be booked, in days of the coach's calendar from today.
    furthest_days = models.PositiveSmallIntegerField(default=90)
    step_minutes = models.PositiveSmallIntegerField(choices=Step, default=Step.HALF)
    # The most sessions that begin on one day, and in one week from Monday, of the coach's calendar.
    most_a_day = models.PositiveSmallIntegerField(null=True, blank=True)
    most_a_week = models.PositiveSmallIntegerField(null=True, blank=True)

    payable = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    history = HistoricalRecords(excluded_fields=["payable"])

    class Meta:
        verbose_name_plural = "coaches"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(
                    buffer_before_minutes__lte=LONGEST_BUFFER_MINUTES, buffer_after_minutes__lte=LONGEST_BUFFER_MINUTES
                ),
                name="coach_buffers_bounded",
            ),
            models.CheckConstraint(
                condition=Q(notice_minutes__lte=LONGEST_NOTICE_MINUTES), name="coach_notice_bounded"
            ),
            models.CheckConstraint(
                condition=Q(furthest_days__gte=1, furthest_days__lte=FURTHEST_DAYS), name="coach_furthest_day_bounded"
            ),
            models.CheckConstraint(condition=Q(step_minutes__in=Step.values), name="coach_step_known"),
        ]

    def __str__(self) -> str:
        return self.display_name


class BillingDetails(models.Model):
    """Whom invoices for our fee are made out to, as the coach says. Each invoice keeps what it was when it was made."""

    coach = models.OneToOneField(Coach, models.CASCADE, related_name="billing_details")
    # Where it is empty, the person's own name stands there.
    name = models.CharField(max_length=120, blank=True, validators=[validate_line])
    # Street and town, a line each, without the country.
    address = models.TextField(max_length=LONGEST_ADDRESS, blank=True, validators=[validate_address])
    country = models.CharField(max_length=2, blank=True, validators=[validate_country])
    tax_id = models.CharField(max_length=LONGEST_TAX_ID, blank=True, validators=[validate_tax_id])

    class Meta:
        verbose_name_plural = "billing details"

    def __str__(self) -> str:
        return f"billing details of coach {self.coach_id}"


class Offering(models.Model):
    """A kind of session a coach sells. The price is in minor units; a booking freezes a copy of it."""

    class Cancellation(models.TextChoices):
        """What a late cancellation by the student costs; the terms are with the bookings."""

        FLEXIBLE = "flexible", "Flexible"
        MODERATE = "moderate", "Moderate"
        STRICT = "strict", "Strict"

    coach = models.ForeignKey(Coach, models.PROTECT, related_name="offerings")
    title = models.CharField(max_length=120)
    description = models.TextField(max_length=2000, blank=True)
    minutes = models.PositiveSmallIntegerField(
        validators=[MinValueValidator(5), MaxValueValidator(LONGEST_SESSION_MINUTES)]
    )
    price_amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    # An instant offering is confirmed by paying; any other waits for the coach to accept.
    instant = models.BooleanField(default=False)
    cancellation = models.CharField(max_length=8, choices=Cancellation, default=Cancellation.FLEXIBLE)
    active = models.BooleanField(default=True)
    # Its own scheduling, where it differs from the coach's. Nothing: as the coach has it.
    buffer_before_minutes = models.PositiveSmallIntegerField(null=True, blank=True)
    buffer_after_minutes = models.PositiveSmallIntegerField(null=True, blank=True)
    notice_minutes = models.PositiveSmallIntegerField(null=True, blank=True)
    step_minutes = models.PositiveSmallIntegerField(choices=Step, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    history = HistoricalRecords()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(price_amount__gt=0), name="offering_price_positive"),
            models.CheckConstraint(
                condition=Q(minutes__gte=5, minutes__lte=LONGEST_SESSION_MINUTES), name="offering_minutes_bounded"
            ),
            models.CheckConstraint(
                condition=_none_or_at_most("buffer_before_minutes", LONGEST_BUFFER_MINUTES)
                & _none_or_at_most("buffer_after_minutes", LONGEST_BUFFER_MINUTES)
                & _none_or_at_most("notice_minutes", LONGEST_NOTICE_MINUTES),
                name="offering_scheduling_bounded",
            ),
            models.CheckConstraint(
                condition=Q(step_minutes=None) | Q(step_minutes__in=Step.values), name="offering_step_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.title} ({self.minutes} min)"

    @property
    def price(self) -> Money:
        return Money(self.price_amount, self.currency)

    @property
    def duration(self) -> timedelta:
        return timedelta(minutes=self.minutes)


class Weekday(models.IntegerChoices):
    MONDAY = 0
    TUESDAY = 1
    WEDNESDAY = 2
    THURSDAY = 3
    FRIDAY = 4
    SATURDAY = 5
    SUNDAY = 6


class WeeklyHours(models.Model):
    """A window of local wall time, in the coach's zone, that recurs each week. It belongs to the day it starts on."""

    coach = models.ForeignKey(Coach, models.CASCADE, related_name="weekly_hours")
    weekday = models.PositiveSmallIntegerField(choices=Weekday)
    starts = models.TimeField()
    ends = models.TimeField()
    # It runs over midnight, or up to it; never longer than 24 hours of wall time.
    ends_next_day = models.BooleanField(default=False)

    class Meta:
        verbose_name_plural = "weekly hours"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(ends__gt=F("starts"), ends_next_day=False) | Q(ends__lte=F("starts"), ends_next_day=True),
                name="hours_end_after_start",
            ),
            models.UniqueConstraint(fields=["coach", "weekday", "starts"], name="hours_once"),
        ]

    def __str__(self) -> str:
        return f"{self.get_weekday_display()} {self.starts:%H:%M}-{self.ends:%H:%M}"


class DateOverride(models.Model):
    """Other hours on some days, or none: they replace the windows that start on these days. No two share a day."""

    coach = models.ForeignKey(Coach, models.CASCADE, related_name="date_overrides")
    # Days of the coach's calendar; both are within.
    first_day = models.DateField()
    last_day = models.DateField()
    # Of each of these days, [{"starts": "09:00", "ends": "12:30", "ends_next_day": false}, ...]; empty is a day off.
    windows: "models.JSONField[list[dict[str, Any]], list[dict[str, Any]]]" = models.JSONField(default=list, blank=True)
    # For the coach alone: "Holidays".
    note = models.CharField(max_length=120, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(last_day__gte=F("first_day")), name="override_ends_after_start"),
        ]
        indexes: ClassVar = [
            # The overrides of one coach that are not over.
            models.Index(fields=["coach", "last_day"], name="override_of_coach"),
        ]

    def __str__(self) -> str:
        return f"{self.first_day}/{self.last_day}"


class CalendarFeed(models.Model):
    """An outside calendar of the coach, read from time to time. Its address lets its holder read it: it is a secret."""

    coach = models.ForeignKey(Coach, models.CASCADE, related_name="calendar_feeds")
    name = models.CharField(max_length=60)
    address = models.CharField(max_length=1000)
    # The last attempt, the last success, and what was wrong since, in words for the coach.
    tried_at = models.DateTimeField(null=True, blank=True)
    read_at = models.DateTimeField(null=True, blank=True)
    trouble = models.CharField(max_length=200, blank=True)
    failures = models.PositiveSmallIntegerField(default=0)
    next_read_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True, blank=True)  # wall time
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["coach", "address"], name="feed_once"),
        ]
        indexes: ClassVar = [
            # What is to be read, longest due first.
            models.Index(fields=["next_read_at"], name="feed_due"),
        ]

    def __str__(self) -> str:
        return self.name


class BusyTime(models.Model):
    """Time that an outside calendar says is taken. Replaced as a whole with each reading of the feed."""

    feed = models.ForeignKey(CalendarFeed, models.CASCADE, related_name="busy_times")
    coach = models.ForeignKey(Coach, models.CASCADE, related_name="busy_times")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="busy_ends_after_start"),
        ]
        indexes: ClassVar = [
            # What is taken of a coach's time from some instant on.
            models.Index(fields=["coach", "ends_at"], name="busy_of_coach"),
        ]

    def __str__(self) -> str:
        return f"{self.starts_at}/{self.ends_at}"
