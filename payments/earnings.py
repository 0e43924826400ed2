"""What a coach has earned and when it reaches them: the money timeline from their side. Reads only our own tables."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from coaches.models import Coach
from marketplace.lib.money import Money
from payments import pricing
from payments.models import Dispute, Earning, Payment, PayoutLine, Reversal
from payments.selectors import TimelineStep

Kind = Earning.Kind

# What happens to a share after it was earned. What was fetched back says so on the debt that it meets.
LATER_WORDS = {
    Kind.TAKEN_BACK: "Taken back for a refund",
    Kind.RETURNED: "Yours again: not refunded after all",
    Kind.DISPUTED: "Taken back for a dispute",
}


@dataclass(frozen=True, slots=True)
class EarningRow:
    """One session that was paid for: its price, our fee, the coach's share less what was taken back, and its way."""

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
        .select_related("transfer", "payer")
        .prefetch_related(
            "disputes", Prefetch("earnings", Earning.objects.select_related("line", "reversal").order_by("pk"))
        )
        .order_by(Coalesce("captured_at", "written_off_at").desc(), "-pk")
    )


def earning_row(payment: Payment, now: datetime) -> EarningRow:
    price, share = _price(payment), _share(payment)
    left = share - Money(payment.taken_back_amount + payment.kept_amount, payment.currency)
    return EarningRow(payment, price, price - share, left, share_timeline(payment, now))


def share_timeline(payment: Payment, now: datetime) -> list[TimelineStep]:
    """Taken, released, transferred: the share's way to the coach. For a payment that is captured or written off."""
    earnings = list(payment.earnings.all())
    share = next((earning for earning in earnings if earning.kind == Kind.SHARE), None)
    steps = [_beginning(payment)]
    transfer = getattr(payment, "transfer", None)
    if transfer is not None:
        moved = _share(payment) - Money(share.amount if share else 0, payment.currency)
        steps.append(TimelineStep("Transferred to you", transfer.created_at, "done", moved, ""))
    disputes = [dispute for dispute in payment.disputes.all() if dispute.withdrawn_at]
    if share is not None:
        steps += _monthly_steps(share, now, _why_kept_back(share, disputes))
    steps += [_later_step(earning) for earning in earnings if earning.kind in LATER_WORDS]
    steps += [step for earning in earnings if (step := _reversed_at_stripe_step(earning))]
    return [*steps, *(_dispute_step(dispute) for dispute in disputes)]


def _beginning(payment: Payment) -> TimelineStep:
    if payment.written_off_at is not None:
        detail = "The student has not paid, so we pay your share."
        return TimelineStep("Paid by us", payment.written_off_at, "done", _share(payment), detail)
    return TimelineStep("Taken", payment.captured_at, "done", _price(payment), "")


def unpaid_earnings(coach: Coach) -> QuerySet[Earning]:
    """What is earned and not transferred yet, and what they owe."""
    return coach.earnings.exclude(line__status=PayoutLine.Status.PAID).exclude(reversal__status=Reversal.Status.DONE)


def unpaid_sums(coach: Coach) -> list[Money]:
    """What is earned and not transferred yet, less what they owe; one sum for each currency, none of nothing."""
    sums = unpaid_earnings(coach).values_list("currency").annotate(total=Sum("amount")).exclude(total=0)
    return [Money(total, currency) for currency, total in sums.order_by("currency")]


def _price(payment: Payment) -> Money:
    return payment.money if payment.written_off_at else Money(payment.captured_amount, payment.currency)


def _share(payment: Payment) -> Money:
    return pricing.quote(_price(payment), payment.fee_bps).coach_share


def _why_kept_back(share: Earning, disputes: list[Dispute]) -> str:
    """Empty where nothing is in its way."""
    if any(dispute.closed_at is None for dispute in disputes):
        return "While the student's bank decides."
    return "While a question about this session is open." if share.frozen else ""


def _dispute_step(dispute: Dispute) -> TimelineStep:
    if dispute.closed_at is None:
        return TimelineStep("Disputed by the student's bank", dispute.opened_at, "now", dispute.money, "")
    if dispute.status != Dispute.Status.LOST:
        return TimelineStep("Dispute won", dispute.closed_at, "done", dispute.money, "Your share is yours.")
    by_us = dispute.charged_to == Dispute.ChargedTo.PLATFORM
    detail = "We bear it: your share is yours." if by_us else ""
    return TimelineStep("Dispute lost", dispute.closed_at, "done", dispute.money, detail)


def _monthly_steps(earning: Earning, now: datetime, kept_back: str) -> list[TimelineStep]:
    share = Money(earning.amount, earning.currency)
    line = earning.line
    if line is not None and line.paid_at is not None:
        return [
            TimelineStep("Released", earning.release_at, "done", None, ""),
            TimelineStep("Transferred to you", line.paid_at, "done", share, ""),
        ]
    if kept_back:
        return [TimelineStep("Kept back", None, "now", share, kept_back)]
    if earning.release_at > now:
        waiting = TimelineStep("Waiting", earning.release_at, "now", share, "Released a week after the session.")
        return [waiting, TimelineStep("Transferred to you", None, "next", share, "When the month is over.")]
    released = TimelineStep("Released", earning.release_at, "done", None, "")
    detail = line.waiting_for if line is not None else ""
    return [released, TimelineStep("Next transfer", None, "now", share, detail or "When the month is over.")]


def _later_step(earning: Earning) -> TimelineStep:
    money = Money(abs(earning.amount), earning.currency)
    return TimelineStep(LATER_WORDS[Kind(earning.kind)], earning.created_at, "done", money, _way_back(earning))


def _reversed_at_stripe_step(earning: Earning) -> TimelineStep | None:
    """What we have taken back of a transfer for neither a refund nor a dispute, until it is on a line again."""
    reversal = earning.reversal
    if earning.kind != Kind.REVERSED or reversal is None or reversal.refund_id or reversal.dispute_id:
        return None
    undecided = reversal.status == Reversal.Status.AT_STRIPE
    detail = "We are looking into it." if undecided else "It was paid to you by mistake."
    money = Money(earning.amount, earning.currency)
    label = "Taken back from your Stripe account"
    return TimelineStep(label, earning.created_at, "now" if undecided else "done", money, detail)


def _way_back(earning: Earning) -> str:
    if earning.amount > 0:
        return ""
    reversal = earning.reversal
    if reversal is not None:
        done = reversal.status == Reversal.Status.DONE
        return "Fetched back from your Stripe account." if done else "Being fetched back from your Stripe account."
    return "Made up for by what you earn."
