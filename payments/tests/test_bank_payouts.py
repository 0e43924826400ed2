"""Payouts to coaches' banks: what Stripe says of them, by whichever way and in whatever order we hear of it."""

import itertools
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.money import Money
from marketplace.tests.factories import CoachFactory
from marketplace.tests.sandbox import Sandbox
from payments import gateway, ledger, payout_pollers, services
from payments.errors import StripeMismatchError
from payments.models import LedgerEntry, Payout, PayoutAccount, StripeEvent
from payments.stripe_payouts import PayoutFacts
from payments.tests import bankside, reports, stage
from payments.tests.bankside import DAY

pytestmark = pytest.mark.django_db

Status = Payout.Status


@pytest.fixture
def account(sandbox: Sandbox, coach: Coach, settings: Any) -> PayoutAccount:
    """With a bank account, and 500.00 USD in the balance at Stripe."""
    made = bankside.custom(sandbox, coach, settings)
    bankside.fund(sandbox, made)
    return made


def read(account: PayoutAccount, payout_id: str) -> PayoutFacts:
    return gateway.retrieve_payout(payout_id, account_id=account.stripe_account_id)


def record(account: PayoutAccount | None, facts: PayoutFacts) -> Payout:
    services.record_payout(facts=facts, account=account, now=clock.now())
    return Payout.objects.get(stripe_payout_id=facts.id)


def fail(sandbox: Sandbox, payout_id: str, code: str = "account_closed") -> None:
    sandbox.post(f"/_sandbox/payouts/{payout_id}/fail", {"failure_code": code})


# --- one payout's life --------------------------------------------------------------------------


def test_a_payout_by_schedule_is_followed_to_the_bank(sandbox: Sandbox, account: PayoutAccount) -> None:
    services.choose_schedule(coach=account.coach, interval="monthly", monthly_anchor=1, now=clock.now())
    sandbox.advance(31 * DAY)
    bankside.hear(sandbox, "payout.created", "payout.updated", "payout.paid")
    payout = Payout.objects.get()
    bank = account.banks.get()
    assert (payout.account, payout.money, payout.automatic) == (account, Money(50_000, "usd"), True)
    assert (payout.status, payout.method) == (Status.PAID, "standard")
    assert (payout.bank_name, payout.bank_last4) == (bank.name, bank.last4)
    assert payout.arrives_on is not None
    assert payout.requested_by is None
    assert payout.failed_at is None
    assert not LedgerEntry.objects.exists()


def test_a_payout_that_comes_back_marks_its_bank_and_says_why(
    sandbox: Sandbox, coach: Coach, account: PayoutAccount
) -> None:
    bank = bankside.add_bank(coach, bankside.FAILING)
    payout = bankside.ask(account)
    sandbox.advance(2 * DAY)
    bankside.hear(sandbox, "payout.failed")
    payout.refresh_from_db()
    bank.refresh_from_db()
    assert (payout.status, payout.failure_code) == (Status.FAILED, "account_closed")
    assert payout.failure_message
    assert payout.failed_at is not None
    assert bank.status == "errored"
    assert account.banks.exclude(pk=bank.pk).get().status == "new"


def test_one_that_was_paid_may_come_back_days_later(sandbox: Sandbox, account: PayoutAccount) -> None:
    payout = bankside.ask(account)
    sandbox.advance(2 * DAY)
    services.refresh_payout(payout=payout, now=clock.now())
    payout.refresh_from_db()
    assert payout.status == Status.PAID
    fail(sandbox, str(payout.stripe_payout_id), "no_account")
    services.refresh_payout(payout=payout, now=clock.now())
    payout.refresh_from_db()
    assert (payout.status, payout.failure_code) == (Status.FAILED, "no_account")
    assert account.banks.get().status == "errored"


def test_one_that_is_cancelled_stays_so(sandbox: Sandbox, account: PayoutAccount) -> None:
    payout = bankside.ask(account)
    early = read(account, str(payout.stripe_payout_id))
    bankside.post_as(sandbox, account, f"/v1/payouts/{payout.stripe_payout_id}/cancel", {})
    bankside.hear(sandbox, "payout.canceled")
    assert record(account, early).status == Status.CANCELED
    assert account.banks.get().status == "new"


def facts_of_a_life(sandbox: Sandbox, account: PayoutAccount) -> list[PayoutFacts]:
    """Pending, on its way, paid, failed: as Stripe showed it at each time."""
    payout_id = bankside.make_at_stripe(sandbox, account)
    seen = [read(account, payout_id)]
    for seconds in (3_601, 2 * DAY):
        sandbox.advance(seconds)
        seen.append(read(account, payout_id))
    fail(sandbox, payout_id)
    seen.append(read(account, payout_id))
    assert [facts.status for facts in seen] == ["pending", "in_transit", "paid", "failed"]
    return seen


def test_in_any_order_and_twice_it_ends_in_the_same_state(sandbox: Sandbox, account: PayoutAccount) -> None:
    """All 24 orders, each told twice."""
    seen = facts_of_a_life(sandbox, account)
    for order in itertools.permutations(seen):
        Payout.objects.all().delete()
        for facts in (*order, *order):
            payout = record(account, facts)
        assert payout.status == Status.FAILED
        assert payout.failure_code == "account_closed"
        assert Payout.objects.count() == 1


def test_nothing_ever_goes_back(sandbox: Sandbox, account: PayoutAccount) -> None:
    pending, in_transit, paid, failed = facts_of_a_life(sandbox, account)
    assert record(account, in_transit).status == Status.IN_TRANSIT
    assert record(account, pending).status == Status.IN_TRANSIT
    assert record(account, paid).status == Status.PAID
    assert record(account, in_transit).status == Status.PAID
    was = record(account, failed)
    after = record(account, paid)
    assert (after.status, after.failed_at, after.failure_code) == (Status.FAILED, was.failed_at, "account_closed")


@pytest.mark.django_db(transaction=True)
def test_however_many_hear_of_it_at_once_there_is_one_row(sandbox: Sandbox, account: PayoutAccount) -> None:
    seen = facts_of_a_life(sandbox, account)
    stage.at_once([partial(record, account, facts) for facts in (*seen, *seen)])
    assert Payout.objects.get().status == Status.FAILED


# --- by which way -------------------------------------------------------------------------------

PAYOUT_EVENTS = ("payout.created", "payout.updated", "payout.paid", "payout.failed", "payout.canceled")


@pytest.mark.parametrize("turned", [False, True], ids=["in order", "backwards"])
def test_events_in_any_order_and_doubled(turned: bool, sandbox: Sandbox, account: PayoutAccount) -> None:
    facts_of_a_life(sandbox, account)
    told = reports.events(sandbox, *PAYOUT_EVENTS)
    rows = reports.deliver_and_work([*(told[::-1] if turned else told), *told])
    assert {row.state for row in rows} == {StripeEvent.State.DONE}
    assert Payout.objects.get().status == Status.FAILED


def test_with_all_events_lost_the_pollers_bring_the_same(sandbox: Sandbox, account: PayoutAccount) -> None:
    made = bankside.make_at_stripe(sandbox, account)
    assert payout_pollers.poll_balances(now=clock.now()) == 1
    payout = Payout.objects.get()
    assert (payout.stripe_payout_id, payout.status) == (made, Status.PENDING)
    sandbox.advance(2 * DAY)
    assert payout_pollers.poll_payouts(now=clock.now()) == 1
    payout.refresh_from_db()
    assert payout.status == Status.PAID
    fail(sandbox, made)
    sandbox.advance(DAY)
    assert payout_pollers.poll_payouts(now=clock.now()) == 1
    payout.refresh_from_db()
    assert payout.status == Status.FAILED
    sandbox.advance(DAY)
    assert payout_pollers.poll_payouts(now=clock.now()) == 0


def test_a_payout_of_weeks_ago_is_found_though_the_page_was_looked_at_since(
    sandbox: Sandbox, account: PayoutAccount
) -> None:
    made = bankside.make_at_stripe(sandbox, account)
    PayoutAccount.objects.update(balance_read_at=clock.now())
    sandbox.advance(30 * DAY)
    payout_pollers.poll_balances(now=clock.now())
    assert Payout.objects.filter(stripe_payout_id=made).exists()


def test_a_reason_that_nobody_knows_is_kept(sandbox: Sandbox, account: PayoutAccount) -> None:
    payout = bankside.ask(account)
    facts = read(account, str(payout.stripe_payout_id))
    record(account, replace(facts, status="failed", failure_code="x" * 100, failure_message="y" * 500))
    payout.refresh_from_db()
    assert (payout.failure_code, payout.failure_message) == ("x" * 60, "y" * 300)
    assert ledger.check() == []


# --- what does not fit --------------------------------------------------------------------------


@pytest.mark.everyday(1)
@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": 20_001},
        {"currency": "eur"},
        {"livemode": True},
        {"status": "on_the_moon"},
        {"status": "requested"},
        {"status": "refused"},
    ],
)
def test_facts_that_do_not_fit_change_nothing(wrong: dict[str, Any], sandbox: Sandbox, account: PayoutAccount) -> None:
    payout = bankside.ask(account)
    facts = replace(read(account, str(payout.stripe_payout_id)), **{"status": "paid", **wrong})
    with pytest.raises(StripeMismatchError):
        record(account, facts)
    payout.refresh_from_db()
    assert (payout.status, payout.money) == (Status.PENDING, Money(20_000, "usd"))


def test_a_payout_known_of_one_account_is_not_taken_from_another(sandbox: Sandbox, account: PayoutAccount) -> None:
    payout = bankside.ask(account)
    facts = replace(read(account, str(payout.stripe_payout_id)), status="paid")
    other = stage.onboard(sandbox, CoachFactory.create())
    for stranger in (other, None):
        with pytest.raises(StripeMismatchError):
            record(stranger, facts)
    payout.refresh_from_db()
    assert (payout.status, payout.account) == (Status.PENDING, account)
    assert not LedgerEntry.objects.exists()


def test_the_mark_of_another_coachs_operation_makes_nothing_theirs(sandbox: Sandbox, account: PayoutAccount) -> None:
    """Whoever can write to their own account at Stripe can copy a mark there."""
    asked = bankside.ask(account)
    mark = str(asked.operations.get().pk)
    other = stage.onboard(sandbox, CoachFactory.create())
    bankside.fund(sandbox, other)
    marked: dict[str, Any] = {"metadata[operation_id]": mark}
    forged = bankside.make_at_stripe(sandbox, other, **marked)
    with pytest.raises(StripeMismatchError):
        record(other, read(other, forged))
    asked.refresh_from_db()
    assert asked.account == account
    assert asked.stripe_payout_id != forged


def test_one_that_does_not_fit_takes_nobodys_balance_away(
    sandbox: Sandbox, account: PayoutAccount, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = bankside.ask(account)
    Payout.objects.update(amount=1)
    made = bankside.make_at_stripe(sandbox, account, 3_000)
    services.refresh_balance(account=account, now=clock.now())
    assert account.balance["available"] == {"usd": 27_000}
    assert Payout.objects.filter(stripe_payout_id=made).exists()
    assert f"{wrong.stripe_payout_id} came for" in caplog.text


def test_an_event_that_names_another_account_is_parked(sandbox: Sandbox, account: PayoutAccount) -> None:
    bankside.make_at_stripe(sandbox, account)
    other = stage.onboard(sandbox, CoachFactory.create())
    [event] = reports.events(sandbox, "payout.created")
    [row] = reports.deliver_and_work([event | {"account": other.stripe_account_id}])
    assert row.state == StripeEvent.State.PARKED
    assert not Payout.objects.exists()


def test_an_event_of_nobodys_account_waits_to_become_known(sandbox: Sandbox, account: PayoutAccount) -> None:
    event = reports.made_up("payout.paid", {"id": "po_1"}, account="acct_nobody")
    [row] = reports.deliver_and_work([event])
    assert (row.state, row.reason) == (StripeEvent.State.NEW, "an account that we don't know")


def test_a_coachs_event_on_the_platforms_endpoint_is_no_payout_of_the_platforms(
    sandbox: Sandbox, account: PayoutAccount
) -> None:
    bankside.make_at_stripe(sandbox, account)
    [event] = reports.events(sandbox, "payout.created")
    del event["account"]
    [row] = reports.deliver_and_work([event])
    assert row.state == StripeEvent.State.PARKED
    assert not Payout.objects.exists()
    assert not LedgerEntry.objects.exists()


def test_an_event_of_an_account_that_has_left_us_is_set_aside(sandbox: Sandbox, account: PayoutAccount) -> None:
    bankside.make_at_stripe(sandbox, account)
    services.record_deauthorised(stripe_account_id=account.stripe_account_id, now=clock.now())
    rows = bankside.hear(sandbox, "payout.created")
    assert {row.state for row in rows} == {StripeEvent.State.IGNORED}
    assert payout_pollers.poll_balances(now=clock.now()) == 0


def test_money_that_stripe_fetches_back_from_a_bank_is_not_taken_for_a_payout(
    sandbox: Sandbox, account: PayoutAccount
) -> None:
    made = bankside.make_at_stripe(sandbox, account)
    sandbox.advance(2 * DAY)
    bankside.post_as(sandbox, account, f"/v1/payouts/{made}/reverse", {})
    rows = bankside.hear(sandbox, "payout.created", "payout.paid")
    assert {row.state for row in rows} == {StripeEvent.State.DONE}
    assert Payout.objects.get().stripe_payout_id == made


def test_a_bank_that_is_gone_leaves_the_name_it_had(sandbox: Sandbox, coach: Coach, account: PayoutAccount) -> None:
    made = bankside.make_at_stripe(sandbox, account)
    first = account.banks.get()
    bankside.add_bank(coach)
    services.remove_bank(coach=coach, bank=first, now=clock.now())
    bankside.hear(sandbox, "payout.created")
    payout = Payout.objects.get(stripe_payout_id=made)
    assert (payout.bank_name, payout.bank_last4) == (first.name, first.last4)


# --- balances -----------------------------------------------------------------------------------


def test_a_balance_is_kept_as_it_was_last_read(sandbox: Sandbox, account: PayoutAccount) -> None:
    now = clock.now()
    services.refresh_balance(account=account, now=now)
    assert account.balance["available"] == {"usd": 50_000}
    assert account.balance["instant_available"] == {"usd": 50_000}
    assert account.balance_read_at == now


def test_a_balance_below_zero_is_shown_as_it_is_and_pays_nothing(sandbox: Sandbox, account: PayoutAccount) -> None:
    bankside.fund(sandbox, account, -60_000)
    with pytest.raises(services.BalanceTooLow):
        bankside.ask(account, 1)
    account.refresh_from_db()
    assert account.balance["available"] == {"usd": -10_000}
    assert bankside.at_stripe(sandbox, account) == []
    assert not Payout.objects.exists()


def test_an_older_answer_does_not_overwrite_a_newer_balance(sandbox: Sandbox, account: PayoutAccount) -> None:
    early = clock.now()
    services.refresh_balance(account=account, now=clock.now())
    bankside.fund(sandbox, account, 1_000)
    services.refresh_balance(account=account, now=early)
    assert account.balance["available"] == {"usd": 50_000}


def test_an_account_out_of_reach_is_said_and_does_not_hold_up_the_others(
    sandbox: Sandbox, coach: Coach, account: PayoutAccount
) -> None:
    other = stage.onboard(sandbox, CoachFactory.create())
    sandbox.post(f"/_sandbox/accounts/{account.stripe_account_id}/deauthorize")
    with pytest.raises(services.PayoutsUnavailable):
        services.refresh_balance(account=account, now=clock.now())
    coach.refresh_from_db()
    assert not coach.payable
    assert payout_pollers.poll_balances(now=clock.now()) == 2
    other.refresh_from_db()
    assert other.balance_read_at is not None
    assert payout_pollers.poll_balances(now=clock.now()) == 0


def test_what_could_not_be_read_is_not_said_to_be_as_of_now(sandbox: Sandbox, account: PayoutAccount) -> None:
    read_at = clock.now()
    services.refresh_balance(account=account, now=read_at)
    sandbox.post(f"/_sandbox/accounts/{account.stripe_account_id}/deauthorize")
    sandbox.advance(8 * DAY)
    assert payout_pollers.poll_balances(now=clock.now()) == 1
    account.refresh_from_db()
    assert account.balance_read_at == read_at


def test_while_stripe_answers_nobody_the_round_ends(sandbox: Sandbox, account: PayoutAccount) -> None:
    stage.onboard(sandbox, CoachFactory.create())
    stage.break_next(sandbox, "refuse", "/v1/balance", method="GET", times=0)
    assert payout_pollers.poll_balances(now=clock.now()) == 1
    stage.mend(sandbox)
    assert payout_pollers.poll_balances(now=clock.now()) == 2


def test_coaches_with_money_are_asked_after_first(sandbox: Sandbox, coach: Coach, account: PayoutAccount) -> None:
    without = stage.onboard(sandbox, CoachFactory.create())
    bankside.sent_to(coach, account)
    assert payout_pollers.poll_balances(now=clock.now(), limit=1) == 1
    account.refresh_from_db()
    without.refresh_from_db()
    assert (account.balance_read_at is None, without.balance_read_at is None) == (False, True)
    payout_pollers.poll_balances(now=clock.now())
    sandbox.advance(DAY)
    assert payout_pollers.poll_balances(now=clock.now()) == 1
