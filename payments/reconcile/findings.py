"""What a comparison finds, and what becomes of it in the list that staff see."""

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db.models import Q

from payments.models import Difference, Reconciliation
from payments.reconcile.kinds import LOST_CHANGE, MAY_FOLLOW, Kind

log = structlog.get_logger(__name__)

State = Difference.State
STILL_THERE = (State.OPEN, State.EXPLAINED)

# Rows of ours are looked for by our time, and Stripe's lists by Stripe's.
SLACK = timedelta(minutes=10)
# What is open for longer than this is left to the comparison of everything.
OPEN_FOR = timedelta(days=70)
Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference. `ours` and `stripes` say both sides in what JSON can hold: minor units, states, ids, times."""

    kind: Kind
    object_type: str
    object_id: str
    ours: dict[str, Any] = field(default_factory=dict)
    stripes: dict[str, Any] = field(default_factory=dict)
    payment_id: int | None = None
    coach_id: int | None = None

    @property
    def key(self) -> Key:
        return self.kind.code, self.object_type, self.object_id


@dataclass(slots=True)
class Round:
    """One comparison under way. `since`: objects made at Stripe from then on; nothing for everything."""

    row: Reconciliation
    now: datetime
    since: datetime | None
    compared: dict[str, int] = field(default_factory=dict)
    # What was found, so that nothing of it is taken for gone.
    found: set[Key] = field(default_factory=set)
    # Objects that are left to the next comparison, because something is under way with them: their ids at Stripe.
    left: set[str] = field(default_factory=set)
    # Balance transactions among those, by id: their currency and what they moved.
    left_nets: dict[str, tuple[str, int]] = field(default_factory=dict)
    # Whether the step under way lacks what an earlier one would have brought.
    is_lacking: bool = False
    _began: float = field(default_factory=time.monotonic)

    def moment(self) -> datetime:
        """What the time is by now: a comparison of everything may take hours. Of two answers the later one counts."""
        return self.now + timedelta(seconds=time.monotonic() - self._began)

    def window(self, oldest_open: datetime | None) -> datetime | None:
        """From when on Stripe's list of one type is read: it reaches back to the oldest that is open with us, too."""
        if self.since is None or oldest_open is None:
            return self.since
        return max(min(self.since, oldest_open - SLACK), self.since - OPEN_FOR)

    def count(self, object_type: str, number: int) -> None:
        self.compared[object_type] = self.compared.get(object_type, 0) + number

    def report(self, finding: Finding, why: str = "") -> None:
        """It is there. `why`: why it could not be repaired. What staff have explained stays so until it changes."""
        self.found.add(finding.key)
        if self.is_lacking and finding.kind in MAY_FOLLOW:
            return
        stripes = {**finding.stripes, "not_repaired": why[:300]} if why else finding.stripes
        known = _known(finding)
        if known is None:
            Difference.objects.create(
                code=finding.kind.code,
                object_type=finding.object_type,
                object_id=finding.object_id,
                payment_id=finding.payment_id,
                coach_id=finding.coach_id,
                ours=finding.ours,
                stripes=stripes,
                found_at=self.now,
                seen_at=self.now,
            )
            _log_found(finding)
            return
        same = (known.ours, known.stripes) == (finding.ours, stripes)
        if not (known.state == State.EXPLAINED and same):
            if known.state != State.OPEN:
                _log_found(finding)
            known.settled_at = known.settled_by = None
            known.state, known.settlement = State.OPEN, ""
        known.ours, known.stripes, known.seen_at = finding.ours, stripes, self.now
        known.save(update_fields=["state", "ours", "stripes", "seen_at", "settled_at", "settled_by", "settlement"])

    def repaired(self, finding: Finding) -> None:
        """It was there, and by what Stripe says it is put right."""
        code, object_type, object_id = finding.key
        settled = {
            "ours": finding.ours,
            "stripes": finding.stripes,
            "seen_at": self.now,
            "state": State.REPAIRED,
            "settled_at": self.now,
            "settled_by": None,
            "settlement": "Recorded as Stripe has it.",
        }
        made = {"payment_id": finding.payment_id, "coach_id": finding.coach_id, "found_at": self.now}
        Difference.objects.update_or_create(
            code=code, object_type=object_type, object_id=object_id, defaults=settled, create_defaults=settled | made
        )
        log.warning("difference_repaired", code=code, type=object_type, id=object_id)

    def gone(self, object_type: str, ids: Collection[str]) -> None:
        """Of these objects, what is not found any more: whether it was explained or not, the next one is another."""
        self._close(Q(object_id__in=ids), object_type)

    def gone_of(self, object_type: str, whose: Q | None = None) -> None:
        """The same where all there are were compared, or all of these owners."""
        self._close(whose or Q(), object_type)

    def _close(self, which: Q, object_type: str) -> None:
        still = [pk for pk, key in self._there(which, object_type) if key not in self.found and key[2] not in self.left]
        Difference.objects.filter(pk__in=still, state__in=STILL_THERE).update(
            state=State.GONE, settled_at=self.now, settled_by=None, settlement="Not found any more."
        )

    def _there(self, which: Q, object_type: str) -> Iterable[tuple[int, Key]]:
        rows = Difference.objects.filter(which, object_type=object_type, state__in=STILL_THERE)
        # What was lost stays until somebody has taken it over.
        rows = rows.exclude(code=LOST_CHANGE.code)
        for pk, code, object_id in rows.values_list("pk", "code", "object_id"):
            yield pk, (code, object_type, object_id)


def _log_found(finding: Finding) -> None:
    log.error("difference_found", code=finding.kind.code, type=finding.object_type, id=finding.object_id)


def _known(finding: Finding) -> Difference | None:
    code, object_type, object_id = finding.key
    return Difference.objects.filter(code=code, object_type=object_type, object_id=object_id).first()
