"""Whether a closed month still is what was said about it."""

from collections.abc import Collection
from datetime import datetime

import structlog
from django.db.models import F, Q, QuerySet

from marketplace.lib.months import end_of, start_of
from payments.models import MonthTotals, Statement
from payments.statements.books import StatementDiffers, closed_coach_month, last_closed_month
from payments.statements.files import digest_of
from payments.statements.totals import NOBODY, totals_between
from payments.statements.years import SUMMED

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


def totals_due_for_a_look(now: datetime, known_changed: Collection[str]) -> list[str]:
    """The same of the months that are summed up."""
    last = last_closed_month()
    due, turn = {last.month if last else "", *known_changed}, now.toordinal() % DAYS_BETWEEN_LOOKS
    months = MonthTotals.objects.values_list("month", flat=True).order_by("month").distinct()
    return [month for month in months if month in due or _number(month) % DAYS_BETWEEN_LOOKS == turn]


def _number(month: str) -> int:
    """Of successive months successive ones."""
    begins = start_of(month)
    return begins.year * 12 + begins.month


def are_totals_changed(month: str) -> bool:
    """They are not what the ledger says. Two queries. A country is as it was then: nothing else knows it now."""
    kept = MonthTotals.objects.filter(month=month).values_list("coach_id", "currency", *SUMMED)
    said = {(coach or NOBODY, currency): amounts for coach, currency, *amounts in kept}
    rows = totals_between(start_of(month), end_of(month))
    if said == {(row.coach_id, row.currency): [getattr(row, name) for name in SUMMED] for row in rows}:
        return False
    log.critical("totals_changed", month=month)
    return True
