"""Changes at Stripe: written down, committed, sent, recorded; and repaired wherever that chain was cut.

Celery is the fast path, the rows are the promise. A row is worked by whoever holds its lease; only the holder
writes the outcome, in the transaction that also records what the outcome means. What was not answered is sent
again under the same idempotency key. A new key is used only when everything sent before is proven to have had
no effect.
"""

import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Generic, TypeVar

import structlog
from celery import current_app
from django.db import transaction
from django.db.models import F, Q
from kombu.exceptions import OperationalError as BrokerError

from coaches.models import Coach
from marketplace import clock
from marketplace.models import User
from payments import lookout
from payments.errors import NotYetError
from payments.gateway import GatewayError
from payments.models import Dispute, Operation, Payment, Payout, PayoutLine, Refund, Reversal
from payments.rounds import for_a_while

log = structlog.get_logger(__name__)

State = Operation.State
Facts = TypeVar("Facts")

# A holder looks up and sends: two calls of at most 13 s and a repeated read, and the turns they wait for. Wall time.
LEASE = timedelta(seconds=60)
# Stripe forgets keys from 24 h on, and would then do the same thing a second time.
KEY_LIFE = timedelta(hours=20)
# A request that runs its operation itself is left alone by the sweeper for this long.
OWN_RUN = timedelta(seconds=20)
FIRST_DELAY_SECONDS = 2
LONGEST_DELAY_SECONDS = 300
AWAIT_SECONDS = 12
RUN_TASK = "payments.tasks.run_operation"


def backoff(operation: Operation, now: datetime) -> datetime:
    """2, 4, 8 s ... 5 min, less up to half at random, so that what failed together does not return together."""
    delay = min(FIRST_DELAY_SECONDS * 2 ** min(operation.tries, 10), LONGEST_DELAY_SECONDS)
    return now + timedelta(seconds=delay * random.uniform(0.5, 1))  # noqa: S311  # no secret depends on it


@dataclass(frozen=True, slots=True)
class KindHandler(Generic[Facts]):
    """What one kind of operation means.

    `send` and `look_up` ask Stripe, outside any transaction; `look_up` answers None only where it is proven that
    nothing happened. `record` and `refuse` run in the transaction that closes the operation; `record` returns the
    id of what was made, or raises NotYetError. `retry_at` says when to try again.
    """

    send: Callable[[Operation], Facts]
    look_up: Callable[[Operation], Facts | None]
    record: Callable[[Operation, Facts, datetime], str]
    refuse: Callable[[Operation, GatewayError, datetime], None]
    retry_at: Callable[[Operation, datetime], datetime] = backoff


_handlers: dict[str, KindHandler[Any]] = {}


def register(kind: Operation.Kind, handler: KindHandler[Any]) -> None:
    _handlers[kind] = handler


# --- writing down -------------------------------------------------------------------------------


def create(
    kind: Operation.Kind,
    *,
    params: dict[str, Any],
    now: datetime,
    payment: Payment | None = None,
    coach: Coach | None = None,
    user: User | None = None,
    line: PayoutLine | None = None,
    refund: Refund | None = None,
    reversal: Reversal | None = None,
    dispute: Dispute | None = None,
    operation_id: uuid.UUID | None = None,
) -> Operation:
    """In the caller's transaction; a worker is told when it commits, and the sweeper finds what a worker missed.

    The id is the caller's where the parameters carry it.
    """
    operation = Operation.objects.create(
        id=operation_id or uuid.uuid4(),
        kind=kind,
        params=params,
        payment=payment,
        coach=coach,
        user=user,
        line=line,
        refund=refund,
        reversal=reversal,
        dispute=dispute,
        next_try_at=now,
        created_at=now,
    )
    transaction.on_commit(partial(_tell_worker, operation.id), robust=True)
    return operation


def create_for_own_run(
    kind: Operation.Kind,
    *,
    operation_id: uuid.UUID,
    params: dict[str, Any],
    now: datetime,
    payment: Payment | None = None,
    coach: Coach | None = None,
    user: User | None = None,
    line: PayoutLine | None = None,
    payout: Payout | None = None,
) -> Operation:
    """For a caller who runs it at once and waits for the answer. Should that caller die, the sweeper takes over.

    The id is the caller's, so that the parameters can carry it.
    """
    return Operation.objects.create(
        id=operation_id,
        kind=kind,
        params=params,
        payment=payment,
        coach=coach,
        user=user,
        line=line,
        payout=payout,
        next_try_at=now + OWN_RUN,
        created_at=now,
    )


def _tell_worker(operation_id: uuid.UUID) -> None:
    try:
        current_app.send_task(RUN_TASK, args=[str(operation_id)], retry=False)
    except BrokerError:
        log.warning("broker_unreachable", task=RUN_TASK)


# --- running ------------------------------------------------------------------------------------


def run_operation(operation_id: uuid.UUID, *, now: datetime) -> Operation:
    """Bring one operation forward by one try, unless it is closed or someone else is at it.

    While we stand still it stays as it is: not sent, not counted, leased by nobody.
    Anticipated failures are kept on the row. Anything else is a bug: it is raised, and the row comes round again
    when the lease has run out.
    """
    operation = _claim(operation_id, now) if lookout.may_send(now) else None
    if operation is None:
        return Operation.objects.get(pk=operation_id)
    try:
        _work(operation, _handlers[operation.kind], now)
    except LeaseLostError:
        log.warning("operation_lease_lost", kind=operation.kind, operation=str(operation.pk))
    operation.refresh_from_db()
    return operation


def run_or_await(operation_id: uuid.UUID, *, now: datetime) -> Operation:
    """Run it, or wait for whoever is running it: at most 12 s, a little more than one call to Stripe can take."""
    operation = run_operation(operation_id, now=now)
    deadline = time.monotonic() + AWAIT_SECONDS
    while operation.state == State.RUNNING and time.monotonic() < deadline:
        time.sleep(0.1)  # another process is at it, and the database can't wake us on every engine
        operation.refresh_from_db()
    return operation


def sweep(*, now: datetime, limit: int = 100) -> int:
    """Try again what is open and due, longest due first. Returns how many were tried.

    A row that fails by a bug of ours is logged and comes round again later; it does not keep the others waiting.
    """
    if not lookout.may_send(now):
        return 0
    due = Operation.objects.filter(_free(), state__in=Operation.OPEN_STATES, next_try_at__lte=now)
    ids = list(due.order_by("next_try_at").values_list("pk", flat=True)[:limit])
    tried = 0
    for operation_id in for_a_while(ids):
        tried += 1
        try:
            run_operation(operation_id, now=now)
        except Exception:
            log.exception("operation_failed_by_a_bug", operation=str(operation_id))
    return tried


def _free() -> Q:
    return Q(lease_until=None) | Q(lease_until__lt=clock.wall())


def _claim(operation_id: uuid.UUID, now: datetime) -> Operation | None:
    """Take the lease under a new token. Whoever had it before can't write the outcome any more.

    The next try is pushed on at once, so that a row that kills its worker each time is not tried hot.
    """
    operation = Operation.objects.get(pk=operation_id)
    if operation.state not in Operation.OPEN_STATES:
        return None
    token = uuid.uuid4()
    hit = Operation.objects.filter(_free(), pk=operation_id, state=operation.state, tries=operation.tries).update(
        state=State.RUNNING,
        tries=F("tries") + 1,
        lease_token=token,
        lease_until=clock.wall() + LEASE,
        next_try_at=_handlers[operation.kind].retry_at(operation, now),
    )
    if not hit:
        return None
    was_unsent = operation.state == State.PENDING
    operation.refresh_from_db()
    operation.state = State.PENDING if was_unsent else State.UNKNOWN  # in memory: what to fall back to
    return operation


def _work(operation: Operation, handler: KindHandler[Any], now: datetime) -> None:
    try:
        facts = _ask(operation, handler, now)
        _close_done(operation, handler, facts, now)
    except GatewayError as error:
        _note_failure(operation, handler, error, now)
    except NotYetError:
        # The same key would be answered by the same incomplete object for ever.
        _put_back(operation, handler, now, state=State.UNKNOWN, must_look_up=True)


def _ask(operation: Operation, handler: KindHandler[Facts], now: datetime) -> Facts:
    sent_at = operation.first_sent_at
    if operation.must_look_up or (sent_at is not None and now - sent_at > KEY_LIFE):
        facts = _look_up(operation, handler)
        if facts is not None:
            return facts
        _begin_next_attempt(operation)
    # Conditional on the lease, and so the last fence before the call as well.
    operation.first_sent_at = operation.first_sent_at or now
    _write(operation, first_sent_at=operation.first_sent_at)
    return handler.send(operation)


def _look_up(operation: Operation, handler: KindHandler[Facts]) -> Facts | None:
    try:
        return handler.look_up(operation)
    except GatewayError as error:
        # That a look-up is refused says nothing about the change it asks after.
        raise GatewayError("busy", error.code, error.message) from error


def _begin_next_attempt(operation: Operation) -> None:
    """Everything sent so far is proven to have had no effect: only now may a new key be used."""
    operation.attempt += 1
    operation.must_look_up = False
    operation.first_sent_at = None
    _write(operation, attempt=operation.attempt, must_look_up=False, first_sent_at=None)


class LeaseLostError(Exception):
    """Someone else has taken the operation over; what we were about to do is theirs to do."""


def _write(operation: Operation, **changes: Any) -> None:
    """Only the holder of the lease writes."""
    mine = Operation.objects.filter(pk=operation.pk, state=State.RUNNING, lease_token=operation.lease_token)
    if not mine.update(**changes):
        raise LeaseLostError(f"operation {operation.pk}")


def _close_done(operation: Operation, handler: KindHandler[Facts], facts: Facts, now: datetime) -> None:
    with transaction.atomic():
        # First, and conditional: from here on a rival waits, and then finds the operation closed.
        _write(operation, state=State.DONE, lease_token=None, lease_until=None, finished_at=now)
        result_id = handler.record(operation, facts, now)
        Operation.objects.filter(pk=operation.pk).update(result_id=result_id, error_code="", error_message="")


def _note_failure(operation: Operation, handler: KindHandler[Any], error: GatewayError, now: datetime) -> None:
    log.warning(
        "stripe_call_failed",
        kind=operation.kind,
        operation=str(operation.pk),
        outcome=error.outcome,
        code=error.code,
    )
    said = {"error_code": error.code, "error_message": error.message}
    if error.permanent:
        with transaction.atomic():
            _write(operation, state=State.FAILED, lease_token=None, lease_until=None, finished_at=now, **said)
            handler.refuse(operation, error, now)
    elif error.outcome == "busy":
        _put_back(operation, handler, now, state=State(operation.state), must_look_up=operation.must_look_up, **said)
    else:
        look_first = operation.must_look_up or error.outcome == "broken"
        _put_back(operation, handler, now, state=State.UNKNOWN, must_look_up=look_first, **said)


def _put_back(
    operation: Operation, handler: KindHandler[Any], now: datetime, *, state: State, must_look_up: bool, **said: str
) -> None:
    _write(
        operation,
        state=state,
        must_look_up=must_look_up,
        next_try_at=handler.retry_at(operation, now),
        lease_token=None,
        lease_until=None,
        **said,
    )
