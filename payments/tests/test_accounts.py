"""A coach's connected account: one, whatever is clicked or raced, and as Stripe last said."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from marketplace import clock
from marketplace.lib.errors import DomainError
from payments import gateway, operations, selectors, services
from payments.models import Operation, PayoutAccount, SettlementMode
from payments.tests import stage

pytestmark = pytest.mark.django_db


def create(coach, country="US"):
    return services.create_payout_account(coach=coach, country=country, now=clock.now())


def test_it_is_made_by_us_as_an_express_account_and_its_id_is_kept_at_once(sandbox, coach):
    account = create(coach)
    (call,) = stage.calls(sandbox, "/v1/accounts")
    assert call["params"]["type"] == "express"
    assert call["params"]["email"] == "coach@example.com"
    assert call["params"]["metadata"]["coach_id"] == str(coach.pk)
    assert PayoutAccount.objects.get() == account
    assert stage.at_stripe(sandbox, f"/v1/accounts/{account.stripe_account_id}")["country"] == "US"
    assert not account.payable
    assert account.requirements["currently_due"]


def test_a_second_click_gives_the_same_account(sandbox, coach):
    assert create(coach) == create(coach, "DE")
    assert stage.effects(sandbox, "/v1/accounts") == 1


@pytest.mark.django_db(transaction=True)
def test_however_many_click_at_once_one_account_is_made(sandbox, coach):
    stage.break_next(sandbox, "delay_before", "/v1/accounts", delay_ms=300)
    made = []
    stage.at_once([lambda: made.append(create(coach).stripe_account_id)] * 5)
    assert len(made) == 5
    assert len(set(made)) == 1
    assert stage.effects(sandbox, "/v1/accounts") == 1


@pytest.mark.faults
@pytest.mark.django_db(transaction=True)
def test_clicks_at_once_while_the_answer_is_lost_still_make_one_account(sandbox, coach):
    stage.break_next(sandbox, "reset_after_effect", "/v1/accounts")

    def click():
        with suppress(DomainError):
            create(coach)

    stage.at_once([click] * 4)
    operations.sweep(now=clock.now() + timedelta(minutes=2))
    assert PayoutAccount.objects.count() == 1
    assert stage.effects(sandbox, "/v1/accounts") == 1


def test_a_country_that_is_not_offered_is_refused_before_anything_is_sent(sandbox, coach):
    with pytest.raises(services.CountryNotOffered):
        create(coach, "KP")
    assert Operation.objects.count() == 0
    assert stage.calls(sandbox, "/v1/accounts") == []


def test_stripes_refusal_of_v1_accounts_is_explained_to_the_operator_only(sandbox, coach, caplog):
    sandbox.post("/_sandbox/accounts_v1", {"refused": True})
    with pytest.raises(services.PayoutsUnavailable) as failure:
        create(coach)
    assert "v1" not in str(failure.value)
    assert "Accounts v1 support" in caplog.text
    sandbox.post("/_sandbox/accounts_v1", {"refused": False})
    assert create(coach).stripe_account_id  # a new operation under a new key: the refusal does not stick


def test_each_click_gets_a_fresh_link_that_is_kept_nowhere(sandbox, coach, caplog):
    account = create(coach)
    urls = {"return_url": "http://127.0.0.1/return/", "refresh_url": "http://127.0.0.1/refresh/"}
    first = services.onboarding_link(account=account, now=clock.now(), **urls)
    second = services.onboarding_link(account=account, now=clock.now(), **urls)
    assert first != second
    assert first not in caplog.text
    assert first not in str([*Operation.objects.values(), *PayoutAccount.objects.values()])


def test_a_link_that_stripe_does_not_give_is_said_in_words(sandbox, coach):
    account = create(coach)
    stage.break_next(sandbox, "reset_before_effect", "/v1/account_links")
    with pytest.raises(services.PayoutsUnavailable):
        services.onboarding_link(account=account, return_url="http://a/", refresh_url="http://a/", now=clock.now())


# --- what Stripe says ---------------------------------------------------------------------------


def test_once_verified_the_coach_can_be_booked(sandbox, coach):
    account = stage.onboard(sandbox, coach)
    coach.refresh_from_db()
    assert account.payable
    assert account.onboarding_complete
    assert coach.payable
    status = selectors.payout_status(coach)
    assert (status.state, status.title, status.missing) == ("ready", "You're all set", [])


def test_a_restricted_coach_cant_be_booked_any_more(sandbox, coach):
    account = stage.onboard(sandbox, coach)
    sandbox.post(f"/_sandbox/accounts/{account.stripe_account_id}/restrict", {})
    services.refresh_payout_account(account=account, now=clock.now())
    coach.refresh_from_db()
    assert not coach.payable
    assert selectors.payout_status(coach).state == "restricted"


def test_charges_enabled_alone_pays_nobody(sandbox, coach):
    account = stage.onboard(sandbox, coach)
    facts = replace(gateway.retrieve_account(account.stripe_account_id), transfers_active=False)
    services.record_account(facts=facts, now=clock.now())
    coach.refresh_from_db()
    assert facts.charges_enabled
    assert not coach.payable


def test_an_answer_asked_for_earlier_does_not_overwrite_a_later_one(sandbox, coach):
    account = create(coach)
    early, asked_early = gateway.retrieve_account(account.stripe_account_id), clock.now()
    stage.onboard(sandbox, coach)
    services.record_account(facts=early, now=asked_early)
    coach.refresh_from_db()
    assert coach.payable


def test_what_stripe_says_of_it_moves_the_time_of_its_last_change(sandbox, coach):
    account = stage.onboard(sandbox, coach)
    sandbox.advance(3600)
    now = clock.now()
    services.refresh_payout_account(account=account, now=now)
    assert account.updated_at == account.read_at == now
    services.record_deauthorised(stripe_account_id=account.stripe_account_id, now=now + timedelta(hours=1))
    account.refresh_from_db()
    assert account.updated_at == now + timedelta(hours=1)


def test_an_account_of_nobodys_is_passed_over(sandbox, coach):
    account = create(coach)
    facts = replace(gateway.retrieve_account(account.stripe_account_id), id="acct_stranger", transfers_active=True)
    services.record_account(facts=facts, now=clock.now())
    assert not PayoutAccount.objects.get().transfers_active


def test_a_coach_who_cuts_the_connection_cant_be_booked(sandbox, coach):
    account = stage.onboard(sandbox, coach)
    services.record_deauthorised(stripe_account_id=account.stripe_account_id, now=clock.now())
    coach.refresh_from_db()
    assert not coach.payable
    assert selectors.payout_status(coach).state == "rejected"


def test_when_stripe_does_not_answer_the_last_answer_stands(sandbox, coach):
    account = stage.onboard(sandbox, coach)
    stage.break_next(sandbox, "reset_before_effect", "/v1/accounts/*", method="GET", times=0)
    with pytest.raises(services.PayoutsUnavailable):
        services.refresh_payout_account(account=account, now=clock.now())
    coach.refresh_from_db()
    assert coach.payable


def test_the_coach_chooses_how_to_be_paid(sandbox, coach):
    create(coach)
    services.choose_settlement_mode(coach=coach, mode=SettlementMode.PER_SESSION, now=clock.now())
    assert PayoutAccount.objects.get().settlement_mode == SettlementMode.PER_SESSION


# --- in words -----------------------------------------------------------------------------------


def test_before_anything_the_coach_is_told_to_begin(coach):
    status = selectors.payout_status(coach)
    assert (status.state, status.title) == ("not_started", "Complete setup")


def test_what_is_missing_is_said_in_words_each_thing_once(sandbox, coach):
    account = create(coach)
    due = ["individual.dob.day", "individual.dob.month", "external_account", "something.new"]
    facts = replace(
        gateway.retrieve_account(account.stripe_account_id),
        requirements={"currently_due": due, "past_due": ["external_account"], "current_deadline": 1_800_000_000},
    )
    services.record_account(facts=facts, now=clock.now())
    status = selectors.payout_status(coach)
    assert status.state == "incomplete"
    assert status.missing == [
        "Your bank account",
        "Your date of birth",
        "Something else that Stripe asks for on its page",
    ]
    assert status.due_at is not None
    assert status.due_at.timestamp() == 1_800_000_000


@pytest.mark.parametrize(
    ("outcome", "state"),
    [("complete", "ready"), ("pending", "in_review"), ("partial", "incomplete"), ("rejected", "rejected")],
)
def test_each_outcome_of_onboarding_has_its_words(outcome, state, sandbox, coach):
    stage.onboard(sandbox, coach, outcome=outcome)
    assert selectors.payout_status(coach).state == state
