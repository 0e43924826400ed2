"""Holding on a saved card without the student: once, whatever becomes of the answer."""

from contextlib import contextmanager
from datetime import timedelta

import pytest

from marketplace import clock
from payments import operations, pollers, services
from payments.facts import Fact
from payments.gateway import calls
from payments.models import Operation, Payment, StripeEvent
from payments.tests import reports, stage
from payments.tests.holding import (
    INTENTS,
    asked,
    cancel,
    holds_at_stripe,
    the_one_hold,
)

pytestmark = [pytest.mark.django_db, pytest.mark.embedded, pytest.mark.thorough]

Kind = Operation.Kind
State = Operation.State
Status = Payment.Status


# --- held ---------------------------------------------------------------------------------------


def test_the_price_is_held_on_the_saved_card(sandbox, saved, heard):
    card = saved.card
    asked(saved)
    the_one_hold(sandbox, saved, heard)
    intent = stage.at_stripe(sandbox, f"{INTENTS}/{saved.payment_intent_id}")
    assert (intent["amount"], intent["currency"], intent["capture_method"]) == (10_000, "usd", "manual")
    assert intent["payment_method"] == card.stripe_payment_method_id
    assert (saved.card, saved.charge_id) == (card, intent["latest_charge"])


def test_it_bears_the_marks_of_its_page_and_of_its_own_operation(sandbox, saved):
    asked(saved)
    marks = stage.at_stripe(sandbox, f"{INTENTS}/{saved.payment_intent_id}")["metadata"]
    assert marks == {
        "booking_id": "1",
        "session_type": "LIVE_SESSION",
        "payment_id": str(saved.pk),
        "operation_id": str(Operation.objects.get(kind=Kind.HOLD).pk),
    }


@pytest.mark.parametrize(
    ("card", "life"),
    [
        ("pm_card_visa", timedelta(days=4, hours=18)),
        ("pm_card_mastercard", timedelta(days=7)),
        ("pm_card_amex", timedelta(days=7)),
        ("pm_card_discover", timedelta(days=7)),
    ],
)
def test_it_lives_as_long_as_its_network_lets_it(card, life, save):
    payment = asked(save(card))
    assert payment.capture_before is not None
    assert payment.held_at is not None
    assert abs(payment.capture_before - payment.held_at - life) < timedelta(seconds=30)


def test_a_card_set_up_with_the_bank_needs_the_student_no_more(sandbox, save, heard):
    payment = asked(save("pm_card_authenticationRequiredOnSetup"))
    the_one_hold(sandbox, payment, heard)


def test_only_a_saved_card_is_held_on(sandbox, held):
    with pytest.raises(services.PaymentNotSaved):
        stage.request_hold(held, clock.now())
    assert not Operation.objects.filter(kind=Kind.HOLD).exists()


def test_no_hold_is_asked_for_while_a_link_is_open(sandbox, saved, student, payable_coach):
    stage.open_page(student, payable_coach, replaces=saved)
    with pytest.raises(services.HoldUnderWay):
        stage.request_hold(saved, clock.now())
    saved.refresh_from_db()
    assert saved.status == Status.SAVED


@pytest.mark.django_db(transaction=True)
def test_two_askings_at_once_are_one_hold(sandbox, saved, heard):
    refused = []

    def ask():
        try:
            stage.request_hold(Payment.objects.get(), clock.now())
        except services.PaymentNotSaved:
            refused.append(ask)

    stage.at_once([ask] * 3)
    operation = Operation.objects.get(kind=Kind.HOLD)
    stage.at_once([lambda: operations.run_operation(operation.pk, now=clock.now())] * 4)
    assert len(refused) == 2
    assert len([call for call in stage.calls(sandbox, INTENTS) if call["path"] == INTENTS]) == 1
    the_one_hold(sandbox, saved, heard)


# --- the answer is lost -------------------------------------------------------------------------


@contextmanager
def impatient(monkeypatch):
    """Stripe has a second to answer."""
    with monkeypatch.context() as patch:
        patch.setattr(calls, "READ_TIMEOUT_SECONDS", 1)
        calls.client.cache_clear()
        yield
    calls.client.cache_clear()


@pytest.mark.faults
def test_a_timeout_after_the_effect_is_one_hold(sandbox, saved, heard, monkeypatch):
    stage.break_next(sandbox, "timeout_after", INTENTS, delay_ms=60_000)
    with impatient(monkeypatch):
        asked(saved)
    assert (saved.status, Operation.objects.get(kind=Kind.HOLD).state) == (Status.AUTHORISING, State.UNKNOWN)
    operations.sweep(now=clock.now() + timedelta(minutes=1))
    the_one_hold(sandbox, saved, heard)


@pytest.mark.faults
@pytest.mark.parametrize("action", ["reset_after_effect", "garbage_body"])
def test_the_poller_finds_it_before_the_sweeper_and_nobody_asks_again(action, sandbox, saved, heard):
    stage.break_next(sandbox, action, INTENTS)
    asked(saved)
    pollers.poll_open_payments(now=clock.now())
    the_one_hold(sandbox, saved, heard)
    # The payment is free for what comes next, though no answer has ever come.
    stage.request_capture(saved, clock.now())
    operations.sweep(now=clock.now() + timedelta(minutes=5))
    saved.refresh_from_db()
    assert saved.status == Status.CAPTURED
    assert stage.effects(sandbox, f"{INTENTS}") == 2  # the hold, and its capture


@pytest.mark.faults
def test_its_events_alone_tell_it(sandbox, saved, heard):
    stage.break_next(sandbox, "reset_after_effect", INTENTS)
    asked(saved)
    reports.deliver_and_work(reversed(reports.events(sandbox)))
    the_one_hold(sandbox, saved, heard)
    assert not StripeEvent.objects.filter(state=StripeEvent.State.PARKED).exists()


@pytest.mark.faults
@pytest.mark.django_db(transaction=True)
def test_the_answer_the_event_and_the_poller_at_once_are_one_hold(sandbox, saved, heard):
    stage.request_hold(saved, clock.now())
    stage.break_next(sandbox, "reset_after_effect", INTENTS)
    operation = Operation.objects.get(kind=Kind.HOLD)
    operations.run_operation(operation.pk, now=clock.now())
    told = [reports.deliver(event) for event in reports.events(sandbox, "charge.succeeded")]
    later = clock.now() + timedelta(minutes=1)
    stage.at_once(
        [
            lambda: operations.run_operation(operation.pk, now=later),
            lambda: reports.work(*told),
            lambda: pollers.poll_open_payments(now=later),
            lambda: services.refresh_payment(payment=Payment.objects.get(), now=later),
        ]
    )
    the_one_hold(sandbox, saved, heard)


@pytest.mark.faults
def test_killed_between_send_and_record_the_sweeper_repairs_it(sandbox, saved, heard, monkeypatch):
    stage.request_hold(saved, clock.now())
    operation = Operation.objects.get(kind=Kind.HOLD)
    with monkeypatch.context() as dying:
        dying.setattr(operations, "_close_done", die)
        with pytest.raises(KeyboardInterrupt):
            operations.run_operation(operation.pk, now=clock.now())
    operation.refresh_from_db()
    assert (operation.state, len(holds_at_stripe(sandbox)), heard) == (State.RUNNING, 1, [])
    Operation.objects.update(lease_until=clock.wall() - timedelta(seconds=1))
    operations.sweep(now=clock.now() + timedelta(minutes=1))
    the_one_hold(sandbox, saved, heard)


def die(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.faults
@pytest.mark.parametrize(("action", "sent"), [("reset_before_effect", 2), ("reset_after_effect", 1)])
def test_a_key_older_than_20_hours_looks_before_it_sends(action, sent, sandbox, saved, heard):
    stage.break_next(sandbox, action, INTENTS)
    asked(saved)
    sandbox.post("/_sandbox/idempotency/prune")
    sandbox.advance(20 * 3600 + 60)
    operations.sweep(now=clock.now())
    the_one_hold(sandbox, saved, heard)
    assert len([call for call in stage.calls(sandbox, INTENTS) if call["path"] == INTENTS]) == sent


@pytest.mark.faults
def test_a_hold_cancelled_at_stripe_before_we_knew_of_it_is_a_refusal(sandbox, saved, heard):
    stage.break_next(sandbox, "reset_after_effect", INTENTS)
    asked(saved)
    cancel(holds_at_stripe(sandbox)[0])
    pollers.poll_open_payments(now=clock.now())
    saved.refresh_from_db()
    assert (saved.status, heard) == (Status.REFUSED, [(Fact.HOLD_REFUSED, saved.pk)])
