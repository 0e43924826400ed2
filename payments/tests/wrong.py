"""Things that are wrong with the product, and a round of the timer that tells of them."""

from datetime import UTC, datetime, timedelta

from payments import operator_mails, problems
from payments.models import Difference, Standstill

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
TO = ["one@example.com", "two@example.com"]


def stand_still(reason: str = "The key is rolled.") -> Standstill:
    return Standstill.objects.create(reason=reason, began_at=NOW)


def differ(number: int = 1) -> Difference:
    return Difference.objects.create(
        code="missing_here", object_type="transfer", object_id=f"tr_{number}", found_at=NOW, seen_at=NOW
    )


def a_round(now: datetime) -> bool:
    problems.look(now)
    return operator_mails.send_due(now=now)


def kinds() -> list[str]:
    return list(problems.current().values_list("kind", flat=True))
