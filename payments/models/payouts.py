"""The monthly run: one row for each month, one line for each coach and currency. And payouts to banks."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from coaches.models import Coach
from marketplace.lib.money import Money
from payments.models.parties import PayoutAccount


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
    # One process at a time pays the lines, with as many senders as it is allowed. Wall time.
    lease_token = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"payouts of {self.month}"


class PayoutLine(models.Model):
    """What one coach gets from one run in one currency, as one transfer. Minor units."""

    class Status(models.TextChoices):
        PLANNED = "planned", "Planned"
        WAITING = "waiting", "Waiting"
        HELD = "held", "Held by finance"
        PAID = "paid", "Paid"

    run = models.ForeignKey(PayoutRun, models.PROTECT, related_name="lines")
    coach = models.ForeignKey(Coach, models.PROTECT, related_name="payout_lines")
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    status = models.CharField(max_length=8, choices=Status, default=Status.PLANNED)
    # Why the line waits, in words for staff and coach.
    waiting_for = models.CharField(max_length=200, blank=True)
    # While it is held, and why; the log of decisions has what was before. For staff alone.
    held_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="lines_held"
    )
    held_reason = models.CharField(max_length=500, blank=True)
    held_at = models.DateTimeField(null=True, blank=True)
    paid_at = models.DateTimeField(null=True, blank=True)
    # What the coach was told by mail.
    told_waiting_at = models.DateTimeField(null=True, blank=True)
    told_paid_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "coach", "currency"], name="line_once_per_coach_and_currency"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="line_amount_positive"),
            models.CheckConstraint(condition=~Q(status="held") | ~Q(held_at=None), name="line_held_since"),
        ]
        indexes: ClassVar = [
            # What a run still has to pay, in the order in which it does.
            models.Index(fields=["run", "id"], condition=~Q(status="paid"), name="line_unpaid"),
            # Mails that are due.
            models.Index(fields=["id"], condition=Q(status="paid", told_paid_at=None), name="line_paid_untold"),
        ]

    def __str__(self) -> str:
        return f"{self.run}, coach {self.coach_id}, {self.currency}"

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)


class BankAccount(models.Model):
    """Where a coach's payouts go. Nothing of it but Stripe's id, its name and the last four digits."""

    class Kind(models.TextChoices):
        BANK_ACCOUNT = "bank_account", "Bank account"
        CARD = "card", "Debit card"

    account = models.ForeignKey(PayoutAccount, models.PROTECT, related_name="banks")
    stripe_bank_id = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=12, choices=Kind)
    name = models.CharField(max_length=120, blank=True)  # of the bank, or the card's brand
    last4 = models.CharField(max_length=4)
    currency = models.CharField(max_length=3)
    is_default = models.BooleanField(default=False)  # for its currency
    # Stripe's word: "new", "verified", "errored" after a payout failed ...; empty for cards.
    status = models.CharField(max_length=30, blank=True)
    removed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    # When the coach was told by mail that payouts may go there; for an account's first one, that they need not be.
    told_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["account"], condition=Q(removed_at=None), name="bank_of_account"),
            # Mails that are due.
            models.Index(fields=["id"], condition=Q(told_at=None), name="bank_untold"),
        ]

    def __str__(self) -> str:
        return f"{self.name or self.get_kind_display()} ending in {self.last4}"


class Payout(models.Model):
    """Money from a balance at Stripe to a bank: a coach's, or with no account the platform's own. Minor units."""

    class Status(models.TextChoices):
        """Stripe's own names, but the first and the last two."""

        REQUESTED = "requested", "Asked of Stripe"
        PENDING = "pending", "Being sent"
        IN_TRANSIT = "in_transit", "On its way"
        PAID = "paid", "At the bank"
        # It may still come to this some days after "paid".
        FAILED = "failed", "Sent back by the bank"
        CANCELED = "canceled", "Cancelled"
        REFUSED = "refused", "Refused by Stripe"
        # It was on its way when the coach's account left us: what became of it is not ours to see.
        UNTRACKED = "untracked", "Out of our sight"

    class Method(models.TextChoices):
        STANDARD = "standard", "Standard"
        INSTANT = "instant", "Instant"

    OPEN_STATES: ClassVar = (Status.REQUESTED, Status.PENDING, Status.IN_TRANSIT)

    account = models.ForeignKey(PayoutAccount, models.PROTECT, null=True, blank=True, related_name="payouts")
    stripe_payout_id = models.CharField(max_length=64, unique=True, null=True, blank=True)
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    status = models.CharField(max_length=10, choices=Status)
    method = models.CharField(max_length=8, choices=Method, default=Method.STANDARD)
    automatic = models.BooleanField(default=False)  # made by Stripe, by the account's schedule
    # Where it goes, as it was called then.
    bank_name = models.CharField(max_length=120, blank=True)
    bank_last4 = models.CharField(max_length=4, blank=True)
    arrives_on = models.DateField(null=True, blank=True)
    failure_code = models.CharField(max_length=60, blank=True)
    failure_message = models.CharField(max_length=300, blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="payouts_requested"
    )
    # By Stripe's clock; ours for what Stripe has not made yet.
    created_at = models.DateTimeField()
    # When it came into our books, and when its failure did: a statement lists it by these, in the month open then.
    recorded_at = models.DateTimeField()
    failed_at = models.DateTimeField(null=True, blank=True)
    # When we could follow it no longer, dated likewise.
    untracked_at = models.DateTimeField(null=True, blank=True)
    # The last state that the coach was told of by mail.
    told_status = models.CharField(max_length=10, blank=True)
    polled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="payout_amount_positive"),
        ]
        indexes: ClassVar = [
            # A coach's payouts, newest first.
            models.Index(fields=["account", "-created_at"], name="payout_of_account"),
            # The poller.
            models.Index(fields=["status", "polled_at"], name="payout_poll"),
            # Mails that are due.
            models.Index(
                fields=["created_at"],
                condition=Q(status__in=["paid", "failed"]) & ~Q(told_status=F("status")),
                name="payout_untold",
            ),
        ]

    def __str__(self) -> str:
        return self.stripe_payout_id or f"payout {self.pk}"

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)
