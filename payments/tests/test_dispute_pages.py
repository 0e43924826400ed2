"""What a coach is mailed about a dispute, what staff are reminded of, and the coach's page."""

from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse

from coaches.models import Coach
from marketplace import clock
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import dispute_mails, services
from payments.models import Dispute
from payments.tests import bank
from payments.tests.money_back import captured

pytestmark = pytest.mark.django_db


@pytest.fixture
def dispute(sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]) -> Dispute:
    """Opened just now; the answer is due in 20 days."""
    return bank.disputed(sandbox, captured(sandbox, student, payable_coach))


@pytest.fixture
def page(dispute: Dispute) -> str:
    return reverse("payments:coach_dispute", args=[dispute.pk])


def send(sandbox: Sandbox, days: int = 0) -> list[str]:
    """Who gets a mail when this many days have passed."""
    mail.outbox.clear()
    bank.days_later(sandbox, days)
    for _ in range(2):
        dispute_mails.send_due(now=clock.now())
    return sorted(message.to[0] for message in mail.outbox)


# --- mails --------------------------------------------------------------------------------------


def test_the_coach_is_asked_once_and_reminded_twice_with_staff(
    sandbox: Sandbox, dispute: Dispute, payable_coach: Coach, settings: Any
) -> None:
    coach, desk = payable_coach.user.email, settings.SUPPORT_EMAIL
    assert send(sandbox) == [coach]
    [asked] = mail.outbox
    assert asked.subject == "A payment to you is disputed: what is your side?"
    assert reverse("payments:coach_dispute", args=[dispute.pk]) in str(asked.body)
    assert "$100.00" in str(asked.body)
    assert send(sandbox, days=12) == []
    assert send(sandbox, days=2) == [coach, desk]
    assert send(sandbox, days=3) == []
    assert send(sandbox, days=2) == [coach, desk]
    assert send(sandbox, days=2) == []


def test_a_coach_who_has_spoken_is_not_reminded(
    sandbox: Sandbox, dispute: Dispute, payable_coach: Coach, settings: Any
) -> None:
    send(sandbox)
    services.coach_says(dispute=dispute, coach=payable_coach, words="We met.", now=clock.now())
    assert send(sandbox, days=14) == [settings.SUPPORT_EMAIL]
    [reminder] = mail.outbox
    assert dispute.stripe_dispute_id in str(reminder.body)
    assert "has told their side" in str(reminder.body)


def test_nobody_is_reminded_of_what_is_answered(sandbox: Sandbox, dispute: Dispute, staff: User) -> None:
    send(sandbox)
    bank.answered(dispute, staff, submit=True, fields={"customer_name": "Sam"})
    assert send(sandbox, days=19) == []


def test_an_inquiry_says_that_no_money_has_moved(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any], client: Client
) -> None:
    inquiry = bank.disputed(sandbox, captured(sandbox, student, payable_coach), inquiry=True)
    send(sandbox)
    assert "asks about the payment of $100.00" in str(mail.outbox[0].body)
    client.force_login(payable_coach.user)
    shown = client.get(reverse("payments:coach_dispute", args=[inquiry.pk])).content.decode()
    assert "No money has moved." in shown


@pytest.mark.parametrize(
    ("inquiry", "subject", "silence"),
    [
        (True, "An inquiry about $100.00", "without an answer it may become a dispute"),
        (False, "A dispute of $100.00", "without an answer it is lost"),
    ],
)
def test_staff_are_led_to_the_desk_and_told_what_silence_means(
    sandbox: Sandbox,
    student: User,
    payable_coach: Coach,
    heard: list[Any],
    settings: Any,
    inquiry: bool,
    subject: str,
    silence: str,
) -> None:
    dispute = bank.disputed(sandbox, captured(sandbox, student, payable_coach), inquiry=inquiry)
    for days in (0, 14):
        send(sandbox, days)
    [reminder] = [message for message in mail.outbox if message.to == [settings.SUPPORT_EMAIL]]
    assert reminder.subject.startswith(subject)
    assert silence in str(reminder.body)
    assert reverse("admin:payments_dispute_desk", args=[dispute.pk]) in str(reminder.body)


def test_a_closed_inquiry_promises_no_money(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any], client: Client
) -> None:
    inquiry = bank.disputed(sandbox, captured(sandbox, student, payable_coach), inquiry=True)
    Dispute.objects.update(status=Dispute.Status.WARNING_CLOSED, closed_at=clock.now())
    client.force_login(payable_coach.user)
    shown = client.get(reverse("payments:coach_dispute", args=[inquiry.pk])).content.decode()
    assert "has asked nothing more" in shown
    assert "paid out with the next transfer" not in shown


def test_a_mail_that_could_not_be_sent_is_sent_later(sandbox: Sandbox, dispute: Dispute, settings: Any) -> None:
    settings.EMAIL_BACKEND = "nobody.has.this"
    assert send(sandbox) == []
    dispute.refresh_from_db()
    assert dispute.coach_asked_at is None
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert len(send(sandbox, days=1)) == 1


# --- the page -----------------------------------------------------------------------------------


def test_the_coach_tells_their_side_on_the_page(
    dispute: Dispute, payable_coach: Coach, page: str, client: Client
) -> None:
    client.force_login(payable_coach.user)
    shown = client.get(page).content.decode()
    assert "$100.00" in shown
    assert "Sam Student" in shown
    answer = client.post(page, {"words": "We spoke for an hour. <b>Really.</b>"}, follow=True)
    assert "Thank you." in answer.content.decode()
    dispute.refresh_from_db()
    assert dispute.coach_says == "We spoke for an hour. <b>Really.</b>"
    assert "<b>Really.</b>" not in answer.content.decode()


@pytest.mark.parametrize("words", ["", "   ", "x" * 5_001])
def test_words_that_are_none_or_too_many_are_refused(
    words: str, dispute: Dispute, payable_coach: Coach, page: str, client: Client
) -> None:
    client.force_login(payable_coach.user)
    assert client.post(page, {"words": words}).status_code == 400
    dispute.refresh_from_db()
    assert (dispute.coach_says, dispute.coach_said_at) == ("", None)


def test_nobody_else_sees_it(dispute: Dispute, page: str, student: User, stranger: User, client: Client) -> None:
    assert client.get(page).status_code == 302
    for user in (student, stranger):
        client.force_login(user)
        assert client.get(page).status_code == 404
        assert client.post(page, {"words": "Mine."}).status_code == 404
    dispute.refresh_from_db()
    assert dispute.coach_says == ""


@pytest.mark.parametrize(
    ("outcome", "charged_to", "words"),
    [
        ("won", "coach", "your share is yours"),
        ("lost", "coach", "Your share of the amount is taken back"),
        ("lost", "platform", "your share stays yours"),
    ],
)
def test_the_page_says_how_it_ended(
    outcome: str,
    charged_to: str,
    words: str,
    sandbox: Sandbox,
    dispute: Dispute,
    payable_coach: Coach,
    page: str,
    client: Client,
) -> None:
    Dispute.objects.update(charged_to=charged_to)
    bank.decide(sandbox, dispute, outcome)
    client.force_login(payable_coach.user)
    shown = client.get(page).content.decode()
    assert words in shown
    assert "<textarea" not in shown
    assert client.post(page, {"words": "Too late."}).status_code == 409


def test_the_earnings_page_tells_of_it_and_leads_there(
    sandbox: Sandbox, dispute: Dispute, payable_coach: Coach, page: str, client: Client
) -> None:
    client.force_login(payable_coach.user)
    earnings = reverse("payments:earnings")
    shown = client.get(earnings).content.decode()
    assert page in shown
    assert "Kept back" in shown
    assert "Disputed by the student&#x27;s bank" in shown
    bank.decide(sandbox, dispute, "won")
    assert "Dispute won" in client.get(earnings).content.decode()
