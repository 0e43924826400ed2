"""A failed refund beside a lost dispute: whichever comes first, the student is owed what they paid and no more."""

from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.errors import DomainError
from marketplace.lib.money import Money
from marketplace.models import User
from marketplace.tests.factories import UserFactory
from marketplace.tests.sandbox import Sandbox
from payments import at_risk, gateway, ledger, selectors, services
from payments.errors import RefundWhileDisputed
from payments.models import LedgerTransaction, Payment, Refund
from payments.receipts import receipt_of
from payments.services import failed_refunds
from payments.services.failed_refunds import NotOwed, OwedChanged
from payments.story import story_of
from payments.tests import bank, stage
from payments.tests.money_back import assert_agreed, books, captured, come_back, give_back, given_back, sweep

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("heard"), pytest.mark.thorough]

Status, Bearer = Refund.Status, Refund.Bearer


@pytest.fixture
def taken(sandbox: Sandbox, student: User, payable_coach: Coach) -> Payment:
    """100.00 USD taken, of which 80.00 are the coach's."""
    made = captured(sandbox, student, payable_coach)
    bank.days_later(sandbox, 5)
    return made


@pytest.fixture
def colleague(db: None) -> User:
    return UserFactory.create(is_staff=True)


def fresh(refund: Refund) -> Refund:
    return Refund.objects.select_related("payment").get(pk=refund.pk)


def act(how: Any, refund: Refund, actor: User, **facts: Any) -> Any:
    return how(refund=fresh(refund), reason="By bank transfer.", actor=actor, now=clock.now(), **facts)


def say(refund: Refund, actor: User, amount: int) -> None:
    act(failed_refunds.say_paid_otherwise, refund, actor, amount=Money(amount, "usd"))


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
    sandbox: Sandbox, taken: Payment, staff: User, colleague: User
) -> None:
    failed = come_back(sandbox, given_back(taken, 2_500))
    lose(sandbox, taken, amount=5_000)
    assert (owed(taken), at_risk_refunds()) == (2_500, [failed])
    with pytest.raises(RefundWhileDisputed):
        act(failed_refunds.send_again, failed, staff)
    say(failed, staff, 2_500)
    act(failed_refunds.confirm_paid_otherwise, failed, colleague)
    assert (fresh(failed).status, owed(taken), at_risk_refunds()) == (Status.OTHERWISE, 0, [])
    assert_agreed(sandbox)


def test_what_is_owed_of_another_payment_does_not_stand_for_it(
    sandbox: Sandbox, taken: Payment, student: User, payable_coach: Coach, staff: User
) -> None:
    made_good = come_back(sandbox, given_back(taken, 2_500))
    lose(sandbox, taken)
    other = come_back(sandbox, given_back(captured(sandbox, student, payable_coach, reference="booking:77"), 3_000))
    assert (owed(taken), at_risk_refunds()) == (3_000, [other])
    with pytest.raises(NotOwed):
        act(failed_refunds.send_again, made_good, staff)
    with pytest.raises(NotOwed):
        say(made_good, staff, 2_500)
    assert fresh(made_good).otherwise_by is None


# --- made good in part --------------------------------------------------------------------------


@pytest.fixture
def partly(sandbox: Sandbox, taken: Payment) -> Refund:
    """60.00 came back, and a dispute about 60.00 was lost: of the 100.00 that they paid the student misses 40.00."""
    failed = come_back(sandbox, given_back(taken, 6_000))
    lose(sandbox, taken, amount=6_000)
    assert owed(taken) == 4_000
    return failed


def failed_twice(sandbox: Sandbox, payment: Payment, actor: User) -> Refund:
    again = act(failed_refunds.send_again, come_back(sandbox, given_back(payment, 6_000)), actor)
    sweep()
    return come_back(sandbox, fresh(again))


def test_the_rest_that_is_still_owed_is_paid_by_other_means(
    sandbox: Sandbox, taken: Payment, partly: Refund, staff: User, colleague: User
) -> None:
    assert [row.money for row in at_risk.failed_refunds(clock.now(), 10)] == [Money(4_000, "usd")]
    with pytest.raises(RefundWhileDisputed):
        act(failed_refunds.send_again, partly, staff)
    before = books("bank")
    say(partly, staff, 4_000)
    act(failed_refunds.confirm_paid_otherwise, partly, colleague)
    assert (fresh(partly).status, books("bank") - before) == (Status.OTHERWISE, -4_000)
    assert_nothing_is_owed(sandbox, taken)
    with pytest.raises(NotOwed):
        say(partly, staff, 2_000)


def test_the_student_reads_what_they_were_paid_of_it_and_not_the_whole_refund(
    taken: Payment, partly: Refund, staff: User, colleague: User
) -> None:
    say(partly, staff, 4_000)
    act(failed_refunds.confirm_paid_otherwise, partly, colleague)
    taken.refresh_from_db()
    assert selectors.timeline(taken)[-1].money == Money(4_000, "usd")
    receipt = receipt_of(taken)
    assert receipt is not None
    assert [line.money.amount for line in receipt.lines] == [10_000, -4_000, -6_000]
    assert receipt.total == Money(0, "usd")


@pytest.mark.parametrize("amount", [1, 3_999, 4_001, 6_000])
def test_only_exactly_what_is_owed_is_said_to_be_paid(taken: Payment, partly: Refund, staff: User, amount: int) -> None:
    with pytest.raises(OwedChanged):
        say(partly, staff, amount)
    assert (fresh(partly).otherwise_by, owed(taken)) == (None, 4_000)


def test_what_was_said_before_the_dispute_was_lost_is_not_confirmed(
    sandbox: Sandbox, taken: Payment, staff: User, colleague: User
) -> None:
    failed = failed_twice(sandbox, taken, staff)
    say(failed, staff, 6_000)
    lose(sandbox, taken, amount=6_000)
    with pytest.raises(OwedChanged):
        act(failed_refunds.confirm_paid_otherwise, failed, colleague)
    assert (fresh(failed).status, owed(taken)) == (Status.FAILED, 4_000)
    act(failed_refunds.deny_paid_otherwise, failed, colleague)
    say(failed, colleague, 4_000)
    act(failed_refunds.confirm_paid_otherwise, failed, staff)
    assert_nothing_is_owed(sandbox, taken)


def test_confirmed_while_the_dispute_is_lost_it_is_booked_as_one_of_the_two_came_first(
    sandbox: Sandbox, taken: Payment, staff: User, colleague: User
) -> None:
    again = failed_twice(sandbox, taken, staff)
    say(again, staff, 6_000)
    dispute = bank.disputed(sandbox, taken, amount=6_000)
    sandbox.post(f"/_sandbox/disputes/{dispute.stripe_dispute_id}/resolve", {"outcome": "lost"})

    def confirm() -> None:
        with suppress(DomainError):
            act(failed_refunds.confirm_paid_otherwise, again, colleague)

    stage.at_once([confirm, partial(services.refresh_dispute, dispute=dispute, now=clock.now())])
    confirmed = fresh(again).status == Status.OTHERWISE
    # Confirmed before, the student has 20.00 too much, and that is our loss.
    assert (owed(taken), books("platform_losses")) == ((0, 2_000) if confirmed else (4_000, 0))
    assert_agreed(sandbox)


def test_of_many_who_confirm_at_once_one_does(sandbox: Sandbox, taken: Payment, partly: Refund, staff: User) -> None:
    people = [UserFactory.create(is_staff=True) for _ in range(4)]
    say(partly, staff, 4_000)
    before = books("bank")

    def confirm(actor: User) -> None:
        with suppress(DomainError):
            act(failed_refunds.confirm_paid_otherwise, partly, actor)

    stage.at_once([partial(confirm, actor) for actor in people])
    assert books("bank") - before == -4_000
    assert_nothing_is_owed(sandbox, taken)


def test_a_refund_that_fails_after_the_rest_was_paid_is_owed_in_whole(
    sandbox: Sandbox, taken: Payment, staff: User, colleague: User
) -> None:
    came_back, arrived = given_back(taken, 6_000), given_back(taken, 2_000)
    come_back(sandbox, came_back)
    lose(sandbox, taken, amount=5_000)
    assert owed(taken) == 3_000
    say(came_back, staff, 3_000)
    act(failed_refunds.confirm_paid_otherwise, came_back, colleague)
    come_back(sandbox, fresh(arrived))
    assert owed(taken) == 2_000  # 50.00 by the dispute, 30.00 by other means
    say(arrived, staff, 2_000)
    act(failed_refunds.confirm_paid_otherwise, arrived, colleague)
    assert (owed(taken), at_risk_refunds()) == (0, [])
    assert_agreed(sandbox)


def test_of_two_that_failed_both_are_owed_only_what_is_left(
    sandbox: Sandbox, taken: Payment, staff: User, colleague: User
) -> None:
    larger, smaller = given_back(taken, 6_000), given_back(taken, 3_000)
    for refund in (larger, smaller):
        come_back(sandbox, refund)
    lose(sandbox, taken, amount=5_000)
    assert owed(taken) == 5_000
    say(larger, staff, 5_000)
    say(smaller, staff, 3_000)
    act(failed_refunds.confirm_paid_otherwise, smaller, colleague)
    with pytest.raises(OwedChanged):  # 20.00 by now
        act(failed_refunds.confirm_paid_otherwise, larger, colleague)
    act(failed_refunds.deny_paid_otherwise, larger, colleague)
    say(larger, staff, 2_000)
    act(failed_refunds.confirm_paid_otherwise, larger, colleague)
    assert_nothing_is_owed(sandbox, taken)


def test_the_student_reads_what_is_still_owed_of_it_and_what_they_have_by_the_dispute(
    sandbox: Sandbox, taken: Payment
) -> None:
    come_back(sandbox, given_back(taken, 6_000))
    taken.refresh_from_db()
    owed_whole = selectors.timeline(taken)[-1]
    lose(sandbox, taken, amount=6_000)
    owed_partly = selectors.timeline(taken)[-1]
    lose(sandbox, taken, amount=4_000)
    made_good = selectors.timeline(taken)[-1]
    told = [(step.label, step.state, step.money and step.money.amount) for step in (owed_whole, owed_partly, made_good)]
    assert told == [
        ("Refund failed", "now", 6_000),
        ("Refund failed", "now", 4_000),
        ("Refund failed", "undone", 6_000),
    ]
    assert made_good.detail == "Your bank had sent it back to us; you have got this money by the dispute instead."


# --- asked for, and not sent before the dispute is lost -------------------------------------------


@pytest.mark.parametrize(("amount", "ours", "coachs"), [(10_000, 2_500, 2_000), (5_000, 0, 4_000)])
def test_a_refund_that_was_not_sent_before_the_dispute_was_lost_is_refused_and_owed_to_nobody(
    sandbox: Sandbox, taken: Payment, amount: int, ours: int, coachs: int
) -> None:
    """The dispute was shared as if the refund were on its way: of what both are about, the parts are our loss."""
    refund = give_back(taken, 2_500)
    dispute_id = bank.open_at_stripe(sandbox, taken, amount=amount)
    dispute = services.record_dispute(payment=taken, facts=gateway.retrieve_dispute(dispute_id), now=clock.now())
    sandbox.post(f"/_sandbox/disputes/{dispute_id}/resolve", {"outcome": "lost"})
    services.refresh_dispute(dispute=dispute, now=clock.now())
    sweep()
    assert (fresh(refund).status, owed(taken), books("refunds_in_flight")) == (Status.REFUSED, 0, 0)
    assert (books("platform_losses"), -books(ledger.coach_payable(taken.coach_id))) == (ours, coachs)
    assert_agreed(sandbox)
