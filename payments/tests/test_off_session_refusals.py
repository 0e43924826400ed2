"""A hold on a saved card that is refused: by the bank, for the card, or for the coach."""

from datetime import timedelta

import pytest

from marketplace import clock
from payments import operations, pollers, selectors, services
from payments.facts import Fact
from payments.models import Operation, Payment, SettlementMode
from payments.tests import reports, stage
from payments.tests.holding import (
    BANK_WANTS_THE_STUDENT,
    INTENTS,
    asked,
    begun_at_stripe,
    detach,
    holds_at_stripe,
    the_one_hold,
)

pytestmark = [pytest.mark.django_db, pytest.mark.embedded, pytest.mark.thorough]

Kind = Operation.Kind
State = Operation.State
Status = Payment.Status


# --- refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("card", "code"),
    [
        ("pm_card_chargeCustomerFail", "card_declined"),
        (BANK_WANTS_THE_STUDENT, "authentication_required"),
    ],
)
def test_a_refusal_is_final_and_told_once(card, code, sandbox, save, heard):
    payment = asked(save(card))
    assert payment.status == Status.REFUSED
    assert payment.last_refusal.startswith("Your card was declined.")
    assert heard == [(Fact.HOLD_REFUSED, payment.pk)]
    operation = Operation.objects.get(kind=Kind.HOLD)
    assert (operation.state, operation.error_code) == (State.FAILED, code)
    sandbox.advance(3700)
    operations.sweep(now=clock.now())
    pollers.poll_open_payments(now=clock.now())
    assert (len(holds_at_stripe(sandbox)), stage.effects(sandbox, INTENTS)) == (0, 1)
    assert heard == [(Fact.HOLD_REFUSED, payment.pk)]


@pytest.mark.parametrize("action", ["reset_after_effect", "garbage_body", "truncate_body"])
def test_a_refusal_whose_answer_is_lost_is_found_and_told_once(action, sandbox, save, heard):
    payment = save(BANK_WANTS_THE_STUDENT)
    stage.break_next(sandbox, action, INTENTS)
    asked(payment)
    assert payment.status == Status.AUTHORISING
    pollers.poll_open_payments(now=clock.now())
    payment.refresh_from_db()
    assert payment.status == Status.REFUSED
    operations.sweep(now=clock.now() + timedelta(minutes=5))
    reports.deliver_and_work(reports.events(sandbox, "payment_intent.payment_failed"))
    assert heard == [(Fact.HOLD_REFUSED, payment.pk)]
    assert Operation.objects.get(kind=Kind.HOLD).state == State.FAILED


def test_the_event_of_a_refusal_tells_it_before_the_answer(sandbox, save, heard):
    payment = save("pm_card_chargeCustomerFail")
    stage.break_next(sandbox, "reset_after_effect", INTENTS)
    asked(payment)
    reports.deliver_and_work(reports.events(sandbox, "payment_intent.payment_failed"))
    operations.sweep(now=clock.now() + timedelta(minutes=5))
    payment.refresh_from_db()
    assert (payment.status, heard) == (Status.REFUSED, [(Fact.HOLD_REFUSED, payment.pk)])
    assert stage.effects(sandbox, INTENTS) == 1


def test_a_key_too_old_finds_the_refusal(sandbox, save, heard):
    payment = save(BANK_WANTS_THE_STUDENT)
    stage.break_next(sandbox, "reset_after_effect", INTENTS)
    asked(payment)
    sandbox.post("/_sandbox/idempotency/prune")
    sandbox.advance(21 * 3600)
    operations.sweep(now=clock.now())
    payment.refresh_from_db()
    assert (payment.status, heard) == (Status.REFUSED, [(Fact.HOLD_REFUSED, payment.pk)])
    assert stage.effects(sandbox, INTENTS) == 1


@pytest.mark.parametrize("mode", SettlementMode)
def test_a_card_removed_at_stripe_is_a_refusal_and_known_to_be_gone(mode, sandbox, save, student, payable_coach, heard):
    """By someone at the dashboard; no event has reached us."""
    services.choose_settlement_mode(coach=payable_coach, mode=mode, now=clock.now())
    payment = save()
    detach(payment.card)
    asked(payment)
    assert (payment.status, heard) == (Status.REFUSED, [(Fact.HOLD_REFUSED, payment.pk)])
    assert (list(selectors.cards_of(student)), payment.settlement_mode) == ([], mode)
    assert holds_at_stripe(sandbox) == []
    assert Operation.objects.get(kind=Kind.HOLD).error_code == "card_removed"


@pytest.mark.faults
def test_a_refusal_is_not_understood_before_the_card_is_asked_after(sandbox, saved, student, heard):
    detach(saved.card)
    stage.break_next(sandbox, "respond", "/v1/payment_methods/*", method="GET", status=503, times=2, body="<html>")
    asked(saved)
    assert (saved.status, heard) == (Status.AUTHORISING, [])
    operations.sweep(now=clock.now() + timedelta(minutes=1))
    saved.refresh_from_db()
    assert (saved.status, list(selectors.cards_of(student))) == (Status.REFUSED, [])


def test_what_stripe_refuses_for_another_reason_is_a_refusal_too(sandbox, saved, heard):
    refusal = {"error": {"type": "invalid_request_error", "code": "amount_too_large", "message": "Too much."}}
    stage.break_next(sandbox, "respond", INTENTS, status=400, body=refusal)
    asked(saved)
    assert (saved.status, saved.last_refusal) == (Status.REFUSED, "Too much.")
    assert heard == [(Fact.HOLD_REFUSED, saved.pk)]


@pytest.mark.parametrize("status", ["requires_confirmation", "requires_action"])
def test_what_is_begun_at_stripe_and_held_nowhere_is_a_refusal(status, sandbox, saved, heard):
    begun = begun_at_stripe(sandbox, saved, status)
    stage.break_next(sandbox, "respond", INTENTS, status=200, body=begun)
    asked(saved)
    assert (saved.status, heard) == (Status.REFUSED, [(Fact.HOLD_REFUSED, saved.pk)])


def test_what_is_still_under_way_decides_nothing(sandbox, saved, heard):
    begun = begun_at_stripe(sandbox, saved, "processing")
    stage.break_next(sandbox, "respond", INTENTS, status=200, body=begun)
    asked(saved)
    operation = Operation.objects.get(kind=Kind.HOLD)
    assert (saved.status, heard) == (Status.AUTHORISING, [])
    assert (operation.state, operation.must_look_up) == (State.UNKNOWN, True)


# --- the coach's account ------------------------------------------------------------------------


def test_a_coach_who_is_paid_per_session_is_the_destination(sandbox, save, payable_coach):
    services.choose_settlement_mode(coach=payable_coach, mode=SettlementMode.PER_SESSION, now=clock.now())
    payment = asked(save())
    intent = stage.at_stripe(sandbox, f"{INTENTS}/{payment.payment_intent_id}")
    assert intent["transfer_data"]["destination"] == payment.destination
    assert intent["application_fee_amount"] == 2_000


def test_a_coach_who_can_not_be_paid_now_turns_it_to_monthly(sandbox, save, payable_coach, heard):
    """The student's session is not the worse for it; the monthly run waits for the coach."""
    services.choose_settlement_mode(coach=payable_coach, mode=SettlementMode.PER_SESSION, now=clock.now())
    payment = save()
    sandbox.post(f"/_sandbox/accounts/{payment.destination}/restrict")
    asked(payment)
    operations.sweep(now=clock.now())
    the_one_hold(sandbox, payment, heard)
    assert (payment.settlement_mode, payment.destination) == (SettlementMode.MONTHLY, "")
    intent = stage.at_stripe(sandbox, f"{INTENTS}/{payment.payment_intent_id}")
    assert (intent["transfer_data"], intent["application_fee_amount"]) == (None, None)
    states = Operation.objects.filter(kind=Kind.HOLD).order_by("created_at").values_list("state", flat=True)
    assert sorted(states) == [State.DONE, State.FAILED]


def test_a_bank_that_says_no_does_not_change_how_the_coach_is_paid(save, payable_coach, heard):
    services.choose_settlement_mode(coach=payable_coach, mode=SettlementMode.PER_SESSION, now=clock.now())
    payment = asked(save(BANK_WANTS_THE_STUDENT))
    assert (payment.status, payment.settlement_mode) == (Status.REFUSED, SettlementMode.PER_SESSION)
    assert heard == [(Fact.HOLD_REFUSED, payment.pk)]
