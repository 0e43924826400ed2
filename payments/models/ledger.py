"""The books: double entry, append-only. Only `payments.ledger` writes them, and the database refuses changes."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from payments.models.payments import Payment


class ClosedMonth(models.Model):
    """A calendar month (UTC) into which nothing can be booked any more: the database refuses it."""

    month = models.CharField(max_length=7, unique=True)  # "2026-10"
    ends_at = models.DateTimeField(unique=True)  # the first instant after it
    closed_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.month


class LedgerAccount(models.Model):
    """One account in one currency: "stripe_balance", "platform_revenue", "coach_payable:12" ..."""

    code = models.CharField(max_length=64)
    currency = models.CharField(max_length=3)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["code", "currency"], name="ledger_account_once"),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.currency}"


class LedgerTransaction(models.Model):
    """One fact about money. `(kind, reference)` is unique, so a fact is booked once whoever reports it first."""

    kind = models.CharField(max_length=32)
    reference = models.CharField(max_length=100)
    payment = models.ForeignKey(Payment, models.PROTECT, null=True, blank=True, related_name="ledger_transactions")
    # The date in the books: when it happened at Stripe, or the first instant that was still open for it.
    occurred_at = models.DateTimeField()
    # When we learnt of it, by the product's clock.
    recorded_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["kind", "reference"], name="ledger_fact_once"),
        ]
        indexes: ClassVar = [
            # The books of a month.
            models.Index(fields=["occurred_at"], name="ledger_by_date"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.reference}"


class LedgerEntry(models.Model):
    """One line of a transaction: signed minor units, debits positive."""

    transaction = models.ForeignKey(LedgerTransaction, models.PROTECT, related_name="entries")
    account = models.ForeignKey(LedgerAccount, models.PROTECT, related_name="entries")
    amount = models.BigIntegerField()
    # Stripe's balance transaction that this line books; on `stripe_balance` only.
    balance_transaction_id = models.CharField(max_length=64, blank=True)

    class Meta:
        verbose_name_plural = "ledger entries"
        constraints: ClassVar = [
            models.CheckConstraint(condition=~Q(amount=0), name="ledger_entry_not_zero"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["balance_transaction_id"], name="entry_balance_transaction"),
        ]

    def __str__(self) -> str:
        return f"{self.account}: {self.amount}"
