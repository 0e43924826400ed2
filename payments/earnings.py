"""What a coach has earned and when it reaches them: the money timeline from their side. Reads only our own tables."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from coaches.models import Coach
from marketplace.lib.money import Money
from payments import pricing
from payments.models import Earning, Payment
from payments.selectors import TimelineStep


@dataclass(frozen=True, slots=True)
class EarningRow:
    """One session that was paid for: its price, our fee, the coach's share, and where that share is."""

    payment: Payment
    price: Money
    platform_fee: Money
    share: Money
    steps: list[TimelineStep]


def paid_sessions(coach: Coach) -> QuerySet[Payment]:
    """The payments that the coach has a share of, newest first, with all that `earning_row` reads.

    What the platform has paid in a student's stead is one of them; what that student pays after all is not.
    """
    written_off = Payment.objects.filter(reference=OuterRef("reference"), written_off_at__isnull=False)
    taken = Q(status=Payment.Status.CAPTURED) & ~Exists(written_off)
    return (
        coach.payments.filter(taken | Q(written_off_at__isnull=False))
        .select_related("earning__line", "transfer", "payer")
        .order_by(Coalesce("captured_at", "written_off_at").desc(), "-pk")
    )


def earning_row(payment: Payment, now: datetime) -> EarningRow:
    price, share = _price(payment), _share(payment)
    return EarningRow(payment, price, price - share, share, share_timeline(payment, now))


def share_timeline(payment: Payment, now: datetime) -> list[TimelineStep]:
    """Taken, released, transferred: the share's way to the coach. For a payment that is captured or written off."""
    transfer, earning = getattr(payment, "transfer", None), getattr(payment, "earning", None)
    steps = [_beginning(payment)]
    if transfer is not None:
        moved = _share(payment) - Money(earning.amount if earning else 0, payment.currency)
        steps.append(TimelineStep("Transferred to you", transfer.created_at, "done", moved, ""))
    return [*steps, *_monthly_steps(earning, now)] if earning else steps


def _beginning(payment: Payment) -> TimelineStep:
    if payment.written_off_at is not None:
        detail = "The student has not paid, so we pay your share."
        return TimelineStep("Paid by us", payment.written_off_at, "done", _share(payment), detail)
    return TimelineStep("Taken", payment.captured_at, "done", _price(payment), "")


def unpaid_sums(coach: Coach) -> list[Money]:
    """What is earned and not transferred yet, one sum for each currency."""
    unpaid = coach.earnings.exclude(line__status="paid").values_list("currency").annotate(total=Sum("amount"))
    return [Money(total, currency) for currency, total in unpaid.order_by("currency")]


def _price(payment: Payment) -> Money:
    return payment.money if payment.written_off_at else Money(payment.captured_amount, payment.currency)


def _share(payment: Payment) -> Money:
    return pricing.quote(_price(payment), payment.fee_bps).coach_share


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
