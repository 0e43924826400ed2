"""A refund that was paid by other means than the card is told to the student: once, and without what staff wrote."""

from contextlib import suppress
from functools import partial
from html import unescape
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from pytest_django import Settings

from bookings import facts, notices
from bookings.models import Booking, BookingEvent, Notice
from bookings.tests.desk_pages import completed, session_that_is_over
from coaches.models import Offering
from marketplace import clock
from marketplace.lib.errors import DomainError
from marketplace.lib.money import Money
from marketplace.models import User
from marketplace.templatetags.ui import plain_time
from marketplace.tests.factories import UserFactory
from marketplace.tests.sandbox import Sandbox
from payments import ledger
from payments.models import Payment, Refund
from payments.services import failed_refunds
from payments.tests import bank, stage
from payments.tests.money_back import assert_agreed, books, come_back, given_back, sweep

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.thorough]

SECRET = "By cheque 0815, since the account is in dispute with her bank."


@pytest.fixture
def payment(browser_of_student: Client, bookable: Offering, sandbox: Sandbox) -> Payment:
    """100.00 USD taken for a session."""
    return completed(session_that_is_over(browser_of_student, bookable, sandbox))


@pytest.fixture
def people(db: None) -> list[User]:
    return [UserFactory.create(is_staff=True) for _ in range(4)]


def fresh(refund: Refund) -> Refund:
    return Refund.objects.select_related("payment").get(pk=refund.pk)


def failed_twice(sandbox: Sandbox, payment: Payment, amount: int, actor: User) -> Refund:
    first = come_back(sandbox, given_back(payment, amount))
    again = failed_refunds.send_again(refund=fresh(first), reason=SECRET, actor=actor, now=clock.now())
    sweep()
    return come_back(sandbox, fresh(again))


def say(refund: Refund, actor: User, amount: int) -> None:
    failed_refunds.say_paid_otherwise(
        refund=fresh(refund), amount=Money(amount, refund.currency), reason=SECRET, actor=actor, now=clock.now()
    )


def confirm(refund: Refund, actor: User) -> None:
    failed_refunds.confirm_paid_otherwise(refund=fresh(refund), reason=SECRET, actor=actor, now=clock.now())


def sent() -> list[Any]:
    mail.outbox.clear()
    notices.send_due(now=clock.now())
    return list(mail.outbox)


def parts(message: Any) -> list[str]:
    """Text and HTML, each in one line."""
    html, _kind = message.alternatives[0]
    return [" ".join(words.split()) for words in (message.body, unescape(html))]


def test_the_student_is_told_what_when_and_whom_to_ask(
    sandbox: Sandbox, payment: Payment, people: list[User], settings: Settings
) -> None:
    refund = failed_twice(sandbox, payment, 2_500, people[0])
    say(refund, people[0], 2_500)
    sent()
    assert sent() == []  # one person's word is nobody's money
    confirm(refund, people[1])

    [message] = sent()
    assert (message.to, message.subject) == (["student@example.com"], "Your refund was paid by other means")
    student, confirmed = payment.payer, fresh(refund).settled_at
    assert confirmed is not None
    when = plain_time(confirmed, student.time_zone)
    booking = Booking.objects.get()
    for words in parts(message):
        assert "Your bank had sent a refund of $25.00 back to us. We have paid it to you by other means than" in words
        assert f"Our team confirmed this on {when}." in words
        assert settings.SUPPORT_EMAIL in words
        assert booking.title in words
        assert booking.coach.display_name in words
        assert "0815" not in words
        assert "cheque" not in words
        assert people[0].name not in words
        assert "None" not in words
    assert sent() == []


def test_it_is_told_by_the_students_clock(sandbox: Sandbox, payment: Payment, people: list[User]) -> None:
    User.objects.filter(pk=payment.payer_id).update(time_zone="Asia/Tokyo")
    refund = failed_twice(sandbox, payment, 2_500, people[0])
    say(refund, people[0], 2_500)
    sent()
    confirm(refund, people[1])
    [message] = sent()
    settled = fresh(refund).settled_at
    assert settled is not None
    assert all(plain_time(settled, "Asia/Tokyo") in words for words in parts(message))


def test_of_what_a_lost_dispute_made_good_in_part_only_the_rest_was_paid(
    sandbox: Sandbox, payment: Payment, people: list[User]
) -> None:
    refund = come_back(sandbox, given_back(payment, 6_000))
    bank.decide(sandbox, bank.disputed(sandbox, payment, amount=6_000), "lost")
    say(refund, people[0], 4_000)
    sent()
    confirm(refund, people[1])
    [message] = sent()
    for words in parts(message):
        assert "a refund of $60.00 back to us. We have paid you $40.00 of it by other means than your card." in words
        assert "The other $20.00 you have got by the dispute" in words
    assert_agreed(sandbox)


def test_two_that_are_paid_are_two_mails_each_with_its_own_amount(
    sandbox: Sandbox, payment: Payment, people: list[User]
) -> None:
    for amount in (2_500, 1_000):
        refund = failed_twice(sandbox, payment, amount, people[0])
        say(refund, people[0], amount)
        confirm(refund, people[1])
    told = [parts(message)[0] for message in sent() if "other means" in message.subject]
    assert sorted("$25.00" in words for words in told) == [False, True]
    assert sorted("$10.00" in words for words in told) == [False, True]


def test_of_many_who_confirm_at_once_one_mail_comes(sandbox: Sandbox, payment: Payment, people: list[User]) -> None:
    refund = failed_twice(sandbox, payment, 2_500, people[0])
    say(refund, people[0], 2_500)
    sent()

    def click(actor: User) -> None:
        with suppress(DomainError):
            confirm(refund, actor)

    stage.at_once([partial(click, actor) for actor in people])
    assert [message.to for message in sent()] == [["student@example.com"]]


def test_what_was_said_and_denied_is_not_told(sandbox: Sandbox, payment: Payment, people: list[User]) -> None:
    refund = failed_twice(sandbox, payment, 2_500, people[0])
    sent()
    say(refund, people[0], 2_500)
    failed_refunds.deny_paid_otherwise(refund=fresh(refund), reason=SECRET, actor=people[1], now=clock.now())
    assert sent() == []


def test_killed_before_it_is_committed_nothing_is_paid_and_nothing_told(
    sandbox: Sandbox, payment: Payment, people: list[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    refund = failed_twice(sandbox, payment, 2_500, people[0])
    say(refund, people[0], 2_500)
    sent()
    before = books("bank")

    def killed(**_facts: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(notices, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            confirm(refund, people[1])
    assert (fresh(refund).status, books("bank"), sent()) == (Refund.Status.FAILED, before, [])
    confirm(refund, people[1])
    assert len(sent()) == 1
    assert ledger.check() == []


def test_the_coach_is_not_told_again(sandbox: Sandbox, payment: Payment, people: list[User]) -> None:
    refund = failed_twice(sandbox, payment, 2_500, people[0])
    say(refund, people[0], 2_500)
    confirm(refund, people[1])
    event = BookingEvent.objects.get(transition="paid_otherwise")
    assert (event.reason, event.actor) == ("", None)
    assert list(Notice.objects.filter(event=event).values_list("recipient", flat=True)) == ["student"]


def test_it_is_nothing_to_a_booking_that_it_was_not_for(payment: Payment) -> None:
    payment.reference = "other:1"
    facts.on_paid_otherwise(payment, clock.now())
    assert not BookingEvent.objects.filter(transition="paid_otherwise").exists()
