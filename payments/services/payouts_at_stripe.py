"""What Stripe says of payouts to banks: the coaches' and the platform's own, whoever made them.

A coach's payouts are not in our books, since their balance is theirs; the platform's own are.
"""

from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q

from marketplace.lib.money import Money
from payments import gateway, ledger, marks
from payments.errors import NotYetError, PayoutsUnavailable, StripeMismatchError
from payments.gateway import GatewayError
from payments.ledger import Line
from payments.models import BankAccount, Operation, Payout, PayoutAccount
from payments.postings import BANK, STRIPE_FEES
from payments.services.accounts import record_out_of_reach
from payments.services.bank_rows import record_bank_failed
from payments.stripe_objects import BalanceTransactionFacts
from payments.stripe_payouts import PayoutFacts

log = structlog.get_logger(__name__)

Status = Payout.Status

# Stripe's list of an account's payouts is read back so far, and further where nobody has asked for longer.
LIST_BACK = timedelta(days=40)
SILENT = "Stripe does not answer just now. Please try again in a minute."

# From where a payout comes to each state. Facts arrive in any order: nothing ever goes back. What was out of our sight
# is where Stripe says, once it lets us see it again.
SOURCES: dict[str, tuple[Status, ...]] = {
    Status.PENDING: (Status.REQUESTED, Status.REFUSED, Status.UNTRACKED),
    Status.IN_TRANSIT: (Status.REQUESTED, Status.REFUSED, Status.PENDING, Status.UNTRACKED),
    Status.PAID: (Status.REQUESTED, Status.REFUSED, Status.PENDING, Status.IN_TRANSIT, Status.UNTRACKED),
    Status.FAILED: (
        Status.REQUESTED,
        Status.REFUSED,
        Status.PENDING,
        Status.IN_TRANSIT,
        Status.PAID,
        Status.UNTRACKED,
    ),
    Status.CANCELED: (Status.REQUESTED, Status.REFUSED, Status.PENDING, Status.IN_TRANSIT, Status.UNTRACKED),
}
CAME_BACK = (Status.FAILED, Status.CANCELED)


def record_payout(*, facts: PayoutFacts, account: PayoutAccount | None, now: datetime) -> None:
    """Where a payout is by now, whoever made it; without `account` the platform's own, with its place in the books.

    Safe to repeat and in any order. Raises StripeMismatchError where it is another account's, amount or currency than
    the one we know, and NotYetError while the platform's has not its balance transaction.
    """
    if facts.livemode != settings.STRIPE_LIVE_MODE or (facts.status not in SOURCES):
        raise StripeMismatchError(f"{facts.id} is of another mode, or in a state that we don't know.")
    with transaction.atomic():
        if facts.amount > 0:
            _keep(facts, account, now)
        if account is None:
            _book(facts, now)


def refresh_payout(*, payout: Payout, now: datetime) -> None:
    """Ask Stripe and record what it says. Network. Raises GatewayError and what `record_payout` raises."""
    account_id = payout.account.stripe_account_id if payout.account else ""
    facts = gateway.retrieve_payout(str(payout.stripe_payout_id), account_id=account_id)
    record_payout(facts=facts, account=payout.account, now=now)


def refresh_balance(*, account: PayoutAccount, now: datetime) -> PayoutAccount:
    """What the coach has at Stripe, and what was paid out to their banks lately. Network. Raises PayoutsUnavailable.

    Kept in `account.balance`, as of `account.balance_read_at`.
    """
    since = min(now - LIST_BACK, (account.balance_read_at or account.created_at) - timedelta(days=1))
    try:
        balance = gateway.read_balance(account.stripe_account_id)
        window = {"gte": int(since.timestamp())}
        found = list(gateway.list_payouts(account_id=account.stripe_account_id, created=window))
    except GatewayError as error:
        if error.code == "account_invalid":
            record_out_of_reach(account=account, now=now)
        raise PayoutsUnavailable(SILENT) from error
    for facts in reversed(found):
        _record_found(facts, account, now)
    kept = {
        "available": balance.available,
        "pending": balance.pending,
        "instant_available": balance.instant_available,
    }
    older = PayoutAccount.objects.filter(Q(balance_read_at=None) | Q(balance_read_at__lte=now), pk=account.pk)
    older.update(balance=kept, balance_read_at=now, balance_asked_at=now)
    account.refresh_from_db()
    return account


def _record_found(facts: PayoutFacts, account: PayoutAccount, now: datetime) -> None:
    """One that is not what we know is for staff, and takes nobody's balance away."""
    try:
        record_payout(facts=facts, account=account, now=now)
    except StripeMismatchError as error:
        log.critical("payout_differs_from_stripe", payout=facts.id, coach=account.coach_id, reason=str(error))


def _keep(facts: PayoutFacts, account: PayoutAccount | None, now: datetime) -> None:
    payout = _known(facts) or _made_elsewhere(facts, account, now)
    if (payout.account_id, payout.amount, payout.currency) != (
        account.pk if account else None,
        facts.amount,
        facts.currency,
    ) or payout.stripe_payout_id not in (None, facts.id):
        raise StripeMismatchError(f"{facts.id} came for {payout}, and does not fit it.")
    if payout.stripe_payout_id is None:
        Payout.objects.filter(pk=payout.pk, stripe_payout_id=None).update(
            stripe_payout_id=facts.id, recorded_at=ledger.open_date(now), **_told(facts)
        )
    _move(payout, facts, account, now)


def _known(facts: PayoutFacts) -> Payout | None:
    """Locked. By Stripe's id, or by the mark of the operation that asked for it."""
    payouts = Payout.objects.select_for_update(of=("self",), no_key=True)
    known = payouts.filter(stripe_payout_id=facts.id).first()
    operation_id = marks.operation_id(facts.metadata)
    if known is None and operation_id is not None:
        known = payouts.filter(operations__pk=operation_id, operations__kind=Operation.Kind.PAYOUT).first()
    return known


def _made_elsewhere(facts: PayoutFacts, account: PayoutAccount | None, now: datetime) -> Payout:
    """By Stripe, on the day of the schedule, or by somebody in a dashboard."""
    made, is_new = Payout.objects.get_or_create(
        stripe_payout_id=facts.id,
        defaults={
            "account": account,
            "amount": facts.amount,
            "currency": facts.currency,
            "status": Status.PENDING,
            "recorded_at": ledger.open_date(now),
            **_told(facts),
        },
    )
    if is_new and account is None and facts.automatic:
        log.critical(
            "platform_payout_by_schedule",
            payout=facts.id,
            what_to_do="Run manage.py stripe_setup: an automatic payout takes the money that coaches are owed.",
        )
    elif is_new and account is None:
        log.warning("platform_payout_made_at_stripe", payout=facts.id)
    return made


def _told(facts: PayoutFacts) -> dict[str, Any]:
    bank = facts.bank or BankAccount.objects.filter(stripe_bank_id=facts.destination).first()
    name = bank.name if isinstance(bank, BankAccount) else bank.bank_name if bank else ""
    return {
        "method": facts.method,
        "automatic": facts.automatic,
        "bank_name": name[:120],
        "bank_last4": bank.last4 if bank else "",
        "created_at": facts.created,
    }


def _move(payout: Payout, facts: PayoutFacts, account: PayoutAccount | None, now: datetime) -> None:
    changes: dict[str, Any] = {"status": facts.status, "failure_code": "", "failure_message": ""}
    if facts.status in CAME_BACK:
        changes |= {"failure_code": facts.failure_code[:60], "failure_message": facts.failure_message[:300]}
        changes["failed_at"] = ledger.open_date(now)
    seen = {"polled_at": now, "arrives_on": facts.arrival_date.date()}
    Payout.objects.filter(pk=payout.pk).update(**seen)
    if not Payout.objects.filter(pk=payout.pk, status__in=SOURCES[facts.status]).update(**changes):
        return
    if account is not None:
        # The balance that we know has changed by it: the next round reads it again.
        PayoutAccount.objects.filter(pk=account.pk).update(balance_asked_at=None)
    if facts.status == Status.FAILED:
        if account is not None:
            record_bank_failed(account, facts.bank, facts.destination)
        level = log.warning if account else log.critical
        level("payout_failed", payout=facts.id, coach=account.coach_id if account else None, code=facts.failure_code)


# --- the platform's own, in the books -----------------------------------------------------------


def _book(facts: PayoutFacts, now: datetime) -> None:
    """A payout that fetches money back from our bank has an amount below zero."""
    money = Money(facts.amount, facts.currency)
    _post("platform_payout", facts, facts.balance_transaction, money, now)
    if facts.status in CAME_BACK:
        _post("platform_payout_returned", facts, facts.failure_balance_transaction, -money, now)


def _post(kind: str, facts: PayoutFacts, booked: BalanceTransactionFacts | None, money: Money, now: datetime) -> None:
    """`money` reaches our bank, and is taken from our balance."""
    if booked is None:
        raise NotYetError(f"{facts.id} has not all of its balance transactions yet.")
    if booked.currency != money.currency or booked.amount != -money.amount:
        raise StripeMismatchError(f"{booked.id} is not what moved the money of {facts.id}.")
    lines = [
        Line(BANK, money),
        Line(ledger.STRIPE_BALANCE, Money(booked.net, booked.currency), booked.id, booked.created),
    ]
    if booked.fee:
        lines.append(Line(STRIPE_FEES, Money(booked.fee, booked.currency)))
    ledger.post(kind=kind, reference=facts.id, lines=lines, now=now)
