"""What a coach has earned and when it reaches them: the money timeline from their side. Reads only our own tables."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet, Sum

from coaches.models import Coach
from marketplace.lib.money import Money
from payments import pricing
from payments.models import Earning, Payment
from payments.selectors import TimelineStep


@dataclass(frozen=True, slots=True)
class EarningRow:
    """One session that was taken: its price, our fee, the coach's share, and where that share is."""

    payment: Payment
    price: Money
    platform_fee: Money
    share: Money
    steps: list[TimelineStep]


def captured_payments(coach: Coach) -> QuerySet[Payment]:
    """Newest first, with all that `earning_row` reads."""
    return (
        coach.payments.filter(status=Payment.Status.CAPTURED)
        .select_related("earning__line", "transfer", "payer")
        .order_by("-captured_at", "-pk")
    )


def earning_row(payment: Payment, now: datetime) -> EarningRow:
    share = _share(payment)
    taken = Money(payment.captured_amount, payment.currency)
    return EarningRow(payment, taken, taken - share, share, share_timeline(payment, now))


def share_timeline(payment: Payment, now: datetime) -> list[TimelineStep]:
    """Taken, released, transferred: the share's way to the coach. For a captured payment."""
    taken = TimelineStep("Taken", payment.captured_at, "done", Money(payment.captured_amount, payment.currency), "")
    transfer, earning = getattr(payment, "transfer", None), getattr(payment, "earning", None)
    steps = [taken]
    if transfer is not None:
        moved = _share(payment) - Money(earning.amount if earning else 0, payment.currency)
        steps.append(TimelineStep("Transferred to you", transfer.created_at, "done", moved, ""))
    return [*steps, *_monthly_steps(earning, now)] if earning else steps


def unpaid_sums(coach: Coach) -> list[Money]:
    """What is earned and not transferred yet, one sum for each currency."""
    unpaid = coach.earnings.exclude(line__status="paid").values_list("currency").annotate(total=Sum("amount"))
    return [Money(total, currency) for currency, total in unpaid.order_by("currency")]


def _share(payment: Payment) -> Money:
    return pricing.quote(Money(payment.captured_amount, payment.currency), payment.fee_bps).coach_share


def _monthly_steps(earning: Earning, now: datetime) -> list[TimelineStep]:
    share = Money(earning.amount, earning.currency)
    line = earning.line
    if line is not None and line.paid_at is not None:
        return [
            TimelineStep("Released", earning.release_at, "done", None, ""),
            TimelineStep("Transferred to you", line.paid_at, "done", share, ""),
        ]
    if earning.frozen:
        return [TimelineStep("Kept back", None, "now", share, "While a question about this session is open.")]
    if earning.release_at > now:
        waiting = TimelineStep("Waiting", earning.release_at, "now", share, "Released a week after the session.")
        return [waiting, TimelineStep("Transferred to you", None, "next", share, "When the month is over.")]
    released = TimelineStep("Released", earning.release_at, "done", None, "")
    detail = line.waiting_for if line is not None else ""
    return [released, TimelineStep("Next transfer", None, "now", share, detail or "When the month is over.")]
