"""When a hold counts, when it doesn't, and that whoever reports it second changes nothing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from marketplace import clock
from payments import gateway, operations, services
from payments.errors import StripeMismatchError
from payments.facts import Fact
from payments.models import Payment
from payments.tests import stage

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

Status = Payment.Status


@pytest.fixture
def paid(sandbox, student, payable_coach, heard):
    """Paid at Stripe; we don't know it yet."""
    payment = stage.open_page(student, payable_coach)
    stage.pay(sandbox, payment)
    return payment


def intent_of(payment):
    session = gateway.retrieve_checkout_session(payment.checkout_session_id)
    return gateway.retrieve_payment_intent(session.payment_intent)


def test_a_hold_is_recorded_with_the_time_it_ends(sandbox, paid, heard):
    intent = intent_of(paid)
    services.record_hold(payment=paid, intent=intent, now=clock.now())
    paid.refresh_from_db()
    charge = stage.at_stripe(sandbox, f"/v1/payment_intents/{intent.id}?expand[]=latest_charge")["latest_charge"]
    ends = charge["payment_method_details"]["card"]["capture_before"]
    assert paid.status == Status.HELD
    assert (paid.payment_intent_id, paid.charge_id) == (intent.id, charge["id"])
    assert paid.capture_before == datetime.fromtimestamp(ends, UTC)
    assert heard == [(Fact.HOLD_RECORDED, paid.pk)]


def test_a_hold_without_a_stated_end_is_taken_for_a_week(sandbox, paid, heard):
    intent = intent_of(paid)
    unstated = replace(intent, charge=replace(intent.charge, capture_before=None))
    services.record_hold(payment=paid, intent=unstated, now=clock.now())
    paid.refresh_from_db()
    assert paid.capture_before == intent.created + timedelta(days=7)


def test_a_second_report_changes_nothing(paid, heard):
    intent = intent_of(paid)
    services.record_hold(payment=paid, intent=intent, now=clock.now())
    held_at = Payment.objects.get().held_at
    services.record_hold(payment=paid, intent=intent, now=clock.now() + timedelta(hours=1))
    assert Payment.objects.get().held_at == held_at
    assert heard == [(Fact.HOLD_RECORDED, paid.pk)]


@pytest.mark.django_db(transaction=True)
def test_many_reports_at_once_are_one(paid, heard):
    intent = intent_of(paid)
    stage.at_once([lambda: services.record_hold(payment=Payment.objects.get(), intent=intent, now=clock.now())] * 6)
    assert heard == [(Fact.HOLD_RECORDED, paid.pk)]


def test_a_late_report_moves_nothing_back(sandbox, paid, heard):
    intent = intent_of(paid)
    services.record_hold(payment=paid, intent=intent, now=clock.now())
    stage.request_capture(paid, clock.now())
    operations.sweep(now=clock.now())
    services.record_intent(payment=paid, intent=intent, now=clock.now())
    assert Payment.objects.get().status == Status.CAPTURED
    assert heard == [(Fact.HOLD_RECORDED, paid.pk), (Fact.CAPTURED, paid.pk)]


@pytest.mark.everyday(4)
@pytest.mark.parametrize(
    "forged",
    [
        {"amount": 9_999},
        {"amount": 1_000_000},
        {"currency": "eur"},
        {"customer": "cus_someoneelse"},
        {"customer": ""},
        {"livemode": True},
        {"metadata": {}},
        {"metadata": {"payment_id": "424242"}},
    ],
    ids=str,
)
def test_an_intent_that_is_not_the_one_we_asked_for_is_refused(forged, paid, heard):
    intent = replace(intent_of(paid), **forged)
    with pytest.raises(StripeMismatchError):
        services.record_hold(payment=paid, intent=intent, now=clock.now())
    assert Payment.objects.get().status == Status.OPEN
    assert heard == []


def test_another_intent_does_not_replace_the_one_that_is_held(held):
    other = replace(gateway.retrieve_payment_intent(held.payment_intent_id), id="pi_other", status="canceled")
    with pytest.raises(StripeMismatchError):
        services.record_intent(payment=held, intent=other, now=clock.now())
    assert Payment.objects.get().status == Status.HELD


def test_a_payment_that_comes_after_all_still_counts(sandbox, paid, heard):
    """We believed the page closed; the student had paid."""
    services.record_checkout_expired(payment=paid, now=clock.now())
    services.refresh_payment(payment=paid, now=clock.now())
    assert Payment.objects.get().status == Status.HELD
    assert heard == [(Fact.CHECKOUT_EXPIRED, paid.pk), (Fact.HOLD_RECORDED, paid.pk)]


def test_a_second_page_is_not_opened_while_there_is_one(student, payable_coach):
    stage.open_page(student, payable_coach)
    with pytest.raises(services.HoldUnderWay):
        stage.write_down_payment(student, payable_coach)
    assert Payment.objects.count() == 1


def test_a_second_hold_for_the_same_thing_is_given_back(sandbox, held, student, heard):
    second = stage.open_page(student, held.coach)
    stage.pay(sandbox, second)
    services.refresh_payment(payment=second, now=clock.now())
    second.refresh_from_db()
    assert second.status == Status.RELEASING
    operations.sweep(now=clock.now())
    second.refresh_from_db()
    held.refresh_from_db()
    assert (held.status, second.status) == (Status.HELD, Status.RELEASED)
    assert stage.at_stripe(sandbox, f"/v1/payment_intents/{second.payment_intent_id}")["status"] == "canceled"
    assert heard == [(Fact.HOLD_RECORDED, held.pk), (Fact.RELEASED, second.pk)]


@pytest.mark.django_db(transaction=True)
def test_of_two_holds_at_once_one_is_kept(sandbox, student, payable_coach, heard):
    """The first page was paid after we took it for closed, and another one was opened."""
    first = stage.open_page(student, payable_coach)
    stage.pay(sandbox, first)
    services.record_checkout_expired(payment=first, now=clock.now())
    second = stage.open_page(student, payable_coach)
    stage.pay(sandbox, second)
    stage.at_once([partial(services.refresh_payment, payment=payment, now=clock.now()) for payment in (first, second)])
    operations.sweep(now=clock.now())
    assert sorted(Payment.objects.values_list("status", flat=True)) == [Status.HELD, Status.RELEASED]
    assert len([fact for fact, _ in heard if fact == Fact.HOLD_RECORDED]) == 1


def test_a_refusal_is_kept_in_the_banks_words_and_the_page_stays_open(sandbox, student, payable_coach, heard):
    payment = stage.open_page(student, payable_coach)
    with pytest.raises(Exception, match="402"):
        stage.pay(sandbox, payment, card="pm_card_visa_chargeDeclined")
    services.refresh_payment(payment=payment, now=clock.now())
    payment.refresh_from_db()
    assert payment.status == Status.OPEN
    assert payment.last_refusal == "Your card was declined."
    assert heard == []
    stage.pay(sandbox, payment)
    services.refresh_payment(payment=payment, now=clock.now())
    payment.refresh_from_db()
    assert payment.status == Status.HELD


def test_a_hold_that_ran_out_is_lost_once(sandbox, held, heard):
    sandbox.post(f"/_sandbox/payment_intents/{held.payment_intent_id}/lapse")
    for _ in range(2):
        services.refresh_payment(payment=held, now=clock.now())
    held.refresh_from_db()
    assert held.status == Status.LOST
    assert heard == [(Fact.HOLD_RECORDED, held.pk), (Fact.HOLD_LOST, held.pk)]


def test_a_hold_cancelled_before_we_knew_of_it_was_never_there(sandbox, paid, heard):
    sandbox.post(f"/_sandbox/payment_intents/{intent_of(paid).id}/lapse")
    services.refresh_payment(payment=paid, now=clock.now())
    paid.refresh_from_db()
    assert paid.status == Status.LAPSED
    assert heard == [(Fact.CHECKOUT_EXPIRED, paid.pk)]


def test_a_state_that_we_do_not_know_changes_nothing(held, heard):
    intent = replace(gateway.retrieve_payment_intent(held.payment_intent_id), status="requires_reauthorization")
    services.record_intent(payment=held, intent=intent, now=clock.now())
    assert Payment.objects.get().status == Status.HELD
    assert heard == [(Fact.HOLD_RECORDED, held.pk)]
