"""How one type of object is compared: page by page as Stripe lists it, then what Stripe did not list.

For each hundred objects our side is read by a fixed number of queries. What differs is read once more by itself, and
only what still differs is repaired or reported: between a page and our rows, time has passed.
"""

import time
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

import structlog

from payments.errors import NotYetError, StripeMismatchError
from payments.gateway import GatewayError
from payments.reconcile import kinds
from payments.reconcile.findings import SLACK, Finding, Round
from payments.reconcile.kinds import Kind
from payments.reconcile.listing import window

log = structlog.get_logger(__name__)

BATCH = 100
# What Stripe made so short a while ago may not have reached us yet.
YOUNG = timedelta(minutes=5)
# Stripe's and our own words for too many questions at once, and how often the same one is asked again.
TOO_MANY = ("paced", "rate_limit", "lock_timeout")
PATIENCE = 8
# An operation that is still open after this is waited for no longer.
UNDER_WAY_FOR = timedelta(hours=1)


class HasId(Protocol):
    @property
    def id(self) -> str: ...


_Facts = TypeVar("_Facts", bound=HasId)
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Known:
    """A row of ours that names an object at Stripe."""

    stripe_id: str
    ours: dict[str, Any]
    payment_id: int | None = None
    coach_id: int | None = None


@dataclass(frozen=True, slots=True)
class Comparison(Generic[_Facts]):
    """One type of object.

    `each`: Stripe's list, by what its window says. `read`: one of them, afresh. `created`: when Stripe made it.
    `compare`: what differs, by a fixed number of queries. `repair`: bring our side to Stripe's; raises what `record_*`
    raise. `under_way`: of those that differ, the ids that something of ours is about just now. `ours`: what we believe
    to be at Stripe, made since a time, or all of it. `missing`: what it is called where Stripe does not know it.
    """

    object_type: str
    each: Callable[..., Iterable[_Facts]]
    read: Callable[[str], _Facts]
    created: Callable[[_Facts], datetime | None]
    compare: Callable[[Sequence[_Facts]], Iterable[Finding]]
    repair: Callable[[_Facts, datetime], None]
    under_way: Callable[[Sequence[_Facts], Round], set[str]]
    ours: Callable[[datetime | None], Iterable[Known]]
    missing: Kind = kinds.ORPHAN_WITH_US


def run(comparison: Comparison[_Facts], since: datetime | None, around: Round) -> None:
    """Raises GatewayError where Stripe does not answer; what was found by then stays."""
    run_part(comparison, since, around)
    if around.since is None:
        around.gone_of(comparison.object_type)


def run_part(comparison: Comparison[_Facts], since: datetime | None, around: Round) -> None:
    """The same for one of several lists of the type."""
    seen = SeenIds()
    for batch in batches(_listed(comparison, since)):
        seen.add(facts.id for facts in batch)
        around.count(comparison.object_type, len(batch))
        _compare_batch(comparison, batch, around)
    _find_orphans(comparison, since, seen, around)


def _listed(comparison: Comparison[_Facts], since: datetime | None) -> Iterator[_Facts]:
    """Stripe's list from end to end. Where others take up all that it lets us ask, we wait, and go on where we were."""
    last, tries = "", 0
    while True:
        try:
            for facts in comparison.each(**window(since, last)):
                last, tries = facts.id, 0
                yield facts
        except GatewayError as error:
            tries += 1
            if error.code not in TOO_MANY or tries > PATIENCE:
                raise
            time.sleep(tries)  # nothing tells when others ask for less
        else:
            return


def _compare_batch(comparison: Comparison[_Facts], batch: Sequence[_Facts], around: Round) -> None:
    suspects = _grouped(comparison.compare(batch))
    differing = [facts for facts in batch if facts.id in suspects]
    left = {facts.id for facts in differing if _is_young(comparison.created(facts), around.now)}
    if differing:
        left |= comparison.under_way(differing, around)
    around.left |= left
    # As they happened: a refund that failed comes before the one that was sent in its place.
    for facts in reversed(differing):
        if facts.id not in left:
            _settle(comparison, facts.id, around)
    around.gone(comparison.object_type, [facts.id for facts in batch if facts.id not in left])


def _is_young(created: datetime | None, now: datetime) -> bool:
    return created is not None and created > now - YOUNG


def _settle(comparison: Comparison[_Facts], stripe_id: str, around: Round) -> None:
    asked_at = around.moment()
    facts = _read_again(comparison, stripe_id)
    if facts is None:
        return
    before = list(comparison.compare([facts]))
    if not before:
        return
    why = _repair(comparison, facts, asked_at)
    after = {finding.key: finding for finding in comparison.compare([facts])}
    for finding in before:
        if finding.key not in after:
            around.repaired(finding)
    for finding in after.values():
        around.report(finding, why)


def _read_again(comparison: Comparison[_Facts], stripe_id: str) -> _Facts | None:
    """None where it is there no more."""
    try:
        return comparison.read(stripe_id)
    except GatewayError as error:
        if error.permanent:
            return None
        raise


def _repair(comparison: Comparison[_Facts], facts: _Facts, now: datetime) -> str:
    """Returns why it could not be done, or nothing. One that trips over a bug does not keep the others waiting."""
    try:
        comparison.repair(facts, now)
    except GatewayError as error:
        if not error.permanent:
            raise
        return f"Stripe refused: {error.message}"
    except (NotYetError, StripeMismatchError) as error:
        return str(error)
    except Exception as error:
        log.exception("repair_failed_by_a_bug", type=comparison.object_type, id=facts.id)
        return f"{type(error).__name__}: {error}"
    return ""


def _find_orphans(comparison: Comparison[_Facts], since: datetime | None, seen: "SeenIds", around: Round) -> None:
    """Rows of ours that name what Stripe did not list. Each is asked for by itself before it is said."""
    for known in comparison.ours(since and since + SLACK):
        if known.stripe_id in seen or known.stripe_id in around.left:
            continue
        if _read_again(comparison, known.stripe_id) is None:
            around.report(
                Finding(
                    comparison.missing,
                    comparison.object_type,
                    known.stripe_id,
                    ours=known.ours,
                    payment_id=known.payment_id,
                    coach_id=known.coach_id,
                )
            )


def _grouped(findings: Iterable[Finding]) -> set[str]:
    return {finding.object_id for finding in findings}


def batches(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    iterator = iter(items)
    while batch := list(islice(iterator, BATCH)):
        yield batch


class SeenIds:
    """Ids in eight bytes each, however many there are. Add first, ask then."""

    def __init__(self) -> None:
        self._digests = array("Q")
        self._sorted = True

    def add(self, ids: Iterable[str]) -> None:
        self._digests.extend(_digest(each) for each in ids)
        self._sorted = False

    def __contains__(self, stripe_id: str) -> bool:
        if not self._sorted:
            # Sorting an array makes a list of it once, at the end of a type's pages.
            self._digests = array("Q", sorted(self._digests))
            self._sorted = True
        wanted = _digest(stripe_id)
        place = bisect_left(self._digests, wanted)
        return place < len(self._digests) and self._digests[place] == wanted


def _digest(stripe_id: str) -> int:
    return int.from_bytes(blake2b(stripe_id.encode(), digest_size=8).digest(), "big")
