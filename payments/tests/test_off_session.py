"""Holding on a saved card without the student: once, whatever becomes of the answer, and refused in words."""

from datetime import timedelta

import pytest
import requests
from django.conf import settings

from marketplace import clock
from payments import gateway, operations, pollers, selectors, services
from payments.facts import Fact
from payments.models import Operation, Payment, SettlementMode, StripeEvent
from payments.tests import reports, stage

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

Kind = Operation.Kind
State = Operation.State
Status = Payment.Status
INTENTS = "/v1/payment_intents"
BANK_WANTS_THE_STUDENT = "pm_card_authenticationRequired"


@pytest.fixture
def save(sandbox, student, payable_coach, heard):
    """Saves a card for a payment; what was announced so far is forgotten."""

    def make(card: str = "pm_card_visa", **facts: object) -> Payment:
        payment = stage.save_card(sandbox, student, payable_coach, card=card, **facts)
        heard.clear()
        return payment

    return make


@pytest.fixture
def saved(save):
    return save()


def asked(payment):
    """Asked for, and carried out as far as Stripe lets us."""
    stage.request_hold(payment, clock.now())
    operations.sweep(now=clock.now())
    payment.refresh_from_db()
    return payment


def holds_at_stripe(sandbox):
    rows = stage.at_stripe(sandbox, f"{INTENTS}?limit=100")["data"]
    return [row["id"] for row in rows if row["status"] == "requires_capture"]


def the_one_hold(sandbox, payment, heard):
    """However it came about: one hold at Stripe, ours, told once, and nothing asked for any more."""
    payment.refresh_from_db()
    assert holds_at_stripe(sandbox) == [payment.payment_intent_id]
    assert payment.status == Status.HELD
    assert heard == [(Fact.HOLD_RECORDED, payment.pk)]
    assert not Operation.objects.filter(kind=Kind.HOLD, state__in=Operation.OPEN_STATES).exists()


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
    detach(sandbox, payment.card)
    asked(payment)
    assert (payment.status, heard) == (Status.REFUSED, [(Fact.HOLD_REFUSED, payment.pk)])
    assert (list(selectors.cards_of(student)), payment.settlement_mode) == ([], mode)
    assert holds_at_stripe(sandbox) == []
    assert Operation.objects.get(kind=Kind.HOLD).error_code == "card_removed"


@pytest.mark.faults
def test_a_refusal_is_not_understood_before_the_card_is_asked_after(sandbox, saved, student, heard):
    detach(sandbox, saved.card)
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
    """F76: the student's session is not the worse for it; the monthly run waits for the coach."""
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


# --- the answer is lost -------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch):
    """Stripe has a second to answer."""
    monkeypatch.setattr(gateway, "READ_TIMEOUT_SECONDS", 1)
    gateway._client.cache_clear()
    yield
    gateway._client.cache_clear()


@pytest.mark.faults
@pytest.mark.usefixtures("impatient")
def test_a_timeout_after_the_effect_is_one_hold(sandbox, saved, heard):
    stage.break_next(sandbox, "timeout_after", INTENTS, delay_ms=3000)
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
    cancel(sandbox, holds_at_stripe(sandbox)[0])
    pollers.poll_open_payments(now=clock.now())
    saved.refresh_from_db()
    assert (saved.status, heard) == (Status.REFUSED, [(Fact.HOLD_REFUSED, saved.pk)])


# --- helpers ------------------------------------------------------------------------------------


def detach(sandbox, card):
    """Someone at Stripe's dashboard."""
    gateway.detach_payment_method(card.stripe_payment_method_id, key="dashboard")


def cancel(sandbox, intent_id):
    """Someone at Stripe's dashboard."""
    gateway.cancel_payment_intent(intent_id, params={}, key="dashboard")


def begun_at_stripe(sandbox, payment, status):
    """What Stripe would answer, had it not come to a hold."""
    made = requests.post(
        sandbox.url + INTENTS,
        auth=(settings.STRIPE_SECRET_KEY, ""),
        data={"amount": payment.amount, "currency": payment.currency},
        timeout=30,
    )
    return made.json() | {"status": status}
