"""What was begun is done, and done once: under lost answers, dead workers, rivals and forgotten keys."""

import threading
import time
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from celery import Celery

from marketplace import clock
from marketplace.lib.errors import DomainError
from payments import facts, ledger, operations, services
from payments.facts import Fact, listen
from payments.models import Customer, Operation, Payment
from payments.tests import stage
from payments.tests.begun import KINDS, begin

pytestmark = pytest.mark.thorough

Kind = Operation.Kind
State = Operation.State

API_ERROR = {"error": {"type": "api_error", "message": "Something went wrong."}}
REFUSED_KEY = {"error": {"type": "invalid_request_error", "message": "Invalid API Key provided."}}
# Every way in which one answer goes wrong, with and without its effect.
FAULTS: dict[str, dict[str, Any]] = {
    "closed before it was read": {"action": "refuse"},
    "reset before the effect": {"action": "reset_before_effect"},
    "reset after the effect": {"action": "reset_after_effect"},
    "cut in half after the effect": {"action": "truncate_body"},
    "garbage after the effect": {"action": "garbage_body"},
    "another request under way": {"action": "conflict"},
    "too many requests": {"action": "rate_limit"},
    "the object is locked": {"action": "lock_timeout"},
    "502 from the edge before the effect": {"action": "respond", "status": 502, "body": "<html>", "stored": False},
    "503 before the effect": {"action": "respond", "status": 503, "body": API_ERROR},
    "503 after the effect": {"action": "respond_after_effect", "status": 503, "body": API_ERROR},
    "500 before the effect": {"action": "respond", "status": 500, "body": API_ERROR},
    "500 after the effect": {"action": "respond_after_effect", "status": 500, "body": API_ERROR},
    "our key refused for a while": {"action": "respond", "status": 401, "body": REFUSED_KEY, "stored": False},
}


def sweep_for_a_minute() -> None:
    for seconds in (0, 15, 30, 60):
        operations.sweep(now=clock.now() + timedelta(seconds=seconds))


@pytest.mark.faults
@pytest.mark.django_db
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_done_once_whatever_becomes_of_the_answer(kind, fault, sandbox, student, coach, heard):
    path, act = begin(kind, sandbox, student, coach)
    stage.break_next(sandbox, path=path, **FAULTS[fault])
    with suppress(DomainError):
        act()
    sweep_for_a_minute()
    operation = Operation.objects.get(kind=kind)
    assert operation.state == State.DONE
    assert operation.result_id
    assert effects_of(sandbox, path) == 1
    assert len(heard) == len(set(heard))
    assert ledger.check() == []


def effects_of(sandbox, path) -> int:
    return sum(row["effect"] for row in stage.calls(sandbox, "/") if _fits(row["path"], path))


def _fits(address: str, path: str) -> bool:
    head, _, tail = path.partition("*")
    return address == path or (bool(tail) and address.startswith(head) and address.endswith(tail))


@pytest.mark.faults
@pytest.mark.django_db
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("action", ["reset_before_effect", "reset_after_effect"])
def test_after_a_day_it_looks_before_it_sends(kind, action, sandbox, student, coach, heard):
    """Stripe has forgotten the key by then, and would do it a second time."""
    path, act = begin(kind, sandbox, student, coach)
    stage.break_next(sandbox, path=path, action=action, times=0)
    with suppress(DomainError):
        act()
    stage.mend(sandbox)
    sandbox.post("/_sandbox/idempotency/prune")
    sandbox.advance(25 * 3600)
    operations.sweep(now=clock.now())
    operation = Operation.objects.get(kind=kind)
    if kind == Kind.CHECKOUT and action == "reset_before_effect":
        # Too late for a page: its end lies in the past, so Stripe refuses, and that proves there is none.
        assert (operation.state, effects_of(sandbox, path)) == (State.FAILED, 0)
        assert heard == [(Fact.CHECKOUT_EXPIRED, operation.payment_id)]
    elif kind == Kind.EXPIRE_CHECKOUT and action == "reset_before_effect":
        # Its time has closed the page meanwhile: what we wanted is the case.
        assert (operation.state, effects_of(sandbox, path), operation.attempt) == (State.DONE, 0, 1)
    else:
        assert (operation.state, effects_of(sandbox, path)) == (State.DONE, 1)
        assert operation.attempt == (1 if action == "reset_after_effect" else 2)


# --- rivals and dead workers --------------------------------------------------------------------


@pytest.mark.faults
@pytest.mark.django_db(transaction=True)
@pytest.mark.embedded
def test_two_workers_send_one_request(sandbox, held):
    stage.break_next(sandbox, action="delay_before", path="/v1/payment_intents/*/capture", delay_ms=500)
    stage.request_capture(held, clock.now())
    operation = Operation.objects.get(kind=Kind.CAPTURE)
    stage.at_once([lambda: operations.run_operation(operation.pk, now=clock.now())] * 4)
    operation.refresh_from_db()
    assert operation.state == State.DONE
    assert len(stage.calls(sandbox, "/capture")) == 1


@pytest.mark.faults
@pytest.mark.django_db(transaction=True)
@pytest.mark.embedded
def test_a_worker_that_lost_its_lease_writes_nothing(sandbox, held, heard):
    """It slept through its lease: another one has asked Stripe, and its answer alone counts."""
    stage.break_next(sandbox, action="delay_after", path="/v1/payment_intents/*/capture", delay_ms=60_000)
    stage.request_capture(held, clock.now())
    operation = Operation.objects.get(kind=Kind.CAPTURE)
    sleeper = threading.Thread(
        target=stage.apart, args=(lambda: operations.run_operation(operation.pk, now=clock.now()),)
    )
    sleeper.start()
    stage.await_that(lambda: stage.hits(sandbox))
    let_lease_run_out(operation)
    operations.run_operation(operation.pk, now=clock.now() + timedelta(minutes=1))
    operation.refresh_from_db()
    rival_finished_at = operation.finished_at
    assert operation.state == State.DONE
    sandbox.post("/_sandbox/faults/release")
    sleeper.join()
    operation.refresh_from_db()
    held.refresh_from_db()
    assert (operation.state, operation.tries, operation.finished_at) == (State.DONE, 2, rival_finished_at)
    assert held.status == Payment.Status.CAPTURED
    assert stage.effects(sandbox, "/capture") == 1
    assert heard.count((Fact.CAPTURED, held.pk)) == 1
    assert ledger.check() == []


@pytest.mark.faults
@pytest.mark.django_db(transaction=True)
@pytest.mark.embedded
def test_a_rival_of_a_request_under_way_waits_its_turn(sandbox, held):
    """Stripe says that the key is in use: nothing is decided by that."""
    stage.break_next(sandbox, action="delay_before", path="/v1/payment_intents/*/capture", delay_ms=60_000)
    stage.request_capture(held, clock.now())
    operation = Operation.objects.get(kind=Kind.CAPTURE)
    sleeper = threading.Thread(
        target=stage.apart, args=(lambda: operations.run_operation(operation.pk, now=clock.now()),)
    )
    sleeper.start()
    stage.await_that(lambda: stage.hits(sandbox))
    let_lease_run_out(operation)
    operations.run_operation(operation.pk, now=clock.now())
    operation.refresh_from_db()
    sandbox.post("/_sandbox/faults/release")
    sleeper.join()
    assert (operation.state, operation.error_code) == (State.UNKNOWN, "idempotency_key_in_use")
    sweep_for_a_minute()
    held.refresh_from_db()
    assert held.status == Payment.Status.CAPTURED
    assert stage.effects(sandbox, "/capture") == 1


@pytest.mark.faults
@pytest.mark.django_db
@pytest.mark.embedded
def test_what_a_bug_cut_short_stays_loud_and_comes_round_again(sandbox, held):
    """Stripe has taken the money, and the transaction that records it fails: nothing of it is kept but the row."""

    def trip(payment, now):
        raise ZeroDivisionError

    listen(Fact.CAPTURED, trip)
    stage.request_capture(held, clock.now())
    operation = Operation.objects.get(kind=Kind.CAPTURE)
    with pytest.raises(ZeroDivisionError):
        operations.run_operation(operation.pk, now=clock.now())
    held.refresh_from_db()
    operation.refresh_from_db()
    assert (held.status, operation.state) == (Payment.Status.CAPTURING, State.RUNNING)
    assert operations.sweep(now=clock.now() + timedelta(minutes=1)) == 0  # the lease still holds
    facts._listeners[Fact.CAPTURED].remove(trip)
    let_lease_run_out(operation)
    assert operations.sweep(now=clock.now() + timedelta(minutes=1)) == 1
    held.refresh_from_db()
    assert held.status == Payment.Status.CAPTURED
    assert stage.effects(sandbox, "/capture") == 1


@pytest.mark.django_db
@pytest.mark.embedded
def test_a_poison_row_keeps_no_other_waiting_and_is_not_tried_hot(sandbox, held, stranger):
    def trip(payment, now):
        raise ZeroDivisionError

    listen(Fact.CAPTURED, trip)
    stage.request_capture(held, clock.now())
    operations.create_for_own_run(
        Kind.CREATE_CUSTOMER,
        operation_id=Operation._meta.pk.default(),
        params={"email": stranger.email},
        user=stranger,
        now=clock.now() - timedelta(minutes=1),
    )
    assert operations.sweep(now=clock.now()) == 2
    assert Customer.objects.filter(user=stranger).exists()
    poison = Operation.objects.get(kind=Kind.CAPTURE)
    assert poison.state == State.RUNNING
    assert poison.next_try_at > clock.now()


@pytest.mark.faults
@pytest.mark.django_db(transaction=True)
def test_a_lost_broker_costs_no_time_and_no_work(sandbox, held, monkeypatch, settings, unused_port):
    broken = Celery("broken", broker=f"redis://127.0.0.1:{unused_port}/0")
    broken.conf.update(broker_transport_options=settings.CELERY_BROKER_TRANSPORT_OPTIONS)
    monkeypatch.setattr(operations, "current_app", broken)
    started = time.monotonic()
    stage.request_capture(held, clock.now())
    assert time.monotonic() - started < 10
    assert operations.sweep(now=clock.now()) == 1
    held.refresh_from_db()
    assert held.status == Payment.Status.CAPTURED


# --- what is refused, and when to try again -----------------------------------------------------


@pytest.mark.django_db
def test_a_refusal_closes_it_and_is_kept_in_stripes_words(sandbox, student, payable_coach, heard):
    payment = stage.write_down_payment(student, payable_coach)
    refusal = {"error": {"type": "invalid_request_error", "code": "amount_too_small", "message": "Too little."}}
    stage.break_next(sandbox, action="respond", path="/v1/checkout/sessions", status=400, body=refusal)
    with pytest.raises(services.PaymentsUnavailable):
        services.start_checkout(payment=payment, now=clock.now())
    operation = Operation.objects.get(kind=Kind.CHECKOUT)
    assert operation.state == State.FAILED
    assert (operation.error_code, operation.error_message) == ("amount_too_small", "Too little.")
    assert heard == [(Fact.CHECKOUT_EXPIRED, payment.pk)]
    assert operations.sweep(now=clock.now() + timedelta(days=1)) == 0


@pytest.mark.faults
@pytest.mark.django_db
def test_a_refused_look_up_proves_nothing(sandbox, student):
    stage.break_next(sandbox, action="respond", path="/v1/customers", status=500, body=API_ERROR)
    refusal = {"error": {"type": "invalid_request_error", "code": "parameter_invalid", "message": "No."}}
    stage.break_next(sandbox, action="respond", method="GET", path="/v1/customers", status=400, body=refusal)
    with suppress(DomainError):
        services.ensure_customer(user=student, now=clock.now())
    operations.sweep(now=clock.now() + timedelta(seconds=20))
    operation = Operation.objects.get()
    assert (operation.state, operation.must_look_up, operation.attempt) == (State.UNKNOWN, True, 1)
    assert len(stage.calls(sandbox, "/v1/customers")) == 1
    operations.sweep(now=clock.now() + timedelta(minutes=1))
    operation.refresh_from_db()
    assert (operation.state, operation.attempt) == (State.DONE, 2)


@pytest.mark.faults
@pytest.mark.django_db
def test_a_page_is_sent_for_during_five_minutes_and_once_more_at_its_end(sandbox, student, payable_coach, heard):
    payment = stage.write_down_payment(student, payable_coach)
    stage.break_next(sandbox, action="reset_before_effect", path="/v1/checkout/sessions", times=0)
    with suppress(DomainError):
        services.start_checkout(payment=payment, now=clock.now())
    for seconds in range(10, 29 * 60, 10):
        operations.sweep(now=payment.created_at + timedelta(seconds=seconds))
    operation = Operation.objects.get(kind=Kind.CHECKOUT)
    assert 5 <= operation.tries <= 12
    assert payment.checkout_ends_at is not None
    assert operation.next_try_at >= payment.checkout_ends_at
    stage.mend(sandbox)
    sandbox.advance(31 * 60)
    assert operations.sweep(now=clock.now()) == 1
    operation.refresh_from_db()
    payment.refresh_from_db()
    assert (operation.state, payment.status) == (State.FAILED, Payment.Status.LAPSED)
    assert stage.effects(sandbox, "/v1/checkout/sessions") == 0


@pytest.mark.faults
@pytest.mark.django_db
def test_what_stripe_does_not_show_yet_is_looked_up_and_not_sent_again(sandbox, held):
    """The answer that is stored under the key would lack the balance transaction for ever."""
    stage.request_capture(held, clock.now())
    Operation.objects.filter(kind=Kind.CAPTURE).update(params={"intent": held.payment_intent_id, "params": {}})
    operations.sweep(now=clock.now())
    operation = Operation.objects.get(kind=Kind.CAPTURE)
    held.refresh_from_db()
    assert (held.status, operation.state, operation.must_look_up) == (Payment.Status.CAPTURING, State.UNKNOWN, True)
    operations.sweep(now=clock.now() + timedelta(seconds=20))
    held.refresh_from_db()
    assert held.status == Payment.Status.CAPTURED
    assert len(stage.calls(sandbox, "/capture")) == 1
    assert ledger.check() == []


@pytest.mark.faults
@pytest.mark.django_db
def test_an_answer_that_the_intent_is_still_under_way_does_not_close_it(sandbox, held):
    under_way = stage.at_stripe(sandbox, f"/v1/payment_intents/{held.payment_intent_id}") | {"status": "processing"}
    stage.break_next(sandbox, "respond", "/v1/payment_intents/*/capture", status=200, body=under_way)
    stage.request_capture(held, clock.now())
    operations.sweep(now=clock.now())
    operation = Operation.objects.get(kind=Kind.CAPTURE)
    assert (operation.state, operation.must_look_up) == (State.UNKNOWN, True)
    operations.sweep(now=clock.now() + timedelta(seconds=20))
    held.refresh_from_db()
    assert held.status == Payment.Status.CAPTURED
    assert stage.effects(sandbox, "/capture") == 1


@pytest.mark.django_db
def test_it_is_written_down_before_it_is_sent(sandbox, held):
    stage.request_capture(held, clock.now())
    operation = Operation.objects.get(kind=Kind.CAPTURE)
    assert stage.calls(sandbox, "/capture") == []
    operations.run_operation(operation.pk, now=clock.now())
    (sent,) = stage.calls(sandbox, "/capture")
    assert sent["idempotency_key"] == f"{operation.pk}-1"


# --- helpers ------------------------------------------------------------------------------------


def run(operation: Operation) -> Operation:
    return operations.run_operation(operation.pk, now=clock.now())


def let_lease_run_out(operation: Operation) -> None:
    Operation.objects.filter(pk=operation.pk).update(lease_until=clock.wall() - timedelta(seconds=1))
