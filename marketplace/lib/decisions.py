"""The log of what staff decide: written with the decision, in its transaction, and never changed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Model

from marketplace.models import StaffDecision, User


class DecisionOutsideTransactionError(RuntimeError):
    """A decision and what it changes are committed together or not at all: always a bug."""


def record_decision(
    *,
    actor: User,
    decision: str,
    subject: Model,
    reason: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    now: datetime,
) -> StaffDecision:
    """In the caller's transaction. `before` and `after` hold what JSON can: amounts in minor units, states, texts."""
    if not connection.in_atomic_block:
        raise DecisionOutsideTransactionError(decision)
    return StaffDecision.objects.create(
        actor=actor,
        decision=decision,
        subject_type=subject._meta.label,  # noqa: SLF001  # Django's documented way to a model's names
        subject_id=str(subject.pk),
        subject=str(subject)[:200],
        reason=reason[:1000],
        before=dict(before),
        after=dict(after),
        at=now,
    )
