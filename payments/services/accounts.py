"""A coach's connected account: made once, read often, and never believed but from Stripe's own answer."""

import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from babel.numbers import get_territory_currencies
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q

from coaches.models import Coach
from coaches.services import set_payable
from payments import gateway, lookout, operations
from payments.errors import CountryNotOffered, PayoutsUnavailable, StandingStill
from payments.gateway import GatewayError
from payments.models import AccountType, Operation, Payout, PayoutAccount, PayoutMethod, SettlementMode
from payments.operations import KindHandler
from payments.services.bank_rows import record_banks
from payments.services.out_of_sight import stop_following
from payments.stripe_accounts import AccountFacts, ScheduleFacts

log = structlog.get_logger(__name__)

# Stripe's clock and ours may differ by this much when a list is searched by time.
CLOCK_SLACK = timedelta(minutes=10)
# How Stripe's refusal of v1 accounts to new platforms begins (August 2026 on).
V1_REFUSAL = "Stripe no longer recommends Accounts v1"
# An account shows so many of its banks; the others are on a list of their own.
BANKS_SHOWN = 10


def create_payout_account(*, coach: Coach, country: str, now: datetime) -> PayoutAccount:
    """The coach's account, made once however it is clicked or raced. Network: call it outside any transaction.

    Raises CountryNotOffered, and PayoutsUnavailable where Stripe does not answer or refuses; what was begun is
    finished by the sweeper.
    """
    known = PayoutAccount.objects.filter(coach=coach).first()
    if known:
        return known
    if country not in settings.COUNTRIES:
        raise CountryNotOffered
    operations.run_or_await(_write_down(coach, country, now).pk, now=now)
    made = PayoutAccount.objects.filter(coach=coach).first()
    if made is None:
        raise PayoutsUnavailable
    return made


def onboarding_link(
    *,
    account: PayoutAccount,
    return_url: str,
    refresh_url: str,
    now: datetime,
) -> str:
    """A fresh address of Stripe's onboarding page. Network. Raises PayoutsUnavailable, and StandingStill.

    Made anew for each click, and neither stored nor logged: it opens once, for minutes, and lets its holder in.
    It leaves nothing lasting at Stripe, so it needs no operation and no repair.
    """
    if not lookout.may_send(now):
        raise StandingStill
    try:
        return gateway.create_account_link(
            account_id=account.stripe_account_id,
            return_url=return_url,
            refresh_url=refresh_url,
            key=str(uuid.uuid4()),
        )
    except GatewayError as error:
        raise PayoutsUnavailable from error


def details_link(*, account: PayoutAccount, return_url: str, refresh_url: str, now: datetime) -> str:
    """A fresh address of the page at Stripe where the coach changes what they told it, banks included. Network.

    Their dashboard there, where the account has one; until all is told it is the onboarding page. Neither stored nor
    logged, as that. Raises PayoutsUnavailable, and StandingStill.
    """
    if not account.details_submitted:
        return onboarding_link(account=account, return_url=return_url, refresh_url=refresh_url, now=now)
    if not lookout.may_send(now):
        raise StandingStill
    key = str(uuid.uuid4())
    try:
        if account.account_type == AccountType.EXPRESS:
            return gateway.create_login_link(account.stripe_account_id, key=key)
        return gateway.create_account_link(
            account_id=account.stripe_account_id,
            return_url=return_url,
            refresh_url=refresh_url,
            link_type="account_update",
            key=key,
        )
    except GatewayError as error:
        raise PayoutsUnavailable from error


def refresh_payout_account(*, account: PayoutAccount, now: datetime) -> PayoutAccount:
    """Ask Stripe how the account stands. Network. Raises PayoutsUnavailable."""
    try:
        facts = read_account(account.stripe_account_id)
    except GatewayError as error:
        if error.code == "account_invalid":
            record_out_of_reach(account=account, now=now)
        raise PayoutsUnavailable from error
    record_account(facts=facts, now=now)
    account.refresh_from_db()
    return account


def read_account(stripe_account_id: str) -> AccountFacts:
    """As Stripe has it, with all of its banks. Network. Raises GatewayError."""
    facts = gateway.retrieve_account(stripe_account_id)
    if len(facts.banks) < BANKS_SHOWN:
        return facts
    return replace(facts, banks=tuple(gateway.list_external_accounts(stripe_account_id)))


@transaction.atomic
def record_account(*, facts: AccountFacts, now: datetime) -> None:
    """Keep what Stripe said when it was asked at `now`. An account of nobody's is passed over.

    An answer that was asked for earlier than the one we have changes nothing.
    """
    account = _store_if_newer(facts.id, now, _kept(facts))
    if account is not None:
        record_banks(account, facts.banks, now)


def record_out_of_reach(*, account: PayoutAccount, now: datetime) -> None:
    """Stripe lets us read it no more: cut off, or our key is another platform's, which the next answer mends."""
    if account.payable:
        log.critical("payout_account_out_of_reach", account=account.stripe_account_id)
    _store_if_newer(account.stripe_account_id, now, {"transfers_active": False, "payouts_enabled": False})


def record_deauthorised(*, stripe_account_id: str, now: datetime) -> None:
    """The coach has cut the connection: nothing can be paid to this account any more, and nothing read of it."""
    with transaction.atomic():
        connected = PayoutAccount.objects.filter(stripe_account_id=stripe_account_id, deauthorised_at=None)
        if connected.update(deauthorised_at=now, updated_at=now):
            account = PayoutAccount.objects.select_related("coach").get(stripe_account_id=stripe_account_id)
            log.error("payout_account_deauthorised", coach=account.coach_id)
            set_payable(coach=account.coach, payable=False)
            stop_following(Payout.objects.filter(account=account), now)


def choose_settlement_mode(*, coach: Coach, mode: SettlementMode, now: datetime) -> None:
    """The coach's own choice; payments that are open already keep theirs."""
    PayoutAccount.objects.filter(coach=coach).update(settlement_mode=mode, updated_at=now)


def choose_payout_method(*, coach: Coach, method: PayoutMethod, now: datetime) -> None:
    """The coach's own choice. What is due to one who has chosen none waits; what is on its way already arrives."""
    PayoutAccount.objects.filter(coach=coach).update(payout_method=method, updated_at=now)


def _write_down(coach: Coach, country: str, now: datetime) -> Operation:
    operation_id = uuid.uuid4()
    params = _account_params(coach, country, operation_id)
    try:
        with transaction.atomic():
            return operations.create_for_own_run(
                Operation.Kind.CREATE_ACCOUNT, operation_id=operation_id, params=params, coach=coach, now=now
            )
    except IntegrityError:
        # Another click was first: its operation is ours too.
        return Operation.objects.filter(kind=Operation.Kind.CREATE_ACCOUNT, coach=coach).latest("created_at")


def _account_params(coach: Coach, country: str, operation_id: uuid.UUID) -> dict[str, Any]:
    """The type is frozen with the operation: a changed setting counts for the accounts that are made after it."""
    schedule = {"interval": "monthly", "monthly_anchor": settings.PAYOUT_DAY}
    params = {
        "type": settings.CONNECT_ACCOUNT_TYPE,
        "country": country,
        "email": coach.user.email,
        # Transfers are what we need; Express onboarding also asks for what card payments require.
        "capabilities": {"transfers": {"requested": True}, "card_payments": {"requested": True}},
        "settings": {"payouts": {"schedule": schedule}},
        "metadata": {"coach_id": str(coach.pk), "operation_id": str(operation_id)},
    }
    if settings.CONNECT_ACCOUNT_TYPE == AccountType.CUSTOM:
        currency = get_territory_currencies(country)[0].lower()
        params |= {"business_type": "individual", "default_currency": currency}
    return params


@transaction.atomic
def _store_if_newer(stripe_account_id: str, now: datetime, changes: dict[str, object]) -> PayoutAccount | None:
    """The account's row, locked; None where it is nobody's, or something later is known of it."""
    older = PayoutAccount.objects.filter(Q(read_at=None) | Q(read_at__lte=now), stripe_account_id=stripe_account_id)
    if not older.update(read_at=now, updated_at=now, **changes):
        return None
    account = PayoutAccount.objects.select_related("coach").get(stripe_account_id=stripe_account_id)
    set_payable(coach=account.coach, payable=account.payable)
    return account


def _kept(facts: AccountFacts) -> dict[str, object]:
    return {
        "country": facts.country,
        "default_currency": facts.default_currency,
        "details_submitted": facts.details_submitted,
        "charges_enabled": facts.charges_enabled,
        "payouts_enabled": facts.payouts_enabled,
        "transfers_active": facts.transfers_active,
        "disabled_reason": facts.disabled_reason,
        "requirements": facts.requirements,
        **_kept_schedule(facts.schedule),
    }


def _kept_schedule(schedule: ScheduleFacts) -> dict[str, object]:
    """What we know stays where Stripe tells nothing."""
    if not schedule.interval:
        return {}
    return {
        "schedule_interval": schedule.interval,
        "schedule_monthly_anchor": schedule.monthly_anchor,
        "schedule_weekly_anchor": schedule.weekly_anchor,
    }


def _send(operation: Operation) -> AccountFacts:
    params = {"type": "express", **operation.params}
    return gateway.create_account(params=params, key=operation.idempotency_key)


def _look_up(operation: Operation) -> AccountFacts | None:
    return gateway.find_account(operation_id=str(operation.pk), created_after=operation.created_at - CLOCK_SLACK)


def _record(operation: Operation, facts: AccountFacts, now: datetime) -> str:  # noqa: ARG001  # the interface's
    """An answer under a repeated key may be an old one, so it is the state of a beginning: read again soon."""
    coach = Coach.objects.get(operations=operation)
    account_type = operation.params.get("type", AccountType.EXPRESS)
    PayoutAccount.objects.create(coach=coach, stripe_account_id=facts.id, account_type=account_type, **_kept(facts))
    return facts.id


def _refuse(operation: Operation, error: GatewayError, now: datetime) -> None:  # noqa: ARG001  # the interface's
    if error.message.startswith(V1_REFUSAL):
        log.critical(
            "stripe_refuses_v1_accounts",
            coach=operation.coach_id,
            what_to_do="Switch on 'Accounts v1 support' in Stripe's dashboard: Settings, Developers, API policies.",
        )
    else:
        log.critical("stripe_refuses_an_account", coach=operation.coach_id, code=error.code)


operations.register(Operation.Kind.CREATE_ACCOUNT, KindHandler(_send, _look_up, _record, _refuse))
