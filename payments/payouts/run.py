"""The run as a whole: opened when its month is over, worked until each of its lines is paid, and closed."""

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.core.cache import cache
from django.db import connections
from django.db.models import Max

from marketplace.lib.months import month_before
from payments import lookout
from payments.errors import StandingStill
from payments.models import PayoutLine, PayoutRun
from payments.payouts.lease import Lease
from payments.payouts.lines import OUT_OF_BALANCE, pay_line, unpaid_lines, wait, workable_lines
from payments.payouts.planning import BooksOutOfBalance, coaches_out_of_balance, open_run

log = structlog.get_logger(__name__)

# A worker is killed after ten minutes with one task; the next tick goes on where a round ended. By hand it has no end.
LONGEST_ROUND_SECONDS = 480
LONGEST_BY_HAND_SECONDS = 86_400
CHECK_BOOKS_AGAIN_SECONDS = 600


def run_due(now: datetime) -> PayoutRun | None:
    """Open last month's run if nobody has, and continue every run that is still open.

    Returns last month's run; None where nobody was paid, since the books are out of balance or nothing may be sent.
    """
    if not lookout.may_send(now):
        return None
    month, began = month_before(now), time.monotonic()
    try:
        run = PayoutRun.objects.filter(month=month).first() or open_run(month, now)
        for unfinished in PayoutRun.objects.filter(status=PayoutRun.Status.OPEN).order_by("month"):
            pay_lines(unfinished, now, seconds=LONGEST_ROUND_SECONDS - (time.monotonic() - began))
            close_run(unfinished, now)
    except (BooksOutOfBalance, StandingStill) as error:
        log.critical("payout_run_stopped", month=month, error=str(error))
        return None
    run.refresh_from_db()
    return run


def pay_lines(
    run: PayoutRun,
    now: datetime,
    *,
    seconds: float = LONGEST_BY_HAND_SECONDS,
    after_each: Callable[[], object] = lambda: None,
) -> bool:
    """Bring each line forward that something can be done for now; False where another process is at it.

    No line is begun after `seconds`. The books are checked first, also those of lines that waited since another month:
    a coach whose books don't balance is left out, and BooksOutOfBalance is raised where the imbalance is everybody's.
    """
    if not _has_work(run, now):
        return True
    lease = Lease(run)
    if not lease.is_free():
        return False
    # It takes seconds, and a lease does not wait: so both before it is taken.
    left_out = coaches_out_of_balance()
    if not lease.take():
        return False
    try:
        lines = deque(workable_lines(run, now).values_list("pk", flat=True))
        _Round(lease, lines, left_out, now, seconds, after_each).work()
    finally:
        lease.give_back()
    return True


def _has_work(run: PayoutRun, now: datetime) -> bool:
    """Checking the books is dear: where only coaches wait whose books did not balance, it is done now and then."""
    lines = workable_lines(run, now)
    if lines.exclude(waiting_for=OUT_OF_BALANCE).exists():
        return True
    return lines.exists() and cache.add(f"payout-books-again:{run.pk}", 1, timeout=CHECK_BOOKS_AGAIN_SECONDS)


def close_run(run: PayoutRun, now: datetime) -> bool:
    """Close the run once every line is paid."""
    if unpaid_lines(run).exists():
        return False
    last_paid_at = run.lines.aggregate(last=Max("paid_at"))["last"] or now  # a round goes on after it has begun
    open_one = PayoutRun.objects.filter(pk=run.pk, status=PayoutRun.Status.OPEN)
    return open_one.update(status=PayoutRun.Status.CLOSED, closed_at=max(now, last_paid_at)) == 1


@dataclass
class _Round:
    """The lines that one process pays in one go, by so many senders at once as it takes to use Stripe's whole rate."""

    lease: Lease
    lines: deque[int]
    left_out: set[int]
    now: datetime
    seconds: float
    after_each: Callable[[], object]
    began: float = field(default_factory=time.monotonic)

    def work(self) -> None:
        if settings.PAYOUT_SENDERS == 1:
            self._send()
            return
        with ThreadPoolExecutor(settings.PAYOUT_SENDERS, thread_name_prefix="payout-sender") as senders:
            try:
                for sender in [senders.submit(self._send_in_thread) for _ in range(settings.PAYOUT_SENDERS)]:
                    sender.result()
            except BaseException:
                self.lines.clear()  # the others end with the line that they are at
                raise

    def _send_in_thread(self) -> None:
        try:
            self._send()
        finally:
            connections.close_all()

    def _send(self) -> None:
        while self._passed() < self.seconds and self.lease.keep():
            try:
                line_id = self.lines.popleft()
            except IndexError:
                return
            self._pay(line_id)
            self.after_each()

    def _pay(self, line_id: int) -> None:
        """None holds up another, not even one that fails by a bug."""
        line = PayoutLine.objects.filter(pk=line_id).first()
        if line is None:  # undone by a refund
            return
        if line.coach_id in self.left_out:
            wait(line, OUT_OF_BALANCE)
            return
        try:
            # A round takes minutes, and time goes on in it.
            pay_line(line, self.now + timedelta(seconds=self._passed()))
        except Exception:
            log.exception("payout_line_failed_by_a_bug", line=line_id)

    def _passed(self) -> float:
        return time.monotonic() - self.began
