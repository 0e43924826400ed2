"""One line, one transfer: asked for when nothing is in its way, and waiting in words while something is."""

import uuid
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, Subquery, Value, When

from payments import gateway, lookout, operations
from payments.models import Earning, Operation, PayoutLine, PayoutMethod, PayoutRun
from payments.services.withholding import disputed_references

# A transfer that Stripe refused is asked for again after this where the reason is one that passes, and less often where
# it is not known to.
RETRY_AFTER = timedelta(hours=1)
RETRY_REFUSED_AFTER = timedelta(days=1)
# Why a line waits: for staff and coach alike, so nothing in Stripe's own words.
NO_ACCOUNT = "There is no Stripe account to pay to yet."
NO_METHOD = "No payout method is chosen."
CANT_RECEIVE = "The Stripe account can't receive transfers at present."
BALANCE_TOO_LOW = "The platform's available balance at Stripe is too low."
WRONG_CURRENCY = "The Stripe account can't hold this currency."
REFUSED = "Stripe has refused the transfer. We are looking into it."
DISPUTED = "A student's bank disputes what is on this line."
OUT_OF_BALANCE = "Our books of what is owed don't agree. We are looking into it."
# Stripe's codes for reasons that pass, and our words for them.
PASSING = {
    "balance_insufficient": BALANCE_TOO_LOW,
    "insufficient_capabilities_for_transfer": CANT_RECEIVE,
    "transfers_not_allowed": CANT_RECEIVE,
}
# What the coach can do something about, and how.
UP_TO_THE_COACH = {
    NO_ACCOUNT: "Set up your payouts: it takes a few minutes on Stripe's own page.",
    NO_METHOD: "Choose on your payouts page how you are paid.",
    CANT_RECEIVE: "Stripe needs something of you: your payouts page says what, and leads to Stripe's page.",
    WRONG_CURRENCY: "Add a bank account in this currency on Stripe's page, which your payouts page leads to.",
}

_ACCOUNT = "coach__payout_account"
# What we know of the coach's account that keeps their lines from being paid; empty where nothing does.
_ACCOUNT_IN_THE_WAY = Case(
    When(Q(**{_ACCOUNT: None}), then=Value(NO_ACCOUNT)),
    When(~Q(**{f"{_ACCOUNT}__payout_method": PayoutMethod.STRIPE}), then=Value(NO_METHOD)),
    When(
        Q(**{f"{_ACCOUNT}__transfers_active": False}) | Q(**{f"{_ACCOUNT}__deauthorised_at__isnull": False}),
        then=Value(CANT_RECEIVE),
    ),
    default=Value(""),
)


def unpaid_lines(run: PayoutRun) -> QuerySet[PayoutLine]:
    return run.lines.exclude(status=PayoutLine.Status.PAID).select_related("run").order_by("pk")


def due_lines(run: PayoutRun) -> QuerySet[PayoutLine]:
    """Those to be paid, now or when what is in their way is gone; what finance holds is left alone."""
    return unpaid_lines(run).exclude(status=PayoutLine.Status.HELD)


def workable_lines(run: PayoutRun, now: datetime) -> QuerySet[PayoutLine]:
    """Of the due ones those for which something may be done now: thousands that wait for the balance, or for their
    coach, are not asked for one by one on each tick.
    """
    latest = Operation.objects.filter(line=OuterRef("pk")).order_by("-created_at")
    disputed = Earning.objects.filter(line=OuterRef("pk"), payment__reference__in=disputed_references())
    lines = due_lines(run).annotate(
        in_the_way=_ACCOUNT_IN_THE_WAY,
        state=Subquery(latest.values("state")[:1]),
        refused_with=Subquery(latest.values("error_code")[:1]),
        tried_at=Subquery(latest.values("finished_at")[:1]),
        next_try_at=Subquery(latest.values("next_try_at")[:1]),
    )
    still_in_the_way = Q(waiting_for=F("in_the_way")) & ~Q(in_the_way="")
    as_noted = still_in_the_way | (Q(waiting_for=DISPUTED) & Exists(disputed))
    # As `_may_begin_anew`.
    rested = Q(tried_at__lte=now - RETRY_REFUSED_AFTER) | Q(refused_with__in=PASSING, tried_at__lte=now - RETRY_AFTER)
    to_begin = Q(state=None) | Q(rested, state=Operation.State.FAILED)
    under_way = Q(state__in=Operation.OPEN_STATES, next_try_at__lte=now)
    return lines.filter((to_begin & ~(Q(status=PayoutLine.Status.WAITING) & as_noted)) | under_way)


def pay_line(line: PayoutLine, now: datetime) -> None:
    """Bring one line forward as far as it goes now: paid, on its way, or waiting with the reason on the line.

    Nothing is written down while we stand still: it might be sent beside what this database has forgotten.
    """
    if not lookout.may_send(now):
        return
    operation = line.operations.order_by("-created_at").first()
    if operation is None or _may_begin_anew(operation, now):
        _start_transfer(line, now)
    elif operation.state in Operation.OPEN_STATES and operation.next_try_at <= now:
        operations.run_operation(operation.pk, now=now)


def wait(line: PayoutLine, reason: str) -> None:
    due = PayoutLine.objects.exclude(status__in=(PayoutLine.Status.PAID, PayoutLine.Status.HELD))
    due.filter(pk=line.pk).update(status=PayoutLine.Status.WAITING, waiting_for=reason)


def has_transfer(line: PayoutLine) -> bool:
    """Asked of Stripe, and not refused."""
    return line.operations.filter(kind=Operation.Kind.TRANSFER).exclude(state=Operation.State.FAILED).exists()


def _may_begin_anew(operation: Operation, now: datetime) -> bool:
    """Stripe refused the last one, which proves that it had no effect, and that was some time ago."""
    if operation.state != Operation.State.FAILED or operation.finished_at is None:
        return False
    rest = RETRY_AFTER if operation.error_code in PASSING else RETRY_REFUSED_AFTER
    return operation.finished_at + rest <= now


def _start_transfer(line: PayoutLine, now: datetime) -> None:
    """Write the transfer down and make it, unless the coach can't be paid now or another process was first."""
    found = PayoutLine.objects.annotate(in_the_way=_ACCOUNT_IN_THE_WAY).filter(pk=line.pk)
    known = found.values_list("in_the_way", f"{_ACCOUNT}__stripe_account_id").first()
    if known is None:  # a refund has undone the line
        return
    in_the_way, destination = known
    if in_the_way:
        wait(line, in_the_way)
        return
    operation_id = uuid.uuid4()
    try:
        with transaction.atomic():
            if not _write_transfer_down(line, destination, operation_id, now):
                return
    except IntegrityError:
        # One transfer for each line: the unique index let a second beat's one in before ours.
        return
    operations.run_operation(operation_id, now=now)


def _write_transfer_down(line: PayoutLine, destination: str, operation_id: uuid.UUID, now: datetime) -> bool:
    """A refund may make the line smaller or take it away, and finance hold it, until its transfer is written down."""
    locked = PayoutLine.objects.select_for_update(of=("self",)).select_related("run").filter(pk=line.pk).first()
    # Another process may have been first. Asked under the lock: to find out by the unique index would be to wait there
    # for whoever records that transfer, and who waits for this line.
    if locked is None or locked.status == PayoutLine.Status.HELD or has_transfer(locked):
        return False
    if locked.earnings.filter(payment__reference__in=disputed_references()).exists():
        wait(locked, DISPUTED)
        return False
    params = _transfer_params(locked, destination, operation_id)
    operations.create_for_own_run(
        Operation.Kind.TRANSFER, operation_id=operation_id, params=params, now=now, line=locked
    )
    return True


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
