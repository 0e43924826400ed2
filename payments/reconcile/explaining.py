"""What staff say of a difference that is right as it is."""

from datetime import datetime

from django.db import transaction

from marketplace.lib.decisions import record_decision
from marketplace.lib.errors import DomainError
from marketplace.models import User
from payments.models import Difference

State = Difference.State


class DifferenceSettled(DomainError):
    code = "difference_settled"
    message = "This difference is not open any more."


def explain(*, difference: Difference, actor: User, reason: str, now: datetime) -> None:
    """It is right as it is, and is not shown again until one of the two sides changes. Raises DifferenceSettled."""
    said = {"settled_at": now, "settled_by": actor, "settlement": reason[:500]}
    with transaction.atomic():
        still_open = Difference.objects.filter(pk=difference.pk, state=State.OPEN)
        if not still_open.update(state=State.EXPLAINED, **said):
            raise DifferenceSettled
        record_decision(
            actor=actor,
            decision="difference_explained",
            subject=difference,
            reason=reason,
            before={"state": State.OPEN},
            after={"state": State.EXPLAINED, "ours": difference.ours, "stripes": difference.stripes},
            now=now,
        )
