"""Rows that fail again and again let those behind them have their turn, in each queue that takes so many at a time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.core.mail import EmailMessage

from coaches.models import Coach
from marketplace.models import User
from marketplace.tests.factories import CoachFactory
from payments import bank_mails, dispute_mails, payout_mails, pollers, services, statements, taking_turns
from payments.models import (
    BankAccount,
    ClosedMonth,
    Dispute,
    Payment,
    Payout,
    PayoutAccount,
    PayoutLine,
    PayoutRun,
    PutOff,
    Statement,
)
from payments.payouts.lines import NO_METHOD
from payments.tests.factories_books import PaymentFactory

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
FAILING = 60
GOOD = "good@example.com"


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The mail server takes nothing but for one address; the list is of whom it was asked for."""
    asked: list[str] = []
    send = EmailMessage.send

    def send_or_fail(mail: EmailMessage, fail_silently: bool = False) -> int:
        asked.extend(mail.to)
        if GOOD not in mail.to:
            raise ConnectionRefusedError
        return send(mail, fail_silently)

    monkeypatch.setattr(EmailMessage, "send", send_or_fail)
    return asked


def coaches() -> list[Coach]:
    """The good one comes last."""
    made = CoachFactory.create_batch(FAILING + 1)
    User.objects.filter(pk=made[-1].user_id).update(email=GOOD)
    return made


def accounts(**fields: Any) -> list[PayoutAccount]:
    rows = [
        PayoutAccount(coach=coach, stripe_account_id=f"acct_{coach.pk}", country="US", created_at=NOW, **fields)
        for coach in coaches()
    ]
    return PayoutAccount.objects.bulk_create(rows)


def lines(status: str) -> None:
    run = PayoutRun.objects.create(month="2026-10", opened_at=NOW)
    facts: dict[str, Any] = {"run": run, "amount": 1, "currency": "usd", "status": status, "paid_at": NOW}
    PayoutLine.objects.bulk_create(PayoutLine(coach=coach, waiting_for=NO_METHOD, **facts) for coach in coaches())


def waiting_lines() -> None:
    lines("waiting")


def paid_lines() -> None:
    lines("paid")


def payouts() -> None:
    facts: dict[str, Any] = {"amount": 1, "currency": "usd", "status": "paid", "created_at": NOW, "recorded_at": NOW}
    Payout.objects.bulk_create(
        Payout(account=account, stripe_payout_id=f"po_{account.pk}", **facts) for account in accounts()
    )


def banks() -> None:
    for account in accounts():
        for number, told_at in ((1, NOW), (2, None)):
            BankAccount.objects.create(
                account=account,
                stripe_bank_id=f"ba_{account.pk}_{number}",
                kind="card",
                last4="4242",
                currency="usd",
                created_at=NOW,
                told_at=told_at,
            )


def schedules() -> None:
    accounts(told_schedule="monthly 5", schedule_interval="monthly", schedule_monthly_anchor=6)


def disputes() -> None:
    for coach in coaches():
        payment = PaymentFactory.create(coach=coach, status=Payment.Status.CAPTURED)
        Dispute.objects.create(
            stripe_dispute_id=f"dp_{payment.pk}",
            payment=payment,
            charge_id=f"ch_{payment.pk}",
            reason="general",
            status="needs_response",
            amount=1,
            currency="usd",
            opened_at=NOW,
            due_by=NOW + timedelta(days=30),
        )


def closed_month() -> None:
    ClosedMonth.objects.create(month="2026-10", ends_at=NOW, closed_at=NOW)
    Statement.objects.bulk_create(
        Statement(coach=coach, month="2026-10", currency="usd", opening=0, closing=0, digest="0", made_at=NOW)
        for coach in coaches()
    )


def tell_coaches(*, now: datetime) -> int:
    return statements.tell_coaches(now)


QUEUES: dict[str, tuple[Callable[[], None], Callable[..., int]]] = {
    "lines that wait": (waiting_lines, partial(payout_mails.send_due, limit=50)),
    "lines that were paid": (paid_lines, partial(payout_mails.send_due, limit=50)),
    "payouts": (payouts, bank_mails.send_due),
    "banks": (banks, bank_mails.send_due),
    "schedules": (schedules, bank_mails.send_due),
    "disputes": (disputes, dispute_mails.send_due),
    "statements": (closed_month, tell_coaches),
}


@pytest.mark.everyday(3)
@pytest.mark.parametrize("queue", QUEUES)
def test_what_can_not_be_sent_does_not_keep_the_others_waiting(
    queue: str, refused: list[str], mailoutbox: list[EmailMessage]
) -> None:
    fill, send = QUEUES[queue]
    fill()
    send(now=NOW)
    send(now=NOW + timedelta(seconds=30))
    assert [mail.to for mail in mailoutbox] == [[GOOD]]
    assert len(refused) == FAILING + 1  # each was asked for once


@pytest.mark.everyday(3)
@pytest.mark.parametrize("queue", QUEUES)
def test_what_could_not_be_sent_is_sent_when_the_server_is_back(
    queue: str, refused: list[str], mailoutbox: list[EmailMessage], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill, send = QUEUES[queue]
    fill()
    send(now=NOW)
    send(now=NOW)
    monkeypatch.undo()
    for minutes in range(2):
        send(now=NOW + timedelta(minutes=2 + minutes))
    assert len(mailoutbox) == FAILING + 1
    assert len({mail.to[0] for mail in mailoutbox}) == FAILING + 1


def test_a_page_that_can_not_be_closed_lets_the_others_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def close(*, payment: Payment, now: datetime) -> None:
        tried.append(payment.pk)
        raise RuntimeError

    pages = PaymentFactory.create_batch(3)
    monkeypatch.setattr(services, "close_checkout", close)
    for _ in range(3):
        pollers.close_overdue_pages(now=NOW, limit=1)
    assert sorted(tried) == sorted(page.pk for page in pages)


# --- turns --------------------------------------------------------------------------------------


def fail() -> None:
    raise RuntimeError


def pauses(times: int) -> list[timedelta]:
    found, now = [], NOW
    for _ in range(times):
        taking_turns.put_off("work", 1, now)
        next_try = PutOff.objects.get().next_try_at
        found.append(next_try - now)
        now = next_try
    return found


def test_the_pauses_grow_up_to_an_hour() -> None:
    minutes = [pause // timedelta(minutes=1) for pause in pauses(9)]
    assert minutes == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_what_failed_before_comes_behind_what_did_not(coach: Coach) -> None:
    others = CoachFactory.create_batch(2)
    assert not taking_turns.attempt("work", coach.pk, fail, NOW)
    rows = Coach.objects.order_by("pk")
    assert list(taking_turns.ready(rows, "work", NOW)) == others
    assert list(taking_turns.ready(rows, "work", NOW + timedelta(minutes=1))) == [*others, coach]


def test_each_work_has_turns_of_its_own(coach: Coach) -> None:
    taking_turns.put_off("work", coach.pk, NOW)
    assert list(taking_turns.ready(Coach.objects.order_by("pk"), "other work", NOW)) == [coach]


def test_what_is_done_is_forgotten(coach: Coach) -> None:
    taking_turns.put_off("work", coach.pk, NOW)
    taking_turns.forget(NOW + timedelta(hours=1))
    assert PutOff.objects.count() == 1
    taking_turns.forget(NOW + timedelta(hours=3))
    assert PutOff.objects.count() == 0
