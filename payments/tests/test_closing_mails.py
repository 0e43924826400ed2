"""The mails about statements: one to each coach, and only about the last month."""

from datetime import timedelta

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives

from coaches.models import Coach
from payments import statements
from payments.models import Statement
from payments.tests.month_books import CLOSING_TIME, IN_NOVEMBER, session


@pytest.mark.django_db
def test_a_coach_is_told_once_for_all_currencies(coach: Coach) -> None:
    session(coach)
    session(coach, currency="jpy")
    statements.close_due_months(CLOSING_TIME)
    assert statements.tell_coaches(CLOSING_TIME) == 1
    assert statements.tell_coaches(CLOSING_TIME) == 0

    assert [message.to for message in mail.outbox] == [["coach@example.com"]]
    assert mail.outbox[0].subject == "Your statement of October 2026 is ready"
    assert "/teach/statements/" in mail.outbox[0].body
    assert "¥8,000, $80.00" in mail.outbox[0].body
    assert "The invoice for our fees is with it." in mail.outbox[0].body
    assert not Statement.objects.filter(told_at=None).exists()


@pytest.mark.django_db
def test_a_coach_without_an_invoice_is_told_of_none(coach: Coach) -> None:
    session(coach, fee=0)
    statements.close_due_months(CLOSING_TIME)
    statements.tell_coaches(CLOSING_TIME)
    [told] = mail.outbox
    assert isinstance(told, EmailMultiAlternatives)
    for body in (str(told.body), str(told.alternatives[0][0])):
        assert "$100.00" in body
        assert "invoice" not in body


@pytest.mark.django_db
def test_a_mail_that_could_not_be_sent_is_sent_later(coach: Coach, monkeypatch: pytest.MonkeyPatch) -> None:
    session(coach)
    statements.close_due_months(CLOSING_TIME)
    with monkeypatch.context() as broken:
        broken.setattr("django.core.mail.EmailMultiAlternatives.send", lambda *_: 1 / 0)
        assert statements.tell_coaches(CLOSING_TIME) == 0
    assert Statement.objects.get().told_at is None
    assert statements.tell_coaches(IN_NOVEMBER) == 1


@pytest.mark.django_db
def test_after_a_standstill_only_the_last_month_is_told_of(coach: Coach) -> None:
    session(coach)
    session(coach, IN_NOVEMBER)
    statements.close_due_months(CLOSING_TIME + timedelta(days=31))
    statements.tell_coaches(CLOSING_TIME + timedelta(days=31))
    assert [message.subject for message in mail.outbox] == ["Your statement of November 2026 is ready"]
