"""What becomes of the platform's own payouts: each cent of them is in the books, whoever has sent it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.money import Money
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import gateway, operations, payout_pollers
from payments.errors import NotYetError, StripeMismatchError
from payments.models import LedgerTransaction, Operation, Payout
from payments.tests import bankside, reports
from payments.tests.bankside import DAY
from payments.tests.platform_money import FEE, OWN, PRICE, TOP_UP, ask, at_bank, funds, made, read, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("agreed_at_the_end")]

Status = Payout.Status


def test_one_that_comes_back_is_booked_back(sandbox: Sandbox, earned: Coach, finance: User) -> None:
    payout = ask(finance)
    sandbox.advance(2 * DAY)
    record(read(payout))
    payout.refresh_from_db()
    assert payout.status == Status.PAID
    sandbox.post(f"/_sandbox/payouts/{payout.stripe_payout_id}/fail", {"failure_code": "account_closed"})
    for _ in range(2):
        record(read(payout))
    payout.refresh_from_db()
    assert (payout.status, payout.failure_code) == (Status.FAILED, "account_closed")
    assert at_bank() == 0
    assert funds().payable == Money(OWN, "usd")


def test_heard_of_only_when_it_has_failed_both_ways_are_booked(sandbox: Sandbox, earned: Coach) -> None:
    made_there = bankside.make_at_stripe(sandbox, None, 5_000)
    sandbox.post(f"/_sandbox/payouts/{made_there}/fail", {"failure_code": "no_account"})
    bankside.hear(sandbox, "payout.failed")
    assert Payout.objects.get().status == Status.FAILED
    kinds = LedgerTransaction.objects.filter(reference=made_there).order_by("pk").values_list("kind", flat=True)
    assert list(kinds) == ["platform_payout", "platform_payout_returned"]
    assert at_bank() == 0


def test_one_that_is_cancelled_is_booked_back(sandbox: Sandbox, earned: Coach, finance: User) -> None:
    payout = ask(finance)
    bankside.post_as(sandbox, None, f"/v1/payouts/{payout.stripe_payout_id}/cancel", {})
    bankside.hear(sandbox, "payout.created", "payout.canceled")
    payout.refresh_from_db()
    assert payout.status == Status.CANCELED
    assert at_bank() == 0


def test_events_in_any_order_and_doubled_book_it_once(sandbox: Sandbox, earned: Coach, finance: User) -> None:
    ask(finance)
    sandbox.advance(2 * DAY)
    told = [*reports.events(sandbox, "payout.created", "payout.updated", "payout.paid")]
    reports.deliver_and_work([*told[::-1], *told])
    assert Payout.objects.get().status == Status.PAID
    assert at_bank() == OWN


def test_one_made_in_the_dashboard_is_booked_by_the_event(sandbox: Sandbox, earned: Coach) -> None:
    made_there = bankside.make_at_stripe(sandbox, None, 5_000)
    bankside.hear(sandbox, "payout.created")
    payout = Payout.objects.get()
    assert (payout.stripe_payout_id, payout.requested_by, payout.account) == (made_there, None, None)
    assert at_bank() == 5_000
    assert funds().payable == Money(OWN - 5_000, "usd")


def test_one_that_stripe_makes_by_schedule_is_booked_by_the_poller_and_an_alarm(
    sandbox: Sandbox, earned: Coach, caplog: pytest.LogCaptureFixture
) -> None:
    settings_of_balance = {"payments": {"payouts": {"schedule": {"interval": "daily"}}}}
    gateway.update_balance_settings(params=settings_of_balance, key="daily")
    sandbox.advance(2 * DAY)
    assert payout_pollers.find_platform_payouts(now=clock.now()) == 1
    payout = Payout.objects.get()
    assert (payout.automatic, payout.amount) == (True, TOP_UP + PRICE - FEE)
    assert "platform_payout_by_schedule" in caplog.text
    assert funds().payable == Money(0, "usd")
    assert payout_pollers.find_platform_payouts(now=clock.now()) == 0


def test_without_any_event_the_pollers_bring_the_same(sandbox: Sandbox, earned: Coach, finance: User) -> None:
    payout = ask(finance)
    sandbox.advance(2 * DAY)
    assert payout_pollers.poll_payouts(now=clock.now()) == 1
    payout.refresh_from_db()
    assert payout.status == Status.PAID
    sandbox.post(f"/_sandbox/payouts/{payout.stripe_payout_id}/fail", {"failure_code": "account_closed"})
    assert payout_pollers.find_platform_payouts(now=clock.now()) == 1
    payout.refresh_from_db()
    assert payout.status == Status.FAILED
    assert at_bank() == 0


def test_money_fetched_back_from_our_bank_is_booked_too(sandbox: Sandbox, earned: Coach, finance: User) -> None:
    payout = ask(finance)
    sandbox.advance(2 * DAY)
    bankside.post_as(sandbox, None, f"/v1/payouts/{payout.stripe_payout_id}/reverse", {})
    bankside.hear(sandbox, "payout.created")
    assert at_bank() == 0
    assert Payout.objects.count() == 1


def test_without_its_balance_transaction_it_waits(sandbox: Sandbox, earned: Coach, finance: User) -> None:
    bankside.make_at_stripe(sandbox, None, 5_000)
    facts = next(gateway.list_payouts(account_id=""))
    with pytest.raises(NotYetError):
        record(replace(facts, balance_transaction=None))
    assert not Payout.objects.exists()


@pytest.mark.parametrize("wrong", [{"amount": -5_001}, {"amount": 5_000}, {"currency": "eur"}], ids=str)
def test_a_balance_transaction_that_is_another_ones_is_set_aside(
    wrong: dict[str, Any], sandbox: Sandbox, earned: Coach
) -> None:
    bankside.make_at_stripe(sandbox, None, 5_000)
    facts = next(gateway.list_payouts(account_id=""))
    assert facts.balance_transaction is not None
    with pytest.raises(StripeMismatchError):
        record(replace(facts, balance_transaction=replace(facts.balance_transaction, **wrong)))
    assert not Payout.objects.exists()
    assert at_bank() == 0


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_dies_after_sending_books_it_once(
    sandbox: Sandbox, earned: Coach, finance: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `kill -9` leaves it: sent, nothing recorded, the lease still held."""
    send = gateway.create_payout

    def send_and_die(**call: Any) -> Any:
        send(**call)
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(gateway, "create_payout", send_and_die)
        with pytest.raises(KeyboardInterrupt):
            ask(finance)
    assert at_bank() == 0
    Operation.objects.update(lease_until=clock.wall() - timedelta(seconds=1))
    operations.sweep(now=clock.now() + timedelta(minutes=2))
    assert made(sandbox) == [OWN]
    assert at_bank() == OWN
