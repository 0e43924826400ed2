"""Coaches are told once that a line waits for them, and once that it was paid."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.mail import EmailMessage

from marketplace import clock
from marketplace.tests.factories import CoachFactory
from marketplace.tests.sandbox import Sandbox
from payments import payout_mails, payouts
from payments.models import PayoutAccount, PayoutLine
from payments.payouts import lines
from payments.tests import stage
from payments.tests.factories_books import earn
from payments.tests.payday import MakeCoach, only_line

pytestmark = pytest.mark.django_db


def send() -> int:
    return payout_mails.send_due(now=clock.now())


def test_a_coach_who_can_not_be_paid_is_told_once_what_to_do(
    sandbox: Sandbox, make_coach: MakeCoach, mailoutbox: list[EmailMessage]
) -> None:
    coach = make_coach()
    earn(coach)
    PayoutAccount.objects.update(transfers_active=False)
    for _ in range(3):
        payouts.run_due(clock.now())
        send()

    (mail,) = mailoutbox
    assert mail.to == [coach.user.email]
    assert mail.subject == "Your transfer of $80.00 for October 2026 waits for you"
    assert payouts.CANT_RECEIVE in mail.body
    assert "Stripe needs something of you" in mail.body
    assert "http://127.0.0.1:8000/teach/payouts/" in mail.body
    assert only_line().told_waiting_at is not None


def test_who_has_chosen_no_method_is_not_sent_to_stripe_for_it(
    make_coach: MakeCoach, mailoutbox: list[EmailMessage]
) -> None:
    earn(make_coach())
    run = payouts.open_run("2026-10", clock.now())
    PayoutAccount.objects.update(payout_method="")
    payouts.pay_lines(run, clock.now())
    assert send() == 1
    (mail,) = mailoutbox
    assert lines.NO_METHOD in mail.body
    assert "Choose on your payouts page how you are paid." in mail.body
    assert "Stripe needs something" not in mail.body


def test_a_coach_is_told_once_that_a_line_was_paid(
    sandbox: Sandbox, make_coach: MakeCoach, mailoutbox: list[EmailMessage]
) -> None:
    coach = make_coach()
    earn(coach)
    payouts.run_due(clock.now())
    assert (send(), send()) == (1, 0)

    (mail,) = mailoutbox
    assert mail.to == [coach.user.email]
    assert mail.subject == "$80.00 for October 2026 is in your Stripe balance"
    assert "http://127.0.0.1:8000/teach/earnings/" in mail.body


def test_what_waits_for_us_is_not_told_to_the_coach(
    sandbox: Sandbox, make_coach: MakeCoach, mailoutbox: list[EmailMessage]
) -> None:
    earn(make_coach(), amount=9_000_000)
    payouts.run_due(clock.now())
    assert only_line().status == PayoutLine.Status.WAITING
    assert send() == 0
    assert mailoutbox == []


def test_a_mail_that_could_not_be_sent_is_sent_later(
    sandbox: Sandbox, make_coach: MakeCoach, settings: Any, mailoutbox: list[EmailMessage]
) -> None:
    earn(make_coach())
    payouts.run_due(clock.now())
    backend, settings.EMAIL_BACKEND = settings.EMAIL_BACKEND, "payments.tests.no_such_backend"
    assert send() == 0
    assert only_line().told_paid_at is None
    settings.EMAIL_BACKEND = backend
    assert payout_mails.send_due(now=clock.now() + timedelta(minutes=1)) == 1
    assert len(mailoutbox) == 1


def test_what_waits_for_something_else_meanwhile_is_not_told_the_old_reason(
    make_coach: MakeCoach, mailoutbox: list[EmailMessage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round writes many mails: by the time of the second one its line waits for our balance."""
    first, second = make_coach(), make_coach()
    for coach in (first, second):
        earn(coach)
    PayoutAccount.objects.update(transfers_active=False)
    payouts.run_due(clock.now())
    send_mail = EmailMessage.send

    def send_and_move_on(mail: EmailMessage, fail_silently: bool = False) -> int:
        PayoutLine.objects.filter(coach=second).update(waiting_for=lines.BALANCE_TOO_LOW)
        return send_mail(mail, fail_silently)

    monkeypatch.setattr(EmailMessage, "send", send_and_move_on)
    assert send() == 1
    assert [mail.to for mail in mailoutbox] == [[first.user.email]]
    assert PayoutLine.objects.get(coach=second).told_waiting_at is None


def test_two_workers_at_once_write_once(make_coach: MakeCoach, mailoutbox: list[EmailMessage]) -> None:
    earn(make_coach())
    payouts.run_due(clock.now())
    line = only_line()
    assert payout_mails._tell(line, "told_paid_at", clock.now())
    assert not payout_mails._tell(line, "told_paid_at", clock.now())
    assert len(mailoutbox) == 1


def test_what_was_paid_long_ago_is_no_news(make_coach: MakeCoach, mailoutbox: list[EmailMessage]) -> None:
    earn(make_coach())
    payouts.run_due(clock.now())
    PayoutLine.objects.update(paid_at=clock.now() - timedelta(days=8))
    assert send() == 0


def test_it_asks_as_often_for_many_lines_as_for_few(
    sandbox: Sandbox, make_coach: MakeCoach, django_assert_num_queries: Any
) -> None:
    for _ in range(3):
        earn(CoachFactory.create())
    stage.onboard(sandbox, CoachFactory.create())
    payouts.run_due(clock.now())
    with django_assert_num_queries(2 + 3):  # both lists, and one for each line that is marked as told
        assert send() == 3
