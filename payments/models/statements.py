"""What a coach is told of a closed month, and what they are invoiced for it. Minor units."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

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

    What is given back of the fees of an earlier month corrects that month's invoice, at its rate; all else is the
    month's own. Numbers have no gaps and are given in the order of making.
    """

    number = models.PositiveIntegerField(unique=True)
    coach = models.ForeignKey(Coach, models.PROTECT, related_name="fee_invoices")
    month = models.CharField(max_length=7)
    currency = models.CharField(max_length=3)
    # With tax, which is part of it; both are the month's own and what it corrects, together.
    amount = models.BigIntegerField()
    tax_amount = models.BigIntegerField()
    # The rate of the month's own.
    tax_bps = models.PositiveIntegerField()
    # One for each earlier invoice, the oldest first: {"number": 1, "called": "Fee invoice 1", "month": "2026-10",
    # "amount": -500, "tax_bps": 1900, "tax_amount": -80}.
    corrects: "models.JSONField[list[dict[str, Any]], list[dict[str, Any]]]" = models.JSONField(default=list)
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

    @property
    def own_amount(self) -> int:
        corrected: int = sum(part["amount"] for part in self.corrects)
        return self.amount - corrected

    @property
    def own_tax(self) -> int:
        corrected: int = sum(part["tax_amount"] for part in self.corrects)
        return self.tax_amount - corrected


class MonthTotals(models.Model):
    """What a closed month was for one coach and currency, summed up once, so that a year's page reads sums and not
    millions of entries. Without a coach: revenue of no payment. The fields are those of
    `payments.statements.totals.QuarterTotals`.
    """

    coach = models.ForeignKey(Coach, models.PROTECT, null=True, related_name="+")
    month = models.CharField(max_length=7)
    currency = models.CharField(max_length=3)
    # Of the coach's account when the month was summed up; empty where there was none. It stays, as the month does.
    country = models.CharField(max_length=2, blank=True)
    gross = models.BigIntegerField()
    fees = models.BigIntegerField()
    refunds = models.BigIntegerField()
    borne_by_us = models.BigIntegerField()
    adjusted = models.BigIntegerField()
    paid = models.BigIntegerField()
    sessions = models.IntegerField()

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["month", "coach", "currency"], name="month_totals_of_coach"),
            models.UniqueConstraint(fields=["month", "currency"], condition=Q(coach=None), name="month_totals_of_none"),
        ]

    def __str__(self) -> str:
        return f"totals of {self.month}, coach {self.coach_id}, {self.currency}"
