"""Mails about payouts to the bank: each once, whatever happens, and to the coach whose money it is."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connections
from pytest_django import Settings

from coaches.models import Coach
from marketplace import clock
from marketplace.tests.factories import CoachFactory
from marketplace.tests.sandbox import Sandbox
from payments import bank_mails, services
from payments.models import BankAccount, Payout, PayoutAccount
from payments.tests import payout_scene, stage

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(sandbox: Sandbox, coach: Coach) -> PayoutAccount:
    """With 120.00 USD at Stripe; nothing is left to tell."""
    made = payout_scene.account_with(sandbox, coach)
    assert send() == 0
    return made


def send() -> int:
    return bank_mails.send_due(now=clock.now())


def sent() -> list[tuple[str, list[str]]]:
    return [(str(message.subject), message.to) for message in mail.outbox]


def arrive(sandbox: Sandbox, payout: Payout) -> None:
    sandbox.advance(4 * 86_400)
    services.refresh_payout(payout=payout, now=clock.now())
    payout.refresh_from_db()
    assert payout.status == Payout.Status.PAID


# --- payouts ------------------------------------------------------------------------------------


def test_one_that_arrived_is_told_once(sandbox: Sandbox, account: PayoutAccount) -> None:
    payout = payout_scene.pay_out(account, 5_000)
    assert send() == 0
    arrive(sandbox, payout)
    assert (send(), send()) == (1, 0)
    assert sent() == [("$50.00 has reached your bank", ["coach@example.com"])]
    assert "STRIPE TEST BANK ending in 6789" in mail.outbox[0].body


def test_one_that_came_back_says_why_and_the_way_out(sandbox: Sandbox, account: PayoutAccount) -> None:
    payout_scene.failed(sandbox, payout_scene.pay_out(account, 5_000))
    assert (send(), send()) == (1, 0)
    [(subject, to)] = sent()
    assert (subject, to) == ("Your payout of $50.00 came back: please check your bank details", ["coach@example.com"])
    for part in (mail.outbox[0].body, html_of(mail.outbox[0])):
        assert "The bank account has been closed." in part
        assert "Add another bank account" in part
        assert "/teach/payouts/" in part


def test_one_that_came_back_after_it_had_arrived_is_told_of_both(sandbox: Sandbox, account: PayoutAccount) -> None:
    payout = payout_scene.pay_out(account, 5_000)
    arrive(sandbox, payout)
    send()
    payout_scene.failed(sandbox, payout)
    assert (send(), send()) == (1, 0)
    assert len(mail.outbox) == 2


@pytest.mark.parametrize("status", ["requested", "pending", "in_transit", "canceled", "refused"])
def test_of_what_is_on_its_way_or_was_never_sent_nothing_is_told(account: PayoutAccount, status: str) -> None:
    write_down(account, status=status)
    assert send() == 0


def test_the_platforms_own_is_told_to_no_coach(account: PayoutAccount) -> None:
    write_down(None, status="paid")
    write_down(None, status="failed")
    assert send() == 0


def test_a_former_member_gets_no_mail(account: PayoutAccount) -> None:
    write_down(account, status="paid")
    type(account.coach.user).objects.update(is_active=False)
    send()
    assert mail.outbox == []


def test_history_is_not_told(account: PayoutAccount) -> None:
    write_down(account, status="paid", created_at=clock.now() - timedelta(days=31))
    assert send() == 0


def test_a_mail_that_could_not_be_sent_is_sent_later(
    sandbox: Sandbox, account: PayoutAccount, settings: Settings
) -> None:
    payout = write_down(account, status="paid")
    works, settings.EMAIL_BACKEND = settings.EMAIL_BACKEND, "nowhere.Backend"
    assert send() == 0
    payout.refresh_from_db()
    assert payout.told_status == ""
    settings.EMAIL_BACKEND = works
    assert bank_mails.send_due(now=clock.now() + timedelta(minutes=1)) == 1
    assert len(mail.outbox) == 1


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_send_one(sandbox: Sandbox, account: PayoutAccount) -> None:
    for _ in range(5):
        write_down(account, status="paid")
    barrier = threading.Barrier(2)

    def work() -> None:
        try:
            barrier.wait(timeout=60)
            send()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    send()
    assert len(mail.outbox) == 5


# --- what was changed ---------------------------------------------------------------------------


def test_the_first_bank_is_not_told_another_one_is(sandbox: Sandbox, account: PayoutAccount) -> None:
    assert BankAccount.objects.get(account=account).told_at is not None
    added(account, "ba_2", "4321", is_default=True)
    assert (send(), send()) == (1, 0)
    assert sent() == [("A new place for your payouts: A bank ending in 4321", ["coach@example.com"])]
    assert "your payouts in USD go there from now on" in mail.outbox[0].body
    assert "change it now" in mail.outbox[0].body


def test_of_two_first_ones_the_later_is_told(sandbox: Sandbox) -> None:
    fresh = stage.onboard(sandbox, CoachFactory.create(payable=False))
    BankAccount.objects.all().update(told_at=None)
    added(fresh, "ba_2", "4321", is_default=False)
    assert (send(), send()) == (1, 0)
    assert "4321" in mail.outbox[0].subject
    assert "go there from now on" not in mail.outbox[0].body


def test_another_schedule_is_told_once(sandbox: Sandbox, account: PayoutAccount) -> None:
    services.choose_schedule(coach=account.coach, interval="monthly", monthly_anchor=29, now=clock.now())
    assert (send(), send()) == (1, 0)
    assert sent() == [("Your payouts have another schedule", ["coach@example.com"])]
    assert "on day 29 of each month, or the last day of a shorter one" in mail.outbox[0].body


def test_the_same_schedule_chosen_again_is_no_news(sandbox: Sandbox, account: PayoutAccount) -> None:
    services.choose_schedule(coach=account.coach, interval="monthly", monthly_anchor=5, now=clock.now())
    assert send() == 0


# --- a pause ------------------------------------------------------------------------------------


def test_a_pause_is_told_once_with_what_is_missing(sandbox: Sandbox, account: PayoutAccount) -> None:
    pause(sandbox, account)
    assert (send(), send()) == (1, 0)
    assert sent() == [("Your payouts are paused: Stripe needs something from you", ["coach@example.com"])]
    assert "A photo of your identity document" in mail.outbox[0].body


def test_the_next_pause_is_told_again(sandbox: Sandbox, account: PayoutAccount) -> None:
    pause(sandbox, account)
    send()
    PayoutAccount.objects.update(payouts_enabled=True, transfers_active=True)
    assert send() == 0
    PayoutAccount.objects.update(payouts_enabled=False)
    assert send() == 1


def test_one_who_is_only_being_checked_or_has_not_begun_is_not_told(sandbox: Sandbox) -> None:
    for outcome in ("pending", "partial"):
        stage.onboard(sandbox, CoachFactory.create(payable=False), outcome=outcome)
    assert send() == 0
    assert mail.outbox == []


def test_names_do_no_harm_in_a_subject_or_as_markup(sandbox: Sandbox, account: PayoutAccount) -> None:
    added(account, "ba_2", "4321", is_default=True, name="Bank\r\nBcc: all@example.com <b>x</b>")
    send()
    assert mail.outbox[0].subject == "A new place for your payouts: Bank Bcc: all@example.com <b>x</b> ending in 4321"
    assert "<b>x</b>" not in html_of(mail.outbox[0])


# --- helpers ------------------------------------------------------------------------------------


def html_of(message: Any) -> str:
    return str(message.alternatives[0][0])


def pause(sandbox: Sandbox, account: PayoutAccount) -> None:
    sandbox.post(f"/_sandbox/accounts/{account.stripe_account_id}/restrict", {"deadline": None})
    services.refresh_payout_account(account=account, now=clock.now())


def added(account: PayoutAccount, bank_id: str, last4: str, *, is_default: bool, name: str = "A bank") -> BankAccount:
    return BankAccount.objects.create(
        account=account, stripe_bank_id=bank_id, kind="bank_account", name=name, last4=last4, currency="usd",
        is_default=is_default, created_at=clock.now(),
    )  # fmt: skip


def write_down(account: PayoutAccount | None, **facts: Any) -> Payout:
    now = clock.now()
    return Payout.objects.create(
        **{"account": account, "amount": 100, "currency": "usd", "created_at": now, "recorded_at": now, **facts}
    )
