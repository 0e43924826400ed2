"""What of a person's money is still on its way: while there is any, they stay who they are."""

from collections.abc import Iterator
from typing import Any

from django.db.models import Q, QuerySet, Sum

from coaches.models import Coach
from marketplace.lib.money import Money
from marketplace.models import User
from payments import ledger
from payments.models import (
    Correction,
    Dispute,
    Earning,
    LedgerEntry,
    Operation,
    Payment,
    Payout,
    PayoutAccount,
    PayoutLine,
    Refund,
    Reversal,
)
from payments.postings import REFUNDS_OWED

Status = Payment.Status

UNDER_WAY = (Status.OPEN, Status.SAVED, Status.AUTHORISING, Status.HELD, Status.CAPTURING, Status.RELEASING)
REFUNDED_SOON = (Refund.Status.TO_APPROVE, Refund.Status.REQUESTED, Refund.Status.PENDING)


def money_pending(user: User) -> list[str]:
    """Why this person can't be removed yet, in words for staff; nothing where all is settled.

    As who pays and as who is paid. A fixed number of queries.
    """
    coach = Coach.objects.filter(user=user).first()
    theirs = Q(payer=user) | Q(coach=coach) if coach else Q(payer=user)
    found = [*_of_payments(Payment.objects.filter(theirs)), *_owed_to_student(user)]
    return found + list(_of_coach(coach)) if coach else found


def _of_payments(payments: QuerySet[Payment]) -> Iterator[str]:
    if number := payments.filter(status__in=UNDER_WAY).count():
        yield f"{number} payment(s) are under way: a hold, a saved card or an open payment page."
    for money in _sums(Refund.objects.filter(payment__in=payments, status__in=REFUNDED_SOON)):
        yield f"Refunds of {money} are under way."
    for money in _sums(Dispute.objects.filter(payment__in=payments, closed_at=None)):
        yield f"Disputes over {money} are open."


def _owed_to_student(user: User) -> Iterator[str]:
    for money in _booked(f"{REFUNDS_OWED}{user.pk}"):
        yield f"We owe them {-money} for refunds that did not reach them."


def _of_coach(coach: Coach) -> Iterator[str]:
    yield from _earned(coach)
    lines = PayoutLine.objects.filter(coach=coach).exclude(status=PayoutLine.Status.PAID).select_related("run")
    for line in lines.order_by("pk"):
        yield f"The payout of {line.money} for {line.run.month} is not paid: {line.get_status_display().lower()}."
    undecided = (Reversal.Status.REQUESTED, Reversal.Status.AT_STRIPE)
    for money in _sums(Reversal.objects.filter(transfer__coach=coach, status__in=undecided)):
        yield f"{money} is being fetched back from their account, or waits for finance to decide about it."
    for money in _sums(Payout.objects.filter(account__coach=coach, status__in=Payout.OPEN_STATES)):
        yield f"{money} is on its way to their bank."
    if number := Correction.objects.filter(coach=coach, status=Correction.Status.TO_APPROVE).count():
        yield f"{number} correction(s) of the books about them wait for a second person."
    yield from _left_at_stripe(coach)
    if Operation.objects.filter(coach=coach, state__in=Operation.OPEN_STATES).exists():
        yield "A change of theirs is on its way to Stripe."


def _earned(coach: Coach) -> Iterator[str]:
    """By what no line holds yet; and by the books, should these know more."""
    unpaid = Earning.objects.filter(coach=coach, line=None, reversal=None)
    said = False
    for money in _sums(unpaid):
        said = True
        if money.amount > 0:
            yield f"They have earned {money} that is not paid out yet."
        else:
            yield f"They owe us {-money}."
    if not said:
        for money in _booked(ledger.coach_payable(coach.pk)):
            yield f"In the books {-money} is still theirs."


def _left_at_stripe(coach: Coach) -> Iterator[str]:
    account = PayoutAccount.objects.filter(coach=coach).first()
    balance = account.balance if account else {}
    sums: dict[str, int] = {}
    for kind in ("available", "pending"):
        for currency, amount in balance.get(kind, {}).items():
            sums[currency] = sums.get(currency, 0) + amount
    for currency, amount in sorted(sums.items()):
        if amount:
            yield f"Their balance at Stripe is {Money(amount, currency)}: it has to reach their bank first."


def _sums(rows: QuerySet[Any]) -> list[Money]:
    """By currency, without what is nothing."""
    totals = rows.order_by("currency").values_list("currency").annotate(total=Sum("amount"))
    return [Money(total, currency) for currency, total in totals if total]


def _booked(account: str) -> list[Money]:
    entries = LedgerEntry.objects.filter(account__code=account).order_by("account__currency")
    totals = entries.values_list("account__currency").annotate(total=Sum("amount"))
    return [Money(total, currency) for currency, total in totals if total]
