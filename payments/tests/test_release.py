"""Giving a hold back, whole, and true to what Stripe says."""

import pytest

from marketplace import clock
from payments import gateway, operations, services
from payments.facts import Fact
from payments.models import Earning, LedgerTransaction, Operation, Payment
from payments.tests import stage

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

Status = Payment.Status


def release(payment: Payment) -> None:
    stage.request_release(payment, clock.now())
    operations.sweep(now=clock.now())
    payment.refresh_from_db()


def test_a_release_gives_all_of_it_back_and_books_nothing(sandbox, held, heard):
    release(held)
    assert held.status == Status.RELEASED
    assert held.released_at is not None
    assert heard == [(Fact.HOLD_RECORDED, held.pk), (Fact.RELEASED, held.pk)]
    assert stage.at_stripe(sandbox, f"/v1/payment_intents/{held.payment_intent_id}")["status"] == "canceled"
    assert LedgerTransaction.objects.count() == 0


def test_what_is_not_held_is_not_released(sandbox, held):
    release(held)
    with pytest.raises(services.PaymentNotHeld):
        stage.request_release(held, clock.now())
    assert len(stage.calls(sandbox, "/cancel")) == 1


def test_a_hold_that_ran_out_meanwhile_is_released_all_the_same(sandbox, held, heard):
    stage.request_release(held, clock.now())
    sandbox.post(f"/_sandbox/payment_intents/{held.payment_intent_id}/lapse")
    operations.sweep(now=clock.now())
    held.refresh_from_db()
    assert held.status == Status.RELEASED
    assert heard == [(Fact.HOLD_RECORDED, held.pk), (Fact.RELEASED, held.pk)]


def test_money_taken_at_the_dashboard_before_our_release_is_booked_and_staff_are_called(sandbox, held, heard, caplog):
    stage.request_release(held, clock.now())
    gateway.capture_payment_intent(held.payment_intent_id, params={}, key="dashboard")
    operations.sweep(now=clock.now())
    held.refresh_from_db()
    assert held.status == Status.CAPTURED
    assert heard == [(Fact.HOLD_RECORDED, held.pk), (Fact.CAPTURED, held.pk)]
    assert "captured_what_was_to_be_released" in caplog.text
    assert Earning.objects.get(payment=held).frozen  # nobody is paid for what was not to be taken
    assert Operation.objects.get(kind=Operation.Kind.RELEASE).state == Operation.State.DONE


def test_a_second_report_of_a_release_changes_nothing(sandbox, held, heard):
    release(held)
    services.refresh_payment(payment=held, now=clock.now())
    assert heard.count((Fact.RELEASED, held.pk)) == 1
