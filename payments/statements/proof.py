"""Whether a closed month still is what was said about it."""

from collections.abc import Collection
from datetime import datetime

import structlog
from django.db.models import F, Q, QuerySet

from payments.models import Statement
from payments.statements.books import StatementDiffers, closed_coach_month, last_closed_month
from payments.statements.files import digest_of

# Ten thousand coaches have over a hundred thousand statements after a year: each is computed again as often as this.
DAYS_BETWEEN_LOOKS = 30

log = structlog.get_logger(__name__)


def verify(statement: Statement) -> bool:
    """Compute it anew: the same balances, and the same file to the byte."""
    try:
        found = closed_coach_month(coach_id=statement.coach_id, month=statement.month, currency=statement.currency)
    except StatementDiffers:
        return False
    said = (statement.opening, statement.closing, statement.digest)
    return said == (found.opening, found.closing, digest_of(found))


def due_for_a_look(now: datetime, known_changed: Collection[int]) -> QuerySet[Statement]:
    """All of the last closed month, those that were found changed before, and of the rest each day another part."""
    last = last_closed_month()
    turn = now.toordinal() % DAYS_BETWEEN_LOOKS
    numbered = Statement.objects.annotate(turn=F("pk") % DAYS_BETWEEN_LOOKS)
    return numbered.filter(Q(month=last.month if last else "") | Q(turn=turn) | Q(pk__in=known_changed)).order_by("pk")


def is_changed(statement: Statement) -> bool:
    """Not what it was; some five queries."""
    if verify(statement):
        return False
    log.critical("statement_changed", statement=statement.pk)
    return True
