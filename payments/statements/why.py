"""Why a coach's month is what it is, for staff: each line with the rows behind it, and what is not paid and why."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from coaches.models import Coach
from marketplace.lib.money import Money
from marketplace.models import StaffDecision
from payments.models import Correction, Dispute, Earning, PayoutLine, Refund, Reversal, Transfer
from payments.services.withholding import disputed_references
from payments.statements.words import LineRow

MOST_EARNINGS = 200


@dataclass(frozen=True, slots=True)
class Explained:
    """A line, and what it comes from. `made_of` is what a run's transfer is the sum of."""

    row: LineRow
    refund: Refund | None
    dispute: Dispute | None
    transfer: Transfer | None
    reversal: Reversal | None
    decision: StaffDecision | None
    correction: Correction | None
    made_of: Sequence[Earning]

    @property
    def reason(self) -> str:
        """Of a deduction or a correction; empty for all else."""
        if self.correction is not None and self.correction.decided_by is not None:
            agreed = f"agreed to by {self.correction.decided_by.name}: {self.correction.decision}"
            return f"Proposed by {self.correction.proposed_by.name}, {agreed}"
        reversal = self.reversal
        refund = self.refund or (reversal.refund if reversal else None)
        dispute = self.dispute or (reversal.dispute if reversal else None)
        if refund is not None:
            note = f": {refund.note}" if refund.note else ""
            return f"{refund.get_reason_display()}{note} (borne by: {refund.get_bearer_display().lower()})"
        if dispute is not None:
            return f"Dispute {dispute.stripe_dispute_id}, {dispute.reason}: {dispute.get_status_display().lower()}"
        if reversal is not None:
            decided = self.decision and f"{self.decision.actor.name}: {self.decision.reason}"
            return f"Reversed at Stripe, and not by us. {decided or 'Nobody has decided about it yet.'}"
        return ""


@dataclass(frozen=True, slots=True)
class Unpaid:
    """Earned and on no transfer yet, or owed; and what it waits for."""

    earning: Earning
    money: Money
    why: str


def explained(rows: Sequence[LineRow]) -> list[Explained]:
    """In the same order. Seven queries, however many rows there are."""
    sources = {row.line.source for row in rows}
    refund_ids = [int(source[7:]) for source in sources if source.startswith("refund:") and source[7:].isdecimal()]
    refunds = {f"refund:{refund.pk}": refund for refund in Refund.objects.filter(pk__in=refund_ids)}
    disputes = {each.stripe_dispute_id: each for each in Dispute.objects.filter(stripe_dispute_id__in=sources)}
    found = Transfer.objects.filter(stripe_transfer_id__in=sources).select_related("line__run")
    transfers = {transfer.stripe_transfer_id: transfer for transfer in found}
    known = Reversal.objects.filter(stripe_reversal_id__in=sources).select_related("refund", "dispute")
    reversals = {str(reversal.stripe_reversal_id): reversal for reversal in known}
    decisions = _decisions_about(reversals.values())
    booked = Correction.objects.filter(booked__in=[row.line.transaction_id for row in rows])
    corrections = {each.booked_id: each for each in booked.select_related("proposed_by", "decided_by")}
    made_of = _earnings_by_line([transfer.line for transfer in transfers.values() if transfer.line])
    explained_rows = []
    for row in rows:
        source = row.line.source
        transfer = transfers.get(source)
        parts = made_of[transfer.line_id] if transfer and transfer.line_id else []
        reversal = reversals.get(source)
        decision = decisions.get(str(reversal.pk)) if reversal else None
        correction = corrections.get(row.line.transaction_id)
        found_here = (refunds.get(source), disputes.get(source), transfer, reversal, decision, correction)
        explained_rows.append(Explained(row, *found_here, parts))
    return explained_rows


def _decisions_about(reversals: Iterable[Reversal]) -> dict[str, StaffDecision]:
    """What staff decided about those that were made at Stripe, by the reversal's key."""
    keys = [str(reversal.pk) for reversal in reversals]
    found = StaffDecision.objects.filter(subject_type=Reversal._meta.label, subject_id__in=keys)  # noqa: SLF001  # its name
    return {decision.subject_id: decision for decision in found.select_related("actor").order_by("at")}


def _earnings_by_line(lines: Sequence[PayoutLine]) -> dict[int, list[Earning]]:
    found: dict[int, list[Earning]] = defaultdict(list)
    earnings = Earning.objects.filter(line__in=[line.pk for line in lines]).select_related("payment", "correction")
    for earning in earnings.order_by("payment__service_ends_at", "pk"):
        if earning.line_id is not None:
            found[earning.line_id].append(earning)
    return found


def unpaid_lines(coach: Coach, currency: str) -> list[PayoutLine]:
    """Of the runs so far: planned, waiting or held, as they are now."""
    lines = coach.payout_lines.filter(currency=currency).exclude(status=PayoutLine.Status.PAID)
    return list(lines.select_related("run", "held_by").order_by("run__month", "pk"))


def unpaid_earnings(coach: Coach, currency: str, now: datetime) -> list[Unpaid]:
    """On no line yet, as they are now; the first of them where they are very many. Two queries."""
    waiting = coach.earnings.filter(currency=currency, line=None).exclude(reversal__status=Reversal.Status.DONE)
    earnings = waiting.select_related("payment", "reversal", "correction").order_by("release_at", "pk")[:MOST_EARNINGS]
    disputed = set(disputed_references().filter(payment__coach=coach))
    return [
        Unpaid(earning, Money(earning.amount, currency), _waits_for(earning, disputed, now)) for earning in earnings
    ]


def _waits_for(earning: Earning, disputed: set[str], now: datetime) -> str:
    if earning.reversal is not None:
        return "It is being fetched back from the coach's account, or was taken back there."
    if earning.payment is not None and earning.payment.reference in disputed:
        return "Kept back while the student's bank decides."
    if earning.frozen:
        return "Kept back while a question about the session is open."
    if earning.release_at > now:
        return "Not released yet."
    return "Owed to us: set off against what is earned." if earning.amount < 0 else "Due with the next run."
