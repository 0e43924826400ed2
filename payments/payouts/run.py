"""The run as a whole: opened when its month is over, worked until each of its lines is paid, and closed."""

from datetime import datetime

import structlog

from marketplace.lib.months import month_before
from payments.models import PayoutRun
from payments.payouts.lines import due_lines, pay_line
from payments.payouts.planning import BooksOutOfBalance, open_run
from payments.rounds import for_a_while

log = structlog.get_logger(__name__)


def run_due(now: datetime) -> PayoutRun | None:
    """Open last month's run if nobody has, and continue every run that is still open.

    Returns last month's run; None where the books are out of balance, so that it could not be opened.
    """
    month = month_before(now)
    try:
        run = PayoutRun.objects.filter(month=month).first() or open_run(month, now)
    except BooksOutOfBalance as error:
        log.critical("payout_run_stopped", month=month, error=str(error))
        return None
    for unfinished in PayoutRun.objects.filter(status=PayoutRun.Status.OPEN).order_by("month"):
        pay_lines(unfinished, now)
        close_run(unfinished, now)
    run.refresh_from_db()
    return run


def pay_lines(run: PayoutRun, now: datetime) -> None:
    """Bring lines that are not paid yet forward; none holds up another, not even one that fails by a bug."""
    for line in for_a_while(due_lines(run)):
        try:
            pay_line(line, now)
        except Exception:
            log.exception("payout_line_failed_by_a_bug", line=line.pk)


def close_run(run: PayoutRun, now: datetime) -> bool:
    """Close the run once every line is paid."""
    if due_lines(run).exists():
        return False
    open_one = PayoutRun.objects.filter(pk=run.pk, status=PayoutRun.Status.OPEN)
    return open_one.update(status=PayoutRun.Status.CLOSED, closed_at=now) == 1
