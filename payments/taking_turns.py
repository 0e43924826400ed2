"""A row that a timer could not do its work for steps back: the rows behind it have their turn, and it has its next.

A timer takes only so many rows in a round. Those that fail each time would otherwise stay at the head of its queue,
and keep everybody else waiting for as long as they fail.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

import structlog
from django.db.models import Exists, F, Model, OuterRef, QuerySet

from payments.models import PutOff

log = structlog.get_logger(__name__)

# Tried again after 1, 2, 4 ... minutes, at most this far apart, for as long as the row is due.
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)

_Row = TypeVar("_Row", bound=Model)


def ready(rows: QuerySet[_Row, _Row], work: str, now: datetime) -> QuerySet[_Row, _Row]:
    """Those whose turn it is: in their own order, and behind them what has failed before and is due again."""
    failed = PutOff.objects.filter(work=work, row=OuterRef("pk"))
    due = rows.filter(~Exists(failed.filter(next_try_at__gt=now)))
    return due.order_by(Exists(failed).asc(), *rows.query.order_by)


def attempt(work: str, row: int, act: Callable[[], object], now: datetime) -> bool:
    """False where it failed: the log says why, and the row is put off."""
    try:
        act()
    except Exception:
        log.exception("put_off", work=work, row=row)
        put_off(work, row, now)
        return False
    return True


def put_off(work: str, row: int, now: datetime) -> None:
    known, new = PutOff.objects.get_or_create(work=work, row=row, defaults={"next_try_at": now + FIRST_PAUSE})
    if not new:
        pause = min(FIRST_PAUSE * 2 ** min(known.tries, 10), LONGEST_PAUSE)
        PutOff.objects.filter(pk=known.pk).update(tries=F("tries") + 1, next_try_at=now + pause)


def forget(now: datetime) -> None:
    """What was due long ago and has not failed again: it is done, or nobody wants it any more."""
    PutOff.objects.filter(next_try_at__lt=now - 2 * LONGEST_PAUSE).delete()
