"""Money that goes back: to the student by a refund, and from the coach by a reversal. Minor units."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from marketplace.lib.money import Money
from payments.models.payments import Payment, Transfer


class Refund(models.Model):
    """One refund of a captured payment, from the wish for it to its end. The parts say who bears what; they are frozen.

    `amount` goes to the student. The coach bears `coach_part`, the platform its returned fee and its loss.
    """

    class Status(models.TextChoices):
        # Above the limit of one person: a second one has to agree.
        TO_APPROVE = "to_approve", "Waits for a second person"
        REQUESTED = "requested", "Asked of Stripe"
        PENDING = "pending", "On its way"
        SUCCEEDED = "succeeded", "With the student"
        # Stripe gave the money back to us after all: we owe it to the student.
        FAILED = "failed", "Failed at the bank"
        # It failed, and goes by the row that replaces it.
        REPLACED = "replaced", "Sent again"
        # It failed, and two people say that the student has the money from our bank account.
        OTHERWISE = "otherwise", "Paid by other means"
        REFUSED = "refused", "Refused by Stripe"
        DISMISSED = "dismissed", "Not approved"

    class Bearer(models.TextChoices):
        SHARED = "shared", "Coach and platform, each their share"
        COACH = "coach", "The coach"
        PLATFORM = "platform", "The platform"

    class Reason(models.TextChoices):
        STUDENT_ASKED = "student_asked", "The student asked for it"
        COACH_MISSED = "coach_missed", "The coach did not come"
        STUDENT_MISSED = "student_missed", "The student did not come: the rest"
        PROBLEM = "problem", "There was a problem with the session"
        DUPLICATE = "duplicate", "Charged twice"
        FRAUD = "fraud", "Fraudulent"
        GOODWILL = "goodwill", "Goodwill"
        AT_STRIPE = "at_stripe", "Made in Stripe's dashboard"

    OPEN_STATES: ClassVar = (Status.REQUESTED, Status.PENDING)
    # What counts against the captured amount.
    COUNTED: ClassVar = (
        Status.TO_APPROVE, Status.REQUESTED, Status.PENDING, Status.SUCCEEDED, Status.OTHERWISE,
    )  # fmt: skip
    # With the student.
    REACHED: ClassVar = (Status.SUCCEEDED, Status.OTHERWISE)

    payment = models.ForeignKey(Payment, models.PROTECT, related_name="refunds")
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    coach_part = models.BigIntegerField()
    fee_part = models.BigIntegerField()
    loss_part = models.BigIntegerField()
    bearer = models.CharField(max_length=8, choices=Bearer)
    reason = models.CharField(max_length=14, choices=Reason)
    # What staff wrote; never shown to the student.
    note = models.CharField(max_length=500, blank=True)
    status = models.CharField(max_length=10, choices=Status)
    stripe_refund_id = models.CharField(max_length=64, unique=True, null=True, blank=True)
    failure = models.CharField(max_length=300, blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="refunds_requested"
    )
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="refunds_approved"
    )
    # The one that failed, and that this one sends again.
    replaces = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="replaced_by")
    # Who says that the student was paid by other means, and who agrees.
    otherwise_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="refunds_paid_otherwise"
    )
    otherwise_note = models.CharField(max_length=500, blank=True)
    otherwise_agreed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="refunds_agreed_otherwise"
    )
    created_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)
    polled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="refund_amount_positive"),
            models.CheckConstraint(
                condition=Q(
                    amount=F("coach_part") + F("fee_part") + F("loss_part"),
                    coach_part__gte=0,
                    fee_part__gte=0,
                    loss_part__gte=0,
                ),
                name="refund_parts_make_the_amount",
            ),
            models.CheckConstraint(
                condition=Q(approved_by=None) | ~Q(approved_by=F("requested_by")), name="refund_two_people"
            ),
            # What failed is sent again once; where Stripe has refused that, once more.
            models.UniqueConstraint(fields=["replaces"], condition=~Q(status="refused"), name="refund_replaced_once"),
            models.CheckConstraint(
                condition=~Q(status="otherwise")
                | Q(otherwise_by__isnull=False, otherwise_agreed_by__isnull=False)
                & ~Q(otherwise_agreed_by=F("otherwise_by")),
                name="refund_otherwise_by_two",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["status", "polled_at"], name="refund_poll"),
        ]

    def __str__(self) -> str:
        return f"refund {self.pk} of {self.payment}"

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)


class Reversal(models.Model):
    """The coach's part, fetched back from a transfer. Where their balance is short, it stays a debt instead."""

    class Status(models.TextChoices):
        REQUESTED = "requested", "Asked of Stripe"
        DONE = "done", "Fetched back"
        # Their balance was short, or the account can't be reached: what they earn next makes up for it.
        REFUSED = "refused", "Kept as a debt"
        # Not asked for by us: finance says whether the coach is paid it again.
        AT_STRIPE = "at_stripe", "Made in Stripe's dashboard"

    transfer = models.ForeignKey(Transfer, models.PROTECT, related_name="reversals")
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    refund = models.OneToOneField(Refund, models.PROTECT, null=True, blank=True, related_name="reversal")
    dispute = models.OneToOneField("payments.Dispute", models.PROTECT, null=True, blank=True, related_name="reversal")
    status = models.CharField(max_length=9, choices=Status, default=Status.REQUESTED)
    stripe_reversal_id = models.CharField(max_length=64, unique=True, null=True, blank=True)
    refusal = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="reversal_amount_positive"),
        ]

    def __str__(self) -> str:
        return f"reversal {self.pk} of {self.transfer}"
