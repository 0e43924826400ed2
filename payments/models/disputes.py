"""What students' banks question: disputes, inquiries and early fraud warnings, and our evidence."""

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from marketplace.lib.money import Money
from payments.models.payments import Payment


class Dispute(models.Model):
    """A chargeback or an inquiry, as Stripe last told it, and our side of it. Minor units."""

    class Status(models.TextChoices):
        """Stripe's own names."""

        WARNING_NEEDS_RESPONSE = "warning_needs_response", "Inquiry: to be answered"
        WARNING_UNDER_REVIEW = "warning_under_review", "Inquiry: answered"
        WARNING_CLOSED = "warning_closed", "Inquiry: closed"
        NEEDS_RESPONSE = "needs_response", "To be answered"
        UNDER_REVIEW = "under_review", "Answered"
        WON = "won", "Won"
        LOST = "lost", "Lost"
        PREVENTED = "prevented", "Prevented"

    class Evidence(models.TextChoices):
        NONE = "none", "None yet"
        STAGED = "staged", "Staged at Stripe"
        SUBMITTED = "submitted", "Submitted"
        ACCEPTED = "accepted", "We accepted the dispute"

    class ChargedTo(models.TextChoices):
        """Who bears it when it is lost."""

        COACH = "coach", "The coach, their share"
        PLATFORM = "platform", "The platform"

    ENDS: ClassVar = (Status.WARNING_CLOSED, Status.WON, Status.LOST, Status.PREVENTED)

    stripe_dispute_id = models.CharField(max_length=64, unique=True)
    payment = models.ForeignKey(Payment, models.PROTECT, related_name="disputes")
    charge_id = models.CharField(max_length=64)
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    reason = models.CharField(max_length=40)
    status = models.CharField(max_length=24, choices=Status)
    due_by = models.DateTimeField(null=True, blank=True)
    refundable = models.BooleanField(default=False)
    # What Stripe has taken out of our balance, and given back; the fees are in the books.
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    reinstated_at = models.DateTimeField(null=True, blank=True)

    charged_to = models.CharField(max_length=8, choices=ChargedTo, default=ChargedTo.COACH)
    evidence_state = models.CharField(max_length=9, choices=Evidence, default=Evidence.NONE)
    # Stripe's evidence fields as staff have them now, text only; files are rows of their own.
    evidence: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    # Counts up with each change by staff: whoever saves an older one is told.
    version = models.PositiveIntegerField(default=1)
    coach_asked_at = models.DateTimeField(null=True, blank=True)
    coach_says = models.TextField(max_length=5000, blank=True)
    coach_said_at = models.DateTimeField(null=True, blank=True)
    reminded_at = models.DateTimeField(null=True, blank=True)
    # When the coach was told how it ended.
    coach_told_at = models.DateTimeField(null=True, blank=True)
    handled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="disputes_handled"
    )
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    polled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="dispute_amount_positive"),
        ]
        indexes: ClassVar = [
            # The desk: what is open, by deadline.
            models.Index(fields=["due_by"], condition=Q(closed_at=None), name="dispute_open"),
            # How it ended is still to be told.
            models.Index(
                fields=["closed_at"], condition=Q(closed_at__isnull=False, coach_told_at=None), name="dispute_to_tell"
            ),
        ]

    def __str__(self) -> str:
        return self.stripe_dispute_id

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)

    @property
    def is_inquiry(self) -> bool:
        return self.status.startswith("warning_")


class EvidenceFile(models.Model):
    """A file for one of Stripe's evidence fields; uploaded when the evidence is staged or submitted."""

    dispute = models.ForeignKey(Dispute, models.PROTECT, related_name="files")
    field = models.CharField(max_length=40)
    name = models.CharField(max_length=120)
    content_type = models.CharField(max_length=40)
    content = models.BinaryField()
    stripe_file_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["dispute", "field"], name="evidence_file_once_per_field"),
        ]

    def __str__(self) -> str:
        return f"{self.field} of {self.dispute}"


class FraudWarning(models.Model):
    """A card issuer believes a charge to be fraudulent: a dispute may follow, and a refund now prevents it."""

    stripe_warning_id = models.CharField(max_length=64, unique=True)
    payment = models.ForeignKey(Payment, models.PROTECT, related_name="fraud_warnings")
    fraud_type = models.CharField(max_length=60)
    actionable = models.BooleanField()
    warned_at = models.DateTimeField()
    # What staff decided to do about it, if anything.
    settled_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.stripe_warning_id
