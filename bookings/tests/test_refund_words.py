"""The mail about a refund says by which way the money goes back."""

import pytest

from bookings import words
from coaches.models import Coach
from marketplace.lib.money import Money
from marketplace.models import User
from marketplace.tests.factories import UserFactory
from payments.ledger import Line
from payments.models import Payment, Refund
from payments.owed import PAID_OTHERWISE, reference
from payments.postings import BANK, post, refunds_owed
from payments.tests.factories_books import NOW, PaymentFactory

pytestmark = pytest.mark.django_db

TAIL = "Banks take five to ten days to show it. Your receipt is corrected."


@pytest.fixture
def payment(coach: Coach) -> Payment:
    return PaymentFactory.create(coach=coach, captured_amount=10_000)


def refund(payment: Payment, amount: int, **facts: User | str) -> Refund:
    return payment.refunds.create(
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


def by_two() -> dict[str, User | str]:
    first, second = UserFactory.create_batch(2)
    return {"status": Refund.Status.OTHERWISE, "otherwise_by": first, "otherwise_agreed_by": second}


def paid_otherwise(refund: Refund, amount: int) -> None:
    money = Money(amount, refund.currency)
    lines = [Line(refunds_owed(refund.payment), money), Line(BANK, -money)]
    post(PAID_OTHERWISE, reference(refund), lines, refund.payment, NOW)


def test_to_the_card(payment: Payment) -> None:
    refund(payment, 2_500, status=Refund.Status.SUCCEEDED)
    refund(payment, 1_000, status=Refund.Status.FAILED)
    said = f"$25.00 of the $100.00 that you paid is refunded by now, to the card that you paid with. {TAIL}"
    assert words.refunded_for_student(payment) == said


def test_what_was_paid_by_other_means_is_not_on_the_card(payment: Payment) -> None:
    refund(payment, 2_500, status=Refund.Status.SUCCEEDED)
    paid_otherwise(refund(payment, 1_000, **by_two()), 1_000)
    said = (
        "$35.00 of the $100.00 that you paid is refunded by now: $25.00 to the card that you paid with, $10.00 by "
        f"other means. {TAIL}"
    )
    assert words.refunded_for_student(payment) == said


def test_where_nothing_is_on_the_card_none_is_named(payment: Payment) -> None:
    paid_otherwise(refund(payment, 1_000, **by_two()), 1_000)
    said = f"$10.00 of the $100.00 that you paid is refunded by now, by other means than your card. {TAIL}"
    assert words.refunded_for_student(payment) == said


def test_what_a_lost_dispute_had_given_them_is_not_counted_twice(payment: Payment) -> None:
    paid_otherwise(refund(payment, 1_000, **by_two()), 600)
    assert words.refunded_for_student(payment).startswith("$6.00 of the $100.00 that you paid is refunded by now")
    assert words.refunded_for_coach(payment).startswith("$6.00 of the price is refunded to the student by now.")
