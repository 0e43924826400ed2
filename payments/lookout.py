"""Whether anything may be sent to Stripe now: not while we stand still, nor where Stripe knows more than we do.

Each change is written down here before it is sent. So an object at Stripe with the mark of an operation of ours that
this database does not know, or has never sent, means that the database has lost what it had committed: it was restored
from a backup, and whoever trusts it would do the lost time a second time. The same is said by an event that was caused
under the idempotency key of such an operation: a capture or a release makes no object that could bear a mark. We look
out for both on a timer, and before anything is sent where the last look is too old. The time of that look is kept in
the database itself, so that a restored one brings an old time with it.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Min, Subquery

from marketplace import clock
from payments import gateway
from payments.errors import StandingStill
from payments.gateway import GatewayError, MarkedFacts
from payments.models import Difference, LookOut, Operation, Standstill

log = structlog.get_logger(__name__)

# What was lost is among the newest of its kind, since nothing is sent before somebody has looked.
NEWEST = 30
# Of events, several kinds share a page, and what Stripe or a bank did by itself is among them.
NEWEST_CALLS = 100
# Where Stripe did not answer, this process asks again after this time: nobody waits for it in each request.
ASK_AGAIN_AFTER_SECONDS = 10
# How a difference about such an object or call is named: it ends only with a person's word, or by adoption.
LOST_CHANGE = "lost_change"
# Stripe's clock and ours may differ by this much.
CLOCK_SLACK = timedelta(minutes=10)
# So many are named, and the log names all.
NAMED = 3
WORDS = (
    "Stripe knows changes of ours that this database does not: it was restored from a backup, or an older copy took "
    "its place, or another installation uses the same Stripe account. What to do: docs/runbooks/restored-backup.md. "
    "{number} found, the oldest of {since:%Y-%m-%d %H:%M} UTC: {first}"
)


@dataclass(frozen=True, slots=True)
class _State:
    still: bool
    behind: bool
    looked_at: datetime


# When this process was not answered, by its own clock.
_unanswered = {"at": float("-inf")}


def is_standing_still() -> bool:
    return _state().still


def is_behind() -> bool:
    """Whether Stripe knows changes of ours that this database does not."""
    return _state().behind


def may_send(now: datetime) -> bool:
    """Whether what changes anything at Stripe may be sent. One query; network where the last look is too old, so call
    it outside any transaction.
    """
    return not _looked(now).still


def may_record(now: datetime) -> bool:
    """Whether what Stripe tells may be recorded as it comes, and what is due be decided. As `may_send`."""
    return not _looked(now).behind


def require_fresh_look(now: datetime) -> None:
    """Before a month of transfers is begun: look now, however fresh the last look is. Raises StandingStill."""
    if settings.STRIPE_LOOK_OUT_SECONDS and not is_standing_still():
        look_out(now)
    if not may_send(now):
        raise StandingStill


def look_out(now: datetime) -> bool:
    """As `look`; False where something is wrong, or Stripe does not answer."""
    try:
        return look(now)
    except GatewayError as error:
        _unanswered["at"] = time.monotonic()
        log.warning("look_out_failed", outcome=error.outcome, code=error.code)
        return False


def look(now: datetime) -> bool:
    """Read what is newest of each kind, and stand still where any is by an operation that we don't know: False.

    Network: one page of each kind, and one of events. Raises GatewayError where Stripe does not answer.
    """
    found = [facts for kind in gateway.MARKED_TYPES for facts in gateway.list_newest(kind, limit=NEWEST)]
    lost = lost_changes([*found, *gateway.list_newest_calls(limit=NEWEST_CALLS)])
    if lost:
        _fall_behind(lost, now)
    LookOut.objects.update(looked_at=clock.wall())
    return not lost


def lost_changes(found: Iterable[MarkedFacts]) -> list[MarkedFacts]:
    """Those by operations that this database has lost. Older ones than our first operation are of another database;
    what a person has explained is known.
    """
    began = Operation.objects.aggregate(first=Min("created_at"))["first"]
    if began is None:
        return []
    ours = [facts for facts in found if facts.operation_id and facts.created >= began - CLOCK_SLACK]
    # Read after they were found: an operation is committed, and its try counted, before it is sent. One that was
    # written down by the time of a backup and sent after it is there, but was never tried.
    sent = Operation.objects.filter(pk__in=[facts.operation_id for facts in ours], tries__gt=0)
    known = set(sent.values_list("pk", flat=True))
    return _not_explained([facts for facts in ours if facts.operation_id not in known])


def _not_explained(unknown: list[MarkedFacts]) -> list[MarkedFacts]:
    ids = [facts.id for facts in unknown]
    # What was taken over needs no word: its operation is known again.
    by_people = Difference.objects.filter(code=LOST_CHANGE, object_id__in=ids, state=Difference.State.EXPLAINED)
    explained = set(by_people.values_list("object_id", flat=True)) if ids else set()
    return [facts for facts in unknown if facts.id not in explained]


def _looked(now: datetime) -> _State:
    state, life = _state(), timedelta(seconds=settings.STRIPE_LOOK_OUT_SECONDS)
    if not life or state.behind or clock.wall() - state.looked_at <= life:
        return state
    waits = time.monotonic() - _unanswered["at"] < ASK_AGAIN_AFTER_SECONDS
    if waits or not look_out(now):
        # Found something, or can't tell: then nobody moves.
        return _State(still=True, behind=True, looked_at=state.looked_at)
    return _state()


def _state() -> _State:
    standing = Standstill.objects.filter(ended_at=None).values("behind")[:1]
    looked_at, behind = LookOut.objects.annotate(behind=Subquery(standing)).values_list("looked_at", "behind").get()
    return _State(still=behind is not None, behind=bool(behind), looked_at=looked_at)


def _fall_behind(lost: list[MarkedFacts], now: datetime) -> None:
    """We stand still; and are behind where nobody has tried yet to take these over."""
    ids = {facts.id for facts in lost}
    lost = sorted(lost, key=lambda facts: facts.created)
    named = [f"{facts.id} ({facts.type})" for facts in lost]
    reason = WORDS.format(number=len(lost), since=lost[0].created, first=", ".join(named[:NAMED]))
    tried = Difference.objects.filter(code=LOST_CHANGE, object_id__in=ids, state=Difference.State.OPEN)
    behind = set(tried.values_list("object_id", flat=True)) < ids
    try:
        with transaction.atomic():
            Standstill.objects.create(reason=reason[:500], began_at=now, behind=behind)
    except IntegrityError:
        # Somebody has begun one already.
        standing = Standstill.objects.filter(ended_at=None, behind=False)
        if not behind or not standing.update(behind=True):
            return
    log.critical("database_is_older_than_stripe", objects=", ".join(named))
