"""The monthly run: pays each coach, in each currency, what was released before the month's end, by one transfer.

A run is a row with a stage, so it is safe to run twice, to be killed at any line, and to be raced by a second
beat: lines are planned once, in the transaction that opens the run; each line is paid by one Operation at a
time; and whoever learns of the transfer first (our own call, a repeated one, Stripe's event) records it once.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from marketplace.lib.errors import DomainError
from marketplace.lib.money import Money
from marketplace.lib.months import end_of, month_before
from payments import gateway, ledger, operations
from payments.errors import NotYetError, StripeMismatchError
from payments.gateway import GatewayError
from payments.models import Earning, Operation, Payment, PayoutAccount, PayoutLine, PayoutRun, Transfer
from payments.rounds import for_a_while
from payments.services.debts import fetch_back
from payments.services.withholding import disputed_references
from payments.stripe_objects import TransferFacts

log = structlog.get_logger(__name__)

# A transfer that Stripe refused (balance too low, account restricted) is asked for again after this.
RETRY_AFTER = timedelta(hours=1)
CANT_RECEIVE = "The coach's Stripe account can't receive transfers at present."
DISPUTED = "A student's bank disputes what is on this line."


class MonthNotOver(DomainError):
    code = "month_not_over"
    message = "This month is not over yet (UTC)."


class BooksOutOfBalance(DomainError):
    code = "books_out_of_balance"


@dataclass(frozen=True, slots=True)
class PlannedLine:
    """What a run pays, or would pay, to one coach in one currency."""

    coach_id: int
    money: Money
    earning_ids: tuple[int, ...]
    sessions: int


# --- the run ------------------------------------------------------------------------------------


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


def open_run(month: str, now: datetime) -> PayoutRun:
    """Open the month's run with all its lines, or return the one that was opened before.

    Raises UnknownMonth, MonthNotOver, and BooksOutOfBalance where the imbalance is not one coach's alone;
    a coach whose books don't balance is left out, and is paid by the first run after they do.
    """
    if end_of(month) > now:
        raise MonthNotOver
    left_out = _coaches_to_leave_out()
    try:
        with transaction.atomic():
            run = PayoutRun.objects.create(month=month, opened_at=now)
            for planned in _group(_lock_due_earnings(month, left_out)):
                _create_line(run, planned)
    except IntegrityError:
        # Another process opened it at the same time, or it was there before.
        return PayoutRun.objects.get(month=month)
    return run


def dry_run(month: str, now: datetime) -> list[PlannedLine]:
    """What `open_run` would plan now; empty where the run is open or done. Raises what `open_run` raises."""
    if end_of(month) > now:
        raise MonthNotOver
    if PayoutRun.objects.filter(month=month).exists():
        return []
    return _group(_due_earnings(month, _coaches_to_leave_out()))


def due_lines(run: PayoutRun) -> QuerySet[PayoutLine]:
    return run.lines.exclude(status=PayoutLine.Status.PAID).select_related("run").order_by("pk")


def pay_lines(run: PayoutRun, now: datetime) -> None:
    """Bring lines that are not paid yet forward; none holds up another, not even one that fails by a bug."""
    for line in for_a_while(due_lines(run)):
        try:
            pay_line(line, now)
        except Exception:
            log.exception("payout_line_failed_by_a_bug", line=line.pk)


def pay_line(line: PayoutLine, now: datetime) -> None:
    """Bring one line forward as far as it goes now: paid, on its way, or waiting with the reason on the line."""
    operation = line.operations.order_by("-created_at").first()
    if operation is None or _may_begin_anew(operation, now):
        _start_transfer(line, now)
        return
    if operation is not None and _is_due(operation, now):
        operations.run_operation(operation.pk, now=now)


def close_run(run: PayoutRun, now: datetime) -> bool:
    """Close the run once every line is paid."""
    if due_lines(run).exists():
        return False
    open_one = PayoutRun.objects.filter(pk=run.pk, status=PayoutRun.Status.OPEN)
    return open_one.update(status=PayoutRun.Status.CLOSED, closed_at=now) == 1


# --- planning -----------------------------------------------------------------------------------


def _coaches_to_leave_out() -> set[int]:
    imbalances = ledger.check()
    everyones = [imbalance.message for imbalance in imbalances if imbalance.coach_id is None]
    if everyones:
        named = " ".join(everyones)
        raise BooksOutOfBalance(f"The books are out of balance; nobody is paid until they are good: {named}")
    for imbalance in imbalances:
        log.error("payout_leaves_coach_out", coach=imbalance.coach_id, imbalance=imbalance.message)
    return {imbalance.coach_id for imbalance in imbalances if imbalance.coach_id is not None}


def _due_earnings(month: str, left_out: set[int]) -> QuerySet[Earning]:
    due = Earning.objects.filter(release_at__lt=end_of(month), frozen=False, line=None, reversal=None)
    undisputed = due.exclude(payment__reference__in=disputed_references())
    return undisputed.exclude(coach_id__in=left_out).order_by("pk")


def _lock_due_earnings(month: str, left_out: set[int]) -> list[Earning]:
    """Read once more under the locks: a refund takes the same ones, and may have left its debt while we waited.

    The earnings alone: a refund locks its payment first, so whoever locked both here would wait for it crosswise.
    """
    due = _due_earnings(month, left_out).select_for_update(of=("self",))
    references = {earning.payment.reference for earning in due.select_related("payment")}
    return list(due.filter(payment__reference__in=references))


def _group(earnings: Iterable[Earning]) -> list[PlannedLine]:
    """What is above zero; a debt that is larger waits, with all that was to make up for it, for what is earned next."""
    groups: dict[tuple[int, str], list[Earning]] = defaultdict(list)
    for earning in earnings:
        groups[earning.coach_id, earning.currency].append(earning)
    return [
        PlannedLine(
            coach_id=coach_id,
            money=Money(sum(earning.amount for earning in group), currency),
            earning_ids=tuple(earning.pk for earning in group),
            sessions=len({earning.payment_id for earning in group}),
        )
        for (coach_id, currency), group in sorted(groups.items())
        if sum(earning.amount for earning in group) > 0
    ]


def _create_line(run: PayoutRun, planned: PlannedLine) -> None:
    line = PayoutLine.objects.create(
        run=run, coach_id=planned.coach_id, amount=planned.money.amount, currency=planned.money.currency
    )
    taken = Earning.objects.filter(pk__in=planned.earning_ids, line=None, frozen=False).update(line=line)
    if taken != len(planned.earning_ids):
        # They are locked, so only a database without row locks gets here: plan again on the next tick.
        raise RuntimeError(f"{run}: an earning of coach {planned.coach_id} changed while it was planned.")


# --- one line, one transfer ---------------------------------------------------------------------


def _may_begin_anew(operation: Operation, now: datetime) -> bool:
    """Stripe refused the last one, which proves that it had no effect, and that was some time ago."""
    if operation.state != Operation.State.FAILED or operation.finished_at is None:
        return False
    return operation.finished_at + RETRY_AFTER <= now


def _is_due(operation: Operation, now: datetime) -> bool:
    return operation.state in Operation.OPEN_STATES and operation.next_try_at <= now


def _start_transfer(line: PayoutLine, now: datetime) -> None:
    """Write the transfer down and make it, unless the coach can't be paid now or another process was first."""
    account = PayoutAccount.objects.filter(coach_id=line.coach_id).first()
    if account is None or not account.transfers_active or account.deauthorised_at is not None:
        _wait(line, CANT_RECEIVE)
        return
    operation_id = uuid.uuid4()
    try:
        with transaction.atomic():
            # A refund may make the line smaller, or take it away, until its transfer is written down.
            locked = PayoutLine.objects.select_for_update(of=("self",)).select_related("run").filter(pk=line.pk).first()
            if locked is None or _has_transfer(locked):
                return
            if locked.earnings.filter(payment__reference__in=disputed_references()).exists():
                _wait(locked, DISPUTED)
                return
            params = _transfer_params(locked, account.stripe_account_id, operation_id)
            operations.create_for_own_run(
                Operation.Kind.TRANSFER, operation_id=operation_id, params=params, now=now, line=line
            )
    except IntegrityError:
        # One transfer for each line: the unique index let a second beat's one in before ours.
        return
    operations.run_operation(operation_id, now=now)


def _has_transfer(line: PayoutLine) -> bool:
    """Another process was first. Asked under the lock: to find out by the unique index would be to wait there for
    whoever records that transfer, and who waits for this line.
    """
    return line.operations.filter(kind=Operation.Kind.TRANSFER).exclude(state=Operation.State.FAILED).exists()


def _transfer_params(line: PayoutLine, destination: str, operation_id: uuid.UUID) -> dict[str, object]:
    return {
        "amount": line.amount,
        "currency": line.currency,
        "destination": destination,
        "transfer_group": f"payouts-{line.run.month}",
        "description": f"Sessions released by the end of {line.run.month}",
        "metadata": {
            "operation_id": str(operation_id),
            "payout_line_id": str(line.pk),
            "session_type": "LIVE_SESSION",
        },
        "expand": list(gateway.EXPAND_TRANSFER),
    }


def _wait(line: PayoutLine, reason: str) -> None:
    unpaid = PayoutLine.objects.filter(~Q(status=PayoutLine.Status.PAID), pk=line.pk)
    unpaid.update(status=PayoutLine.Status.WAITING, waiting_for=reason[:200])


def record_transfer(*, line: PayoutLine, facts: TransferFacts, now: datetime) -> None:
    """Stripe has moved the line's money: the transfer, its place in the books, and the line, all or none.

    Safe to repeat, from our own call and from Stripe's event alike. Raises StripeMismatchError where the facts
    are not the line's, and NotYetError while the balance transaction that the books need is missing.
    """
    if (facts.amount, facts.currency) != (line.amount, line.currency):
        raise StripeMismatchError(f"Transfer {facts.id} does not fit payout line {line.pk}.")
    if facts.balance_transaction is None:
        raise NotYetError(f"Transfer {facts.id} has no balance transaction yet.")
    money = Money(facts.amount, facts.currency)
    with transaction.atomic():
        payments = list(_locked_payments(line))
        Transfer.objects.get_or_create(
            stripe_transfer_id=facts.id,
            defaults={
                "coach_id": line.coach_id,
                "destination": facts.destination,
                "amount": facts.amount,
                "currency": facts.currency,
                "line": line,
                "created_at": now,
            },
        )
        ledger.post(
            kind="transfer",
            reference=facts.id,
            now=now,
            lines=[
                ledger.Line(ledger.coach_payable(line.coach_id), money),
                ledger.Line(
                    ledger.STRIPE_BALANCE, -money, facts.balance_transaction.id, facts.balance_transaction.created
                ),
            ],
        )
        unpaid = PayoutLine.objects.filter(~Q(status=PayoutLine.Status.PAID), pk=line.pk)
        if unpaid.update(status=PayoutLine.Status.PAID, waiting_for="", paid_at=now):
            for payment in payments:
                fetch_back(payment=payment, now=now)


def _locked_payments(line: PayoutLine) -> QuerySet[Payment]:
    """In the order in which all lock them: what was taken back of them meanwhile is fetched back."""
    theirs = Payment.objects.filter(pk__in=line.earnings.values("payment"))
    return theirs.select_for_update(no_key=True).order_by("pk")


# --- how operations carry a transfer ------------------------------------------------------------


def _line_of(operation: Operation) -> PayoutLine:
    return PayoutLine.objects.get(operations=operation)


def _send(operation: Operation) -> TransferFacts:
    return gateway.create_transfer(params=operation.params, key=operation.idempotency_key)


def _look_up(operation: Operation) -> TransferFacts | None:
    return gateway.find_transfer(
        operation_id=str(operation.pk),
        transfer_group=operation.params["transfer_group"],
        destination=operation.params["destination"],
    )


def _record(operation: Operation, facts: TransferFacts, now: datetime) -> str:
    record_transfer(line=_line_of(operation), facts=facts, now=now)
    return facts.id


def _refuse(operation: Operation, error: GatewayError, now: datetime) -> None:  # noqa: ARG001  # the interface's
    words = {
        "balance_insufficient": "The platform's available balance at Stripe is too low.",
        "insufficient_capabilities_for_transfer": CANT_RECEIVE,
        "transfers_not_allowed": CANT_RECEIVE,
    }
    _wait(_line_of(operation), words.get(error.code, f"Stripe refused: {error.message}"))


operations.register(
    Operation.Kind.TRANSFER,
    operations.KindHandler(send=_send, look_up=_look_up, record=_record, refuse=_refuse),
)
