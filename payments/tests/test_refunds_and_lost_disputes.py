"""A failed refund beside a lost dispute: whichever comes first, the student is owed what they paid and no more."""

from typing import Any

import pytest

from coaches.models import Coach
from marketplace import clock
from marketplace.models import User
from marketplace.tests.factories import UserFactory
from marketplace.tests.sandbox import Sandbox
from payments import at_risk, gateway, ledger, services
from payments.errors import RefundWhileDisputed
from payments.models import LedgerTransaction, Payment, Refund
from payments.services import failed_refunds
from payments.services.failed_refunds import NotOwed
from payments.story import story_of
from payments.tests import bank
from payments.tests.money_back import assert_agreed, books, captured, come_back, given_back, sweep

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("heard"), pytest.mark.thorough]

Status, Bearer = Refund.Status, Refund.Bearer


@pytest.fixture
def taken(sandbox: Sandbox, student: User, payable_coach: Coach) -> Payment:
    """100.00 USD taken, of which 80.00 are the coach's."""
    made = captured(sandbox, student, payable_coach)
    bank.days_later(sandbox, 5)
    return made


def fresh(refund: Refund) -> Refund:
    return Refund.objects.select_related("payment").get(pk=refund.pk)


def act(how: Any, refund: Refund, actor: User) -> Any:
    return how(refund=fresh(refund), reason="By bank transfer.", actor=actor, now=clock.now())


def lose(sandbox: Sandbox, payment: Payment, **facts: Any) -> None:
    bank.decide(sandbox, bank.disputed(sandbox, payment, **facts), "lost")


def owed(payment: Payment) -> int:
    return -books(f"refunds_owed:{payment.payer_id}")


def at_risk_refunds() -> list[Any]:
    return [row.subject for row in at_risk.failed_refunds(clock.now(), 10)]


def assert_nothing_is_owed(sandbox: Sandbox, payment: Payment) -> None:
    """The student has all they paid, by the dispute alone; the coach bears their share and we our fee."""
    assert (owed(payment), books("refunds_in_flight"), at_risk_refunds()) == (0, 0, [])
    assert (books("platform_losses"), books("platform_revenue")) == (0, 0)
    assert books(ledger.coach_payable(payment.coach_id)) == 0
    assert_agreed(sandbox)
    steps = story_of(payment).steps
    assert set(LedgerTransaction.objects.filter(payment=payment)) <= {step.fact for step in steps if step.fact}


@pytest.mark.parametrize("bearer", Bearer)
def test_a_refund_that_failed_before_is_made_good(sandbox: Sandbox, taken: Payment, bearer: Refund.Bearer) -> None:
    come_back(sandbox, given_back(taken, 2_500, bearer=bearer))
    lose(sandbox, taken)
    assert (owed(taken), books("refunds_in_flight"), at_risk_refunds()) == (0, 0, [])
    assert_agreed(sandbox)


def test_a_second_try_that_stripe_refuses_after_the_dispute_is_lost_is_owed_no_more(
    sandbox: Sandbox, taken: Payment, staff: User
) -> None:
    failed = come_back(sandbox, given_back(taken, 2_500))
    again = act(failed_refunds.send_again, failed, staff)
    dispute_id = bank.open_at_stripe(sandbox, taken)
    dispute = services.record_dispute(payment=taken, facts=gateway.retrieve_dispute(dispute_id), now=clock.now())
    sandbox.post(f"/_sandbox/disputes/{dispute_id}/resolve", {"outcome": "lost"})
    services.refresh_dispute(dispute=dispute, now=clock.now())
    sweep()
    assert (fresh(again).status, fresh(failed).status) == (Status.REFUSED, Status.FAILED)
    assert_nothing_is_owed(sandbox, taken)


def test_a_refund_that_fails_after_the_rest_was_lost_is_owed(sandbox: Sandbox, taken: Payment) -> None:
    refund = given_back(taken, 2_500)
    lose(sandbox, taken)
    come_back(sandbox, refund)
    assert (owed(taken), at_risk_refunds()) == (2_500, [refund])
    assert_agreed(sandbox)


def test_of_a_part_that_is_lost_the_failed_refund_stays_owed_and_is_paid_by_other_means(
    sandbox: Sandbox, taken: Payment, staff: User
) -> None:
    failed = come_back(sandbox, given_back(taken, 2_500))
    lose(sandbox, taken, amount=5_000)
    assert (owed(taken), at_risk_refunds()) == (2_500, [failed])
    with pytest.raises(RefundWhileDisputed):
        act(failed_refunds.send_again, failed, staff)
    act(failed_refunds.say_paid_otherwise, failed, staff)
    act(failed_refunds.confirm_paid_otherwise, failed, UserFactory.create(is_staff=True))
    assert (fresh(failed).status, owed(taken), at_risk_refunds()) == (Status.OTHERWISE, 0, [])
    assert_agreed(sandbox)


def test_what_is_owed_of_another_payment_does_not_stand_for_it(
    sandbox: Sandbox, taken: Payment, student: User, payable_coach: Coach, staff: User
) -> None:
    made_good = come_back(sandbox, given_back(taken, 2_500))
    lose(sandbox, taken)
    other = come_back(sandbox, given_back(captured(sandbox, student, payable_coach, reference="booking:77"), 3_000))
    assert (owed(taken), at_risk_refunds()) == (3_000, [other])
    for how in (failed_refunds.send_again, failed_refunds.say_paid_otherwise):
        with pytest.raises(NotOwed):
            act(how, made_good, staff)
    assert fresh(made_good).otherwise_by is None
