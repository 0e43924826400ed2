"""The two sides of a payment, as Stripe knows them."""

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from coaches.models import Coach


class SettlementMode(models.TextChoices):
    """How a coach is paid: by the monthly run, or with each capture."""

    MONTHLY = "monthly", "Once a month"
    PER_SESSION = "per_session", "After each session"


class PayoutMethod(models.TextChoices):
    """How money reaches a coach. Where they have chosen none, it waits with us."""

    NONE = "", "Not chosen"
    STRIPE = "stripe", "Stripe"


class AccountType(models.TextChoices):
    """The kind of connected account: who shows the coach their balance and asks for details. Fixed when it is made."""

    EXPRESS = "express", "Express"
    CUSTOM = "custom", "Custom"


def default_settlement_mode() -> str:
    return str(settings.SETTLEMENT_MODE)


class Customer(models.Model):
    """A student at Stripe: made on the first purchase, one for each person."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.PROTECT, related_name="stripe_customer")
    stripe_customer_id = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.stripe_customer_id


class SavedCard(models.Model):
    """A card that a student has agreed to have charged for a booked session. Nothing of it but what names it."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="saved_cards")
    stripe_payment_method_id = models.CharField(max_length=64, unique=True)
    brand = models.CharField(max_length=30)
    last4 = models.CharField(max_length=4)
    exp_month = models.PositiveSmallIntegerField()
    exp_year = models.PositiveSmallIntegerField()
    saved_at = models.DateTimeField()
    # Removed by the student, or at Stripe: it can't be charged any more.
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["user"], condition=Q(removed_at=None), name="card_of_user"),
        ]

    def __str__(self) -> str:
        return f"{self.brand} ending in {self.last4}"


class PayoutAccount(models.Model):
    """A coach's connected account, and what Stripe last said of it. The row begins when Stripe has made the account."""

    coach = models.OneToOneField(Coach, models.PROTECT, related_name="payout_account")
    stripe_account_id = models.CharField(max_length=64, unique=True)
    account_type = models.CharField(max_length=8, choices=AccountType, default=AccountType.EXPRESS)
    country = models.CharField(max_length=2)
    default_currency = models.CharField(max_length=3, blank=True)
    details_submitted = models.BooleanField(default=False)
    charges_enabled = models.BooleanField(default=False)
    payouts_enabled = models.BooleanField(default=False)
    # Only this capability says that a transfer will be accepted; charges_enabled does not.
    transfers_active = models.BooleanField(default=False)
    disabled_reason = models.CharField(max_length=100, blank=True)
    # Stripe's `requirements` object, as it came: currently_due, past_due, current_deadline, errors ...
    requirements: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    # The coach's choice; it counts for payments opened after a change.
    settlement_mode = models.CharField(max_length=12, choices=SettlementMode, default=default_settlement_mode)
    # The coach's choice, too; what is due to one who has chosen none waits.
    payout_method = models.CharField(max_length=8, choices=PayoutMethod, default=PayoutMethod.STRIPE, blank=True)
    # When Stripe sends their balance to their bank, as it last told: "monthly" on a day, "weekly" on a weekday ...
    schedule_interval = models.CharField(max_length=8, blank=True)
    schedule_monthly_anchor = models.PositiveSmallIntegerField(null=True, blank=True)
    schedule_weekly_anchor = models.CharField(max_length=9, blank=True)
    # That schedule, as the coach was last told of it by mail: "monthly 5".
    told_schedule = models.CharField(max_length=20, blank=True)
    # When the coach was told that Stripe has paused them; nothing once it has not.
    told_restricted_at = models.DateTimeField(null=True, blank=True)
    # Their balance at Stripe as last read: {"available": {"usd": 1200}, "pending": {}, "instant_available": {}}.
    balance: "models.JSONField[dict[str, dict[str, int]], dict[str, dict[str, int]]]" = models.JSONField(default=dict)
    balance_read_at = models.DateTimeField(null=True, blank=True)
    # When it was last asked for, with or without an answer.
    balance_asked_at = models.DateTimeField(null=True, blank=True)
    deauthorised_at = models.DateTimeField(null=True, blank=True)
    # When Stripe was last asked, by the product's clock.
    read_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.stripe_account_id

    @property
    def onboarding_complete(self) -> bool:
        """Picks words only ("You're all set"); what the coach may do is decided by `payable`."""
        return self.details_submitted and (self.charges_enabled or self.payouts_enabled)

    @property
    def payable(self) -> bool:
        return self.transfers_active and self.payouts_enabled and self.deauthorised_at is None
