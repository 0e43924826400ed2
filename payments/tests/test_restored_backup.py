"""A backup is restored, older than what Stripe knows: nothing is done a second time, and nothing stays unknown."""

import pytest

from coaches.models import Coach
from marketplace import clock
from marketplace.tests.factories import CoachFactory
from payments import lookout, payouts, reconcile, services
from payments.errors import PaymentNotSaved
from payments.models import (
    Difference,
    Earning,
    Payment,
    PayoutAccount,
    PayoutLine,
    PayoutRun,
    Reconciliation,
    Standstill,
)
from payments.services import standstill
from payments.tests import holding, money_back, stage
from payments.tests.restored import all_timers, compare, go_on, live_a_day, sent, state

pytestmark = pytest.mark.django_db(transaction=True)

Status = Payment.Status


def known_coach() -> Coach:
    """Here before the backup by the sandbox's clock; the database notes the machine's own time."""
    coach = CoachFactory.create()
    Coach.objects.filter(pk=coach.pk).update(created_at=clock.now())
    return coach


def test_after_a_comparison_all_is_as_it_was(sandbox, before, backup):
    live_a_day(sandbox, before)
    was, done = state(), sent(sandbox)
    backup.restore()
    assert state() != was

    standstill.begin_after_restore(reason="A backup is restored.", actor=None, now=clock.now())
    compare()

    assert state() == was
    assert sent(sandbox) == done
    money_back.assert_agreed(sandbox)
    assert list(Difference.objects.filter(state=Difference.State.OPEN)) == []
    go_on()
    all_timers()
    assert sent(sandbox) == done
    assert state() == was
    money_back.assert_agreed(sandbox)


def test_timers_that_start_before_anybody_has_looked_send_nothing(sandbox, before, backup):
    """And whoever asks for the same once more, a rule or a person, does not get it twice."""
    live_a_day(sandbox, before)
    was, done = state(), sent(sandbox)
    backup.restore()

    now = clock.now()
    money_back.give_back(before["to refund"], 3_000)
    stage.request_capture(before["to capture"], now)
    stage.request_hold(before["to hold"], now)
    all_timers()

    assert sent(sandbox) == done
    standing = Standstill.objects.get(ended_at=None)
    assert (standing.behind, standing.began_by) == (True, None)
    assert PayoutRun.objects.count() == 0
    with pytest.raises(standstill.StandstillNeeded, match="reconcile --full"):
        go_on()
    compare()
    go_on()
    all_timers()
    assert sent(sandbox) == done
    assert state() == was
    money_back.assert_agreed(sandbox)


def test_what_was_given_back_is_not_held_anew(sandbox, before, backup, heard):
    """A hold that is gone is made anew on the student's card; not so where it was we who gave it back."""
    live_a_day(sandbox, before)
    backup.restore()
    heard.clear()
    lookout.look_out(clock.now())
    compare()
    assert Payment.objects.get(pk=before["to release"].pk).status == Status.RELEASED
    assert "hold_lost" not in [fact for fact, _ in heard]


@pytest.mark.thorough
def test_what_was_held_and_given_back_meanwhile_is_not_held_again(sandbox, before, backup):
    payment = holding.asked(before["to hold"])
    stage.request_release(payment, clock.now())
    money_back.sweep()
    done = sent(sandbox)
    backup.restore()
    all_timers()
    compare()
    go_on()
    payment.refresh_from_db()
    assert payment.status == Status.RELEASED
    with pytest.raises(PaymentNotSaved):
        stage.request_hold(payment, clock.now())
    assert sent(sandbox) == done


@pytest.mark.thorough
def test_a_run_that_was_under_way_is_finished_by_what_was_paid(sandbox, before, backup):
    earning = Earning.objects.latest("release_at")
    end = payouts.end_of(earning.release_at.strftime("%Y-%m"))
    sandbox.advance(int((end - sandbox.now()).total_seconds()) + 5)
    run = payouts.open_run(payouts.month_before(clock.now()), clock.now())
    backup.take()
    all_timers()
    was, done = state(), sent(sandbox)
    backup.restore()

    all_timers()
    assert run.lines.get().status == PayoutLine.Status.PLANNED
    compare()
    go_on()
    all_timers()

    assert (state(), sent(sandbox)) == (was, done)


def test_a_payment_that_is_lost_is_left_to_a_person(sandbox, before, backup, student, payable_coach):
    lost = stage.hold(sandbox, student, payable_coach, reference="booking:99")
    backup.restore()
    assert lookout.look_out(clock.now()) is False
    compare()

    difference = Difference.objects.get(code=lookout.LOST_CHANGE)
    assert difference.object_id == lost.payment_intent_id
    assert "does not have" in difference.stripes["not_repaired"]
    with pytest.raises(standstill.StandstillNeeded, match=str(lost.payment_intent_id)):
        go_on()
    Difference.objects.filter(pk=difference.pk).update(state=Difference.State.EXPLAINED)
    go_on()
    assert lookout.look_out(clock.now()) is True
    assert not lookout.is_standing_still()


@pytest.mark.thorough
def test_a_younger_payment_with_the_number_of_a_lost_one_is_not_taken_for_it(
    sandbox, before, backup, student, payable_coach
):
    lost = stage.hold(sandbox, student, payable_coach, reference="booking:99")
    sandbox.advance(3_600)
    backup.restore()
    young = stage.write_down_payment(student, payable_coach, reference="booking:99")
    assert young.pk == lost.pk
    lookout.look_out(clock.now())
    compare()
    young.refresh_from_db()
    assert (young.status, young.payment_intent_id) == (Status.OPEN, None)
    assert Difference.objects.filter(code=lookout.LOST_CHANGE, state=Difference.State.OPEN).count() == 1


@pytest.mark.thorough
def test_a_transfer_that_fits_no_line_is_left_to_a_person(sandbox, before, backup):
    live_a_day(sandbox, before)
    backup.restore()
    Earning.objects.filter(payment=before["to dispute"]).update(frozen=True)
    lookout.look_out(clock.now())
    compare()
    left = Difference.objects.get(code=lookout.LOST_CHANGE, object_type="lost_transfer")
    assert "was transferred" in left.stripes["not_repaired"]
    assert PayoutLine.objects.get().status == PayoutLine.Status.PLANNED
    with pytest.raises(standstill.StandstillNeeded):
        go_on()


def test_what_a_second_try_takes_over_needs_nobodys_word(sandbox, before, backup):
    coach = known_coach()
    backup.take()
    account = stage.onboard(sandbox, coach)
    backup.restore()
    in_the_way = PayoutAccount.objects.create(coach=coach, stripe_account_id="acct_another", country="US")
    lookout.look_out(clock.now())
    compare()
    difference = Difference.objects.get(code=lookout.LOST_CHANGE, state=Difference.State.OPEN)
    in_the_way.delete()

    standstill.begin_after_restore(reason="What was in the way is gone.", actor=None, now=clock.now())
    compare()

    difference.refresh_from_db()
    assert difference.state == Difference.State.REPAIRED
    assert PayoutAccount.objects.get(coach=coach).stripe_account_id == account.stripe_account_id
    go_on()


def test_an_account_that_was_made_meanwhile_is_the_coachs_again(sandbox, before, backup):
    coach = known_coach()
    backup.take()
    account = stage.onboard(sandbox, coach)
    backup.restore()
    assert lookout.look_out(clock.now()) is False
    compare()
    assert coach.payout_account.stripe_account_id == account.stripe_account_id
    go_on()
    made = services.create_payout_account(coach=coach, country="US", now=clock.now())
    assert made.stripe_account_id == account.stripe_account_id
    assert lookout.look_out(clock.now()) is True


@pytest.mark.thorough
def test_broken_off_it_is_to_be_called_again(sandbox, before, backup):
    live_a_day(sandbox, before)
    was = state()
    backup.restore()
    lookout.look_out(clock.now())
    stage.break_next(sandbox, "respond", "/v1/disputes", method="GET", status=503, body={}, stored=False, times=2)
    broken = reconcile.reconcile(scope=Reconciliation.Scope.FULL, now=clock.now())
    assert "did not answer" in broken.not_compared["lost_changes"]
    assert Standstill.objects.get().behind
    stage.mend(sandbox)
    compare()
    assert state() == was
