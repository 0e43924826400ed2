"""The monthly run: one row for each month, one line for each coach and currency."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from coaches.models import Coach


class PayoutRun(models.Model):
    """The run for one calendar month (UTC). Running it again continues it."""

    class Status(models.TextChoices):
        OPEN = "open", "Under way"
        CLOSED = "closed", "Finished"

    month = models.CharField(max_length=7, unique=True)  # "2026-10"
    status = models.CharField(max_length=8, choices=Status, default=Status.OPEN)
    # Lines are planned once, with the row itself.
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"payouts of {self.month}"


class PayoutLine(models.Model):
    """What one coach gets from one run in one currency, as one transfer. Minor units."""

    class Status(models.TextChoices):
        PLANNED = "planned", "Planned"
        WAITING = "waiting", "Waiting"
        PAID = "paid", "Paid"

    run = models.ForeignKey(PayoutRun, models.PROTECT, related_name="lines")
    coach = models.ForeignKey(Coach, models.PROTECT, related_name="payout_lines")
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    status = models.CharField(max_length=8, choices=Status, default=Status.PLANNED)
    # Why the line waits, in words for staff.
    waiting_for = models.CharField(max_length=200, blank=True)
    paid_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "coach", "currency"], name="line_once_per_coach_and_currency"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="line_amount_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.run}, coach {self.coach_id}, {self.currency}"
