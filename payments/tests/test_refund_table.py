"""Each refund, each way of being paid, each kind of currency: who has what at the end, worked out by hand."""

from dataclasses import dataclass

import pytest

from coaches.models import Coach
from marketplace.lib.money import Money
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import ledger
from payments.models import Payment, Refund
from payments.tests.money_back import (
    FUNDS,
    assert_agreed,
    at_coach,
    books,
    captured,
    given_back,
    pay_month,
    refunds_at_stripe,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("heard"), pytest.mark.thorough]

SHARED, COACH, PLATFORM = Refund.Bearer.SHARED, Refund.Bearer.COACH, Refund.Bearer.PLATFORM
PRICES = {"usd": 10_000, "jpy": 5_000, "kwd": 10_000}


@dataclass(frozen=True)
class Case:
    """Refunds one after another, and what is left: with the coach, of our fee, and what we have lost."""

    currency: str
    refunds: tuple[tuple[int, Refund.Bearer], ...]
    coach: int
    revenue: int
    losses: int

    def __str__(self) -> str:
        return f"{self.currency}:" + "+".join(f"{amount}{bearer[0]}" for amount, bearer in self.refunds)


# The fee is 20 %: of 100.00 the coach has 80.00, of 5000 yen 4000, of 10.000 dinars 8.000.
CASES = [
    Case("usd", ((10_000, SHARED),), 0, 0, 0),
    Case("usd", ((2_500, SHARED),), 6_000, 1_500, 0),
    Case("usd", ((2_500, COACH),), 5_500, 2_000, 0),
    Case("usd", ((10_000, COACH),), 0, 0, 0),
    Case("usd", ((2_500, PLATFORM),), 8_000, 1_500, 2_000),
    Case("usd", ((10_000, PLATFORM),), 8_000, 0, 8_000),
    Case("usd", ((1, SHARED),), 7_999, 2_000, 0),
    # 666.6 rounds to 667 twice, so the third takes the 666 and the 2668 that are left.
    Case("usd", ((3_333, SHARED), (3_333, SHARED), (3_334, SHARED)), 0, 0, 0),
    Case("usd", ((2_500, COACH), (7_500, SHARED)), 0, 0, 0),
    Case("usd", ((5_000, PLATFORM), (2_500, SHARED)), 6_000, 500, 4_000),
    Case("jpy", ((5_000, SHARED),), 0, 0, 0),
    Case("jpy", ((777, SHARED),), 3_378, 845, 0),
    Case("jpy", ((777, COACH),), 3_223, 1_000, 0),
    Case("jpy", ((777, PLATFORM),), 4_000, 845, 622),
    Case("kwd", ((10_000, SHARED),), 0, 0, 0),
    # 20 % of 1.230 is 0.246: in tens 0.250.
    Case("kwd", ((1_230, SHARED),), 7_020, 1_750, 0),
    Case("kwd", ((1_230, COACH), (1_230, PLATFORM)), 6_770, 1_750, 980),
]


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("way", ["before the transfer", "after a monthly transfer", "per session"])
def test_each_side_has_what_it_should(
    sandbox: Sandbox, student: User, payable_coach: Coach, case: Case, way: str
) -> None:
    mode = "per_session" if way == "per session" else "monthly"
    price = Money(PRICES[case.currency], case.currency)
    payment = captured(sandbox, student, payable_coach, mode=mode, price=price)
    fee = payment.stripe_fee_amount
    assert fee == books("stripe_fees", case.currency) > 0
    if way == "after a monthly transfer":
        pay_month(sandbox)

    for amount, bearer in case.refunds:
        refund = given_back(payment, amount, bearer=bearer)
        assert (refund.status, refund.amount) == (Refund.Status.SUCCEEDED, amount)

    assert_agreed(sandbox, case.currency)
    if way == "before the transfer":
        pay_month(sandbox)
        assert_agreed(sandbox, case.currency)
    back = sum(amount for amount, _ in case.refunds)
    assert sorted(refunds_at_stripe(sandbox, payment)) == sorted(amount for amount, _ in case.refunds)
    assert at_coach(sandbox, payable_coach, case.currency) == case.coach
    assert books(ledger.coach_payable(payable_coach.pk), case.currency) == 0
    assert books("platform_revenue", case.currency) == -case.revenue
    assert books("platform_losses", case.currency) == case.losses
    assert books("stripe_fees", case.currency) == fee
    assert books(ledger.STRIPE_BALANCE, case.currency) == FUNDS + price.amount - fee - back - case.coach
    whole_fee = price.amount // 5
    _assert_counted(payment, back, price.amount - whole_fee - case.coach, whole_fee - case.revenue)


def _assert_counted(payment: Payment, back: int, from_coach: int, of_fee: int) -> None:
    payment.refresh_from_db()
    assert (payment.refunded_amount, payment.taken_back_amount, payment.returned_fee_amount) == (
        back,
        from_coach,
        of_fee,
    )
