"""Mails about a coach's payouts: one arrived, one came back, the bank or the schedule changed, Stripe has paused them.

The rows themselves remember what was told. It is set before the mail and put back where that could not be sent, so
only a worker that dies in between costs a mail, and none is ever sent twice. A mail that could not be sent lets the
others go first.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.db.models import CharField, F, Min, Model, Q, QuerySet, Value
from django.db.models.functions import Cast, Coalesce, Concat
from django.urls import reverse

from marketplace.lib.mails import send_mail
from payments.models import BankAccount, Payout, PayoutAccount
from payments.payout_failures import failure_words
from payments.payout_selectors import schedule_words
from payments.rounds import for_a_while
from payments.selectors import status_of
from payments.taking_turns import attempt, ready

# What came into our books later than this is history: nobody wants a mail about it.
TELL_WITHIN = timedelta(days=30)
# The queues, each with its own turns.
PAYOUT, BANK, SCHEDULES, PAUSE = "payout_mail", "bank_mail", "schedule_mail", "pause_mail"
TOLD_STATES = (Payout.Status.PAID, Payout.Status.FAILED)

# A schedule as `told_schedule` has it: "monthly 5", "weekly friday", "daily ".
SCHEDULE = Concat(
    "schedule_interval",
    Value(" "),
    Coalesce(Cast("schedule_monthly_anchor", CharField()), "schedule_weekly_anchor"),
)

_Row = TypeVar("_Row", bound=Model)


def send_due(*, now: datetime, limit: int = 50) -> int:
    """Returns how many mails were sent."""
    _keep_quiet(now)
    return sum(
        (
            _each(ready(_payouts_due(now), PAYOUT, now)[:limit], _tell_payout, now),
            _each(ready(_banks_due(), BANK, now)[:limit], _tell_bank, now),
            _each(ready(_schedules_due(), SCHEDULES, now)[:limit], _tell_schedule, now),
            _each(ready(_restricted_due(), PAUSE, now), _tell_restricted, now),
        )
    )


def _each(rows: QuerySet[_Row], tell: Callable[[_Row, datetime], bool], now: datetime) -> int:
    return sum(tell(row, now) for row in for_a_while(rows))


# --- payouts ------------------------------------------------------------------------------------


def _payouts_due(now: datetime) -> QuerySet[Payout]:
    of_coaches = Payout.objects.filter(account__isnull=False, created_at__gt=now - TELL_WITHIN)
    untold = of_coaches.filter(status__in=TOLD_STATES).exclude(told_status=F("status"))
    return untold.select_related("account__coach__user").order_by("created_at")


def _tell_payout(payout: Payout, now: datetime) -> bool:
    before = payout.told_status
    as_it_is = Payout.objects.filter(pk=payout.pk, status=payout.status)
    if not as_it_is.filter(told_status=before).update(told_status=payout.status):
        return False  # another worker has it, or it has gone on
    account = payout.account
    assert account is not None  # those of coaches alone are read
    template = "payout-failed" if payout.status == Payout.Status.FAILED else "payout-paid"
    context = {"payout": payout, "failure": failure_words(payout.failure_code), "bank": _bank_of(payout)}
    if attempt(PAYOUT, payout.pk, lambda: _send(template, account, context), now):
        return True
    Payout.objects.filter(pk=payout.pk, told_status=payout.status).update(told_status=before)
    return False


def _bank_of(payout: Payout) -> str:
    name = payout.bank_name or "your bank account"
    return f"{name} ending in {payout.bank_last4}" if payout.bank_last4 else name


# --- what was changed ---------------------------------------------------------------------------


def _keep_quiet(now: datetime) -> None:
    """What needs no mail: the first bank of an account, its first schedule, and the end of a pause."""
    first_ones = BankAccount.objects.filter(told_at=None).exclude(account__banks__told_at__isnull=False)
    oldest = first_ones.values("account").annotate(first=Min("pk")).values("first")
    BankAccount.objects.filter(pk__in=list(oldest.values_list("first", flat=True)), told_at=None).update(told_at=now)
    PayoutAccount.objects.filter(told_schedule="").exclude(schedule_interval="").update(told_schedule=SCHEDULE)
    paused = PayoutAccount.objects.exclude(told_restricted_at=None)
    paused.filter(transfers_active=True, payouts_enabled=True).update(told_restricted_at=None)


def _banks_due() -> QuerySet[BankAccount]:
    untold = BankAccount.objects.filter(told_at=None, removed_at=None)
    return untold.select_related("account__coach__user").order_by("pk")


def _tell_bank(bank: BankAccount, now: datetime) -> bool:
    if not BankAccount.objects.filter(pk=bank.pk, told_at=None).update(told_at=now):
        return False
    if attempt(BANK, bank.pk, lambda: _send("bank-added", bank.account, {"bank": bank}), now):
        return True
    BankAccount.objects.filter(pk=bank.pk, told_at=now).update(told_at=None)
    return False


def _schedules_due() -> QuerySet[PayoutAccount]:
    """Those whose schedule is not the one that their coach knows."""
    known = PayoutAccount.objects.exclude(told_schedule="").exclude(schedule_interval="")
    changed = known.annotate(at_present=SCHEDULE).exclude(at_present=F("told_schedule"))
    return changed.select_related("coach__user").order_by("pk")


def _tell_schedule(account: Any, now: datetime) -> bool:
    before, at_present = account.told_schedule, account.at_present
    if not PayoutAccount.objects.filter(pk=account.pk, told_schedule=before).update(told_schedule=at_present):
        return False
    context = {"schedule": schedule_words(account)}
    if attempt(SCHEDULES, account.pk, lambda: _send("payout-schedule", account, context), now):
        return True
    PayoutAccount.objects.filter(pk=account.pk, told_schedule=at_present).update(told_schedule=before)
    return False


# --- a pause ------------------------------------------------------------------------------------


def _restricted_due() -> QuerySet[PayoutAccount]:
    """Those that have given their details, and can't be paid all the same; some of them are only being checked."""
    unpayable = Q(transfers_active=False) | Q(payouts_enabled=False)
    untold = PayoutAccount.objects.filter(
        unpayable, details_submitted=True, deauthorised_at=None, told_restricted_at=None
    )
    return untold.select_related("coach__user").order_by("pk")


def _tell_restricted(account: PayoutAccount, now: datetime) -> bool:
    status = status_of(account)
    if status.state != "restricted":
        return False
    if not PayoutAccount.objects.filter(pk=account.pk, told_restricted_at=None).update(told_restricted_at=now):
        return False
    if attempt(PAUSE, account.pk, lambda: _send("payout-paused", account, {"status": status}), now):
        return True
    PayoutAccount.objects.filter(pk=account.pk, told_restricted_at=now).update(told_restricted_at=None)
    return False


# --- sending ------------------------------------------------------------------------------------


def _send(template: str, account: PayoutAccount, facts: dict[str, Any]) -> None:
    """A former member gets none."""
    user = account.coach.user
    if not user.is_active:
        return
    context = {
        **facts,
        "name": user.get_short_name(),
        "zone": user.time_zone,
        "link": settings.SITE_URL + reverse("payments:payouts"),
    }
    send_mail(template, context, user.email)
