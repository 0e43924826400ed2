"""The evidence of a disputed session: gathered by itself from what is known, and taken by Stripe as it is."""

from datetime import timedelta
from itertools import pairwise

import pytest

from bookings import packets, services
from bookings.demo.stage import settle
from bookings.models import Booking
from bookings.tests.factories import fresh
from bookings.tests.far_ahead import assert_books_agree, book_and_pay, move_to
from coaches.models import Offering
from marketplace import clock
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments.models import Dispute, Payment, PutOff
from payments.tests import bank
from payments.tests.factories_books import PaymentFactory
from payments.tests.money_back import sweep

pytestmark = pytest.mark.django_db


@pytest.fixture
def disputed(sandbox: Sandbox, bookable: Offering) -> Booking:
    """A session that took place, with both there, and was paid for; then the student's bank disputed it."""
    made = book_and_pay(bookable, from_=clock.now() + timedelta(days=2), card="pm_card_visa")
    settle()
    booking = Booking.objects.select_related("student__user", "coach__user").get(pk=made.pk)
    move_to(booking.starts_at)
    services.join(booking=booking, user=booking.coach.user, now=clock.now())
    services.join(booking=booking, user=booking.student.user, now=clock.now())
    move_to(booking.ends_at + timedelta(days=3))
    settle()
    settle()
    booking = fresh(booking)
    assert booking.payment is not None
    assert booking.payment.status == Payment.Status.CAPTURED
    bank.disputed(sandbox, booking.payment)
    return booking


def test_the_packet_builds_itself_once_and_wins(sandbox: Sandbox, disputed: Booking, staff: User) -> None:
    assert [packets.build_due(now=clock.now()) for _ in range(2)] == [1, 0]
    sweep()
    dispute = Dispute.objects.get()
    fields = dispute.evidence
    assert fields["customer_email_address"] == disputed.student.user.email
    assert fields["cancellation_policy_disclosure"].startswith(disputed.policy_text)
    assert f"version {disputed.policy_version}" in fields["cancellation_policy_disclosure"]
    assert "joined" in fields["access_activity_log"]
    assert "Mails that were sent" in fields["uncategorized_text"]
    assert fields["service_date"] == f"{disputed.starts_at:%Y-%m-%d}"
    files = dict(dispute.files.values_list("field", "stripe_file_id"))
    assert set(files) == {"service_documentation", "cancellation_policy", "receipt"}
    assert all(files.values())

    bank.answered(dispute, staff, submit=True, fields={**fields, "uncategorized_text": "winning_evidence"})
    evidence = bank.at_stripe(sandbox, dispute)["evidence"]
    assert {field: evidence[field] for field in files} == files
    assert evidence["product_description"] == fields["product_description"]
    assert dispute.status == "won"
    assert_books_agree(sandbox)


def test_what_staff_have_written_is_not_overwritten(disputed: Booking, staff: User) -> None:
    dispute = Dispute.objects.get()
    bank.answered(dispute, staff, submit=False, fields={"customer_name": "As staff have it"})
    assert packets.build_due(now=clock.now()) == 0
    dispute.refresh_from_db()
    assert dispute.evidence == {"customer_name": "As staff have it"}


@pytest.fixture
def hopeless(disputed: Booking) -> Dispute:
    """Due before the other one, and its booking can't be read."""
    now = clock.now()
    of_no_booking = PaymentFactory.create(reference="booking:999999", coach=disputed.coach)
    return Dispute.objects.create(
        stripe_dispute_id="dp_first",
        payment=of_no_booking,
        charge_id="ch_first",
        amount=1,
        currency="usd",
        reason="general",
        status="needs_response",
        due_by=now,
        opened_at=now,
    )


def test_a_packet_that_fails_holds_up_no_other(hopeless: Dispute) -> None:
    assert [packets.build_due(now=clock.now()) for _ in range(2)] == [1, 0]
    assert Dispute.objects.get(evidence={}) == hopeless


def test_packets_that_always_fail_let_the_others_have_their_turn(hopeless: Dispute) -> None:
    now = clock.now()
    assert [packets.build_due(now=now, limit=1) for _ in range(3)] == [0, 1, 0]
    assert Dispute.objects.get(evidence={}) == hopeless


def test_a_packet_that_failed_is_tried_again_later_and_less_and_less_often(hopeless: Dispute) -> None:
    now, tries = clock.now(), []
    for minute in range(24 * 60):
        before = PutOff.objects.values_list("tries", flat=True).first()
        packets.build_due(now=now + timedelta(minutes=minute))
        if PutOff.objects.values_list("tries", flat=True).first() != before:
            tries.append(minute)
    assert tries[:5] == [0, 1, 3, 7, 15]
    assert max(later - earlier for earlier, later in pairwise(tries)) == 60


def test_a_payment_for_something_else_needs_no_packet(disputed: Booking) -> None:
    Payment.objects.update(reference="lesson:1")
    assert packets.build_due(now=clock.now()) == 0
