"""Paying out what is really the platform's, and nothing that coaches or students are owed."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet, Sum

from marketplace.lib.decisions import record_decision
from marketplace.lib.errors import DomainError
from marketplace.lib.money import Money
from marketplace.models import User
from payments import gateway, ledger, operations
from payments.errors import NotStaff, PayoutsUnavailable, ReasonNeeded
from payments.gateway import GatewayError
from payments.models import Dispute, LedgerAccount, LedgerEntry, Payout, Refund
from payments.payout_failures import failure_words
from payments.postings import REFUNDS_IN_FLIGHT, REFUNDS_OWED, SUSPENSE
from payments.services.bank_payouts import PayoutRefused, clicked_twice, require_amount, write_down_operation
from payments.services.payouts_at_stripe import SILENT

RIGHT = "payments.add_payout"


class PlatformFundsTooLow(DomainError):
    code = "platform_funds_too_low"

    def __init__(self, payable: Money) -> None:
        super().__init__(f"Not more than {payable} is the platform's own and available.")


class PlatformFundsChanged(DomainError):
    code = "platform_funds_changed"
    message = "Somebody else has just asked for a payout. Look at what is left before you ask again."


class BooksDisagree(DomainError):
    code = "books_disagree"
    message = "The books are out of balance, so nobody can say what is the platform's own. See to that first."


@dataclass(frozen=True, slots=True)
class PlatformFunds:
    """What may be paid out to the platform's bank in one currency, and why not more.

    `at_stripe` is what is available there, less what Stripe has below zero among what is pending. All that is owed
    counts in full, though pending money will cover a part of it: what is pending is never counted as ours.

    - `owed_to_coaches`: all that is earned and not transferred, released or not, frozen, planned on a line; the debt of
      one coach makes up for nothing that another one earned
    - `owed_to_students`: refunds that are decided and still in our balance, wait for a second person, or came back
    - `in_dispute`: what students' banks question and have not taken yet; what they have taken is out of the balance
    - `unexplained`: money in the suspense account that may be somebody's
    - `on_its_way`: payouts of the platform's that are asked for and not booked yet
    """

    at_stripe: Money
    owed_to_coaches: Money
    owed_to_students: Money
    in_dispute: Money
    unexplained: Money
    on_its_way: Money
    reserve: Money
    payable: Money


@dataclass(frozen=True, slots=True)
class _Books:
    """What our own books say at one moment, minor units. `newest` is the platform's newest payout."""

    balance: int
    coaches: int
    students: int
    disputes: int
    suspense: int
    on_its_way: int
    newest: int | None


def available(currency: str) -> PlatformFunds:
    """Network. Raises PayoutsUnavailable."""
    books = _read_books(currency)
    return _funds(books, _at_stripe(currency), currency)


def request(*, money: Money, actor: User, reason: str, now: datetime) -> Payout:
    """Pay this much out to the platform's bank. Network: call it outside any transaction.

    Still `REQUESTED` where Stripe has not answered: the sweeper finishes it. Asked for twice within a minute by the
    same person it is the same one. Raises NotStaff, ReasonNeeded, PayoutAmountWrong, BooksDisagree,
    PlatformFundsTooLow, PlatformFundsChanged, PayoutRefused, PayoutsUnavailable.
    """
    _require_right(actor)
    if not reason.strip():
        raise ReasonNeeded
    require_amount(money)
    if ledger.check():
        raise BooksDisagree
    before = _read_books(money.currency)
    at_stripe = _at_stripe(money.currency)
    payout, operation = _write_down(
        money=money, before=before, at_stripe=at_stripe, actor=actor, reason=reason.strip(), now=now
    )
    if operation is not None:
        operations.run_or_await(operation, now=now)
        payout.refresh_from_db()
    if payout.status == Payout.Status.REFUSED:
        words = failure_words(payout.failure_code)
        raise PayoutRefused(f"{words.what} {words.way_out}")
    return payout


def _require_right(actor: User) -> None:
    """As they are now, and not as they were when they signed in."""
    asker = User.objects.filter(pk=actor.pk, is_active=True, is_staff=True).first()
    if asker is None or not asker.has_perm(RIGHT):
        raise NotStaff


@transaction.atomic
def _write_down(
    *, money: Money, before: _Books, at_stripe: int, actor: User, reason: str, now: datetime
) -> tuple[Payout, uuid.UUID | None]:
    """The second look, under a lock that everyone who asks waits for; and the operation where it is still to be run.

    Stripe's balance was read between two looks into the books, and the lower result counts: what moved meanwhile is
    missing in one of them.
    """
    _lock(money.currency)
    same = Payout.objects.filter(account=None, requested_by=actor, amount=money.amount, currency=money.currency)
    twin = clicked_twice(same, now)
    if twin is not None:
        return twin, None
    after = _read_books(money.currency)
    if after.newest != before.newest:
        raise PlatformFundsChanged
    payable = min(_funds(books, at_stripe, money.currency).payable.amount for books in (before, after))
    if money.amount > payable:
        raise PlatformFundsTooLow(Money(payable, money.currency))
    payout = Payout.objects.create(
        amount=money.amount,
        currency=money.currency,
        status=Payout.Status.REQUESTED,
        requested_by=actor,
        created_at=now,
        recorded_at=now,
    )
    record_decision(
        actor=actor,
        decision="platform_payout",
        subject=payout,
        reason=reason,
        before={"payable": payable, "currency": money.currency},
        after={"amount": money.amount, "currency": money.currency},
        now=now,
    )
    return payout, write_down_operation(payout, now=now).pk


def _lock(currency: str) -> None:
    """Postings to the account go on meanwhile. Where there is none yet, nothing is the platform's to pay out."""
    ours = LedgerAccount.objects.select_for_update(no_key=True)
    ours.filter(code=ledger.STRIPE_BALANCE, currency=currency).first()


# --- what is whose ------------------------------------------------------------------------------


def _at_stripe(currency: str) -> int:
    """What is pending above zero is not there yet; below zero it is a refund that will take from what is."""
    try:
        balance = gateway.read_balance("")
    except GatewayError as error:
        raise PayoutsUnavailable(SILENT) from error
    return balance.available.get(currency, 0) + min(balance.pending.get(currency, 0), 0)


def _read_books(currency: str) -> _Books:
    entries = LedgerEntry.objects.filter(account__currency=currency)
    platforms = Payout.objects.filter(account=None, currency=currency)
    to_approve = Refund.objects.filter(status=Refund.Status.TO_APPROVE, currency=currency)
    asked_about = Dispute.objects.filter(closed_at=None, withdrawn_at=None, currency=currency)
    in_flight = entries.filter(account__code=REFUNDS_IN_FLIGHT)
    came_back = entries.filter(account__code__startswith=REFUNDS_OWED)
    return _Books(
        balance=_total(entries.filter(account__code=ledger.STRIPE_BALANCE)),
        coaches=_owed(entries.filter(account__code__startswith=ledger.COACH_PAYABLE)),
        students=_owed(in_flight) + _owed(came_back) + _total(to_approve),
        disputes=_total(asked_about),
        suspense=_owed(entries.filter(account__code=SUSPENSE)),
        on_its_way=_total(platforms.filter(status=Payout.Status.REQUESTED)),
        newest=platforms.order_by("-pk").values_list("pk", flat=True).first(),
    )


def _total(rows: QuerySet[Any]) -> int:
    return int(rows.aggregate(total=Sum("amount"))["total"] or 0)


def _owed(entries: QuerySet[LedgerEntry]) -> int:
    """What these accounts owe, each by itself: one that is in debt makes up for no other."""
    sums = entries.values("account").annotate(total=Sum("amount")).filter(total__lt=0)
    return -sum(int(row["total"]) for row in sums)


def _funds(books: _Books, at_stripe: int, currency: str) -> PlatformFunds:
    """What our books don't know of yet may be a coach's: of Stripe's balance and ours the lower one counts."""
    reserve = settings.PLATFORM_RESERVE.get(currency, 0)
    spoken_for = books.coaches + books.students + books.disputes + books.suspense + books.on_its_way + reserve
    payable = max(0, min(at_stripe, books.balance) - spoken_for)

    def money(amount: int) -> Money:
        return Money(amount, currency)

    return PlatformFunds(
        at_stripe=money(at_stripe),
        owed_to_coaches=money(books.coaches),
        owed_to_students=money(books.students),
        in_dispute=money(books.disputes),
        unexplained=money(books.suspense),
        on_its_way=money(books.on_its_way),
        reserve=money(reserve),
        payable=money(payable),
    )
