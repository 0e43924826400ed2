"""The mail about a refund says by which way the money goes back."""

import pytest

from bookings import words
from coaches.models import Coach
from marketplace.models import User
from marketplace.tests.factories import UserFactory
from payments.models import Payment, Refund
from payments.tests.factories_books import NOW, PaymentFactory

pytestmark = pytest.mark.django_db

TAIL = "Banks take five to ten days to show it. Your receipt is corrected."


@pytest.fixture
def payment(coach: Coach) -> Payment:
    return PaymentFactory.create(coach=coach, captured_amount=10_000)


def refund(payment: Payment, amount: int, **facts: User | str) -> None:
    payment.refunds.create(
        amount=amount,
        currency=payment.currency,
        coach_part=amount,
        fee_part=0,
        loss_part=0,
        bearer=Refund.Bearer.COACH,
        reason=Refund.Reason.PROBLEM,
        created_at=NOW,
        **facts,
    )


def test_to_the_card(payment: Payment) -> None:
    refund(payment, 2_500, status=Refund.Status.SUCCEEDED)
    refund(payment, 1_000, status=Refund.Status.FAILED)
    said = f"$25.00 of the $100.00 that you paid is refunded by now, to the card that you paid with. {TAIL}"
    assert words.refunded_for_student(payment) == said


def test_what_was_paid_by_other_means_is_not_on_the_card(payment: Payment) -> None:
    refund(payment, 2_500, status=Refund.Status.SUCCEEDED)
    first, second = UserFactory.create_batch(2)
    refund(payment, 1_000, status=Refund.Status.OTHERWISE, otherwise_by=first, otherwise_agreed_by=second)
    said = (
        "$35.00 of the $100.00 that you paid is refunded by now: $25.00 to the card that you paid with, $10.00 by "
        f"other means. {TAIL}"
    )
    assert words.refunded_for_student(payment) == said
