"""One comparison from beginning to end, and when one is due: at most one at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from django.db import connection
from django.db.models import QuerySet

from marketplace.lib.errors import DomainError
from payments.models import Difference, Reconciliation
from payments.reconcile.findings import Round
from payments.reconcile.steps import CUT_OFF, go_through

Scope = Reconciliation.Scope

RECENT_DAYS = timedelta(days=3)
RECENT_EVERY = timedelta(hours=1)
# Everything is compared once a day, from this hour on (UTC).
NIGHT = 2
FULL_AGAIN = timedelta(hours=3)
# Of all locks of this database, ours. Any number does that nothing else uses.
LOCK = 7_020_611


class ReconciliationUnderWay(DomainError):
    code = "reconciliation_under_way"
    message = "A comparison with Stripe is under way already."


def reconcile(*, scope: Scope, now: datetime, since: datetime | None = None) -> Reconciliation:
    """Compare, repair what can be repaired, and list the rest. Network: call it outside any transaction.

    `since`: for RECENT, another time than three days ago. Where a step fails, the row and the list of differences say
    so, and the other steps are done all the same. Raises ReconciliationUnderWay.
    """
    with _alone():
        Reconciliation.objects.filter(ended_at=None).update(ended_at=now, failure=CUT_OFF)
        start = None if scope == Scope.FULL else since or now - RECENT_DAYS
        row = Reconciliation.objects.create(scope=scope, since=start, began_at=now)
        around = Round(row, now, start)
        go_through(around)
        row.failure = _in_short(row.not_compared)
        row.ended_at = around.moment()
        row.save(update_fields=["failure", "ended_at"])
    return row


def reconcile_due(*, now: datetime) -> Reconciliation | None:
    """What is due by now, counted from the last one that came to its end: everything once a day, the last days each
    hour. Nothing where another process is at it.
    """
    scope = _due_scope(now)
    if scope is None:
        return None
    try:
        return reconcile(scope=scope, now=now)
    except ReconciliationUnderWay:
        return None


def open_differences() -> QuerySet[Difference]:
    """What staff have to look at, the latest first."""
    return Difference.objects.filter(state=Difference.State.OPEN).order_by("-seen_at", "pk")


def _in_short(not_compared: dict[str, str]) -> str:
    names = ", ".join(step.replace("_", " ") for step in not_compared)
    return f"Not complete. Not compared: {names}"[:300] if names else ""


def _due_scope(now: datetime) -> Scope | None:
    """A comparison of everything that is not complete is tried again, and the hourly ones go on in between."""
    night = now.astimezone(UTC).replace(hour=NIGHT, minute=0, second=0, microsecond=0)
    night = night if night <= now else night - timedelta(days=1)
    full = Reconciliation.objects.filter(scope=Scope.FULL)
    done = full.filter(failure="", ended_at__isnull=False, began_at__gte=night).exists()
    if not done and not full.filter(began_at__gt=now - FULL_AGAIN, began_at__gte=night).exists():
        return Scope.FULL
    return None if Reconciliation.objects.filter(began_at__gt=now - RECENT_EVERY).exists() else Scope.RECENT


@contextmanager
def _alone() -> Iterator[None]:
    """The lock ends with its connection, so one that is killed holds up nobody. SQLite is one machine's."""
    if connection.vendor != "postgresql":
        yield
        return
    if not _ask_database("SELECT pg_try_advisory_lock(%s)"):
        raise ReconciliationUnderWay
    try:
        yield
    finally:
        _ask_database("SELECT pg_advisory_unlock(%s)")


def _ask_database(question: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(question, [LOCK])
        return bool(cursor.fetchone()[0])
