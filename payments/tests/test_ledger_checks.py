"""What the books' own check finds of refunds, disputes and currencies, and what it leaves alone."""

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from marketplace.lib.money import Money
from marketplace.tests.factories import CoachFactory
from payments import ledger
from payments.ledger import Imbalance, Line
from payments.models import LedgerTransaction, Payment, Refund
from payments.tests.factories_books import NOW, earn

pytestmark = pytest.mark.django_db


def captured(**counted: int) -> Payment:
    payment = earn(CoachFactory.create()).paid_for
    Payment.objects.filter(pk=payment.pk).update(**counted)
    return payment


def refund(payment: Payment, amount: int, status: str = "succeeded", fee: int = 0, loss: int = 0) -> Refund:
    """Past the books, of which the coach bears what is not ours."""
    number = Refund.objects.count()
    return Refund.objects.create(
        payment=payment, amount=amount, currency="usd", coach_part=amount - fee - loss, fee_part=fee, loss_part=loss,
        bearer="shared", reason="goodwill", status=status, stripe_refund_id=f"re_{number}", created_at=NOW,
    )  # fmt: skip


def about_refunds(payment: Payment) -> Imbalance:
    return Imbalance(payment.coach_id, f"{payment} does not count its refunds right.")


@pytest.mark.embedded
def test_refunds_that_are_counted_right_are_good() -> None:
    payment = captured(refunded_amount=1_000, taken_back_amount=500, returned_fee_amount=300)
    refund(payment, 600, fee=300)
    refund(payment, 400, "failed", fee=0, loss=200)
    refund(payment, 5_000, "dismissed")
    refund(payment, 5_000, "refused")
    assert ledger.check() == []


@pytest.mark.embedded
@pytest.mark.parametrize(
    "counted",
    [
        {},
        {"refunded_amount": 1_000, "taken_back_amount": 600, "returned_fee_amount": 400},
        {"refunded_amount": 1_001, "taken_back_amount": 700, "returned_fee_amount": 300},
        {"refunded_amount": 1_000, "taken_back_amount": 700, "returned_fee_amount": 299},
    ],
)
def test_a_refund_that_is_counted_wrong_is_the_coachs_imbalance(counted: dict[str, int]) -> None:
    captured()
    payment = captured(**counted)
    refund(payment, 600, fee=300)
    refund(payment, 400, "pending")
    found = ledger.check()
    # What is on its way is not booked either: the rows are written past the books.
    assert about_refunds(payment) in found
    assert len([each for each in found if each.coach_id is not None]) == 1


def test_what_is_counted_without_any_refund_is_the_coachs_imbalance() -> None:
    payment = captured(refunded_amount=1, taken_back_amount=1)
    assert ledger.check() == [about_refunds(payment)]


def test_what_is_counted_of_refused_refunds_alone_is_the_coachs_imbalance() -> None:
    payment = captured(refunded_amount=600)
    refund(payment, 600, "refused")
    assert ledger.check() == [about_refunds(payment)]


@pytest.mark.embedded
def test_each_clearing_account_and_currency_is_named_for_itself() -> None:
    for currency, amount in (("usd", 7), ("eur", -9)):
        lines = [Line("disputes_held", Money(amount, currency)), Line("bank", Money(-amount, currency))]
        with transaction.atomic():
            ledger.post(kind="test", reference=currency, lines=lines, now=NOW)
    assert [str(each) for each in ledger.check()] == [
        "disputes_held has not returned to zero: -9 eur.",
        "disputes_held has not returned to zero: 7 usd.",
    ]


def test_a_transaction_without_lines_is_everyones_imbalance() -> None:
    # What the database's guard prevents on PostgreSQL is found all the same where the guard was evaded.
    with transaction.atomic():
        bare = LedgerTransaction.objects.create(kind="forged", reference="1", occurred_at=NOW, recorded_at=NOW)
        found = ledger.check()
        transaction.set_rollback(True)
    assert found == [Imbalance(None, f"Ledger transaction {bare.pk} (forged 1) has no lines.")]


def test_the_check_costs_the_same_number_of_queries_however_much_there_is() -> None:
    counts = []
    for more in (1, 5):
        for _ in range(more):
            payment = captured(refunded_amount=600, taken_back_amount=600)
            refund(payment, 600)
        with CaptureQueriesContext(connection) as queries:
            ledger.check()
        counts.append(len(queries))
    assert counts[0] == counts[1]
