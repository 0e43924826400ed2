"""Each end of a dispute, each way of being paid, each kind of currency: who has what, worked out by hand."""

from dataclasses import dataclass

import pytest

from coaches.models import Coach
from marketplace import clock
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import ledger, services
from payments.models import Dispute, Payment
from payments.tests import bank
from payments.tests.money_back import assert_agreed, at_coach, books, captured, given_back, pay_month

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("heard"), pytest.mark.thorough]

WAYS = ["before the transfer", "after a monthly transfer", "per session"]


@dataclass(frozen=True)
class Case:
    """The dispute's amount, its end, and what is left: with the coach, of our fee, and what we have lost."""

    currency: str
    amount: int
    end: str
    coach: int
    revenue: int
    losses: int
    refunded: int = 0

    def __str__(self) -> str:
        return f"{self.currency}:{self.amount}:{self.end}" + (f":{self.refunded} refunded" if self.refunded else "")


# The fee is 20 %: of 100.00 the coach has 80.00, of 50000 yen 40000, of 100.000 dinars 80.000.
CASES = [
    Case("usd", 10_000, "won", 8_000, 2_000, 0),
    Case("usd", 10_000, "lost", 0, 0, 0),
    Case("usd", 10_000, "borne by the platform", 8_000, 0, 8_000),
    Case("usd", 2_500, "lost", 6_000, 1_500, 0),
    # 666.6 is 667 of our fee, and the coach's part is the rest: 2666.
    Case("usd", 3_333, "lost", 5_334, 1_333, 0),
    # 40.00 went back before: of the 60.00 that are left, the coach had 48.00.
    Case("usd", 6_000, "lost", 0, 0, 0, refunded=4_000),
    Case("usd", 6_000, "won", 4_800, 1_200, 0, refunded=4_000),
    Case("jpy", 50_000, "won", 40_000, 10_000, 0),
    Case("jpy", 777, "lost", 39_378, 9_845, 0),
    Case("kwd", 100_000, "won", 80_000, 20_000, 0),
    # 20 % of 1.230 is 0.246: in tens 0.250.
    Case("kwd", 1_230, "lost", 79_020, 19_750, 0),
    Case("kwd", 100_000, "borne by the platform", 80_000, 0, 80_000),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_end_of_a_dispute_leaves_each_side_its_own(
    case: Case, way: str, sandbox: Sandbox, student: User, payable_coach: Coach, staff: User
) -> None:
    payment = _paid_for(case, way, sandbox, student, payable_coach)
    dispute = bank.disputed(sandbox, payment, amount=case.amount)
    assert_agreed(sandbox, case.currency)
    assert books("disputes_held", case.currency) == case.amount
    if way == "before the transfer":
        pay_month(sandbox)
        assert at_coach(sandbox, payable_coach, case.currency) == 0

    _end(case, sandbox, dispute, staff)

    assert_agreed(sandbox, case.currency)
    for account in ("disputes_held", "refunds_in_flight", "suspense"):
        assert books(account, case.currency) == 0
    assert -books("platform_revenue", case.currency) == case.revenue
    assert books("platform_losses", case.currency) == case.losses
    pay_month(sandbox)
    owed = -books(ledger.coach_payable(payable_coach.pk), case.currency)
    assert at_coach(sandbox, payable_coach, case.currency) + owed == case.coach
    # What the platform bears, it must have earned elsewhere before it can send it.
    assert owed == 0 or case.end == "borne by the platform"
    assert_agreed(sandbox, case.currency)


def _paid_for(case: Case, way: str, sandbox: Sandbox, student: User, coach: Coach) -> Payment:
    mode = "per_session" if way == "per session" else "monthly"
    payment = captured(sandbox, student, coach, mode=mode, price=bank.PRICES[case.currency])
    if way == "after a monthly transfer":
        pay_month(sandbox)
    else:
        bank.days_later(sandbox, 5)  # until the charge's money is there
    if case.refunded:
        given_back(payment, case.refunded)
    return payment


def _end(case: Case, sandbox: Sandbox, dispute: Dispute, staff: User) -> None:
    if case.end == "borne by the platform":
        services.choose_bearer(
            dispute=dispute,
            charged_to=Dispute.ChargedTo.PLATFORM,
            reason="The coach did all they could.",
            actor=staff,
            version=dispute.version,
            now=clock.now(),
        )
    bank.decide(sandbox, dispute, "won" if case.end == "won" else "lost")
    assert dispute.status == ("won" if case.end == "won" else "lost")
    assert dispute.closed_at is not None
