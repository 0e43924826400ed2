"""Who teaches what, and when. Nothing here knows how a coach is paid."""

from datetime import timedelta
from typing import ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

from marketplace.lib.money import Money
from marketplace.lib.zones import validate_zone

LONGEST_SESSION_MINUTES = 12 * 60


class Coach(models.Model):
    """A person who teaches. `payable` is a plain yes or no that payments keep up to date."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.PROTECT, related_name="coach")
    slug = models.SlugField(max_length=80, unique=True)
    display_name = models.CharField(max_length=120)
    headline = models.CharField(max_length=140)
    bio = models.TextField(max_length=4000)
    subject = models.CharField(max_length=60)
    time_zone = models.CharField(max_length=64, validators=[validate_zone])
    payable = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    history = HistoricalRecords(excluded_fields=["payable"])

    class Meta:
        verbose_name_plural = "coaches"

    def __str__(self) -> str:
        return self.display_name


class Offering(models.Model):
    """A kind of session a coach sells. The price is in minor units; a booking freezes a copy of it."""

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
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    history = HistoricalRecords()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(price_amount__gt=0), name="offering_price_positive"),
            models.CheckConstraint(
                condition=Q(minutes__gte=5, minutes__lte=LONGEST_SESSION_MINUTES), name="offering_minutes_bounded"
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
    """A window of local wall time, in the coach's zone, that recurs each week."""

    coach = models.ForeignKey(Coach, models.CASCADE, related_name="weekly_hours")
    weekday = models.PositiveSmallIntegerField(choices=Weekday)
    starts = models.TimeField()
    ends = models.TimeField()

    class Meta:
        verbose_name_plural = "weekly hours"
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(ends__gt=F("starts")), name="hours_end_after_start"),
            models.UniqueConstraint(fields=["coach", "weekday", "starts"], name="hours_once"),
        ]

    def __str__(self) -> str:
        return f"{self.get_weekday_display()} {self.starts:%H:%M}-{self.ends:%H:%M}"
