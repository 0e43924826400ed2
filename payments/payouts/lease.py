"""Who pays a run: one process at a time. By wall time, so a killed one is taken over when its time has run out.

Nothing is paid twice without it, since each line has one transfer at a time; but two at once would be in each other's
way.
"""

import threading
import uuid
from datetime import datetime, timedelta

import structlog
from django.db.models import Q, QuerySet

from marketplace import clock
from payments.models import PayoutRun

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=30)
RENEW_AFTER = timedelta(seconds=8)


class Lease:
    """On one run, under a token of its own: who was taken over can't renew or end the successor's. Safe for threads."""

    def __init__(self, run: PayoutRun) -> None:
        self._run = PayoutRun.objects.filter(pk=run.pk)
        self._token = uuid.uuid4()
        self._taken_at = self._until = clock.wall()
        self._lock = threading.Lock()

    def is_free(self) -> bool:
        return self._free().exists()

    def take(self) -> bool:
        """False where another process pays this run."""
        return self._write(self._free())

    def keep(self) -> bool:
        """Asked before each line. Renews when it is time to; False once it is lost: then we stop."""
        with self._lock:
            now = clock.wall()
            if now < self._taken_at + RENEW_AFTER:
                return True
            if now < self._until and self._write(self._mine()):
                return True
            self._taken_at = self._until = datetime.min.replace(tzinfo=now.tzinfo)
            log.warning("payout_run_lease_lost", token=str(self._token))
            return False

    def give_back(self) -> None:
        self._mine().update(lease_token=None, lease_until=None)

    def _free(self) -> QuerySet[PayoutRun]:
        return self._run.filter(Q(lease_until=None) | Q(lease_until__lt=clock.wall()))

    def _mine(self) -> QuerySet[PayoutRun]:
        return self._run.filter(lease_token=self._token)

    def _write(self, where: QuerySet[PayoutRun]) -> bool:
        now = clock.wall()
        if not where.update(lease_token=self._token, lease_until=now + LEASE):
            return False
        self._taken_at, self._until = now, now + LEASE
        return True
