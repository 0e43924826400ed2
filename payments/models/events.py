"""What Stripe told us by webhook, kept as it came."""

from typing import ClassVar

from django.db import models
from django.db.models import Q


class StripeEvent(models.Model):
    """A verified event: first a row, then worked by the worker, then mirrored. An event is a hint, not a fact."""

    class State(models.TextChoices):
        NEW = "new", "To be worked"
        DONE = "done", "Done"
        IGNORED = "ignored", "Not ours to act on"
        PARKED = "parked", "Needs a person"

    class MirrorState(models.TextChoices):
        NEW = "new", "To be mirrored"
        DONE = "done", "Mirrored"
        SKIPPED = "skipped", "Nothing to mirror"
        FAILED = "failed", "Failed"

    event_id = models.CharField(max_length=100, unique=True)
    type = models.CharField(max_length=100)
    account = models.CharField(max_length=64, blank=True)  # set on events of connected accounts
    object_id = models.CharField(max_length=100, blank=True)
    livemode = models.BooleanField()
    # The body as it came, without what it tells of a coach's person and bank: bytes, since a body may hold what a text
    # column can't. Emptied after 30 days.
    payload = models.BinaryField()
    received_at = models.DateTimeField()

    state = models.CharField(max_length=8, choices=State, default=State.NEW)
    reason = models.CharField(max_length=500, blank=True)
    tries = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField()
    lease_token = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    worked_at = models.DateTimeField(null=True, blank=True)

    mirror_state = models.CharField(max_length=8, choices=MirrorState, default=MirrorState.NEW)
    mirror_tries = models.PositiveSmallIntegerField(default=0)
    mirror_error = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes: ClassVar = [
            # The worker: new events that are due, oldest first.
            models.Index(fields=["next_try_at"], condition=Q(state="new"), name="event_due"),
            # The mirror's step, after the event is worked.
            models.Index(
                fields=["received_at"], condition=Q(mirror_state="new") & ~Q(state="new"), name="event_to_mirror"
            ),
            models.Index(fields=["object_id"], name="event_object"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"
