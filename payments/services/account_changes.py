"""What a coach changes at their connected account: one change of a kind at a time, each an operation."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Q

from coaches.models import Coach
from marketplace.lib.errors import DomainError
from payments import gateway, operations
from payments.gateway import GatewayError
from payments.models import Operation, PayoutAccount
from payments.operations import KindHandler
from payments.services.accounts import read_account, record_account
from payments.stripe_accounts import AccountFacts

log = structlog.get_logger(__name__)

Kind = Operation.Kind


class NoPayoutAccount(DomainError):
    code = "no_payout_account"
    message = "Set up payouts with Stripe first."


class AccountGone(DomainError):
    code = "account_gone"
    message = "This Stripe account is not connected with us any more, so we can't change anything there."


class ChangeUnderWay(DomainError):
    code = "change_under_way"
    message = "Another change of yours is on its way to Stripe. Please try again in a minute."


class AnswerLate(DomainError):
    code = "stripe_answer_late"
    status = 503
    message = "Stripe has not answered yet. It is written down and will be done; please look again in a minute."


class RefusedByStripe(DomainError):
    """The words say what was refused."""

    code = "refused_by_stripe"


def account_of(coach: Coach) -> PayoutAccount:
    """Raises NoPayoutAccount, AccountGone."""
    account = PayoutAccount.objects.filter(coach=coach).select_related("coach").first()
    if account is None:
        raise NoPayoutAccount
    if account.deauthorised_at is not None:
        raise AccountGone
    return account


def carry_out(kind: Operation.Kind, *, coach: Coach, params: dict[str, Any], now: datetime) -> Operation:
    """Write it down and do it, or wait for the same that is under way. Network; returns it done, or refused.

    Raises ChangeUnderWay, and AnswerLate where the sweeper has to finish it.
    """
    operation = operations.run_or_await(_write_down(kind, coach, params, now).pk, now=now)
    if operation.state in Operation.OPEN_STATES:
        raise AnswerLate
    return operation


def _write_down(kind: Operation.Kind, coach: Coach, params: dict[str, Any], now: datetime) -> Operation:
    try:
        with transaction.atomic():
            return operations.create_for_own_run(kind, operation_id=uuid.uuid4(), params=params, coach=coach, now=now)
    except IntegrityError:
        # One open change of a kind for each coach. A second click wants what the first one does.
        latest = Operation.objects.filter(kind=kind, coach=coach).latest("created_at")
        if latest.params != params:
            raise ChangeUnderWay from None
        return latest


def record_heard(account: PayoutAccount, now: datetime) -> None:
    """In the caller's transaction: what was asked of Stripe before `now`, and is still to be recorded, is stale.

    The account's row is locked, as by whoever records all of its banks: in whatever order these are then written,
    nobody waits for another crosswise.
    """
    PayoutAccount.objects.select_for_update(no_key=True).get(pk=account.pk)
    older = PayoutAccount.objects.filter(Q(read_at=None) | Q(read_at__lte=now), pk=account.pk)
    older.update(read_at=now, updated_at=now)


@contextmanager
def refused_if_gone() -> Iterator[None]:
    """An account that has left us answers nothing any more, so waiting for it would have no end."""
    try:
        yield
    except GatewayError as error:
        if error.code == "account_invalid":
            raise GatewayError("refused", error.code, error.message) from error
        raise


# --- how operations carry it: the account itself, or one of its banks ------------------------------


def _account_id(operation: Operation) -> str:
    return PayoutAccount.objects.get(coach=operation.coach_id).stripe_account_id


def _send(operation: Operation) -> AccountFacts:
    """Stripe's answer under a repeated key is that of the first time, so the account is read again."""
    account_id, params = _account_id(operation), dict(operation.params)
    bank_id = params.pop("external_account", None)
    with refused_if_gone():
        if bank_id is None:
            gateway.update_account(account_id, params=params, key=operation.idempotency_key)
        else:
            gateway.update_external_account(account_id, bank_id, params=params, key=operation.idempotency_key)
    return _read_back(account_id)


def _read_back(account_id: str) -> AccountFacts:
    try:
        return read_account(account_id)
    except GatewayError as error:
        # The change is done: that it can't be read now says nothing about it.
        raise GatewayError("lost", error.code, error.message) from error


def _look_up(operation: Operation) -> AccountFacts | None:
    """It sets something to a value, so what is not so has either not been done or was changed again since."""
    facts = read_account(_account_id(operation))
    return facts if _is_so(facts, operation.params) else None


def _is_so(facts: AccountFacts, params: dict[str, Any]) -> bool:
    if "external_account" in params:
        return any(bank.id == params["external_account"] and bank.default_for_currency for bank in facts.banks)
    wanted = params["settings"]["payouts"]["schedule"]
    return all(getattr(facts.schedule, name) == value for name, value in wanted.items())


def _record(operation: Operation, facts: AccountFacts, now: datetime) -> str:  # noqa: ARG001  # the interface's
    record_account(facts=facts, now=now)
    return facts.id


def _refuse(operation: Operation, error: GatewayError, now: datetime) -> None:  # noqa: ARG001  # the interface's
    """Nothing has changed; who asked is told by the operation's words."""
    log.warning("stripe_refuses_a_change", coach=operation.coach_id, kind=operation.kind, code=error.code)


operations.register(Kind.UPDATE_ACCOUNT, KindHandler(_send, _look_up, _record, _refuse))
