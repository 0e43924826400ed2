"""Mails to the operators: each thing told once, at its end too, and no flood."""

import threading
from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.db import connections
from django.urls import reverse

from payments import operator_mails, problems
from payments.models import Difference, OperatorMail, Problem, Standstill
from payments.tests.wrong import DAY, HOUR, MINUTE, NOW, TO, a_round, differ, kinds, stand_still

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def operators(settings: Any) -> None:
    settings.OPERATOR_EMAILS = TO


def test_the_end_is_told_once(mailoutbox: list[EmailMessage]) -> None:
    stand_still()
    a_round(NOW)
    Standstill.objects.update(ended_at=NOW + HOUR)
    for minutes in range(60, 180):
        a_round(NOW + minutes * MINUTE)
    assert [mail.subject for mail in mailoutbox] == [
        "[Holdfast] Nothing is sent to Stripe",
        "[Holdfast] Over: Nothing is sent to Stripe",
    ]
    assert "From Fri 20 Nov 2026, 12:00 UTC to Fri 20 Nov 2026, 13:00 UTC" in mailoutbox[1].body
    assert "Sending is stopped" not in mailoutbox[1].body


def test_what_comes_back_soon_was_never_over(mailoutbox: list[EmailMessage]) -> None:
    difference = differ()
    for minutes in range(20):
        Difference.objects.update(state="open" if minutes % 2 else "gone")
        a_round(NOW + minutes * MINUTE)
    assert len(mailoutbox) == 1
    assert Problem.objects.get().about == str(difference.pk)


def test_what_comes_and_goes_all_day_is_no_flood(mailoutbox: list[EmailMessage]) -> None:
    differ()
    for quarters in range(4 * 24):
        Difference.objects.update(state="gone" if quarters % 2 else "open")
        a_round(NOW + quarters * 15 * MINUTE)
    assert len(mailoutbox) == 1


def test_what_begins_together_is_one_mail(mailoutbox: list[EmailMessage]) -> None:
    for number in range(25):
        differ(number)
    a_round(NOW)
    (mail,) = mailoutbox
    assert mail.subject == "[Holdfast] 25 things are wrong"
    assert mail.body.count("Missing with us") == operator_mails.NAMED
    assert "And 5 more." in mail.body
    assert reverse("admin:payments_problem_changelist") in mail.body


def test_a_flood_is_bounded_and_then_summed_up(mailoutbox: list[EmailMessage]) -> None:
    for minutes in range(60):
        differ(minutes)
        a_round(NOW + minutes * MINUTE)
    assert len(mailoutbox) == operator_mails.MOST_AN_HOUR
    a_round(NOW + 60 * MINUTE)
    assert len(mailoutbox) == operator_mails.MOST_AN_HOUR + 1
    assert mailoutbox[-1].subject == "[Holdfast] 54 things are wrong"
    assert not Problem.objects.filter(begun_mail=None).exists()


def test_what_lasts_is_told_each_day(mailoutbox: list[EmailMessage]) -> None:
    stand_still()
    for hours in range(72):
        a_round(NOW + hours * HOUR)
    assert [mail.subject for mail in mailoutbox] == [
        "[Holdfast] Nothing is sent to Stripe",
        "[Holdfast] Still so: Nothing is sent to Stripe",
        "[Holdfast] Still so: Nothing is sent to Stripe",
    ]


def test_each_mail_has_what_else_is_wrong(mailoutbox: list[EmailMessage]) -> None:
    stand_still()
    a_round(NOW)
    differ()
    a_round(NOW + HOUR)
    assert "STILL SO" in mailoutbox[1].body
    assert "Nothing is sent to Stripe" in mailoutbox[1].body


def test_a_dead_mail_server_is_survived(settings: Any, mailoutbox: list[EmailMessage]) -> None:
    stand_still()
    backend, settings.EMAIL_BACKEND = settings.EMAIL_BACKEND, "payments.tests.no_such_backend"
    for minutes in range(10):
        assert not a_round(NOW + minutes * MINUTE)
    assert not OperatorMail.objects.exists()
    settings.EMAIL_BACKEND = backend
    assert a_round(NOW + 10 * MINUTE)
    assert not a_round(NOW + 11 * MINUTE)
    assert len(mailoutbox) == 1


def test_without_an_address_nothing_is_sent_nor_taken_for_told(settings: Any, mailoutbox: list[EmailMessage]) -> None:
    settings.OPERATOR_EMAILS = []
    stand_still()
    assert not a_round(NOW)
    assert (len(mailoutbox), kinds()) == (0, ["standstill"])
    settings.OPERATOR_EMAILS = TO
    assert a_round(NOW + DAY)


def test_why_staff_stopped_sending_is_for_their_pages(mailoutbox: list[EmailMessage]) -> None:
    stand_still("Ada Lovelace, ada@example.com, has asked for it.")
    a_round(NOW)
    message: Any = mailoutbox[0]
    for part in (message.subject, message.body, str(message.alternatives)):
        assert "ada@example.com" not in part.lower()


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_send_once(mailoutbox: list[EmailMessage]) -> None:
    for number in range(5):
        differ(number)
    together = threading.Barrier(4)

    def work() -> None:
        together.wait()
        try:
            a_round(NOW)
        finally:
            connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert Problem.objects.count() == 5
    assert OperatorMail.objects.count() == 1
    (mail,) = mailoutbox
    assert mail.body.count("Missing with us") == 5


def test_a_mail_that_another_worker_has_claimed_is_left_to_it(
    monkeypatch: pytest.MonkeyPatch, mailoutbox: list[EmailMessage]
) -> None:
    stand_still()
    problems.look(NOW)
    send = operator_mails._send

    def send_beside_a_rival(claimed: OperatorMail) -> None:
        assert not operator_mails.send_due(now=NOW)
        send(claimed)

    monkeypatch.setattr(operator_mails, "_send", send_beside_a_rival)
    assert operator_mails.send_due(now=NOW)
    assert len(mailoutbox) == 1
