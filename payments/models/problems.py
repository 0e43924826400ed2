"""What is wrong with the running of the product, the mails about it, and failed work that waits for its next try."""

from typing import ClassVar

from django.db import models
from django.db.models import Q


class OperatorMail(models.Model):
    """A mail to the operators. Its number is claimed before it is sent, and given back where it could not be."""

    number = models.PositiveIntegerField(unique=True)
    written_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        indexes: ClassVar = [
            # How many went out within the hour, and when the last one did.
            models.Index(fields=["written_at"], name="operator_mail_by_time"),
        ]

    def __str__(self) -> str:
        return f"mail {self.number} to operators"


class Problem(models.Model):
    """Something that is wrong, from when it was seen first until it was over. No secrets, and nobody's own data."""

    # Which one of `payments.problems`, and what it is about: "difference" and "17".
    kind = models.CharField(max_length=20)
    about = models.CharField(max_length=100, blank=True)
    what = models.CharField(max_length=200)
    meaning = models.CharField(max_length=500)
    page = models.CharField(max_length=200)  # the path of the page that leads on
    began_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    begun_mail = models.ForeignKey(OperatorMail, models.SET_NULL, null=True, blank=True, related_name="begun")
    ended_mail = models.ForeignKey(OperatorMail, models.SET_NULL, null=True, blank=True, related_name="ended")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["kind", "about"], condition=Q(ended_at=None), name="problem_once"),
        ]
        indexes: ClassVar = [
            # Mails that are due.
            models.Index(fields=["id"], condition=Q(begun_mail=None), name="problem_untold"),
        ]

    def __str__(self) -> str:
        return self.what


class Watch(models.Model):
    """When the timers last looked for problems: where that is long ago, they stood still. One row. Wall time."""

    looked_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"looked at {self.looked_at}"


class PutOff(models.Model):
    """What a timer could not do for one row: left alone until its next try, so that it holds up no other row."""

    work = models.CharField(max_length=20)
    row = models.BigIntegerField()
    tries = models.PositiveSmallIntegerField(default=1)
    next_try_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["work", "row"], name="put_off_once"),
        ]

    def __str__(self) -> str:
        return f"{self.work} {self.row}, again at {self.next_try_at:%Y-%m-%d %H:%M}"
