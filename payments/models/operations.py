"""Every call that changes something at Stripe: written down before it is made."""

import uuid
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from coaches.models import Coach
from payments import marks
from payments.models.payments import Payment
from payments.models.payouts import PayoutLine


class Operation(models.Model):
    """An intent to change something at Stripe, committed before the call, and what came of it.

    The idempotency key is the row's id and the attempt's number. A new attempt begins only when every
    earlier one is proven to have had no effect.
    """

    class Kind(models.TextChoices):
        CREATE_ACCOUNT = "create_account"
        CREATE_CUSTOMER = "create_customer"
        CHECKOUT = "checkout"
        EXPIRE_CHECKOUT = "expire_checkout"
        HOLD = "hold"
        CAPTURE = "capture"
        RELEASE = "release"
        REFUND = "refund"
        TRANSFER = "transfer"
        REVERSAL = "reversal"
        EVIDENCE_FILE = "evidence_file"
        EVIDENCE = "evidence"
        CLOSE_DISPUTE = "close_dispute"
        REMOVE_CARD = "remove_card"
        PAYOUT = "payout"
        UPDATE_ACCOUNT = "update_account"
        ADD_BANK = "add_bank"
        REMOVE_BANK = "remove_bank"

    class State(models.TextChoices):
        PENDING = "pending", "Not sent yet"
        RUNNING = "running", "On its way"
        # The answer was lost: it may have had its effect, or not.
        UNKNOWN = "unknown", "Outcome unknown"
        DONE = "done", "Done"
        FAILED = "failed", "Refused by Stripe"

    OPEN_STATES: ClassVar = (State.PENDING, State.RUNNING, State.UNKNOWN)
    MONEY_KINDS: ClassVar = (Kind.HOLD, Kind.CAPTURE, Kind.RELEASE, Kind.REFUND)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=20, choices=Kind)
    payment = models.ForeignKey(Payment, models.PROTECT, null=True, blank=True, related_name="operations")
    coach = models.ForeignKey(Coach, models.PROTECT, null=True, blank=True, related_name="operations")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="stripe_operations"
    )
    line = models.ForeignKey(PayoutLine, models.PROTECT, null=True, blank=True, related_name="operations")
    refund = models.ForeignKey("payments.Refund", models.PROTECT, null=True, blank=True, related_name="operations")
    reversal = models.ForeignKey("payments.Reversal", models.PROTECT, null=True, blank=True, related_name="operations")
    dispute = models.ForeignKey("payments.Dispute", models.PROTECT, null=True, blank=True, related_name="operations")
    payout = models.ForeignKey("payments.Payout", models.PROTECT, null=True, blank=True, related_name="operations")
    # Exactly what is sent, each time.
    params: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    state = models.CharField(max_length=8, choices=State, default=State.PENDING)
    attempt = models.PositiveSmallIntegerField(default=1)
    # Set when Stripe stored a failure under the key, or the key is too old to be safe: look before sending again.
    must_look_up = models.BooleanField(default=False)
    # How often anything was sent, over all attempts; paces the retries.
    tries = models.PositiveSmallIntegerField(default=0)
    first_sent_at = models.DateTimeField(null=True, blank=True)  # of this attempt
    next_try_at = models.DateTimeField()
    # Whoever holds the lease alone may write the outcome. Wall time.
    lease_token = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    result_id = models.CharField(max_length=100, blank=True)
    error_code = models.CharField(max_length=100, blank=True)
    error_message = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["payment"],
                condition=Q(
                    state__in=["pending", "running", "unknown"], kind__in=["hold", "capture", "release", "refund"]
                ),
                name="operation_one_open_on_the_money",
            ),
            models.UniqueConstraint(
                fields=["payment", "kind"],
                condition=Q(state__in=["pending", "running", "unknown"]),
                name="operation_one_open_per_payment_and_kind",
            ),
            models.UniqueConstraint(
                fields=["coach"],
                condition=Q(kind="create_account") & ~Q(state="failed"),
                name="operation_one_account_per_coach",
            ),
            models.UniqueConstraint(
                fields=["user"],
                condition=Q(kind="create_customer") & ~Q(state="failed"),
                name="operation_one_customer_per_user",
            ),
            models.UniqueConstraint(
                fields=["line"],
                condition=Q(kind="transfer") & ~Q(state="failed"),
                name="operation_one_transfer_per_line",
            ),
            models.UniqueConstraint(
                fields=["refund"], condition=Q(kind="refund") & ~Q(state="failed"), name="operation_one_per_refund"
            ),
            models.UniqueConstraint(
                fields=["reversal"],
                condition=Q(kind="reversal") & ~Q(state="failed"),
                name="operation_one_per_reversal",
            ),
            models.UniqueConstraint(
                fields=["dispute"],
                condition=Q(state__in=["pending", "running", "unknown"], kind__in=["evidence", "close_dispute"]),
                name="operation_one_open_per_dispute",
            ),
            models.UniqueConstraint(
                fields=["payout"], condition=Q(kind="payout") & ~Q(state="failed"), name="operation_one_per_payout"
            ),
            # What a coach changes at their account is done one by one.
            models.UniqueConstraint(
                fields=["coach", "kind"],
                condition=Q(
                    state__in=["pending", "running", "unknown"], kind__in=["update_account", "add_bank", "remove_bank"]
                ),
                name="operation_one_open_per_coach_and_kind",
            ),
        ]
        indexes: ClassVar = [
            # The sweeper: what is open and due, oldest first.
            models.Index(
                fields=["next_try_at"],
                condition=Q(state__in=["pending", "running", "unknown"]),
                name="operation_due",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

    @property
    def idempotency_key(self) -> str:
        return marks.idempotency_key(self.id, self.attempt)
