"""Where a coach's payouts go: added by Stripe's token only, made the default, removed.

Nothing of a bank account or card passes through here but a token that Stripe has made of it in the coach's browser.
"""

import re
from datetime import datetime

import structlog

from coaches.models import Coach
from marketplace.lib.errors import DomainError
from payments import gateway, operations
from payments.gateway import GatewayError
from payments.models import AccountType, BankAccount, Operation, PayoutAccount
from payments.operations import KindHandler
from payments.services.account_changes import (
    RefusedByStripe,
    account_of,
    carry_out,
    record_heard,
    refused_if_gone,
)
from payments.services.bank_rows import record_bank
from payments.stripe_accounts import BankFacts

log = structlog.get_logger(__name__)

Kind = Operation.Kind

TOKEN = re.compile(r"(?:btok|tok)_[A-Za-z0-9_]{1,100}")
# No token has so many digits in a row, however they are grouped: it would be a number in disguise.
NUMBER = re.compile(r"(?:\d_*){8}")


class NotAToken(DomainError):
    """What was sent is repeated nowhere: it may be somebody's account number."""

    code = "not_a_token"
    status = 400
    message = "Bank details are given to Stripe, and never to us. Please try again on the page for it."


class BanksKeptAtStripe(DomainError):
    code = "banks_kept_at_stripe"
    message = "Your bank account is kept at Stripe: change it on Stripe's own page."


class NoSuchBank(DomainError):
    code = "no_such_bank"
    status = 404
    message = "This bank account is not one of yours."


class BankNeeded(DomainError):
    code = "bank_needed"
    message = "Your payouts go to this bank account. Make another one the default first."


def add_bank(*, coach: Coach, token: str, now: datetime) -> BankAccount:
    """Payouts in its currency go there from now on. Network. The same token twice is the same bank account.

    Raises NotAToken, BanksKeptAtStripe, NoPayoutAccount, AccountGone, ChangeUnderWay, AnswerLate, RefusedByStripe.
    """
    if not TOKEN.fullmatch(token) or NUMBER.search(token):
        raise NotAToken
    account = _own_banks(coach)
    params = {"token": token, "default_for_currency": True}
    done = Operation.objects.filter(kind=Kind.ADD_BANK, coach=coach, state=Operation.State.DONE, params=params).first()
    operation = done or carry_out(Kind.ADD_BANK, coach=coach, params=params, now=now)
    if operation.state == Operation.State.FAILED:
        raise RefusedByStripe(_why_not_added(operation))
    return account.banks.get(stripe_bank_id=operation.result_id)


def make_default(*, coach: Coach, bank: BankAccount, now: datetime) -> BankAccount:
    """Payouts in its currency go there from now on. Network.

    Raises NoSuchBank, BanksKeptAtStripe, NoPayoutAccount, AccountGone, ChangeUnderWay, AnswerLate, RefusedByStripe.
    """
    _require_own(_own_banks(coach), bank)
    params = {"external_account": bank.stripe_bank_id, "default_for_currency": True}
    operation = carry_out(Kind.UPDATE_ACCOUNT, coach=coach, params=params, now=now)
    if operation.state == Operation.State.FAILED:
        raise RefusedByStripe("Stripe would not pay out to this bank account. Add another one.")
    bank.refresh_from_db()
    return bank


def remove_bank(*, coach: Coach, bank: BankAccount, now: datetime) -> None:
    """Network. A second call changes nothing.

    Raises BankNeeded for the one that payouts in the account's own currency go to, NoSuchBank, BanksKeptAtStripe,
    NoPayoutAccount, AccountGone, ChangeUnderWay, AnswerLate, RefusedByStripe.
    """
    account = _own_banks(coach)
    bank = _require_own(account, bank)
    if bank.removed_at is not None:
        return
    if bank.is_default and bank.currency == account.default_currency:
        raise BankNeeded
    operation = carry_out(Kind.REMOVE_BANK, coach=coach, params={"bank": bank.stripe_bank_id}, now=now)
    if operation.state == Operation.State.FAILED:
        raise RefusedByStripe("Stripe would not remove this bank account: it may be the one your payouts go to.")


def _own_banks(coach: Coach) -> PayoutAccount:
    """Stripe lets us write banks of custom accounts alone; the others have a dashboard for it."""
    account = account_of(coach)
    if account.account_type != AccountType.CUSTOM:
        raise BanksKeptAtStripe
    return account


def _require_own(account: PayoutAccount, bank: BankAccount) -> BankAccount:
    own = account.banks.filter(pk=bank.pk).first()
    if own is None:
        raise NoSuchBank
    return own


ADDING_REFUSED = {
    "token_already_used": "These details were sent twice. Please enter them again.",
    "bank_account_exists": "This bank account is here already.",
    "invalid_card_type": "This card can't take payouts: only debit cards can.",
    "currency_not_supported": "Your Stripe account can't hold this currency.",
    "account_invalid": "This Stripe account is not connected with us any more.",
}


def _why_not_added(operation: Operation) -> str:
    return ADDING_REFUSED.get(
        operation.error_code,
        "Stripe would not take this bank account. Check its country, currency and details, and enter them again.",
    )


# --- how operations carry it ------------------------------------------------------------------------


def _account(operation: Operation) -> PayoutAccount:
    return PayoutAccount.objects.get(coach=operation.coach_id)


def _add(operation: Operation) -> BankFacts:
    with refused_if_gone():
        return gateway.create_external_account(
            _account(operation).stripe_account_id,
            token=operation.params["token"],
            default=operation.params["default_for_currency"],
            operation_id=str(operation.pk),
            key=operation.idempotency_key,
        )


def _find_added(operation: Operation) -> BankFacts | None:
    return gateway.find_external_account(_account(operation).stripe_account_id, operation_id=str(operation.pk))


def _record_added(operation: Operation, facts: BankFacts, now: datetime) -> str:
    account = _account(operation)
    record_heard(account, now)
    record_bank(account, facts, now)
    return facts.id


def _remove(operation: Operation) -> str:
    bank_id: str = operation.params["bank"]
    try:
        with refused_if_gone():
            gateway.delete_external_account(_account(operation).stripe_account_id, bank_id)
    except GatewayError as error:
        # Perhaps by ourselves: Stripe heeds no key here, and our first answer may have been lost.
        if error.code != "resource_missing":
            raise
    return bank_id


def _find_removed(operation: Operation) -> str | None:
    bank_id: str = operation.params["bank"]
    left = {bank.id for bank in gateway.list_external_accounts(_account(operation).stripe_account_id)}
    return None if bank_id in left else bank_id


def _record_removed(operation: Operation, bank_id: str, now: datetime) -> str:
    account = _account(operation)
    record_heard(account, now)
    account.banks.filter(stripe_bank_id=bank_id, removed_at=None).update(removed_at=now, is_default=False)
    return bank_id


def _refuse(operation: Operation, error: GatewayError, now: datetime) -> None:  # noqa: ARG001  # the interface's
    """Nothing has changed; who asked is told by the operation's words."""
    log.warning("stripe_refuses_a_bank", coach=operation.coach_id, kind=operation.kind, code=error.code)


operations.register(Kind.ADD_BANK, KindHandler(_add, _find_added, _record_added, _refuse))
operations.register(Kind.REMOVE_BANK, KindHandler(_remove, _find_removed, _record_removed, _refuse))
