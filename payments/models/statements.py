"""What a coach is told of a closed month, and what they are invoiced for it. Minor units."""

from typing import Any, ClassVar

from django.db import models

from coaches.models import Coach
from marketplace.lib.money import Money


class Statement(models.Model):
    """A closed month of one coach and currency, computed from the books each time; the digest says it is the same."""

    coach = models.ForeignKey(Coach, models.PROTECT, related_name="statements")
    month = models.CharField(max_length=7)
    currency = models.CharField(max_length=3)
    # What we owed the coach at its beginning and end; below zero, what they owed us.
    opening = models.BigIntegerField()
    closing = models.BigIntegerField()
    # SHA-256 of its CSV file.
    digest = models.CharField(max_length=64)
    # Who states it, as they were called then: {"name": ..., "address": ..., "tax_id": ...}.
    issuer: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    made_at = models.DateTimeField()
    # The coach was told that it is there.
    told_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["coach", "month", "currency"], name="statement_once"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["month"], name="statement_of_month"),
        ]

    def __str__(self) -> str:
        return f"statement {self.month} of coach {self.coach_id}, {self.currency}"


class FeeInvoice(models.Model):
    """Our fee of a closed month, invoiced to the coach; below zero it is a credit note. Never changed.

    Numbers have no gaps and are given in the order of making.
    """

    number = models.PositiveIntegerField(unique=True)
    coach = models.ForeignKey(Coach, models.PROTECT, related_name="fee_invoices")
    month = models.CharField(max_length=7)
    currency = models.CharField(max_length=3)
    # With tax, which is part of it.
    amount = models.BigIntegerField()
    tax_bps = models.PositiveIntegerField()
    tax_amount = models.BigIntegerField()
    # Both sides as they were called then: {"name": ..., "address": ..., "tax_id": ...}.
    issuer: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField()
    recipient: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField()
    issued_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["coach", "month", "currency"], name="fee_invoice_once"),
        ]

    def __str__(self) -> str:
        return f"fee invoice {self.number}"

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)
