"""Accounts of the type custom: made as such, fixed at creation, onboarded by link, and paid like all others."""

from datetime import timedelta
from typing import Any

import pytest

from coaches.models import Coach
from marketplace import clock
from marketplace.tests.factories import CoachFactory
from marketplace.tests.sandbox import Sandbox
from payments import gateway, operations, services
from payments.models import AccountType, Operation, PayoutAccount
from payments.tests import bankside, stage

pytestmark = pytest.mark.django_db

LINKS = {"return_url": "http://127.0.0.1/return/", "refresh_url": "http://127.0.0.1/refresh/"}


def create(coach: Coach, country: str = "US") -> PayoutAccount:
    return services.create_payout_account(coach=coach, country=country, now=clock.now())


def sent(sandbox: Sandbox) -> dict[str, Any]:
    (call,) = stage.calls(sandbox, "/v1/accounts")
    return dict(call["params"])


def test_it_is_made_with_all_that_a_custom_account_needs(sandbox: Sandbox, coach: Coach, settings: Any) -> None:
    settings.CONNECT_ACCOUNT_TYPE = "custom"
    settings.PAYOUT_DAY = 7
    account = create(coach)
    assert account.account_type == AccountType.CUSTOM
    assert (account.default_currency, account.country) == ("usd", "US")
    assert (account.schedule_interval, account.schedule_monthly_anchor) == ("monthly", 7)
    asked = sent(sandbox)
    assert (asked["type"], asked["business_type"], asked["default_currency"]) == ("custom", "individual", "usd")
    assert set(asked["capabilities"]) == {"card_payments", "transfers"}
    assert gateway.retrieve_account(account.stripe_account_id).type == "custom"


@pytest.mark.parametrize(("country", "currency"), [("DE", "eur"), ("GB", "gbp"), ("CH", "chf"), ("JP", "jpy")])
def test_its_currency_is_the_countrys(
    country: str, currency: str, sandbox: Sandbox, coach: Coach, settings: Any
) -> None:
    settings.CONNECT_ACCOUNT_TYPE = "custom"
    settings.COUNTRIES = [country]
    assert create(coach, country).default_currency == currency


def test_an_express_account_has_the_same_schedule(sandbox: Sandbox, coach: Coach) -> None:
    account = create(coach)
    assert account.account_type == AccountType.EXPRESS
    assert (account.schedule_interval, account.schedule_monthly_anchor) == ("monthly", 5)
    assert "business_type" not in sent(sandbox)


def test_a_changed_setting_counts_for_new_accounts_only(sandbox: Sandbox, coach: Coach, settings: Any) -> None:
    before = create(coach)
    settings.CONNECT_ACCOUNT_TYPE = "custom"
    stage.onboard(sandbox, coach)
    after = create(CoachFactory.create())
    before.refresh_from_db()
    assert (before.account_type, after.account_type) == (AccountType.EXPRESS, AccountType.CUSTOM)


def test_what_is_begun_keeps_its_type_when_the_setting_changes_meanwhile(
    sandbox: Sandbox, coach: Coach, settings: Any
) -> None:
    settings.CONNECT_ACCOUNT_TYPE = "custom"
    stage.break_next(sandbox, "reset_before_effect", "/v1/accounts")
    with pytest.raises(services.PayoutsUnavailable):
        create(coach)
    settings.CONNECT_ACCOUNT_TYPE = "express"
    operations.sweep(now=clock.now() + timedelta(minutes=2))
    assert PayoutAccount.objects.get().account_type == AccountType.CUSTOM
    assert stage.effects(sandbox, "/v1/accounts") == 1


def test_an_account_written_down_before_there_were_types_is_express(sandbox: Sandbox, coach: Coach) -> None:
    stage.break_next(sandbox, "reset_before_effect", "/v1/accounts")
    with pytest.raises(services.PayoutsUnavailable):
        create(coach)
    operation = Operation.objects.get()
    del operation.params["type"]
    operation.save(update_fields=["params"])
    operations.sweep(now=clock.now() + timedelta(minutes=2))
    assert PayoutAccount.objects.get().account_type == AccountType.EXPRESS


@pytest.mark.parametrize("fault", ["reset_after_effect", "truncate_body", "garbage_body"])
def test_a_lost_answer_makes_one_account(fault: str, sandbox: Sandbox, coach: Coach, settings: Any) -> None:
    settings.CONNECT_ACCOUNT_TYPE = "custom"
    stage.break_next(sandbox, fault, "/v1/accounts")
    with pytest.raises(services.PayoutsUnavailable):
        create(coach)
    operations.sweep(now=clock.now() + timedelta(minutes=2))
    assert PayoutAccount.objects.get().account_type == AccountType.CUSTOM
    assert stage.effects(sandbox, "/v1/accounts") == 1


def test_it_is_onboarded_by_link_and_can_be_paid(sandbox: Sandbox, coach: Coach, settings: Any) -> None:
    settings.CONNECT_ACCOUNT_TYPE = "custom"
    account = create(coach)
    assert account.stripe_account_id in services.onboarding_link(account=account, now=clock.now(), **LINKS)
    account = stage.onboard(sandbox, coach)
    coach.refresh_from_db()
    assert account.payable
    assert coach.payable
    (bank,) = account.banks.all()
    assert bank.is_default
    assert len(bank.last4) == 4


# --- the page to change what Stripe was told ----------------------------------------------------


def test_details_are_changed_on_the_onboarding_page_until_they_are_complete(
    sandbox: Sandbox, coach: Coach, settings: Any
) -> None:
    account = create(coach)
    assert "/setup/" in services.details_link(account=account, now=clock.now(), **LINKS)
    assert stage.calls(sandbox, "login_links") == []


def test_an_express_coach_is_sent_to_their_dashboard(sandbox: Sandbox, coach: Coach) -> None:
    account = stage.onboard(sandbox, coach)
    assert account.stripe_account_id in services.details_link(account=account, now=clock.now(), **LINKS)
    assert len(stage.calls(sandbox, "login_links")) == 1


def test_a_custom_coach_is_sent_to_the_update_page(sandbox: Sandbox, coach: Coach, settings: Any) -> None:
    account = bankside.custom(sandbox, coach, settings)
    services.details_link(account=account, now=clock.now(), **LINKS)
    (call,) = stage.calls(sandbox, "/v1/account_links")
    assert call["params"]["type"] == "account_update"


def test_a_page_that_stripe_does_not_give_is_said_in_words(sandbox: Sandbox, coach: Coach) -> None:
    account = stage.onboard(sandbox, coach)
    stage.break_next(sandbox, "reset_before_effect", "/v1/accounts/*/login_links")
    with pytest.raises(services.PayoutsUnavailable):
        services.details_link(account=account, now=clock.now(), **LINKS)
