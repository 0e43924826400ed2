"""How a dispute ended is told to the coach: once, what was decided, and what it means for their money."""

from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from django.core import mail
from django.db import transaction
from django.urls import reverse

from coaches.models import Coach
from marketplace import clock
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import dispute_mails, gateway, services
from payments.models import Dispute, Payment
from payments.tests import bank
from payments.tests.money_back import captured, empty_account, given_back, pay_month, sweep

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]


@pytest.fixture
def payment(sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]) -> Payment:
    """100.00 USD taken, of which 80.00 wait for the month."""
    made = captured(sandbox, student, payable_coach)
    bank.days_later(sandbox, 5)
    return made


def told() -> list[Any]:
    """What the coach is told by now, whatever was asked of them before."""
    mail.outbox.clear()
    Dispute.objects.filter(closed_at=None).update(coach_asked_at=clock.now())
    for _ in range(3):
        dispute_mails.send_due(now=clock.now())
    return mail.outbox


def ended(sandbox: Sandbox, payment: Payment, outcome: str, **facts: Any) -> Any:
    dispute = bank.disputed(sandbox, payment, **facts)
    assert told() == []
    bank.decide(sandbox, dispute, outcome)
    [message] = told()
    assert message.to == [payment.coach.user.email]
    assert told() == []
    return message


def assert_says(message: Any, *sentences: str) -> None:
    html, _kind = message.alternatives[0]
    for sentence in sentences:
        assert sentence in " ".join(message.body.split())
        assert sentence in " ".join(unescape(html).split())


def test_won_the_share_that_was_kept_back_is_paid(sandbox: Sandbox, payment: Payment) -> None:
    message = ended(sandbox, payment, "won")
    assert message.subject == "The bank has decided for you: a disputed payment of $100.00"
    assert_says(
        message,
        f"The bank of {payment.payer.name} has decided for you: the payment of $100.00",
        "Your $80.00 for the session is not kept back any more: it is paid with a coming transfer.",
    )
    assert reverse("payments:coach_dispute", args=[Dispute.objects.get().pk]) in message.body


def test_won_while_another_question_is_open_no_transfer_is_promised(sandbox: Sandbox, payment: Payment) -> None:
    dispute = bank.disputed(sandbox, payment)
    with transaction.atomic():
        services.freeze_earnings(payment=payment)
    bank.decide(sandbox, dispute, "won")
    [message] = told()
    assert_says(message, "Nothing is taken from your share for it.")
    assert "coming transfer" not in message.body


def test_won_while_it_is_disputed_once_more_no_transfer_is_promised(sandbox: Sandbox, payment: Payment) -> None:
    first = bank.disputed(sandbox, payment, amount=4_000)
    bank.disputed(sandbox, payment, amount=3_000)
    bank.decide(sandbox, first, "won")
    [message] = told()
    assert "coming transfer" not in message.body


def test_it_is_told_when_it_is_known_what_was_fetched_back(sandbox: Sandbox, payment: Payment) -> None:
    pay_month(sandbox)
    dispute_id = bank.open_at_stripe(sandbox, payment)
    facts = gateway.retrieve_dispute(dispute_id)
    dispute = services.record_dispute(payment=payment, facts=facts, now=clock.now())
    sandbox.post(f"/_sandbox/disputes/{dispute_id}/resolve", {"outcome": "lost"})
    services.refresh_dispute(dispute=dispute, now=clock.now())
    assert told() == []
    sweep()
    [message] = told()
    assert_says(message, "It had come back from your Stripe balance before, so nothing more is taken.")


def test_won_what_was_fetched_back_is_paid_again(sandbox: Sandbox, payment: Payment) -> None:
    pay_month(sandbox)
    message = ended(sandbox, payment, "won")
    assert_says(message, "The $80.00 that we had fetched back from your Stripe balance is paid to you again")


def test_lost_the_share_is_taken_off_what_is_owed(sandbox: Sandbox, payment: Payment) -> None:
    message = ended(sandbox, payment, "lost")
    assert message.subject == "The bank has decided for the student: a disputed payment of $100.00"
    assert_says(
        message,
        "has decided for the student: $100.00 of",
        "Your share of it, $80.00, is taken back. It is taken off what you are owed, or from what you earn next.",
    )


def test_lost_after_it_was_fetched_back_nothing_more_is_taken(sandbox: Sandbox, payment: Payment) -> None:
    pay_month(sandbox)
    message = ended(sandbox, payment, "lost")
    assert_says(message, "It had come back from your Stripe balance before, so nothing more is taken.")


def test_lost_with_an_empty_balance_it_is_taken_from_what_they_earn_next(
    sandbox: Sandbox, payment: Payment, payable_coach: Coach
) -> None:
    pay_month(sandbox)
    empty_account(sandbox, payable_coach, 8_000)
    assert_says(ended(sandbox, payment, "lost"), "$80.00, is taken back. It is taken off what you are owed")


@pytest.mark.parametrize(
    ("paid_before", "words"),
    [
        (False, "We bear it: your share stays yours. Your $80.00 for the session is paid with a coming transfer."),
        (True, "We bear it: your share stays yours. The $80.00 that we had fetched back"),
    ],
)
def test_lost_at_our_cost_their_share_stays_theirs(
    paid_before: bool, words: str, sandbox: Sandbox, payment: Payment
) -> None:
    if paid_before:
        pay_month(sandbox)
    dispute = bank.disputed(sandbox, payment)
    Dispute.objects.update(charged_to=Dispute.ChargedTo.PLATFORM)
    bank.decide(sandbox, dispute, "lost")
    [message] = told()
    assert_says(message, words)


def test_of_what_was_refunded_before_the_rest_alone_is_lost(sandbox: Sandbox, payment: Payment) -> None:
    given_back(payment, 4_000)
    assert_says(ended(sandbox, payment, "lost"), "$60.00 of", "Your share of it, $48.00, is taken back.")


def test_a_question_that_is_closed_has_moved_nothing(sandbox: Sandbox, payment: Payment) -> None:
    message = ended(sandbox, payment, "lost", inquiry=True)
    assert message.subject == "The bank's question about a payment of $100.00 is closed"
    assert_says(
        message, "has asked nothing more.", "The bank has moved no money, and nothing is taken from your share for it."
    )


def test_a_question_that_became_a_dispute_is_told_at_its_own_end(sandbox: Sandbox, payment: Payment) -> None:
    dispute = bank.disputed(sandbox, payment, inquiry=True)
    bank.decide(sandbox, dispute, "lost")
    assert len(told()) == 1
    closed = gateway.retrieve_dispute(dispute.stripe_dispute_id)
    for status, mails in (("needs_response", 0), ("won", 1)):
        services.record_dispute(payment=payment, facts=replace(closed, status=status), now=clock.now())
        assert len(told()) == mails


def test_a_mail_that_can_not_be_sent_is_sent_later(
    sandbox: Sandbox, payment: Payment, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispute = bank.disputed(sandbox, payment)
    bank.decide(sandbox, dispute, "won")
    with monkeypatch.context() as broken:
        broken.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", _refuse)
        assert told() == []
    dispute.refresh_from_db()
    assert dispute.coach_told_at is None
    mail.outbox.clear()
    bank.days_later(sandbox, 1)
    assert len(told()) == 1


def _refuse(*_: Any) -> None:
    raise OSError("no mail server")
