"""A payment's whole story as it happened: each step with what it is called at Stripe, and with our entries.

Reads only our own tables, with as many queries for a long story as for a short one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Model, Prefetch, Q

from marketplace.lib.money import Money
from payments.models import (
    Dispute,
    Earning,
    FraudWarning,
    LedgerEntry,
    LedgerTransaction,
    Operation,
    Payment,
    Payout,
    Refund,
    Reversal,
    StripeEvent,
    Transfer,
)

# What is booked without a row of its own that would tell of it.
BOOKED = {
    "application_fee": "Our fee came back from the coach's account",
    "dispute_fee": "Stripe's fee for the dispute",
    "dispute_adjusted": "The dispute moved money unexpectedly",
    "refund_failed": "The refund came back from the bank",
    "refund_again": "The refund that came back is sent again",
    "refund_again_undone": "The refund could not be sent again",
    "refund_made_good": "What we owed of a refund came to the student by the lost dispute",
    "refund_paid_otherwise": "The refund was paid by other means",
    "refund_undone": "The refund's parts were given back",
    "reversal_kept": "We keep what was reversed in Stripe's dashboard",
}


@dataclass(frozen=True, slots=True)
class AtStripe:
    """An object at Stripe; `account` where it lies in a coach's account."""

    id: str
    account: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened. `fact` is how it is booked; `right` is who may see it."""

    at: datetime
    title: str
    right: str = "payments.view_payment"
    money: Money | None = None
    detail: str = ""
    objects: tuple[AtStripe, ...] = ()
    row: Model | None = None
    fact: LedgerTransaction | None = None
    # It should be in the books, and is not.
    unbooked: bool = False


@dataclass(frozen=True, slots=True)
class Story:
    payment: Payment
    steps: list[Step]
    operations: list[Operation]
    events: list[StripeEvent]
    # Other payments for the same thing.
    attempts: list[Payment]


def story_of(payment: Payment) -> Story:
    """All of it, the first step first."""
    found = _Found(payment)
    share = [earning for earning in found.earnings if earning.kind == Earning.Kind.SHARE]
    steps = [
        *_of_the_payment(found),
        *_of_earnings(share),
        *_of_transfers(found),
        *_of_payouts(found),
        *_of_refunds(found),
        *_of_disputes(found),
        *_of_reversals(found),
        *_of_earnings(earning for earning in found.earnings if earning not in share),
        *_of_corrections(found),
    ]
    steps += _of_other_facts(found)
    # Stripe tells whole seconds: what falls into the same one stays in the order above.
    steps.sort(key=lambda step: step.at.replace(microsecond=0))
    attempts = Payment.objects.filter(reference=payment.reference).exclude(pk=payment.pk).order_by("pk")
    return Story(payment, steps, found.operations(), found.events(), list(attempts))


class _Found:
    """The rows that a payment's story is told from, each kind read once."""

    def __init__(self, payment: Payment) -> None:
        self.payment = payment
        self.earnings = list(Earning.objects.filter(payment=payment).select_related("line__run").order_by("pk"))
        self.lines = {earning.line_id for earning in self.earnings if earning.line_id}
        self.refunds = list(payment.refunds.select_related("requested_by", "approved_by").order_by("pk"))
        self.disputes = list(payment.disputes.order_by("pk"))
        self.warnings = list(payment.fraud_warnings.order_by("pk"))
        transfers = Transfer.objects.filter(Q(payment=payment) | Q(line__in=self.lines))
        self.transfers = list(transfers.select_related("line__run").order_by("pk"))
        self.reversals = self._reversals()
        self.payouts = self._payouts()
        people = ("proposed_by", "decided_by", "booked")
        self.corrections = list(payment.corrections.select_related(*people).order_by("pk"))
        self.facts = {(fact.kind, fact.reference): fact for fact in self._facts()}

    def _reversals(self) -> list[Reversal]:
        """For this payment; of what was fetched back of a line for other payments nothing is told here."""
        own = Q(refund__payment=self.payment) | Q(dispute__payment=self.payment)
        own |= Q(earnings__payment=self.payment)
        # Paid again, it is on no earning any more: then our books know whose it is.
        booked = LedgerTransaction.objects.filter(payment=self.payment, kind="reversal")
        own |= Q(stripe_reversal_id__in=booked.values("reference"))
        return list(Reversal.objects.filter(own).select_related("transfer").distinct().order_by("pk"))

    def _payouts(self) -> list[Payout]:
        """To banks, from the accounts to which this was transferred, since it was."""
        if not self.transfers:
            return []
        accounts = {transfer.destination for transfer in self.transfers}
        since = min(transfer.created_at for transfer in self.transfers)
        payouts = Payout.objects.filter(account__stripe_account_id__in=accounts, created_at__gte=since)
        return list(payouts.select_related("account").order_by("created_at", "pk")[:50])

    def _facts(self) -> Iterable[LedgerTransaction]:
        references = {transfer.stripe_transfer_id for transfer in self.transfers}
        references |= {reversal.stripe_reversal_id or "" for reversal in self.reversals}
        entries = Prefetch("entries", LedgerEntry.objects.select_related("account").order_by("pk"))
        facts = LedgerTransaction.objects.filter(
            Q(payment=self.payment) | Q(kind__in=("transfer", "reversal"), reference__in=references)
        )
        return facts.prefetch_related(entries).order_by("occurred_at", "pk")

    def take(self, kind: str, reference: str | None) -> LedgerTransaction | None:
        """The fact, for the one step that tells of it."""
        return self.facts.pop((kind, reference or ""), None)

    def operations(self) -> list[Operation]:
        """Everything that we asked of Stripe for it, the first first."""
        about = Q(payment=self.payment) | Q(refund__in=self.refunds) | Q(dispute__in=self.disputes)
        about |= Q(reversal__in=self.reversals) | Q(line__in=self.lines)
        return list(Operation.objects.filter(about).order_by("created_at", "pk"))

    def events(self) -> list[StripeEvent]:
        """Everything that Stripe reported of its objects, the first first."""
        payment = self.payment
        ids = {payment.checkout_session_id, payment.setup_intent_id, payment.payment_intent_id, payment.charge_id}
        ids |= {refund.stripe_refund_id for refund in self.refunds}
        ids |= {dispute.stripe_dispute_id for dispute in self.disputes}
        ids |= {transfer.stripe_transfer_id for transfer in self.transfers}
        ids |= {warning.stripe_warning_id for warning in self.warnings}
        known = StripeEvent.objects.filter(object_id__in=[each for each in ids if each])
        return list(known.defer("payload").order_by("received_at", "pk"))


def _objects(*ids: str | None) -> tuple[AtStripe, ...]:
    return tuple(AtStripe(each) for each in ids if each)


# --- the payment itself -------------------------------------------------------------------------


def _of_the_payment(found: _Found) -> Iterator[Step]:
    payment = found.payment
    begun = _objects(payment.checkout_session_id, payment.setup_intent_id)
    yield Step(
        payment.created_at,
        "Opened",
        money=payment.money,
        detail=f"{payment.get_opening_display()}. Our fee is {_of(payment, payment.platform_fee)}; the coach is paid "
        f"{payment.get_settlement_mode_display().lower()}.",
        objects=begun,
    )
    if payment.held_at:
        until = f"Stripe drops it on {payment.capture_before:%-d %b %Y, %H:%M} UTC." if payment.capture_before else ""
        yield Step(
            payment.held_at, "Held", money=payment.money, detail=until, objects=_objects(payment.payment_intent_id)
        )
    if payment.captured_at:
        yield _captured(found, payment.captured_at)
    if payment.released_at:
        yield Step(payment.released_at, payment.get_status_display(), detail=payment.last_refusal)
    if payment.written_off_at:
        yield Step(
            payment.written_off_at,
            "Paid to the coach in the student's stead",
            fact=found.take("write_off", payment.reference),
        )


def _captured(found: _Found, at: datetime) -> Step:
    payment, fact = found.payment, found.take("capture", found.payment.charge_id)
    return Step(
        at,
        "Taken",
        money=Money(payment.captured_amount, payment.currency),
        detail=f"Stripe's fee {_of(payment, payment.stripe_fee_amount)}.",
        objects=_objects(payment.charge_id),
        fact=fact,
        unbooked=fact is None,
    )


def _of(payment: Payment, amount: int) -> Money:
    return Money(amount, payment.currency)


# --- to the coach -------------------------------------------------------------------------------


def _of_earnings(earnings: Iterable[Earning]) -> Iterator[Step]:
    for earning in earnings:
        words = f"Due on {earning.release_at:%-d %b %Y, %H:%M} UTC"
        words += ", frozen" if earning.frozen else ""
        words += f", on the line of {earning.line.run.month}" if earning.line else ""
        yield Step(
            earning.created_at,
            f"The coach's: {earning.get_kind_display().lower()}",
            "payments.view_earning",
            Money(earning.amount, earning.currency),
            f"{words}.",
            row=earning,
        )


def _of_transfers(found: _Found) -> Iterator[Step]:
    for transfer in found.transfers:
        kind = "transfer" if transfer.line else "destination_transfer"
        fact = found.take(kind, transfer.stripe_transfer_id)
        yield Step(
            transfer.created_at,
            "Transferred to the coach's account",
            "payments.view_transfer",
            Money(transfer.amount, transfer.currency),
            _transfer_words(found, transfer),
            (AtStripe(transfer.stripe_transfer_id), AtStripe(transfer.destination)),
            transfer,
            fact,
            fact is None,
        )


def _of_reversals(found: _Found) -> Iterator[Step]:
    for reversal in found.reversals:
        fact = found.take("reversal", reversal.stripe_reversal_id)
        yield Step(
            reversal.settled_at or reversal.created_at,
            f"From the coach's account: {reversal.get_status_display().lower()}",
            "payments.view_reversal",
            Money(reversal.amount, reversal.currency),
            reversal.refusal or f"From the transfer {reversal.transfer}.",
            _objects(reversal.stripe_reversal_id),
            reversal,
            fact,
            fact is None and reversal.status == Reversal.Status.DONE,
        )


def _transfer_words(found: _Found, transfer: Transfer) -> str:
    if transfer.line is None:
        return "With the capture."
    own = sum(earning.amount for earning in found.earnings if earning.line_id == transfer.line_id)
    return f"By the line of {transfer.line.run.month}; of it {Money(own, transfer.currency)} for this payment."


def _of_payouts(found: _Found) -> Iterator[Step]:
    """Stripe does not say which transfers are in a payout: the first of the account's afterwards may hold it."""
    told = set()
    for transfer in found.transfers:
        payout = next((each for each in found.payouts if _may_hold(each, transfer)), None)
        if payout is not None and payout.pk not in told:
            told.add(payout.pk)
            yield Step(
                payout.created_at,
                f"To the coach's bank: {payout.get_status_display().lower()}",
                "payments.view_payout",
                payout.money,
                f"The first payout of the coach's account after {transfer}, which is probably in it. "
                f"{payout.failure_message}".rstrip(),
                (AtStripe(payout.stripe_payout_id or "", transfer.destination),) if payout.stripe_payout_id else (),
                payout,
            )


def _may_hold(payout: Payout, transfer: Transfer) -> bool:
    account = payout.account.stripe_account_id if payout.account else ""
    since = payout.created_at >= transfer.created_at
    return since and (account, payout.currency) == (transfer.destination, transfer.currency)


# --- back to the student ------------------------------------------------------------------------


def _of_refunds(found: _Found) -> Iterator[Step]:
    for refund in found.refunds:
        yield Step(
            refund.created_at,
            "Refund sent again" if refund.replaces_id else "Refund asked for",
            "payments.view_refund",
            refund.money,
            _refund_words(found.payment, refund),
            row=refund,
            fact=found.take("refund_again" if refund.replaces_id else "refund_decided", f"refund:{refund.pk}"),
        )
        fact = found.take("refund", refund.stripe_refund_id)
        if refund.settled_at or fact:
            yield Step(
                refund.settled_at or (fact.occurred_at if fact else refund.created_at),
                f"Refund: {refund.get_status_display().lower()}",
                "payments.view_refund",
                refund.money,
                refund.failure,
                _objects(refund.stripe_refund_id),
                refund,
                fact,
                fact is None and refund.status == Refund.Status.SUCCEEDED,
            )


def _refund_words(payment: Payment, refund: Refund) -> str:
    parts = (
        f"the coach bears {_of(payment, refund.coach_part)}, our fee {_of(payment, refund.fee_part)}, "
        f"our losses {_of(payment, refund.loss_part)}"
    )
    asked = refund.requested_by.name if refund.requested_by else "a rule"
    agreed = f", agreed to by {refund.approved_by.name}" if refund.approved_by else ""
    return f"{refund.get_reason_display()}: {parts}. Asked for by {asked}{agreed}."


def _of_disputes(found: _Found) -> Iterator[Step]:
    for warning in found.warnings:
        yield _warned(warning)
    for dispute in found.disputes:
        what = "Inquiry" if dispute.is_inquiry else "Dispute"
        yield _disputed(dispute, dispute.opened_at, f"{what} opened", None, dispute.reason.replace("_", " "))
        withdrawn = found.take("dispute_withdrawn", dispute.stripe_dispute_id)
        if dispute.withdrawn_at:
            yield _disputed(dispute, dispute.withdrawn_at, "The student's bank took the money", withdrawn)
        back = found.take("dispute_reinstated", dispute.stripe_dispute_id)
        if dispute.reinstated_at:
            yield _disputed(dispute, dispute.reinstated_at, "The student's bank gave the money back", back)
        lost = found.take("dispute_lost", dispute.stripe_dispute_id)
        if dispute.closed_at:
            borne = f"Borne by: {dispute.get_charged_to_display().lower()}" if lost else ""
            yield _disputed(dispute, dispute.closed_at, f"Dispute: {dispute.get_status_display().lower()}", lost, borne)


def _warned(warning: FraudWarning) -> Step:
    return Step(
        warning.warned_at,
        "Early fraud warning",
        "payments.view_fraudwarning",
        detail=warning.fraud_type.replace("_", " "),
        objects=_objects(warning.stripe_warning_id),
        row=warning,
    )


def _disputed(dispute: Dispute, at: datetime, title: str, fact: LedgerTransaction | None, detail: str = "") -> Step:
    objects = _objects(dispute.stripe_dispute_id)
    return Step(at, title, "payments.view_dispute", dispute.money, detail, objects, dispute, fact)


# --- and what else is booked --------------------------------------------------------------------


def _of_corrections(found: _Found) -> Iterator[Step]:
    """That staff have said are about it; those that wait, too."""
    for correction in found.corrections:
        decided = correction.decided_by
        agreed = f"; {decided.name}: {correction.decision}" if decided else ""
        yield Step(
            correction.decided_at or correction.created_at,
            f"Correction of the books: {correction.get_status_display().lower()}",
            "payments.view_correction",
            correction.money,
            f"{correction.reason} ({correction.proposed_by.name}{agreed})",
            row=correction,
            fact=correction.booked,
        )


def _of_other_facts(found: _Found) -> Iterator[Step]:
    for fact in found.facts.values():
        title = BOOKED.get(fact.kind, fact.kind.replace("_", " ").capitalize())
        yield Step(fact.occurred_at, title, "payments.view_ledgerentry", fact=fact)
