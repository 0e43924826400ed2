"""Correcting the books: one person proposes to move money between two accounts, another agrees, and it is booked.

The accounts that may be chosen follow no object at Stripe. Suspense is cleared entry by entry and never filled; a
coach's account moves together with an earning, so that the next run pays or nets it.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Q, Sum
from django.db.models.functions import Coalesce

from coaches.models import Coach
from marketplace.lib.decisions import record_decision
from marketplace.lib.errors import DomainError
from marketplace.lib.money import Money, step
from marketplace.models import User
from payments import ledger
from payments.errors import NotStaff, OwnMoney, ReasonNeeded
from payments.ledger import Line
from payments.models import Correction, Difference, Earning, LedgerEntry, LedgerTransaction, Payment
from payments.postings import SUSPENSE
from payments.reconcile.explaining import explain

KIND = "correction"
PROPOSE = "payments.add_correction"
DECIDE = "payments.change_correction"
PROPOSED = "correction_proposed"

Account, Status = Correction.Account, Correction.Status

OURS = frozenset(
    {Account.PLATFORM_REVENUE, Account.STRIPE_FEES, Account.PLATFORM_LOSSES, Account.BANK, Account.RESERVES}
)
# From -> to. What a coach gets or gives beyond a session is our loss or gain: our fee changes with refunds alone.
PAIRS: dict[str, frozenset[str]] = {
    Account.SUSPENSE: OURS | {Account.COACH},
    **{account: OURS - {account} for account in OURS},
    Account.PLATFORM_LOSSES: OURS - {Account.PLATFORM_LOSSES} | {Account.COACH},
    Account.COACH: frozenset({Account.PLATFORM_LOSSES}),
}
LONGEST_REASON = 300


class WrongAccounts(DomainError):
    code = "correction_wrong_accounts"
    status = 400
    message = (
        "Money can't be moved between these two accounts. A coach's account is moved from suspense, or from and to our "
        "losses; nothing is moved to suspense."
    )


class NothingToMove(DomainError):
    code = "correction_of_nothing"
    status = 400
    message = "An amount of zero moves nothing."


class TooFine(DomainError):
    code = "correction_too_fine"
    status = 400

    def __init__(self, currency: str) -> None:
        least = Money(step(currency), currency)
        super().__init__(f"What a coach gets or gives in {currency.upper()} comes in steps of {least}.")


class NotOnSuspense(DomainError):
    code = "not_on_suspense"

    def __init__(self, left: Money, waiting: Money) -> None:
        waits = f" ({waiting} of it in proposals that wait)" if waiting.amount else ""
        words = f"{left} of this entry is on suspense{waits}: no more can be moved, and only with its sign."
        super().__init__(words if left.amount else "Nothing of this entry is on suspense any more.")


class MonthIsClosed(DomainError):
    code = "month_is_closed"
    message = "The books of this month are closed, and nothing can be booked into them. Is the clock right?"


class CorrectionDecided(DomainError):
    code = "correction_decided"
    message = "This correction was decided already."


class OwnProposal(DomainError):
    code = "second_person_needed"
    status = 403
    message = "Somebody else than who proposed this correction has to approve it."


class SomebodyElses(DomainError):
    code = "correction_of_somebody_else"
    status = 400
    message = "This payment is another coach's."


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be moved, as `Correction` says it: `money` as it stands in the books, debits positive."""

    from_account: str
    to_account: str
    money: Money
    coach: Coach | None = None
    payment: Payment | None = None
    clears: LedgerTransaction | None = None
    difference: Difference | None = None


@dataclass(frozen=True, slots=True)
class OnSuspense:
    """What one transaction has put on suspense and nobody has moved away; `difference` where a comparison names it."""

    fact: LedgerTransaction
    money: Money


# --- what there is to clear ---------------------------------------------------------------------


def on_suspense() -> list[OnSuspense]:
    """The oldest first. Two queries."""
    entries = LedgerEntry.objects.filter(account__code=SUSPENSE)
    groups = entries.values_list(Coalesce("transaction__correction__clears", "transaction"), "account__currency")
    sums = list(groups.annotate(total=Sum("amount")).exclude(total=0).order_by("account__currency"))
    facts = LedgerTransaction.objects.in_bulk([fact for fact, _, _ in sums])
    found = [OnSuspense(facts[fact], Money(total, currency)) for fact, currency, total in sums]
    return sorted(found, key=lambda each: (each.fact.occurred_at, each.fact.pk))


def left_of(fact: LedgerTransaction) -> list[Money]:
    """What of this transaction is on suspense, in each currency where it is anything. A correction puts nothing there:
    its line on suspense belongs to what it clears.
    """
    moved = LedgerEntry.objects.filter(_of(fact), account__code=SUSPENSE).values_list("account__currency")
    sums = moved.annotate(total=Sum("amount")).exclude(total=0).order_by("account__currency")
    return [Money(total, currency) for currency, total in sums]


def _of(fact: LedgerTransaction) -> Q:
    return Q(transaction=fact, transaction__correction=None) | Q(transaction__correction__clears=fact)


def difference_about(fact: LedgerTransaction) -> Difference | None:
    """The open one that shows its balance transaction, where there is one."""
    named = fact.entries.exclude(balance_transaction_id="").values("balance_transaction_id")
    shown = Difference.objects.filter(object_type="balance_transaction", object_id__in=named)
    return shown.filter(state=Difference.State.OPEN).order_by("pk").first()


def entry_of(difference: Difference) -> LedgerTransaction | None:
    """The transaction that a difference is about, where something of it is on suspense."""
    number = difference.ours.get("ledger_transaction")
    fact = LedgerTransaction.objects.filter(pk=number).first() if isinstance(number, int) else None
    return fact if fact is not None and left_of(fact) else None


# --- proposing ----------------------------------------------------------------------------------


@transaction.atomic
def propose(*, wish: Wish, token: uuid.UUID, reason: str, actor: User, now: datetime) -> Correction:
    """Nothing is booked before another person agrees. With the same `token` it is the same proposal.

    Raises NotStaff, OwnMoney, ReasonNeeded, NothingToMove, WrongAccounts, SomebodyElses, TooFine, NotOnSuspense,
    MonthIsClosed.
    """
    _require_right(actor, PROPOSE, wish)
    _lock(wish.clears)
    sent_before = Correction.objects.filter(token=token, proposed_by=actor).first()
    if sent_before is not None:
        return sent_before
    if not reason.strip():
        raise ReasonNeeded
    _require_sense(wish)
    _require_open_month(now)
    if wish.clears is not None:
        _require_left(wish.clears, wish.money, _waiting_for(wish.clears, wish.money.currency))
    facts = {
        "from_account": wish.from_account,
        "to_account": wish.to_account,
        "amount": wish.money.amount,
        "currency": wish.money.currency,
        "coach": wish.coach,
        "payment": wish.payment,
        "clears": wish.clears,
        "difference": wish.difference,
        "reason": reason.strip()[:LONGEST_REASON],
        "proposed_by": actor,
        "created_at": now,
    }
    correction, made = Correction.objects.get_or_create(token=token, defaults=facts)
    if made:
        _log(PROPOSED, correction, actor=actor, reason=correction.reason, now=now)
    return correction


def _require_sense(wish: Wish) -> None:
    if not wish.money.amount:
        raise NothingToMove
    of_coach = Account.COACH in (wish.from_account, wish.to_account)
    if wish.to_account not in PAIRS.get(wish.from_account, frozenset()) or of_coach != (wish.coach is not None):
        raise WrongAccounts
    if (wish.from_account == Account.SUSPENSE) != (wish.clears is not None):
        raise WrongAccounts
    if wish.coach is not None and wish.payment is not None and wish.payment.coach_id != wish.coach.pk:
        raise SomebodyElses
    if of_coach and wish.money.amount % step(wish.money.currency):
        # A run pays the sum, and Stripe would refuse to transfer it.
        raise TooFine(wish.money.currency)


def _require_open_month(now: datetime) -> None:
    """What is booked by people is booked today; where the clock went back, not in a month that was told of."""
    if ledger.open_date(now) != now:
        raise MonthIsClosed


def _waiting_for(fact: LedgerTransaction, currency: str) -> Money:
    waiting = fact.cleared_by.filter(status=Status.TO_APPROVE, currency=currency)
    return Money(waiting.aggregate(total=Sum("amount"))["total"] or 0, currency)


def _require_left(fact: LedgerTransaction, money: Money, waiting: Money) -> None:
    """With the same sign as what is there, and no more than that."""
    nothing = Money(0, money.currency)
    left = next((each for each in left_of(fact) if each.currency == money.currency), nothing)
    free = (left - waiting).amount
    if not (0 < money.amount <= free or free <= money.amount < 0):
        raise NotOnSuspense(left, waiting)


# --- deciding -----------------------------------------------------------------------------------


@transaction.atomic
def approve(*, correction: Correction, actor: User, reason: str, now: datetime) -> Correction:
    """Another person agrees: it is booked once, a coach is owed or owes it, and the difference is explained.

    Raises NotStaff, OwnMoney, ReasonNeeded, CorrectionDecided, OwnProposal, NotOnSuspense, MonthIsClosed.
    """
    locked = _to_decide(correction, actor, reason)
    if actor.pk == locked.proposed_by_id:
        raise OwnProposal
    _require_open_month(now)
    _lock(locked.clears)
    if locked.clears is not None:
        _require_left(locked.clears, locked.money, Money(0, locked.currency))
    _decide(locked, Status.DONE, actor=actor, reason=reason, now=now, booked=_book(locked, now))
    _explain(locked, actor, now)
    _log("correction_approved", locked, actor=actor, reason=reason, now=now)
    return locked


@transaction.atomic
def decline(*, correction: Correction, actor: User, reason: str, now: datetime) -> Correction:
    """It is not agreed to, or whoever proposed it has thought better of it: nothing is booked.

    Raises NotStaff, OwnMoney, ReasonNeeded, CorrectionDecided.
    """
    locked = _to_decide(correction, actor, reason)
    _decide(locked, Status.DECLINED, actor=actor, reason=reason, now=now)
    _log("correction_declined", locked, actor=actor, reason=reason, now=now)
    return locked


def lines_of(correction: Correction) -> list[Line]:
    """As they are booked: what leaves one account comes to the other."""
    return [
        Line(_code(correction.from_account, correction), -correction.money),
        Line(_code(correction.to_account, correction), correction.money),
    ]


def coach_gets(correction: Correction) -> Money | None:
    """What the coach is owed by it, or owes below zero; None where it is about no coach."""
    if correction.coach_id is None:
        return None
    return -correction.money if correction.to_account == Account.COACH else correction.money


def _code(account: str, correction: Correction) -> str:
    if account == Account.COACH and correction.coach_id is not None:
        return ledger.coach_payable(correction.coach_id)
    return account


def _book(correction: Correction, now: datetime) -> LedgerTransaction:
    reference = f"correction:{correction.pk}"
    ledger.post(kind=KIND, reference=reference, lines=lines_of(correction), now=now)
    gets = coach_gets(correction)
    if gets is not None and correction.coach is not None:
        Earning.objects.create(
            kind=Earning.Kind.CORRECTION,
            correction=correction,
            coach=correction.coach,
            amount=gets.amount,
            currency=gets.currency,
            release_at=now,
            created_at=now,
        )
    return LedgerTransaction.objects.get(kind=KIND, reference=reference)


def _explain(correction: Correction, actor: User, now: datetime) -> None:
    """Once nothing of it is left on suspense; somebody may have explained it before."""
    difference = correction.difference
    if difference is None or (correction.clears is not None and left_of(correction.clears)):
        return
    difference = Difference.objects.select_for_update().get(pk=difference.pk)
    if difference.state == Difference.State.OPEN:
        words = f"By {correction}: {correction.reason}"
        explain(difference=difference, actor=actor, reason=words, now=now)


def _to_decide(correction: Correction, actor: User, reason: str) -> Correction:
    known = Correction.objects.select_for_update(of=("self",)).select_related(
        "coach", "payment__coach", "clears__payment__coach", "difference"
    )
    locked = known.get(pk=correction.pk)
    _require_right(actor, DECIDE, locked)
    if locked.status != Status.TO_APPROVE:
        raise CorrectionDecided
    if not reason.strip():
        raise ReasonNeeded
    return locked


def _decide(
    correction: Correction,
    status: Correction.Status,
    *,
    actor: User,
    reason: str,
    now: datetime,
    booked: LedgerTransaction | None = None,
) -> None:
    facts = {
        "status": status,
        "decided_by": actor,
        "decision": reason.strip()[:500],
        "decided_at": now,
        "booked": booked,
    }
    if not Correction.objects.filter(pk=correction.pk, status=Status.TO_APPROVE).update(**facts):
        raise CorrectionDecided
    correction.refresh_from_db(fields=list(facts))


def _lock(fact: LedgerTransaction | None) -> None:
    """Whoever clears the same entry waits here."""
    if fact is not None:
        LedgerTransaction.objects.select_for_update().get(pk=fact.pk)


def _require_right(actor: User, right: str, moved: Wish | Correction) -> None:
    """As they are now, and not as they were when they signed in."""
    staff = User.objects.filter(pk=actor.pk, is_active=True, is_staff=True).first()
    if staff is None or not staff.has_perm(right):
        raise NotStaff
    concerned = {moved.coach.user_id} if moved.coach else set()
    for payment in (moved.payment, moved.clears.payment if moved.clears else None):
        if payment is not None:
            concerned |= {payment.payer_id, payment.coach.user_id}
    if staff.pk in concerned:
        raise OwnMoney("This correction is about money of yours: somebody else has to see to it.")


def _log(decision: str, correction: Correction, *, actor: User, reason: str, now: datetime) -> None:
    after = {
        "status": correction.status,
        "from": _code(correction.from_account, correction),
        "to": _code(correction.to_account, correction),
        "amount": correction.amount,
        "currency": correction.currency,
        "booked": correction.booked_id,
    }
    before = {} if decision == PROPOSED else {"status": Status.TO_APPROVE}
    record_decision(
        actor=actor, decision=decision, subject=correction, reason=reason, before=before, after=after, now=now
    )
