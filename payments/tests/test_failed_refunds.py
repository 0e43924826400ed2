"""A refund that came back from the bank: sent again once and no more, or paid by other means as two people say."""

from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.errors import DomainError
from marketplace.models import StaffDecision, User
from marketplace.tests.factories import UserFactory
from marketplace.tests.sandbox import Sandbox
from payments import gateway, ledger, pollers, selectors, services
from payments.errors import NotStaff, OwnMoney, RefundUnderWay, RefundWhileDisputed, SecondPersonNeeded
from payments.models import Earning, LedgerTransaction, Operation, Payment, Refund, Reversal
from payments.reconcile import refunds as reconciled
from payments.services import failed_refunds
from payments.services.failed_refunds import NothingSaid, NotOwed, PaidOtherwise, TryAgainFirst
from payments.story import story_of
from payments.tests import bank, reports, stage
from payments.tests.money_back import (
    assert_agreed,
    at_coach,
    books,
    captured,
    come_back,
    give_back,
    given_back,
    made_at_stripe,
    refunds_at_stripe,
    sweep,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("heard"), pytest.mark.thorough]

Status = Refund.Status
WHY = "The student has a new card on the same account."


@pytest.fixture
def taken(sandbox: Sandbox, student: User, payable_coach: Coach) -> Payment:
    """100.00 USD taken, of which 80.00 are the coach's."""
    return captured(sandbox, student, payable_coach)


@pytest.fixture
def failed(sandbox: Sandbox, taken: Payment) -> Refund:
    """25.00 of it came back from the student's bank."""
    return come_back(sandbox, given_back(taken, 2_500))


def fresh(refund: Refund) -> Refund:
    return Refund.objects.select_related("payment").get(pk=refund.pk)


def send_again(refund: Refund, actor: User) -> Refund:
    return failed_refunds.send_again(refund=fresh(refund), reason=WHY, actor=actor, now=clock.now())


def owed(refund: Refund) -> int:
    return -books(f"refunds_owed:{refund.payment.payer_id}")


def counted(refund: Refund) -> tuple[int, int, int]:
    payment = Payment.objects.get(pk=refund.payment_id)
    return payment.refunded_amount, payment.taken_back_amount, payment.returned_fee_amount


def posted(kind: str) -> int:
    return LedgerTransaction.objects.filter(kind=kind).count()


# --- sent again ---------------------------------------------------------------------------------


def test_it_is_sent_again_by_a_row_of_its_own(sandbox: Sandbox, failed: Refund, staff: User) -> None:
    again = send_again(failed, staff)
    assert (fresh(failed).status, again.status, again.replaces) == (Status.REPLACED, Status.REQUESTED, failed)
    assert (owed(failed), books("refunds_in_flight")) == (0, -2_500)
    assert ledger.check() == []

    sweep()
    again = fresh(again)
    assert again.status == Status.SUCCEEDED
    assert again.stripe_refund_id not in (None, failed.stripe_refund_id)
    assert again.operations.get().pk != failed.operations.get().pk
    assert (again.coach_part, again.fee_part, again.loss_part) == (2_000, 500, 0)
    assert counted(failed) == (2_500, 2_000, 500)
    assert list(Earning.objects.order_by("pk").values_list("amount", flat=True)) == [8_000, -2_000]
    assert refunds_at_stripe(sandbox, failed.payment) == [2_500]
    assert [step.label for step in selectors.timeline(fresh(failed).payment)][-1] == "Refunded"
    assert_agreed(sandbox)
    decision = StaffDecision.objects.get()
    assert (decision.decision, decision.actor, decision.reason) == ("refund_sent_again", staff, WHY)


def test_it_may_fail_again_and_be_sent_a_third_time(sandbox: Sandbox, failed: Refund, staff: User) -> None:
    again = send_again(failed, staff)
    sweep()
    again = come_back(sandbox, fresh(again))
    assert (fresh(failed).status, again.status, owed(failed)) == (Status.REPLACED, Status.FAILED, 2_500)
    assert_agreed(sandbox)
    third = send_again(again, staff)
    sweep()
    assert (fresh(third).status, owed(failed), counted(failed)[0]) == (Status.SUCCEEDED, 0, 2_500)
    assert_agreed(sandbox)


def test_its_old_news_changes_nothing(sandbox: Sandbox, failed: Refund, staff: User) -> None:
    again = send_again(failed, staff)
    sweep()
    services.refresh_refund(refund=fresh(failed), now=clock.now())
    told = reports.deliver_and_work(reports.events(sandbox, "refund.created", "refund.failed", "charge.refunded"))
    assert {row.state for row in told} == {"done"}
    assert (fresh(failed).status, fresh(again).status) == (Status.REPLACED, Status.SUCCEEDED)
    assert (Refund.objects.count(), owed(failed)) == (2, 0)
    assert_agreed(sandbox)


def test_the_coachs_part_is_not_fetched_back_twice(
    sandbox: Sandbox, student: User, payable_coach: Coach, staff: User
) -> None:
    payment = captured(sandbox, student, payable_coach, mode="per_session")
    failed = come_back(sandbox, given_back(payment, 2_500))
    assert at_coach(sandbox, payable_coach, "usd") == 6_000
    send_again(failed, staff)
    sweep()
    assert Reversal.objects.count() == 1
    assert at_coach(sandbox, payable_coach, "usd") == 6_000
    assert_agreed(sandbox)


def test_a_second_click_is_refused(failed: Refund, staff: User) -> None:
    send_again(failed, staff)
    with pytest.raises(NotOwed):
        send_again(failed, UserFactory.create(is_staff=True))
    sweep()
    with pytest.raises(NotOwed):
        send_again(failed, staff)
    assert Operation.objects.filter(kind=Operation.Kind.REFUND).count() == 2


def test_of_many_people_one_sends_it_again(sandbox: Sandbox, failed: Refund) -> None:
    people = [UserFactory.create(is_staff=True) for _ in range(6)]

    def click(actor: User) -> None:
        with suppress(DomainError):
            send_again(failed, actor)

    stage.at_once([partial(click, actor) for actor in people])
    sweep()
    assert refunds_at_stripe(sandbox, failed.payment) == [2_500]
    assert (Refund.objects.count(), posted("refund_again")) == (2, 1)
    assert_agreed(sandbox)


@pytest.mark.parametrize("action", ["reset_before_effect", "reset_after_effect", "truncate_body"])
def test_a_lost_answer_sends_it_once(sandbox: Sandbox, failed: Refund, staff: User, action: str) -> None:
    again = send_again(failed, staff)
    stage.break_next(sandbox, action, "/v1/refunds")
    sweep(timedelta(0))
    sweep(timedelta(minutes=10))
    assert refunds_at_stripe(sandbox, failed.payment) == [2_500]
    assert (fresh(again).status, owed(failed)) == (Status.SUCCEEDED, 0)
    assert_agreed(sandbox)


@pytest.mark.parametrize("heard_of", ["never", "before it is sent", "after it is sent"])
def test_what_the_dashboard_sends_meanwhile_is_not_sent_twice(
    sandbox: Sandbox, failed: Refund, staff: User, heard_of: str
) -> None:
    again = send_again(failed, staff)
    made = made_at_stripe(sandbox, failed.payment, 2_500)
    if heard_of == "before it is sent":
        [row] = reports.deliver_and_work(reports.events(sandbox, "refund.created")[-1:])
        assert row.state == "new"  # ours is settled first
    sweep()
    assert (fresh(again).status, fresh(failed).status, owed(failed)) == (Status.REFUSED, Status.FAILED, 2_500)
    assert "dashboard" in fresh(again).failure
    assert ledger.check() == []
    if heard_of == "after it is sent":
        reports.deliver_and_work(reports.events(sandbox, "refund.created")[-1:])
    pollers.find_refunds_at_stripe(now=clock.now())

    assert (fresh(failed).stripe_refund_id, fresh(failed).status) == (made, Status.SUCCEEDED)
    assert refunds_at_stripe(sandbox, failed.payment) == [2_500]
    assert (owed(failed), counted(failed)) == (0, (2_500, 2_000, 500))
    assert_agreed(sandbox)


def test_the_dashboards_refund_that_we_know_by_then_leaves_nothing_to_send(
    sandbox: Sandbox, failed: Refund, staff: User
) -> None:
    made_at_stripe(sandbox, failed.payment, 2_500)
    pollers.find_refunds_at_stripe(now=clock.now())
    with pytest.raises(NotOwed):
        send_again(failed, staff)
    assert Refund.objects.count() == 1


def test_where_stripe_refuses_it_is_owed_as_before(sandbox: Sandbox, failed: Refund, staff: User) -> None:
    again = send_again(failed, staff)
    bank.open_at_stripe(sandbox, failed.payment)
    sweep()
    assert (fresh(again).status, fresh(failed).status) == (Status.REFUSED, Status.FAILED)
    assert (owed(failed), books("refunds_in_flight"), counted(failed)) == (2_500, 0, (2_500, 2_000, 500))
    assert sum(Earning.objects.values_list("amount", flat=True)) == 6_000
    assert ledger.check() == []
    third = send_again(failed, staff)
    assert (third.replaces, third.status) == (failed, Status.REQUESTED)


def test_it_is_not_sent_again_while_it_is_disputed(sandbox: Sandbox, failed: Refund, staff: User) -> None:
    bank.days_later(sandbox, 5)
    dispute = bank.disputed(sandbox, failed.payment)
    with pytest.raises(RefundWhileDisputed):
        send_again(failed, staff)
    bank.decide(sandbox, dispute, "lost")
    with pytest.raises(NotOwed):  # the bank has given the student all of it
        send_again(failed, staff)
    assert (fresh(failed).status, Refund.objects.count()) == (Status.FAILED, 1)


def test_only_staff_with_no_part_in_it_send_it_again(failed: Refund) -> None:
    payment = failed.payment
    User.objects.filter(pk=payment.payer_id).update(is_staff=True)
    with pytest.raises(OwnMoney):
        send_again(failed, payment.payer)
    with pytest.raises(NotStaff):
        send_again(failed, UserFactory.create())
    assert fresh(failed).status == Status.FAILED


def test_it_waits_for_what_is_under_way(sandbox: Sandbox, failed: Refund, staff: User) -> None:
    give_back(failed.payment, 1_000)
    with pytest.raises(RefundUnderWay):
        send_again(failed, staff)
    assert (fresh(failed).status, owed(failed), posted("refund_again")) == (Status.FAILED, 2_500, 0)


def test_stripe_still_calls_it_failed_and_that_is_no_difference(sandbox: Sandbox, failed: Refund, staff: User) -> None:
    again = send_again(failed, staff)
    sweep()
    read = [gateway.retrieve_refund(str(fresh(refund).stripe_refund_id)) for refund in (failed, again)]
    assert [facts.status for facts in read] == ["failed", "succeeded"]
    assert list(reconciled.COMPARISON.compare(read)) == []


def test_the_payments_story_tells_each_try(failed: Refund, staff: User) -> None:
    again = send_again(failed, staff)
    sweep()
    steps = story_of(Payment.objects.get()).steps
    tries = [(step.title, step.row) for step in steps if step.row in (failed, again)]
    assert tries == [
        ("Refund asked for", failed),
        ("Refund: sent again", failed),
        ("Refund sent again", again),
        ("Refund: with the student", again),
    ]
    told = {step.fact for step in steps if step.fact}
    assert set(LedgerTransaction.objects.filter(payment=failed.payment)) <= told
    assert not any(step.unbooked for step in steps)


# --- paid by other means ------------------------------------------------------------------------


@pytest.fixture
def second(sandbox: Sandbox, failed: Refund, staff: User) -> Refund:
    """It was sent again, and came back again."""
    again = send_again(failed, staff)
    sweep()
    return come_back(sandbox, fresh(again))


@pytest.fixture
def colleague(db: None) -> User:
    return UserFactory.create(is_staff=True)


def act(how: Any, refund: Refund, actor: User) -> None:
    facts = {"amount": refund.money} if how is failed_refunds.say_paid_otherwise else {}
    how(refund=fresh(refund), reason="By bank transfer of 20 November.", actor=actor, now=clock.now(), **facts)


def test_two_people_say_that_it_was_paid_by_other_means(
    sandbox: Sandbox, second: Refund, staff: User, colleague: User
) -> None:
    act(failed_refunds.say_paid_otherwise, second, staff)
    assert (fresh(second).status, owed(second)) == (Status.FAILED, 2_500)
    bank_before = books("bank")

    act(failed_refunds.confirm_paid_otherwise, second, colleague)
    settled = fresh(second)
    assert (settled.status, settled.otherwise_by, settled.otherwise_agreed_by) == (Status.OTHERWISE, staff, colleague)
    assert (owed(second), books("bank") - bank_before) == (0, -2_500)
    assert counted(second) == (2_500, 2_000, 500)
    assert_agreed(sandbox)
    said = ["refund_sent_again", "refund_said_paid_otherwise", "refund_paid_otherwise"]
    assert list(StaffDecision.objects.order_by("pk").values_list("decision", flat=True)) == said
    for late in (failed_refunds.confirm_paid_otherwise, failed_refunds.say_paid_otherwise):
        with pytest.raises(NotOwed):
            act(late, second, colleague)


def test_nobody_confirms_their_own_word(second: Refund, staff: User) -> None:
    act(failed_refunds.say_paid_otherwise, second, staff)
    with pytest.raises(SecondPersonNeeded):
        act(failed_refunds.confirm_paid_otherwise, second, staff)
    assert (fresh(second).status, owed(second)) == (Status.FAILED, 2_500)


def test_what_was_not_tried_twice_is_not_paid_otherwise(failed: Refund, staff: User, colleague: User) -> None:
    with pytest.raises(TryAgainFirst):
        act(failed_refunds.say_paid_otherwise, failed, staff)
    with pytest.raises(NothingSaid):
        act(failed_refunds.confirm_paid_otherwise, failed, colleague)
    assert fresh(failed).otherwise_by is None


def test_while_it_is_said_it_is_not_sent_again_and_after_a_denial_it_is(
    sandbox: Sandbox, second: Refund, staff: User, colleague: User
) -> None:
    act(failed_refunds.say_paid_otherwise, second, staff)
    for how in (failed_refunds.send_again, failed_refunds.say_paid_otherwise):
        with pytest.raises(PaidOtherwise):
            act(how, second, colleague)
    act(failed_refunds.deny_paid_otherwise, second, colleague)
    with pytest.raises(NothingSaid):
        act(failed_refunds.deny_paid_otherwise, second, colleague)
    send_again(second, colleague)
    sweep()
    assert (owed(second), refunds_at_stripe(sandbox, second.payment)) == (0, [2_500])
    assert_agreed(sandbox)


def test_confirmed_and_sent_again_at_once_it_reaches_the_student_once(
    sandbox: Sandbox, second: Refund, staff: User, colleague: User
) -> None:
    act(failed_refunds.say_paid_otherwise, second, staff)

    def one(how: Any, actor: User) -> None:
        with suppress(DomainError):
            act(how, second, actor)

    def denied_and_sent() -> None:
        one(failed_refunds.deny_paid_otherwise, staff)
        one(failed_refunds.send_again, staff)

    stage.at_once([partial(one, failed_refunds.confirm_paid_otherwise, colleague), denied_and_sent])
    sweep()
    paid_out = 2_500 if fresh(second).status == Status.OTHERWISE else 0
    assert paid_out + sum(refunds_at_stripe(sandbox, second.payment)) == 2_500
    assert owed(second) == 0
    assert_agreed(sandbox)


def test_sent_again_in_the_dashboard_nobodys_word_counts_any_more(
    sandbox: Sandbox, second: Refund, staff: User, colleague: User
) -> None:
    act(failed_refunds.say_paid_otherwise, second, staff)
    made_at_stripe(sandbox, second.payment, 2_500)
    pollers.find_refunds_at_stripe(now=clock.now())
    assert (fresh(second).status, fresh(second).otherwise_by) == (Status.SUCCEEDED, None)
    with pytest.raises(NotOwed):
        act(failed_refunds.confirm_paid_otherwise, second, colleague)
    assert_agreed(sandbox)
