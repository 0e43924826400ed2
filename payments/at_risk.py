"""Where money may be lost or stay in the wrong place unless a person acts: the part of it that payments know."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Min, Model, Q, Sum
from django.db.models.functions import Coalesce

from marketplace.lib.money import Money
from marketplace.lib.months import month_in_words
from payments.models import (
    Correction,
    Dispute,
    Earning,
    FraudWarning,
    LedgerEntry,
    Operation,
    PayoutAccount,
    PayoutLine,
    Refund,
    Reversal,
    StripeEvent,
)
from payments.postings import REFUNDS_OWED
from payments.selectors import why_not_paid
from payments.services.answering import ANSWERABLE

UNKNOWN_FOR = timedelta(minutes=10)
# After this Stripe may have forgotten the key: the same request could then be done twice.
KEY_LIVES = timedelta(hours=20)


@dataclass(frozen=True, slots=True)
class AtRisk:
    """One thing for a person to do. `until` is its deadline; where it has none, it has waited `since` then."""

    kind: str
    what: str
    money: Money | None
    until: datetime | None
    since: datetime
    subject: Model

    @property
    def urgency(self) -> datetime:
        return self.until or self.since


# At most so many of one kind at a time, the most urgent ones, by urgency.
Finder = Callable[[datetime, int], Iterable[AtRisk]]


def unknown_operations(now: datetime, most: int) -> Iterable[AtRisk]:
    late = Operation.objects.filter(state=Operation.State.UNKNOWN, first_sent_at__lte=now - UNKNOWN_FOR)
    for operation in late.select_related("payment", "line", "payout").order_by("first_sent_at")[:most]:
        sent = operation.first_sent_at or operation.created_at
        about = operation.payment or operation.line or operation.payout
        money = Money(about.amount, about.currency) if about else None
        what = f"{operation.kind.replace('_', ' ')}: Stripe's answer was lost"
        yield AtRisk("unknown_operation", what, money, sent + KEY_LIVES, sent, operation)


def failed_refunds(_now: datetime, most: int) -> Iterable[AtRisk]:
    """As long as the books say that we owe the student."""
    entries = LedgerEntry.objects.filter(account__code__startswith=REFUNDS_OWED)
    sums = entries.values("transaction__payment").annotate(total=Sum("amount")).filter(total__lt=0)
    owed = dict(sums.values_list("transaction__payment", "total"))
    # Those that were made good stay failed for ever: were they counted, they would push out what is still owed.
    failed = Refund.objects.filter(status=Refund.Status.FAILED, payment__in=owed)
    failed = failed.select_related("payment__payer", "otherwise_by")
    for refund in failed.order_by(Coalesce("settled_at", "created_at"), "pk")[:most]:
        said = f"; {refund.otherwise_by.name} says it was paid by other means" if refund.otherwise_by else ""
        reason = (refund.failure or "no reason given").replace("_", " ")
        what = f"the refund for {refund.payment.payer.name} failed: {reason}{said}"
        # Less than the refund where a lost dispute has given them a part of it.
        money = Money(min(refund.amount, -owed[refund.payment_id]), refund.currency)
        yield AtRisk("failed_refund", what, money, None, refund.settled_at or refund.created_at, refund)


def refunds_to_approve(_now: datetime, most: int) -> Iterable[AtRisk]:
    waiting = Refund.objects.filter(status=Refund.Status.TO_APPROVE).select_related("requested_by", "payment")
    for refund in waiting.order_by("created_at")[:most]:
        asked = refund.requested_by.name if refund.requested_by else "a rule"
        yield AtRisk("refund_to_approve", f"asked for by {asked}", refund.money, None, refund.created_at, refund)


def disputes_due(_now: datetime, most: int) -> Iterable[AtRisk]:
    due = Dispute.objects.filter(closed_at=None, status__in=ANSWERABLE).exclude(
        evidence_state__in=(Dispute.Evidence.SUBMITTED, Dispute.Evidence.ACCEPTED)
    )
    for dispute in due.order_by(Coalesce("due_by", "opened_at"), "pk")[:most]:
        kind = "inquiry" if dispute.is_inquiry else "dispute"
        what = f"{kind}, {dispute.reason.replace('_', ' ')}; evidence: {dispute.get_evidence_state_display().lower()}"
        yield AtRisk("dispute_due", what, dispute.money, dispute.due_by, dispute.opened_at, dispute)


def fraud_warnings(_now: datetime, most: int) -> Iterable[AtRisk]:
    actionable = FraudWarning.objects.filter(actionable=True, settled_at=None).select_related("payment")
    for warning in actionable.order_by("warned_at")[:most]:
        what = f"early fraud warning ({warning.fraud_type.replace('_', ' ')}): a refund now prevents a dispute"
        yield AtRisk("fraud_warning", what, warning.payment.money, None, warning.warned_at, warning)


def restricted_coaches(_now: datetime, most: int) -> Iterable[AtRisk]:
    """Coaches who can't be paid, with earnings that wait for them; each currency is a row.

    Since when they can't be paid is not known: `since` is the release of the oldest earning.
    """
    unpaid = Earning.objects.filter(Q(line=None) | ~Q(line__status=PayoutLine.Status.PAID), reversal=None)
    sums = (
        unpaid.filter(coach__payable=False)
        .values("coach", "coach__display_name", "currency")
        .annotate(total=Sum("amount"), first=Min("release_at"))
        .filter(total__gt=0)
        .order_by("first")[:most]
    )
    rows = list(sums)
    accounts = {each.coach_id: each for each in PayoutAccount.objects.filter(coach__in=[row["coach"] for row in rows])}
    for row in rows:
        account = accounts.get(row["coach"])
        if account is not None:
            what = f"{row['coach__display_name']} can't be paid: {why_not_paid(account)}"
            yield AtRisk("restricted_coach", what, Money(row["total"], row["currency"]), None, row["first"], account)


def parked_events(_now: datetime, most: int) -> Iterable[AtRisk]:
    parked = StripeEvent.objects.filter(state=StripeEvent.State.PARKED).defer("payload").order_by("received_at")
    for event in parked[:most]:
        yield AtRisk("parked_event", f"{event.type}: {event.reason}", None, None, event.received_at, event)


def waiting_lines(_now: datetime, most: int) -> Iterable[AtRisk]:
    waiting = PayoutLine.objects.filter(status=PayoutLine.Status.WAITING).select_related("run", "coach")
    for line in waiting.order_by("run__opened_at", "pk")[:most]:
        what = f"{line.coach.display_name}, {month_in_words(line.run.month)}: {line.waiting_for or 'waits'}"
        yield AtRisk("waiting_line", what, Money(line.amount, line.currency), None, line.run.opened_at, line)


def reversals_to_decide(_now: datetime, most: int) -> Iterable[AtRisk]:
    """Made in Stripe's dashboard: nobody is paid them, and nobody keeps them, before finance has decided."""
    undecided = Reversal.objects.filter(status=Reversal.Status.AT_STRIPE).select_related("transfer__coach")
    for reversal in undecided.order_by("created_at", "pk")[:most]:
        what = f"{reversal.transfer.coach.display_name}: taken back in Stripe's dashboard"
        money = Money(reversal.amount, reversal.currency)
        yield AtRisk("reversal_to_decide", what, money, None, reversal.created_at, reversal)


def corrections_to_approve(_now: datetime, most: int) -> Iterable[AtRisk]:
    waiting = Correction.objects.filter(status=Correction.Status.TO_APPROVE).select_related("proposed_by")
    for correction in waiting.order_by("created_at", "pk")[:most]:
        what = f"correction of the books, proposed by {correction.proposed_by.name}: {correction.reason}"
        yield AtRisk("correction_to_approve", what, correction.money, None, correction.created_at, correction)


FINDERS: dict[str, Finder] = {
    "unknown_operation": unknown_operations,
    "failed_refund": failed_refunds,
    "refund_to_approve": refunds_to_approve,
    "dispute_due": disputes_due,
    "fraud_warning": fraud_warnings,
    "restricted_coach": restricted_coaches,
    "parked_event": parked_events,
    "waiting_line": waiting_lines,
    "reversal_to_decide": reversals_to_decide,
    "correction_to_approve": corrections_to_approve,
}
