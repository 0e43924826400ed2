"""How a dispute ended, in the words of the coach's money: read from the books, for the mail that says so."""

from dataclasses import dataclass

from django.db.models import Sum

from marketplace.lib.money import Money
from payments import ledger
from payments.models import Dispute, Earning, LedgerEntry, Reversal
from payments.services.withholding import disputed_references


@dataclass(frozen=True, slots=True)
class EndForCoach:
    """`taken` for good, of that `fetched` from their Stripe balance before, and `waiting` to be paid."""

    taken: Money
    fetched: Money
    waiting: Money

    @property
    def still_taken(self) -> Money:
        """From what they are owed or earn next."""
        return max(self.taken - self.fetched, Money(0, self.taken.currency))


def end_for_coach(dispute: Dispute) -> EndForCoach:
    return EndForCoach(_taken(dispute), _fetched(dispute), _waiting(dispute))


def _taken(dispute: Dispute) -> Money:
    account = ledger.coach_payable(dispute.payment.coach_id)
    lost = LedgerEntry.objects.filter(
        transaction__kind="dispute_lost", transaction__reference=dispute.stripe_dispute_id, account__code=account
    )
    return Money(lost.aggregate(total=Sum("amount"))["total"] or 0, dispute.currency)


def _fetched(dispute: Dispute) -> Money:
    done = Reversal.objects.filter(dispute=dispute, status=Reversal.Status.DONE)
    return Money(done.aggregate(total=Sum("amount"))["total"] or 0, dispute.currency)


def _waiting(dispute: Dispute) -> Money:
    """Nothing where another question keeps it back still."""
    unpaid = Earning.objects.filter(payment=dispute.payment, line=None, reversal=None, frozen=False)
    unpaid = unpaid.exclude(payment__reference__in=disputed_references())
    return max(Money(unpaid.aggregate(total=Sum("amount"))["total"] or 0, dispute.currency), Money(0, dispute.currency))
