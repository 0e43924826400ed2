"""Whether a closed month still is what was said about it."""

from collections.abc import Iterator

import structlog

from payments.models import Statement
from payments.statements.books import StatementDiffers, closed_coach_month
from payments.statements.files import digest_of

log = structlog.get_logger(__name__)


def verify(statement: Statement) -> bool:
    """Compute it anew: the same balances, and the same file to the byte."""
    try:
        found = closed_coach_month(coach_id=statement.coach_id, month=statement.month, currency=statement.currency)
    except StatementDiffers:
        return False
    said = (statement.opening, statement.closing, statement.digest)
    return said == (found.opening, found.closing, digest_of(found))


def changed_statements() -> Iterator[Statement]:
    """All that are not what they were; some five queries for each statement there is."""
    for statement in Statement.objects.order_by("pk").iterator(chunk_size=500):
        if not verify(statement):
            log.critical("statement_changed", statement=statement.pk)
            yield statement
