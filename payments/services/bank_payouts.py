"""What a coach asks for between the usual days: all or a part of their balance at Stripe, sent now."""

import uuid
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from marketplace.lib.errors import DomainError
from marketplace.lib.money import Money, step
from payments import gateway, operations
from payments.errors import PayoutsUnavailable
from payments.gateway import GatewayError
from payments.models import BankAccount, Operation, Payout, PayoutAccount
from payments.operations import KindHandler
from payments.payout_failures import failure_words
from payments.payout_selectors import bank_for
from payments.services.account_changes import AccountGone, refused_if_gone
from payments.services.accounts import CLOCK_SLACK
from payments.services.payouts_at_stripe import record_payout, refresh_balance
from payments.stripe_payouts import PayoutFacts

log = structlog.get_logger(__name__)

Status = Payout.Status
Method = Payout.Method

# The same payout asked for twice within this time is one click, made twice.
SAME_CLICK = timedelta(minutes=1)
# In these, payouts are in whole units of a hundred (https://docs.stripe.com/currencies#special-cases).
WHOLE_HUNDREDS = ("huf", "twd")


class PayoutNotAllowed(DomainError):
    """The words say why."""

    code = "payout_not_allowed"
    message = "You can't ask for a payout here: Stripe pays you out by your schedule."


class PayoutAmountWrong(DomainError):
    code = "payout_amount_wrong"
    status = 400


class BalanceTooLow(DomainError):
    code = "balance_too_low"

    def __init__(self, available: Money) -> None:
        super().__init__(f"There is not that much to pay out: {available} is available.")


class NoBankForCurrency(DomainError):
    code = "no_bank_for_currency"


class PayoutUnderWay(DomainError):
    code = "payout_under_way"
    message = "Another payout is being asked for just now. Please try again in a minute."


class PayoutRefused(DomainError):
    """In the words for Stripe's code: what is the matter, and the way out."""

    code = "payout_refused"


def request_payout(*, account: PayoutAccount, money: Money, method: Payout.Method, now: datetime) -> Payout:
    """Pay this much of the coach's balance out to their bank now. Network: call it outside any transaction.

    The payout is still `REQUESTED` where Stripe has not answered: the sweeper finishes it. Asked for twice within a
    minute it is the same one. Raises PayoutNotAllowed, AccountGone, PayoutAmountWrong, BalanceTooLow,
    NoBankForCurrency, PayoutUnderWay, PayoutRefused, PayoutsUnavailable.
    """
    _require_allowed(account, method)
    require_amount(money)
    account = refresh_balance(account=account, now=now)
    payout, operation_id = _write_down(account, money, method, now)
    if operation_id is not None:
        operations.run_or_await(operation_id, now=now)
        payout.refresh_from_db()
    if payout.status == Status.REFUSED:
        words = failure_words(payout.failure_code)
        raise PayoutRefused(f"{words.what} {words.way_out}")
    if payout.status != Status.REQUESTED:
        _read_what_is_left(account, now)
    return payout


def _read_what_is_left(account: PayoutAccount, now: datetime) -> None:
    """So that nobody is shown the same money twice, in the balance and on its way."""
    try:
        refresh_balance(account=account, now=now)
    except PayoutsUnavailable as error:
        log.info("balance_read_later", account=account.stripe_account_id, reason=str(error.__cause__))


def _require_allowed(account: PayoutAccount, method: Payout.Method) -> None:
    if account.deauthorised_at is not None:
        raise AccountGone
    if settings.PAYOUT_NOW == "no":
        raise PayoutNotAllowed
    if method == Method.INSTANT and settings.PAYOUT_NOW != "instant":
        raise PayoutNotAllowed("Payouts within minutes are not offered: ask for a standard one.")
    if not account.payouts_enabled:
        raise PayoutNotAllowed("Stripe has paused payouts to you: give it the details that it asks for.")


def require_amount(money: Money) -> None:
    unit = 100 if money.currency in WHOLE_HUNDREDS else step(money.currency)
    if money.amount <= 0 or money.amount % unit:
        raise PayoutAmountWrong(f"An amount to pay out is a multiple of {Money(unit, money.currency)}.")


@transaction.atomic
def _write_down(
    account: PayoutAccount, money: Money, method: Payout.Method, now: datetime
) -> tuple[Payout, uuid.UUID | None]:
    """The payout, and its operation where that is still to be run. Whoever clicks twice waits here for the first."""
    PayoutAccount.objects.select_for_update(no_key=True).get(pk=account.pk)
    theirs = Payout.objects.filter(account=account, automatic=False)
    same = theirs.filter(amount=money.amount, currency=money.currency, method=method)
    twin = clicked_twice(same, now)
    if twin is not None:
        return twin, None
    if theirs.filter(status=Status.REQUESTED).exists():
        raise PayoutUnderWay
    _require_available(account, money, method)
    bank = _require_bank(account, money.currency, method)
    payout = Payout.objects.create(
        account=account,
        amount=money.amount,
        currency=money.currency,
        status=Status.REQUESTED,
        method=method,
        bank_name=bank.name,
        bank_last4=bank.last4,
        requested_by=account.coach.user,
        created_at=now,
        recorded_at=now,
    )
    return payout, write_down_operation(payout, destination=bank.stripe_bank_id, now=now).pk


def clicked_twice(same: QuerySet[Payout], now: datetime) -> Payout | None:
    """The one of these that we asked for a moment ago, unless nothing has come of it.

    By the time of our operation: a payout's own times are Stripe's, or when its answer came.
    """
    lately = same.filter(operations__kind=Operation.Kind.PAYOUT, operations__created_at__gt=now - SAME_CLICK)
    return lately.exclude(status__in=(Status.REFUSED, Status.FAILED, Status.CANCELED)).order_by("-pk").first()


def _require_available(account: PayoutAccount, money: Money, method: Payout.Method) -> None:
    part = "instant_available" if method == Method.INSTANT else "available"
    available = Money(account.balance.get(part, {}).get(money.currency, 0), money.currency)
    if available < money:
        raise BalanceTooLow(available)


def _require_bank(account: PayoutAccount, currency: str, method: Payout.Method) -> BankAccount:
    bank = bank_for(account, currency, method)
    if bank is None:
        raise NoBankForCurrency(
            f"There is no bank account for {currency.upper()}: add one, or pay out another currency."
        )
    return bank


# --- how operations carry it --------------------------------------------------------------------


def write_down_operation(payout: Payout, *, now: datetime, destination: str = "") -> Operation:
    """In the caller's transaction, for the caller to run at once; without destination, to the default bank."""
    operation_id = uuid.uuid4()
    params = {
        "amount": payout.amount,
        "currency": payout.currency,
        "method": payout.method,
        "metadata": {"operation_id": str(operation_id), "payout_id": str(payout.pk)},
        "expand": list(gateway.EXPAND_PAYOUT),
        **({"destination": destination} if destination else {}),
    }
    coach = payout.account.coach if payout.account else None
    return operations.create_for_own_run(
        Operation.Kind.PAYOUT, operation_id=operation_id, params=params, coach=coach, payout=payout, now=now
    )


def _payout_of(operation: Operation) -> Payout:
    return Payout.objects.select_related("account").get(operations=operation)


def _account_id(payout: Payout) -> str:
    return payout.account.stripe_account_id if payout.account else ""


def _send(operation: Operation) -> PayoutFacts:
    account_id = _account_id(_payout_of(operation))
    with refused_if_gone():
        return gateway.create_payout(account_id=account_id, params=operation.params, key=operation.idempotency_key)


def _look_up(operation: Operation) -> PayoutFacts | None:
    return gateway.find_payout(
        operation_id=str(operation.pk),
        account_id=_account_id(_payout_of(operation)),
        created_after=operation.created_at - CLOCK_SLACK,
    )


def _record(operation: Operation, facts: PayoutFacts, now: datetime) -> str:
    record_payout(facts=facts, account=_payout_of(operation).account, now=now)
    return facts.id


def _refuse(operation: Operation, error: GatewayError, now: datetime) -> None:  # noqa: ARG001  # the interface's
    asked = Payout.objects.filter(operations=operation, status=Status.REQUESTED)
    if asked.update(status=Status.REFUSED, failure_code=error.code[:60], failure_message=error.message[:300]):
        log.warning("payout_refused", operation=str(operation.pk), coach=operation.coach_id, code=error.code)


operations.register(Operation.Kind.PAYOUT, KindHandler(_send, _look_up, _record, _refuse))
