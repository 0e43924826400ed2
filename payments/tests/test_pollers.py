"""With every event lost, asking on a timer alone brings everything to the same state, and not too often."""

from datetime import timedelta

import pytest

from marketplace import clock
from payments import operations, pollers, services
from payments.facts import Fact
from payments.models import Payment, PayoutAccount
from payments.tests import stage

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

Status = Payment.Status


def asked(sandbox, path):
    return len(stage.calls(sandbox, path, method="GET"))


def test_a_paid_page_becomes_a_hold(sandbox, student, payable_coach, heard):
    payment = stage.open_page(student, payable_coach)
    stage.pay(sandbox, payment)
    assert pollers.poll_open_payments(now=clock.now()) == 1
    payment.refresh_from_db()
    assert payment.status == Status.HELD
    assert heard == [(Fact.HOLD_RECORDED, payment.pk)]


def test_a_page_that_ran_out_becomes_lapsed(sandbox, student, payable_coach, heard):
    payment = stage.open_page(student, payable_coach)
    sandbox.advance(41 * 60)
    pollers.poll_open_payments(now=clock.now())
    payment.refresh_from_db()
    assert payment.status == Status.LAPSED
    assert heard == [(Fact.CHECKOUT_EXPIRED, payment.pk)]


def test_a_payment_on_a_page_believed_closed_is_found(sandbox, student, payable_coach, heard):
    payment = stage.open_page(student, payable_coach)
    stage.pay(sandbox, payment)
    services.record_checkout_expired(payment=payment, now=clock.now())
    pollers.poll_open_payments(now=clock.now())
    payment.refresh_from_db()
    assert payment.status == Status.HELD


def test_a_hold_that_ran_out_is_noticed(sandbox, held, heard):
    sandbox.advance(7 * 24 * 3600 + 60)
    pollers.poll_open_payments(now=clock.now())
    held.refresh_from_db()
    assert held.status == Status.LOST
    assert heard[-1] == (Fact.HOLD_LOST, held.pk)


@pytest.mark.parametrize(("request_it", "end"), [("capture", Status.CAPTURED), ("release", Status.RELEASED)])
def test_what_was_done_and_never_answered_is_noticed(request_it, end, sandbox, held, heard):
    """The answer is lost and the operation's next try is far: the poller is first, and the operation agrees later."""
    path = "/v1/payment_intents/*/" + {"capture": "capture", "release": "cancel"}[request_it]
    stage.break_next(sandbox, "reset_after_effect", path)
    getattr(stage, f"request_{request_it}")(held, clock.now())
    operations.sweep(now=clock.now())
    pollers.poll_open_payments(now=clock.now() + timedelta(minutes=2))
    held.refresh_from_db()
    assert held.status == end
    operations.sweep(now=clock.now() + timedelta(minutes=10))
    assert [operation.state for operation in held.operations.filter(kind=request_it)] == ["done"]
    assert len(heard) == 2


@pytest.mark.parametrize(
    ("status", "left", "quiet", "due"),
    [
        (Status.OPEN, timedelta(days=6), timedelta(seconds=14), timedelta(seconds=16)),
        (Status.LAPSED, timedelta(days=6), timedelta(minutes=4), timedelta(minutes=6)),
        (Status.HELD, timedelta(days=6), timedelta(minutes=59), timedelta(minutes=61)),
        (Status.HELD, timedelta(hours=11), timedelta(minutes=9), timedelta(minutes=11)),
        (Status.AUTHORISING, timedelta(days=6), timedelta(seconds=59), timedelta(seconds=61)),
        (Status.CAPTURING, timedelta(days=6), timedelta(seconds=59), timedelta(seconds=61)),
        (Status.RELEASING, timedelta(days=6), timedelta(seconds=59), timedelta(seconds=61)),
    ],
)
def test_each_is_asked_after_at_its_own_pace(status, left, quiet, due, sandbox, held):
    now = clock.now()
    Payment.objects.update(status=status, polled_at=now, capture_before=now + left)
    assert pollers.poll_open_payments(now=now + quiet) == 0
    assert pollers.poll_open_payments(now=now + due) == 1


@pytest.mark.parametrize("status", [Status.SAVED, Status.CAPTURED, Status.RELEASED, Status.LOST, Status.REFUSED])
def test_what_is_finished_is_left_alone(status, sandbox, held):
    Payment.objects.update(status=status)
    assert pollers.poll_open_payments(now=clock.now() + timedelta(days=1)) == 0


def test_a_page_closed_long_ago_is_left_alone(sandbox, student, payable_coach, heard):
    payment = stage.open_page(student, payable_coach)
    services.close_checkout(payment=payment, now=clock.now())
    assert pollers.poll_open_payments(now=clock.now() + timedelta(hours=3)) == 0


def test_the_longest_unasked_come_first(sandbox, student, payable_coach):
    first, second, third = (stage.open_page(student, payable_coach, reference=f"booking:{n}") for n in range(3))
    now = clock.now()
    Payment.objects.filter(pk=first.pk).update(polled_at=now - timedelta(minutes=1))
    Payment.objects.filter(pk=second.pk).update(polled_at=now - timedelta(minutes=2))
    pollers.poll_open_payments(now=now, limit=2)
    polled = set(Payment.objects.filter(polled_at=now).values_list("pk", flat=True))
    assert polled == {third.pk, second.pk}


def test_one_that_differs_keeps_no_other_waiting(sandbox, student, payable_coach, heard, caplog):
    wrong, right = (stage.open_page(student, payable_coach, reference=f"booking:{n}") for n in range(2))
    stage.pay(sandbox, wrong)
    stage.pay(sandbox, right)
    Payment.objects.filter(pk=wrong.pk).update(amount=20_000)
    pollers.poll_open_payments(now=clock.now())
    assert Payment.objects.get(pk=right.pk).status == Status.HELD
    assert Payment.objects.get(pk=wrong.pk).status == Status.OPEN
    assert "payment_differs_from_stripe" in caplog.text


def test_while_stripe_is_down_a_round_ends_at_once(sandbox, student, payable_coach):
    for number in range(3):
        stage.open_page(student, payable_coach, reference=f"booking:{number}")
    before = asked(sandbox, "/v1/checkout/sessions/")
    stage.break_next(sandbox, "rate_limit", "/v1/checkout/sessions/*", method="GET", times=0)
    assert pollers.poll_open_payments(now=clock.now()) == 1
    assert asked(sandbox, "/v1/checkout/sessions/") - before == 1


@pytest.mark.django_db(transaction=True)
def test_two_pollers_at_once_ask_once(sandbox, student, payable_coach):
    stage.open_page(student, payable_coach)
    before = asked(sandbox, "/v1/checkout/sessions/")
    stage.at_once([lambda: pollers.poll_open_payments(now=clock.now())] * 4)
    assert asked(sandbox, "/v1/checkout/sessions/") - before == 1


# --- accounts -----------------------------------------------------------------------------------


def test_an_onboarding_whose_events_are_lost_is_noticed_within_a_minute(sandbox, coach):
    account = services.create_payout_account(coach=coach, country="US", now=clock.now())
    assert pollers.poll_payout_accounts(now=clock.now()) == 1
    sandbox.post(f"/_sandbox/accounts/{account.stripe_account_id}/onboard", {"outcome": "complete"})
    assert pollers.poll_payout_accounts(now=clock.now() + timedelta(seconds=50)) == 0
    assert pollers.poll_payout_accounts(now=clock.now() + timedelta(seconds=61)) == 1
    coach.refresh_from_db()
    assert coach.payable


def test_later_they_are_asked_after_more_rarely(sandbox, coach):
    services.create_payout_account(coach=coach, country="US", now=clock.now())
    now = clock.now() + timedelta(days=2)
    assert pollers.poll_payout_accounts(now=now) == 1
    assert pollers.poll_payout_accounts(now=now + timedelta(minutes=59)) == 0
    assert pollers.poll_payout_accounts(now=now + timedelta(minutes=61)) == 1


def test_one_that_can_be_paid_is_asked_after_every_six_hours(sandbox, payable_coach):
    now = PayoutAccount.objects.get().read_at
    assert now is not None
    assert pollers.poll_payout_accounts(now=now + timedelta(hours=5)) == 0
    assert pollers.poll_payout_accounts(now=now + timedelta(hours=6, minutes=1)) == 1


def test_an_account_that_cant_be_read_goes_to_the_end_of_the_queue(sandbox, coach, caplog):
    account = services.create_payout_account(coach=coach, country="US", now=clock.now())
    stage.break_next(sandbox, "rate_limit", "/v1/accounts/*", method="GET", times=0)
    now = clock.now()
    assert pollers.poll_payout_accounts(now=now) == 1
    assert pollers.poll_payout_accounts(now=now + timedelta(seconds=30)) == 0
    assert "account_poll_failed" in caplog.text
    account.refresh_from_db()
    assert account.read_at == now


def test_a_connection_that_was_cut_is_noticed_without_its_event(sandbox, payable_coach):
    account = PayoutAccount.objects.get()
    sandbox.post(f"/_sandbox/accounts/{account.stripe_account_id}/deauthorize")
    pollers.poll_payout_accounts(now=clock.now() + timedelta(hours=7))
    payable_coach.refresh_from_db()
    assert not payable_coach.payable


def test_an_account_out_of_reach_for_a_while_is_payable_again_afterwards(sandbox, payable_coach):
    """As under another platform's key: that must not cut anyone off for good."""
    refusal = {"error": {"type": "invalid_request_error", "code": "account_invalid", "message": "No access."}}
    stage.break_next(sandbox, "respond", "/v1/accounts/*", method="GET", status=403, body=refusal)
    now = clock.now() + timedelta(hours=7)
    pollers.poll_payout_accounts(now=now)
    payable_coach.refresh_from_db()
    assert not payable_coach.payable
    pollers.poll_payout_accounts(now=now + timedelta(hours=1))
    payable_coach.refresh_from_db()
    assert payable_coach.payable


def test_a_connection_that_was_cut_is_not_asked_after(sandbox, coach):
    account = stage.onboard(sandbox, coach)
    services.record_deauthorised(stripe_account_id=account.stripe_account_id, now=clock.now())
    assert pollers.poll_payout_accounts(now=clock.now() + timedelta(days=1)) == 0
