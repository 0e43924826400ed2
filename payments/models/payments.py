"""A payment, what the coach earns by it, and what was moved to the coach."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from coaches.models import Coach
from marketplace.lib.money import Money
from payments.models.parties import SavedCard, SettlementMode


class Payment(models.Model):
    """One attempt to pay for one thing. Amounts are in minor units of `currency`; price, fee and mode are frozen."""

    class Status(models.TextChoices):
        OPEN = "open", "Waiting for the student to pay"
        SAVED = "saved", "Card saved"
        AUTHORISING = "authorising", "Being held"
        HELD = "held", "Held on the card"
        # The student did not pay while Checkout was open; a payment that comes all the same still counts.
        LAPSED = "lapsed", "Not paid"
        # The bank would not hold it off-session: it wants the student, or has said no.
        REFUSED = "refused", "Refused"
        CAPTURING = "capturing", "Being taken"
        CAPTURED = "captured", "Taken"
        RELEASING = "releasing", "Being released"
        RELEASED = "released", "Released"
        LOST = "lost", "Hold lost"

    class Opening(models.TextChoices):
        """How the payment begins."""

        HOLD = "hold", "Held in Checkout"
        SAVE = "save", "Card saved in Checkout"
        CARD = "card", "On the card saved before"

    # What this pays for, in the words of whoever opened it ("booking:12"). Opaque here.
    reference = models.CharField(max_length=64, db_index=True)
    description = models.CharField(max_length=200)
    payer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="payments")
    coach = models.ForeignKey(Coach, models.PROTECT, related_name="payments")
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    fee_bps = models.PositiveIntegerField()
    platform_fee = models.BigIntegerField()
    settlement_mode = models.CharField(max_length=12, choices=SettlementMode)
    # The coach's account when the payment was opened, where the money goes with the capture (per session only).
    destination = models.CharField(max_length=64, blank=True)
    # The end of the service: a hold must outlive it, and the earning is released some days after it.
    service_ends_at = models.DateTimeField()

    opening = models.CharField(max_length=4, choices=Opening, default=Opening.HOLD)
    status = models.CharField(max_length=12, choices=Status, default=Status.OPEN)
    # The payment whose hold this one takes over: released when this one is held, and not before.
    replaces = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="replaced_by")
    # What a hold can be made on, or made anew on, without the student.
    card = models.ForeignKey(SavedCard, models.PROTECT, null=True, blank=True, related_name="payments")
    checkout_session_id = models.CharField(max_length=100, unique=True, null=True, blank=True)
    setup_intent_id = models.CharField(max_length=64, unique=True, null=True, blank=True)
    payment_intent_id = models.CharField(max_length=64, unique=True, null=True, blank=True)
    charge_id = models.CharField(max_length=64, blank=True)
    # Stripe drops the hold at this time (`capture_before` on the charge).
    capture_before = models.DateTimeField(null=True, blank=True)
    captured_amount = models.BigIntegerField(default=0)
    # All refunds that are asked for, on their way or done: counted before Stripe is asked, so that no race exceeds it.
    refunded_amount = models.BigIntegerField(default=0)
    # The coach's part of those, already taken back or to be; and the part of our fee that went with them.
    taken_back_amount = models.BigIntegerField(default=0)
    returned_fee_amount = models.BigIntegerField(default=0)
    # What finance has kept of the coach's share, after it was reversed in Stripe's dashboard.
    kept_amount = models.BigIntegerField(default=0)
    # What Stripe took for the capture, for good.
    stripe_fee_amount = models.BigIntegerField(default=0)
    # The bank's own words for the last refusal, for staff; the student is told in ours.
    last_refusal = models.CharField(max_length=300, blank=True)

    created_at = models.DateTimeField()
    checkout_ends_at = models.DateTimeField(null=True, blank=True)  # nothing where there is no Checkout
    held_at = models.DateTimeField(null=True, blank=True)
    captured_at = models.DateTimeField(null=True, blank=True)
    released_at = models.DateTimeField(null=True, blank=True)
    # The platform has paid the coach in the student's stead.
    written_off_at = models.DateTimeField(null=True, blank=True)
    polled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="payment_amount_positive"),
            models.CheckConstraint(
                condition=Q(platform_fee__gte=0, platform_fee__lte=F("amount")), name="payment_fee_within_amount"
            ),
            models.CheckConstraint(
                condition=Q(captured_amount__gte=0, captured_amount__lte=F("amount")),
                name="payment_captured_within_amount",
            ),
            models.CheckConstraint(
                condition=Q(refunded_amount__gte=0, refunded_amount__lte=F("captured_amount")),
                name="payment_refunded_within_captured",
            ),
            models.CheckConstraint(
                condition=Q(
                    taken_back_amount__gte=0,
                    returned_fee_amount__gte=0,
                    refunded_amount__gte=F("taken_back_amount") + F("returned_fee_amount"),
                ),
                name="payment_parts_within_refunded",
            ),
            models.CheckConstraint(condition=Q(kept_amount__gte=0), name="payment_kept_not_negative"),
            # However many attempts there are, one thing is paid for once.
            models.UniqueConstraint(
                fields=["reference"],
                condition=Q(status__in=["held", "capturing", "captured"]),
                name="payment_one_live_per_reference",
            ),
            # Two pages, or two holds asked for at once, would be two charges for one thing.
            models.UniqueConstraint(
                fields=["reference"],
                condition=Q(status__in=["open", "authorising"]),
                name="payment_one_under_way_per_reference",
            ),
        ]
        indexes: ClassVar = [
            # The poller: open payments, longest unasked first.
            models.Index(fields=["status", "polled_at"], name="payment_poll"),
            # The same for those that lapsed a short while ago: of all that ever lapsed, a handful.
            models.Index(fields=["checkout_ends_at"], condition=Q(status="lapsed"), name="payment_lapsed"),
            # Pages whose time is over, to be closed.
            models.Index(fields=["checkout_ends_at"], condition=Q(status="open"), name="payment_open_page"),
        ]

    def __str__(self) -> str:
        return f"payment {self.pk} for {self.reference}"

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)

    @property
    def coach_share(self) -> int:
        return self.amount - self.platform_fee


class Earning(models.Model):
    """What a coach is owed, until a transfer pays it; below zero, what they owe. Minor units.

    A session's earnings add up to what is left for the coach of it. The run pays the sum of what is due to a coach;
    a sum that is not above zero waits, and what is earned next makes up for it.
    """

    class Kind(models.TextChoices):
        SHARE = "share", "Share of the price"
        TAKEN_BACK = "taken_back", "Taken back for a refund"
        RETURNED = "returned", "Given again: the refund did not come to be"
        DISPUTED = "disputed", "Taken back for a dispute"
        REVERSED = "reversed", "Fetched back from the coach's account"
        CORRECTION = "correction", "Corrected in the books"

    # Of a correction there is none.
    payment = models.ForeignKey(Payment, models.PROTECT, null=True, blank=True, related_name="earnings")
    correction = models.OneToOneField(
        "payments.Correction", models.PROTECT, null=True, blank=True, related_name="earning"
    )
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.SHARE)
    coach = models.ForeignKey(Coach, models.PROTECT, related_name="earnings")
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    release_at = models.DateTimeField()
    # Not paid out while a claim or a dispute is open.
    frozen = models.BooleanField(default=False)
    line = models.ForeignKey("payments.PayoutLine", models.PROTECT, null=True, blank=True, related_name="earnings")
    # A debt that was fetched back by a reversal, and the row that says so, are done with: no run looks at them.
    reversal = models.ForeignKey("payments.Reversal", models.PROTECT, null=True, blank=True, related_name="earnings")
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=~Q(amount=0), name="earning_amount_not_zero"),
            models.CheckConstraint(condition=Q(amount__gt=0) | ~Q(kind="share"), name="earning_share_positive"),
            models.UniqueConstraint(fields=["payment"], condition=Q(kind="share"), name="earning_one_share"),
            models.CheckConstraint(
                condition=(~Q(kind="correction") & Q(payment__isnull=False, correction=None))
                | Q(kind="correction", payment=None, correction__isnull=False),
                name="earning_of_payment_or_correction",
            ),
        ]
        indexes: ClassVar = [
            # The monthly run: what is due, and on no line yet.
            models.Index(
                fields=["release_at"], condition=Q(line=None, frozen=False, reversal=None), name="earning_due"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display().lower()} of {self.payment}" if self.payment_id else str(self.correction)

    @property
    def paid_for(self) -> Payment:
        """The payment that it comes of. Raises ValueError for a correction, which comes of none."""
        if self.payment is None:
            raise ValueError(f"{self} comes of no payment.")
        return self.payment


class Transfer(models.Model):
    """Money that Stripe has moved to a coach's account: by a run's line, or with a capture."""

    stripe_transfer_id = models.CharField(max_length=64, unique=True)
    coach = models.ForeignKey(Coach, models.PROTECT, related_name="transfers")
    destination = models.CharField(max_length=64)
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    line = models.OneToOneField("payments.PayoutLine", models.PROTECT, null=True, blank=True, related_name="transfer")
    payment = models.OneToOneField(Payment, models.PROTECT, null=True, blank=True, related_name="transfer")
    # Our fee, which came back at once, and reversals that are asked for or done: counted before Stripe is asked.
    reversed_amount = models.BigIntegerField(default=0)
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(line=None, payment__isnull=False) | Q(line__isnull=False, payment=None),
                name="transfer_of_line_or_payment",
            ),
            models.CheckConstraint(
                condition=Q(reversed_amount__gte=0, reversed_amount__lte=F("amount")),
                name="transfer_reversed_within_amount",
            ),
        ]

    def __str__(self) -> str:
        return self.stripe_transfer_id
