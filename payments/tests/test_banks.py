"""Where payouts go: added by token, made the default, removed; and what Stripe says of it, kept by four digits."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from djstripe import models as mirrored

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.errors import DomainError
from marketplace.tests.factories import CoachFactory
from marketplace.tests.sandbox import Sandbox
from payments import gateway, mirror, operations, pollers, services
from payments.errors import StripeMismatchError
from payments.models import BankAccount, Operation, PayoutAccount, StripeEvent
from payments.services import accounts
from payments.tests import bankside, reports, stage

pytestmark = pytest.mark.django_db

ADDING = "/v1/accounts/*/external_accounts"


@pytest.fixture
def account(sandbox: Sandbox, coach: Coach, settings: Any) -> PayoutAccount:
    """With the bank account of the onboarding, which is its default."""
    return bankside.custom(sandbox, coach, settings)


def at_stripe(account: PayoutAccount) -> dict[str, bool]:
    """By id, and whether it is the default."""
    banks = gateway.list_external_accounts(account.stripe_account_id)
    return {bank.id: bank.default_for_currency for bank in banks}


def kept(account: PayoutAccount) -> dict[str, bool]:
    return dict(account.banks.filter(removed_at=None).values_list("stripe_bank_id", "is_default"))


def bank_id(bank: BankAccount) -> str:
    return bank.stripe_bank_id


# --- adding -------------------------------------------------------------------------------------


def test_one_that_is_added_gets_the_payouts_from_now_on(sandbox: Sandbox, coach: Coach, account: PayoutAccount) -> None:
    first = account.banks.get()
    bank = bankside.add_bank(coach)
    assert (bank.kind, bank.name, bank.last4, bank.currency) == ("bank_account", "STRIPE TEST BANK", "6789", "usd")
    assert kept(account) == at_stripe(account) == {bank_id(first): False, bank_id(bank): True}


def test_a_debit_card_is_known_by_its_brand(coach: Coach, account: PayoutAccount) -> None:
    card = bankside.add_bank(coach, "tok_visa_debit")
    assert (card.kind, card.name, card.last4) == ("card", "Visa", "5556")


@pytest.mark.everyday(3)
@pytest.mark.parametrize(
    "number",
    [
        "000123456789",
        "4000056655665556",
        "4000 0566 5566 5556",
        "DE89370400440532013000",
        "btok_000123456789",
        "tok_4000_0566_5566_5556",
        "tok_DE89370400440532013000",
        "btok_",
        "",
        " btok_us_verified",
        "btok_us_verified\n",
        "ba_1NAiJy2eZvKYlo2C",
        "pm_card_visa",
        "btok_" + "a" * 200,
        "btok_us/../../v1/payouts",
        "btok_ùs",
    ],
)
def test_what_is_no_token_is_refused_and_neither_kept_nor_logged(
    number: str, sandbox: Sandbox, coach: Coach, account: PayoutAccount, caplog: pytest.LogCaptureFixture
) -> None:
    before = len(sandbox.get("/_sandbox/requests")["data"])
    with pytest.raises(services.NotAToken) as refusal:
        bankside.add_bank(coach, number)
    assert len(sandbox.get("/_sandbox/requests")["data"]) == before
    assert not Operation.objects.filter(kind="add_bank").exists()
    if number:
        assert number not in str(refusal.value)
        assert number not in caplog.text


def test_nothing_of_a_bank_but_its_name_and_last_four_digits_is_in_the_database(
    sandbox: Sandbox, coach: Coach, account: PayoutAccount
) -> None:
    """In no table: neither with the events, nor in what is mirrored."""
    bankside.add_bank(coach)
    bankside.hear(sandbox)
    mirror.mirror_events(now=clock.now())
    assert StripeEvent.objects.filter(type="account.external_account.created", state="done").exists()
    assert mirrored.Account.objects.filter(id=account.stripe_account_id).exists()
    for model in apps.get_models():
        everything = " ".join(_as_text(row) for row in model._default_manager.values())
        for detail in ("000123456789", "110000000", "routing_number", "fingerprint", "account_holder_name"):
            assert detail not in everything, f"{detail} in {model._meta.label}"


def _as_text(row: dict[str, Any]) -> str:
    """Bytes come from PostgreSQL as views of memory."""
    return str({name: bytes(value) if isinstance(value, memoryview) else value for name, value in row.items()})


@pytest.mark.parametrize(
    ("code", "words"),
    [("currency_not_supported", "can't hold this currency"), ("no_code_we_know", "would not take this bank account")],
)
def test_what_stripe_refuses_is_said_in_words(
    code: str, words: str, sandbox: Sandbox, coach: Coach, account: PayoutAccount
) -> None:
    body = {"error": {"type": "invalid_request_error", "code": code, "message": "No."}}
    stage.break_next(sandbox, "respond", ADDING, status=400, body=body)
    with pytest.raises(services.RefusedByStripe, match=words):
        bankside.add_bank(coach)
    assert account.banks.count() == 1
    assert bankside.add_bank(coach).is_default


def test_a_card_that_takes_no_payouts_is_refused(coach: Coach, account: PayoutAccount) -> None:
    with pytest.raises(services.RefusedByStripe):
        bankside.add_bank(coach, "tok_visa")
    assert account.banks.count() == 1


def test_the_same_token_twice_is_the_same_bank(sandbox: Sandbox, coach: Coach, account: PayoutAccount) -> None:
    assert bankside.add_bank(coach) == bankside.add_bank(coach)
    assert len(at_stripe(account)) == 2


@pytest.mark.django_db(transaction=True)
def test_two_clicks_at_once_add_one_bank(sandbox: Sandbox, coach: Coach, account: PayoutAccount) -> None:
    stage.break_next(sandbox, "delay_before", ADDING, delay_ms=300)
    added: list[str] = []
    stage.at_once([lambda: added.append(bank_id(bankside.add_bank(coach)))] * 3)
    assert len(added) == 3
    assert len(set(added)) == 1
    assert len(at_stripe(account)) == 2


@pytest.mark.parametrize("fault", ["reset_after_effect", "reset_before_effect", "truncate_body"])
def test_a_lost_answer_adds_one_bank(fault: str, sandbox: Sandbox, coach: Coach, account: PayoutAccount) -> None:
    stage.break_next(sandbox, fault, ADDING)
    with pytest.raises(services.AnswerLate):
        bankside.add_bank(coach)
    assert account.banks.count() == 1
    bankside.sweep(timedelta(minutes=2))
    assert kept(account) == at_stripe(account)
    assert len(kept(account)) == 2
    assert bankside.add_bank(coach).is_default


def test_when_the_key_is_forgotten_it_is_looked_for_before_it_is_added_again(
    sandbox: Sandbox, coach: Coach, account: PayoutAccount
) -> None:
    stage.break_next(sandbox, "reset_after_effect", ADDING)
    with pytest.raises(services.AnswerLate):
        bankside.add_bank(coach)
    sandbox.post("/_sandbox/idempotency/prune")
    operations.sweep(now=clock.now() + timedelta(days=2))
    assert len(at_stripe(account)) == 2
    assert kept(account) == at_stripe(account)


def test_the_event_may_come_before_our_own_answer(sandbox: Sandbox, coach: Coach, account: PayoutAccount) -> None:
    stage.break_next(sandbox, "reset_after_effect", ADDING)
    with pytest.raises(services.AnswerLate):
        bankside.add_bank(coach)
    bankside.hear(sandbox, "account.external_account.created")
    assert kept(account) == at_stripe(account)
    bankside.sweep(timedelta(minutes=2))
    assert kept(account) == at_stripe(account)


def test_an_answer_asked_for_before_it_was_added_does_not_take_it_away(
    sandbox: Sandbox, coach: Coach, account: PayoutAccount
) -> None:
    early, asked_early = gateway.retrieve_account(account.stripe_account_id), clock.now()
    bank = bankside.add_bank(coach)
    services.record_account(facts=early, now=asked_early)
    bank.refresh_from_db()
    assert bank.removed_at is None


def test_an_express_coach_keeps_their_banks_at_stripe(sandbox: Sandbox, payable_coach: Coach) -> None:
    with pytest.raises(services.BanksKeptAtStripe):
        bankside.add_bank(payable_coach)
    assert stage.calls(sandbox, "external_accounts") == []


def test_an_account_that_left_and_nobody_has_told_us_is_refused_for_good(
    sandbox: Sandbox, coach: Coach, account: PayoutAccount
) -> None:
    sandbox.post(f"/_sandbox/accounts/{account.stripe_account_id}/deauthorize")
    with pytest.raises(services.RefusedByStripe, match="not connected"):
        bankside.add_bank(coach)
    assert Operation.objects.get(kind="add_bank").state == Operation.State.FAILED


# --- the default, and removing ------------------------------------------------------------------


def test_another_one_is_made_the_default(coach: Coach, account: PayoutAccount) -> None:
    first, second = account.banks.get(), bankside.add_bank(coach)
    assert services.make_default(coach=coach, bank=first, now=clock.now()).is_default
    assert kept(account) == at_stripe(account) == {bank_id(first): True, bank_id(second): False}


def test_one_that_is_not_needed_is_removed(sandbox: Sandbox, coach: Coach, account: PayoutAccount) -> None:
    first, second = account.banks.get(), bankside.add_bank(coach)
    services.remove_bank(coach=coach, bank=first, now=clock.now())
    first.refresh_from_db()
    assert first.removed_at is not None
    assert kept(account) == at_stripe(account) == {bank_id(second): True}
    services.remove_bank(coach=coach, bank=first, now=clock.now())
    assert len(stage.calls(sandbox, bank_id(first), "DELETE")) == 1


def test_the_one_that_payouts_go_to_is_not_removed(sandbox: Sandbox, coach: Coach, account: PayoutAccount) -> None:
    with pytest.raises(services.BankNeeded):
        services.remove_bank(coach=coach, bank=account.banks.get(), now=clock.now())
    assert len(at_stripe(account)) == 1
    assert stage.calls(sandbox, "external_accounts", "DELETE") == []


def test_that_it_is_the_default_at_stripe_and_not_here_yet_is_said_too(
    sandbox: Sandbox, coach: Coach, account: PayoutAccount
) -> None:
    bankside.add_bank(coach)
    account.banks.update(is_default=False)
    bank = account.banks.latest("pk")
    with pytest.raises(services.RefusedByStripe):
        services.remove_bank(coach=coach, bank=bank, now=clock.now())
    bank.refresh_from_db()
    assert bank.removed_at is None


@pytest.mark.parametrize("act", [services.make_default, services.remove_bank])
def test_the_bank_of_another_coach_is_out_of_reach(
    act: Any, sandbox: Sandbox, coach: Coach, account: PayoutAccount
) -> None:
    other = CoachFactory.create()
    stage.onboard(sandbox, other)
    before = len(stage.calls(sandbox, "external_accounts"))
    with pytest.raises(services.NoSuchBank):
        act(coach=other, bank=account.banks.get(), now=clock.now())
    assert len(stage.calls(sandbox, "external_accounts")) == before


@pytest.mark.parametrize("fault", ["reset_after_effect", "reset_before_effect"])
def test_a_lost_answer_removes_it_all_the_same(
    fault: str, sandbox: Sandbox, coach: Coach, account: PayoutAccount
) -> None:
    first = account.banks.get()
    bankside.add_bank(coach)
    stage.break_next(sandbox, fault, f"{ADDING}/*", method="DELETE")
    with pytest.raises(services.AnswerLate):
        services.remove_bank(coach=coach, bank=first, now=clock.now())
    bankside.sweep(timedelta(minutes=2))
    assert bank_id(first) not in kept(account)
    assert kept(account) == at_stripe(account)


@pytest.mark.django_db(transaction=True)
def test_adding_and_removing_at_once_ends_as_stripe_has_it(
    sandbox: Sandbox, coach: Coach, account: PayoutAccount
) -> None:
    first = account.banks.get()
    bankside.add_bank(coach)

    def without_refusals(act: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            try:
                act()
            except DomainError:
                return

        return run

    stage.at_once(
        [
            without_refusals(lambda: bankside.add_bank(coach, "tok_visa_debit")),
            without_refusals(lambda: services.remove_bank(coach=coach, bank=first, now=clock.now())),
            without_refusals(lambda: services.make_default(coach=coach, bank=first, now=clock.now())),
        ]
    )
    bankside.sweep(timedelta(minutes=2))
    services.refresh_payout_account(account=account, now=clock.now())
    assert kept(account) == at_stripe(account)


# --- what Stripe says ---------------------------------------------------------------------------


def test_banks_changed_at_stripe_are_heard_of(sandbox: Sandbox, coach: Coach, account: PayoutAccount) -> None:
    path = f"/v1/accounts/{account.stripe_account_id}/external_accounts"
    form = {"external_account": "btok_us_verified", "default_for_currency": "true"}
    added = stage.post_at_stripe(sandbox, path, form)["id"]
    gateway.delete_external_account(account.stripe_account_id, bank_id(account.banks.get()))
    rows = bankside.hear(
        sandbox,
        "account.external_account.created",
        "account.external_account.updated",
        "account.external_account.deleted",
    )
    assert {row.state for row in rows} == {"done"}
    assert kept(account) == at_stripe(account) == {added: True}
    assert account.banks.exclude(removed_at=None).count() == 1


def test_without_any_event_the_poller_brings_the_same(sandbox: Sandbox, coach: Coach, account: PayoutAccount) -> None:
    gateway.create_external_account(
        account.stripe_account_id, token="btok_us_verified", default=True, operation_id="", key="elsewhere"
    )
    pollers.poll_payout_accounts(now=clock.now() + timedelta(days=1))
    assert kept(account) == at_stripe(account)
    assert len(kept(account)) == 2


def test_more_banks_than_the_account_shows_are_all_kept(
    sandbox: Sandbox, coach: Coach, account: PayoutAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    bankside.add_bank(coach)
    facts = gateway.retrieve_account(account.stripe_account_id)
    shown = replace(facts, banks=facts.banks[:1])
    monkeypatch.setattr(accounts, "BANKS_SHOWN", 1)
    monkeypatch.setattr(gateway, "retrieve_account", lambda _id: shown)
    services.refresh_payout_account(account=account, now=clock.now())
    assert len(kept(account)) == 2


def test_a_bank_that_comes_back_is_there_again(sandbox: Sandbox, coach: Coach, account: PayoutAccount) -> None:
    facts = gateway.retrieve_account(account.stripe_account_id)
    services.record_account(facts=replace(facts, banks=()), now=clock.now())
    assert kept(account) == {}
    services.record_account(facts=facts, now=clock.now())
    assert kept(account) == at_stripe(account)


def test_a_bank_of_another_account_is_set_aside(sandbox: Sandbox, coach: Coach, account: PayoutAccount) -> None:
    other = stage.onboard(sandbox, CoachFactory.create())
    stolen = gateway.retrieve_account(account.stripe_account_id).banks
    facts = gateway.retrieve_account(other.stripe_account_id)
    with pytest.raises(StripeMismatchError):
        services.record_account(facts=replace(facts, banks=stolen), now=clock.now())
    assert kept(account) == at_stripe(account)
    assert kept(other) == at_stripe(other)


def test_an_event_of_an_account_that_has_left_us_is_set_aside(
    sandbox: Sandbox, coach: Coach, account: PayoutAccount
) -> None:
    services.record_deauthorised(stripe_account_id=account.stripe_account_id, now=clock.now())
    bank = {"id": "ba_1", "object": "bank_account"}
    event = reports.made_up("account.external_account.created", bank, account=account.stripe_account_id)
    [row] = reports.deliver_and_work([event])
    assert row.state == "ignored"
    assert "has left us" in row.reason
