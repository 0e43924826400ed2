"""What a comparison of our books with Stripe's has found, and the stop of all sending."""

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from coaches.models import Coach
from marketplace.templatetags.ui import plain_time
from payments.models.payments import Payment


class Reconciliation(models.Model):
    """One comparison with Stripe: what it looked at, and what came of it."""

    class Scope(models.TextChoices):
        RECENT = "recent", "The last days"
        FULL = "full", "Everything"

    scope = models.CharField(max_length=6, choices=Scope)
    # What was compared: objects `created` at Stripe from here on; nothing for everything.
    since = models.DateTimeField(null=True, blank=True)
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    # How many objects of each kind were compared: {"transfer": 12, ...}.
    compared: "models.JSONField[dict[str, int], dict[str, int]]" = models.JSONField(default=dict)
    # The steps that did not come to their end, or lack what one of those would have brought, each with why.
    not_compared: "models.JSONField[dict[str, str], dict[str, str]]" = models.JSONField(default=dict)
    # That in short, or that it was cut off; nothing where everything was compared.
    failure = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["began_at"], name="reconciliation_by_time"),
        ]

    def __str__(self) -> str:
        return f"reconciliation of {plain_time(self.began_at, 'UTC')}"


class Difference(models.Model):
    """Something in which our books and Stripe's differ; one row for each, however often it is found."""

    class State(models.TextChoices):
        OPEN = "open", "To be looked at"
        REPAIRED = "repaired", "Repaired"
        GONE = "gone", "Not there any more"
        # Staff have said why it is right as it is.
        EXPLAINED = "explained", "Explained"

    # What kind of difference, one of `payments.reconcile.kinds`, and the object that it is about.
    code = models.CharField(max_length=40)
    object_type = models.CharField(max_length=40)
    object_id = models.CharField(max_length=100)
    payment = models.ForeignKey(Payment, models.PROTECT, null=True, blank=True, related_name="differences")
    coach = models.ForeignKey(Coach, models.PROTECT, null=True, blank=True, related_name="differences")
    # What we have and what Stripe has, as far as it can be said in words and numbers.
    ours: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    stripes: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    state = models.CharField(max_length=9, choices=State, default=State.OPEN)
    found_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)
    settled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="differences_settled"
    )
    # What staff wrote, or what the repair did.
    settlement = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["code", "object_type", "object_id"], name="difference_once"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["state", "-seen_at"], name="difference_by_state"),
        ]

    def __str__(self) -> str:
        from payments.reconcile.kinds import KINDS  # noqa: PLC0415  # what compares needs the models first

        kind = KINDS.get(self.code)
        title = kind.title if kind else self.code.replace("_", " ")
        return f"{title}: {self.object_type.replace('_', ' ')} {self.object_id}"


class Standstill(models.Model):
    """While one is open nothing that changes anything is sent to Stripe: it waits, and reading goes on."""

    reason = models.CharField(max_length=500)
    began_at = models.DateTimeField()
    # Nobody: we have noticed by ourselves that this database is older than what Stripe knows.
    began_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="standstills_begun"
    )
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="standstills_ended"
    )
    ended_reason = models.CharField(max_length=500, blank=True)
    # Stripe bears changes of ours that this database does not know: until they are taken over, nothing that Stripe
    # tells is recorded one by one, since it would come in the wrong order.
    behind = models.BooleanField(default=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(models.Value(1), condition=Q(ended_at=None), name="standstill_one_open"),
        ]

    def __str__(self) -> str:
        return self.reason


class LookOut(models.Model):
    """When it was last made sure that Stripe bears no change of ours that this database does not know. One row.

    Kept here and nowhere else: a database that was restored from a backup brings an old time with it.
    """

    looked_at = models.DateTimeField()  # Wall time.

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"looked out at {self.looked_at:%Y-%m-%d %H:%M:%S}"
