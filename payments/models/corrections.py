"""Corrections of the books: money that staff move from one account to another, one asking and another agreeing."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from coaches.models import Coach
from marketplace.lib.money import Money
from payments.models.ledger import LedgerTransaction
from payments.models.payments import Payment
from payments.models.reconciliation import Difference


class Correction(models.Model):
    """`amount` as it stands in the books, debits positive, in minor units: it leaves one account for the other.

    Minus 5.00 moved from suspense to a coach's account is 5.00 that the coach is owed.
    """

    class Status(models.TextChoices):
        TO_APPROVE = "to_approve", "Waits for a second person"
        DONE = "done", "Booked"
        DECLINED = "declined", "Not approved"

    class Account(models.TextChoices):
        """What may be chosen; all others follow objects that book them."""

        SUSPENSE = "suspense", "Suspense"
        PLATFORM_REVENUE = "platform_revenue", "Platform revenue"
        STRIPE_FEES = "stripe_fees", "Stripe fees"
        PLATFORM_LOSSES = "platform_losses", "Platform losses"
        BANK = "bank", "Bank"
        RESERVES = "reserves", "Reserves"
        COACH = "coach_payable", "A coach's account"

    # Of the form that was sent: sent twice, it is one proposal.
    token = models.UUIDField(unique=True)
    from_account = models.CharField(max_length=16, choices=Account)
    to_account = models.CharField(max_length=16, choices=Account)
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    coach = models.ForeignKey(Coach, models.PROTECT, null=True, blank=True, related_name="corrections")
    # What it is about, for people.
    payment = models.ForeignKey(Payment, models.PROTECT, null=True, blank=True, related_name="corrections")
    # Suspense is cleared entry by entry: the transaction that has put the money there.
    clears = models.ForeignKey(LedgerTransaction, models.PROTECT, null=True, blank=True, related_name="cleared_by")
    difference = models.ForeignKey(Difference, models.PROTECT, null=True, blank=True, related_name="corrections")
    # Of a coach's account it is on their statement, which never changes.
    reason = models.CharField(max_length=300)
    status = models.CharField(max_length=10, choices=Status, default=Status.TO_APPROVE)
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="corrections_proposed")
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="corrections_decided"
    )
    # Why it was booked or declined, in the words of who decided. For staff alone.
    decision = models.CharField(max_length=500, blank=True)
    booked = models.OneToOneField(LedgerTransaction, models.PROTECT, null=True, blank=True, related_name="correction")
    created_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=~Q(amount=0), name="correction_amount_not_zero"),
            models.CheckConstraint(condition=~Q(from_account=F("to_account")), name="correction_two_accounts"),
            models.CheckConstraint(condition=~Q(to_account="suspense"), name="correction_never_to_suspense"),
            models.CheckConstraint(
                condition=Q(from_account="suspense", clears__isnull=False)
                | (~Q(from_account="suspense") & Q(clears=None)),
                name="correction_clears_suspense",
            ),
            models.CheckConstraint(
                condition=(Q(from_account="coach_payable") | Q(to_account="coach_payable")) & Q(coach__isnull=False)
                | ~Q(from_account="coach_payable") & ~Q(to_account="coach_payable") & Q(coach=None),
                name="correction_of_a_coach",
            ),
            models.CheckConstraint(
                condition=Q(status="done", booked__isnull=False) | (~Q(status="done") & Q(booked=None)),
                name="correction_done_is_booked",
            ),
            models.CheckConstraint(
                condition=~Q(status="done") | (Q(decided_by__isnull=False) & ~Q(decided_by=F("proposed_by"))),
                name="correction_two_people",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["status", "created_at"], name="correction_by_status"),
        ]

    def __str__(self) -> str:
        return f"correction {self.pk}"

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)
