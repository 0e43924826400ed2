"""The coach's earnings: the share of each session, and how far it has come."""

from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from coaches.models import Coach
from marketplace.lib.money import Money
from marketplace.tests.factories import CoachFactory
from payments import earnings
from payments.models import Earning, PayoutLine, PayoutRun, Transfer
from payments.tests.factories_books import NOW, PaymentFactory, earn

pytestmark = pytest.mark.django_db

EARNINGS = reverse("payments:earnings")


def states(payment) -> list[tuple[str, str]]:
    return [(step.label, step.state) for step in earnings.share_timeline(payment, NOW)]


def test_a_share_waits_for_a_week(coach: Coach) -> None:
    earning = earn(coach, release_at=NOW + timedelta(seconds=1))

    assert states(earning.payment) == [("Taken", "done"), ("Waiting", "now"), ("Transferred to you", "next")]


def test_a_released_share_goes_with_the_next_transfer(coach: Coach) -> None:
    earning = earn(coach, release_at=NOW)

    assert states(earning.payment) == [("Taken", "done"), ("Released", "done"), ("Next transfer", "now")]


def test_a_frozen_share_is_kept_back(coach: Coach) -> None:
    earning = earn(coach)
    earning.frozen = True
    earning.save(update_fields=["frozen"])

    assert states(earning.payment) == [("Taken", "done"), ("Kept back", "now")]


def test_a_paid_share_is_transferred_and_no_longer_on_its_way(coach: Coach) -> None:
    earning = earn(coach)
    run = PayoutRun.objects.create(month="2026-09", opened_at=NOW)
    earning.line = PayoutLine.objects.create(
        run=run, coach=coach, amount=8000, currency="usd", status=PayoutLine.Status.PAID, paid_at=NOW
    )
    earning.save(update_fields=["line"])

    assert states(earning.payment) == [("Taken", "done"), ("Released", "done"), ("Transferred to you", "done")]
    assert earnings.unpaid_sums(coach) == []


def test_a_share_that_moved_with_the_capture_is_transferred_at_once(coach: Coach) -> None:
    payment = PaymentFactory.create(coach=coach, status="captured", captured_amount=10_000, captured_at=NOW)
    Transfer.objects.create(
        stripe_transfer_id="tr_1",
        coach=coach,
        destination="acct_1",
        amount=10_000,
        currency="usd",
        payment=payment,
        created_at=NOW,
    )

    row = earnings.earning_row(payment, NOW)

    assert (row.price, row.platform_fee, row.share) == (Money(10_000, "usd"), Money(2000, "usd"), Money(8000, "usd"))
    assert states(payment) == [("Taken", "done"), ("Transferred to you", "done")]


def test_what_the_student_did_not_pay_is_paid_by_us(coach: Coach) -> None:
    """And is not shown a second time where the student pays after all."""
    lost = PaymentFactory.create(coach=coach, status="lost", written_off_at=NOW)
    Earning.objects.create(payment=lost, coach=coach, amount=8_000, currency="usd", release_at=NOW, created_at=NOW)
    PaymentFactory.create(
        coach=coach, reference=lost.reference, status="captured", captured_amount=10_000, captured_at=NOW
    )
    other = earn(coach).payment
    PaymentFactory.create(coach=coach, status="lost")

    row = earnings.earning_row(lost, NOW)

    assert (row.price, row.platform_fee, row.share) == (Money(10_000, "usd"), Money(2000, "usd"), Money(8000, "usd"))
    assert states(lost) == [("Paid by us", "done"), ("Released", "done"), ("Next transfer", "now")]
    assert list(earnings.paid_sessions(coach)) == [other, lost]


def test_what_is_on_its_way_is_summed_by_currency(coach: Coach) -> None:
    earn(coach)
    earn(coach)
    earn(coach, currency="eur")
    earn(CoachFactory.create())

    assert earnings.unpaid_sums(coach) == [Money(8000, "eur"), Money(16_000, "usd")]


def test_the_page_shows_a_coach_their_own_earnings_only(client: Client, coach: Coach) -> None:
    earn(coach, description="Mine")
    earn(CoachFactory.create(), description="Somebody else's")
    client.force_login(coach.user)

    with time_machine.travel(NOW):
        page = client.get(EARNINGS).content.decode()

    assert "Mine" in page
    assert "$80.00" in page
    assert "Somebody else" not in page


def test_the_page_asks_the_same_however_many_sessions(client: Client, coach: Coach) -> None:
    client.force_login(coach.user)
    earn(coach)
    with CaptureQueriesContext(
        connection,
    ) as one:
        client.get(EARNINGS)
    for _ in range(5):
        earn(coach)

    with CaptureQueriesContext(connection) as six:
        client.get(EARNINGS)

    assert len(six) == len(one)


def test_someone_who_is_no_coach_is_led_to_become_one(client: Client, student) -> None:
    client.force_login(student)

    assert client.get(EARNINGS).headers["Location"] == reverse("coaches:edit_profile")
