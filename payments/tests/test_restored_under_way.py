"""A backup is restored that was taken between writing a change down and sending it: the row is there, unsent."""

from collections.abc import Callable

import pytest

from marketplace import clock
from marketplace.tests.sandbox import Sandbox
from payments import lookout, operations
from payments.models import Operation, Payment, Standstill
from payments.tests import money_back, stage
from payments.tests.restored import all_timers, compare, go_on, sent, state

pytestmark = pytest.mark.django_db(transaction=True)

Payments = dict[str, Payment]
# By then Stripe has forgotten the key under which it was sent.
LATER = 30 * 3_600


def refund(payments: Payments) -> None:
    money_back.give_back(payments["to refund"], 3_000)


def hold(payments: Payments) -> None:
    stage.request_hold(payments["to hold"], clock.now())


def capture(payments: Payments) -> None:
    stage.request_capture(payments["to capture"], clock.now())


def release(payments: Payments) -> None:
    stage.request_release(payments["to release"], clock.now())


@pytest.mark.everyday(1)
@pytest.mark.parametrize("ask", [refund, hold, capture, release])
def test_what_was_sent_after_the_backup_is_not_sent_again(sandbox, before, backup, ask: Callable[[Payments], None]):
    all_timers()
    ask(before)
    backup.take()
    sandbox.advance(60)
    money_back.sweep()
    sandbox.advance(LATER)
    all_timers()
    was, done = state(), sent(sandbox)
    backup.restore()

    all_timers()

    assert sent(sandbox) == done
    assert Standstill.objects.get(ended_at=None).behind
    compare()
    assert state() == was
    assert not Operation.objects.filter(state__in=Operation.OPEN_STATES).exists()
    go_on()
    all_timers()
    assert (state(), sent(sandbox)) == (was, done)
    money_back.assert_agreed(sandbox)
    assert lookout.look_out(clock.now()) is True


def begin_to_fetch_back(sandbox: Sandbox, payments: Payments) -> list[Operation]:
    """Two equal parts of one coach's money, each by a reversal that waits to be sent."""
    money_back.pay_month(sandbox)
    all_timers()
    for name in ("to refund", "refunded by us"):
        money_back.give_back(payments[name], 3_000)
    for refund in Operation.objects.filter(kind=Operation.Kind.REFUND, state=Operation.State.PENDING):
        operations.run_operation(refund.pk, now=clock.now())
    waiting = list(Operation.objects.filter(kind=Operation.Kind.REVERSAL).order_by("created_at"))
    assert [each.state for each in waiting] == [Operation.State.PENDING] * 2
    return waiting


def test_reversals_that_were_sent_after_the_backup_are_not_sent_again(sandbox, before, backup):
    """They are in no list but their transfer's. The newest is sent first: each is taken for what asked for it."""
    waiting = begin_to_fetch_back(sandbox, before)
    backup.take()
    for each in reversed(waiting):
        operations.run_operation(each.pk, now=clock.now())
        sandbox.advance(60)
    sandbox.advance(LATER)
    all_timers()
    was, done = state(), sent(sandbox)
    backup.restore()

    all_timers()

    assert sent(sandbox) == done
    compare()
    assert state() == was
    go_on()
    all_timers()
    assert (state(), sent(sandbox)) == (was, done)


def test_what_waits_to_be_sent_is_no_sign_of_a_loss(sandbox, before, backup):
    refund(before)
    assert lookout.look_out(clock.now()) is True
    money_back.sweep()
    assert lookout.look_out(clock.now()) is True


def test_a_hold_that_was_under_way_and_given_back_is_not_asked_for_again(sandbox, before, backup, heard):
    """Taken for a refusal, it would bring the student a link to pay."""
    payment = before["to hold"]
    all_timers()
    hold(before)
    backup.take()
    money_back.sweep()
    payment.refresh_from_db()
    stage.request_release(payment, clock.now())
    money_back.sweep()
    done = sent(sandbox)
    backup.restore()
    heard.clear()
    lookout.look_out(clock.now())
    compare()
    go_on()
    all_timers()
    payment.refresh_from_db()
    assert payment.status == Payment.Status.RELEASED
    assert "hold_refused" not in [fact for fact, _ in heard]
    assert sent(sandbox) == done
    assert lookout.look_out(clock.now()) is True
