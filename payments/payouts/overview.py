"""How far a run is, and whose money waits with us. Reads only; a constant number of queries."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Case, CharField, Count, Max, Q, QuerySet, Sum, Value, When

from marketplace.lib.money import Money
from payments.models import Earning, PayoutLine, PayoutMethod, PayoutRun
from payments.payouts.planning import least
from payments.services.withholding import disputed_references

# The rate is that of the last minute in which lines were paid.
RATE_OVER = timedelta(minutes=1)
FROZEN = "Kept back: a question or a dispute about the session is open."
IN_DEBT = "In debt: what they earn next makes up for it."
BELOW_MINIMUM = "Below the minimum: carried over to the next run."
NO_ACCOUNT = "No Stripe account yet."
NO_METHOD = "No payout method chosen."


@dataclass(frozen=True, slots=True)
class Part:
    """The lines of one status and currency."""

    status: PayoutLine.Status
    lines: int
    money: Money


@dataclass(frozen=True, slots=True)
class Progress:
    """`rate` is in lines a second; with `expected_end` (UTC) only while lines are being paid."""

    parts: tuple[Part, ...]
    lines: int
    paid: int
    rate: float | None
    expected_end: datetime | None


@dataclass(frozen=True, slots=True)
class WaitingSum:
    """What one coach has on no line in one currency, and why; below zero where they owe it."""

    coach_id: int
    coach_name: str
    money: Money
    reason: str


def progress(run: PayoutRun) -> Progress:
    """Counts and sums by status and currency, and when it should be done at the rate at which it goes."""
    rows = run.lines.values_list("status", "currency").annotate(lines=Count("pk"), total=Sum("amount"))
    parts = tuple(
        Part(PayoutLine.Status(status), lines, Money(total, currency))
        for status, currency, lines, total in rows.order_by("status", "currency")
    )
    counts = {status: sum(part.lines for part in parts if part.status == status) for status in PayoutLine.Status}
    left = counts[PayoutLine.Status.PLANNED]
    rate, last = _rate(run) if left else (None, None)
    return Progress(
        parts=parts,
        lines=sum(counts.values()),
        paid=counts[PayoutLine.Status.PAID],
        rate=rate,
        expected_end=last + timedelta(seconds=left / rate) if rate and last else None,
    )


def _rate(run: PayoutRun) -> tuple[float | None, datetime | None]:
    """And when the last line was paid."""
    paid = run.lines.filter(status=PayoutLine.Status.PAID)
    last = paid.aggregate(last=Max("paid_at"))["last"]
    if last is None:
        return None, None
    times = list(paid.filter(paid_at__gt=last - RATE_OVER).order_by("paid_at").values_list("paid_at", flat=True))
    seconds = (last - times[0]).total_seconds() if times[0] else 0
    return ((len(times) - 1) / seconds if seconds else None), last


def waiting(now: datetime) -> list[WaitingSum]:
    """What was released, and is on no line and will be on none as things are; by coach, currency and reason."""
    rows = (
        _on_no_line(now)
        .annotate(kept=_is_kept_back(), account=_account_words())
        .values_list("coach_id", "coach__display_name", "currency", "kept", "account")
        .annotate(total=Sum("amount"))
        .exclude(total=0)
        .order_by("coach__display_name", "coach_id", "currency", "kept")
    )
    found = []
    for coach_id, name, currency, kept, account, total in rows:
        reason = FROZEN if kept else _why(total, currency, account)
        if reason:
            found.append(WaitingSum(coach_id, name, Money(total, currency), reason))
    return found


def _on_no_line(now: datetime) -> QuerySet[Earning]:
    return Earning.objects.filter(line=None, reversal=None, release_at__lte=now)


def _why(total: int, currency: str, account: str) -> str:
    """Empty for what the next run pays."""
    if total < 0:
        return IN_DEBT
    return account or (BELOW_MINIMUM if total < least(currency) else "")


def _is_kept_back() -> Case:
    disputed = Q(payment__reference__in=disputed_references())
    return Case(When(Q(frozen=True) | disputed, then=Value(True)), default=Value(False))


def _account_words() -> Case:
    method = "coach__payout_account__payout_method"
    return Case(
        When(coach__payout_account=None, then=Value(NO_ACCOUNT)),
        When(~Q(**{method: PayoutMethod.STRIPE}), then=Value(NO_METHOD)),
        default=Value(""),
        output_field=CharField(),
    )
