"""What staff decided, written down with the decision itself."""

from datetime import datetime
from typing import Any

from django.db import models

from marketplace.models import StaffDecision, User


def record_decision(
    *,
    actor: User,
    decision: str,
    subject: models.Model,
    reason: str,
    before: dict[str, Any],
    after: dict[str, Any],
    now: datetime,
) -> None:
    """In the caller's transaction, so that neither is there without the other. `before` and `after` are plain JSON."""
    StaffDecision.objects.create(
        actor=actor,
        decision=decision,
        subject_type=subject._meta.label,  # noqa: SLF001  # Django's documented way to a model's names
        subject_id=str(subject.pk),
        subject=str(subject)[:200],
        reason=reason[:1000],
        before=before,
        after=after,
        at=now,
    )
