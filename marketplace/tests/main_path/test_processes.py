"""Redis gone, processes killed and doubled: the rows are the promise, and everything ends the same."""

import os
import time
from concurrent.futures import Future
from datetime import timedelta
from typing import Any

import pytest
import requests

from bookings.models import Booking
from marketplace.tests.main_path import state
from marketplace.tests.main_path.killing import SILENCE_MS, Undisturbed, let_the_leases_run_out
from marketplace.tests.main_path.processes import Process
from marketplace.tests.main_path.product import Product
from marketplace.tests.main_path.story import Status, Story
from payments.models import Operation, Payment
from payments.operations import LEASE

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.thorough]


class Once:
    """Does something to the product the first time that Stripe is asked this and keeps silent."""

    def __init__(self, product: Product, path: str, action: str = "timeout_after") -> None:
        rule = {"method": "POST", "path": path, "action": action, "delay_ms": SILENCE_MS}
        product.stripe_control("POST", "faults", rule)
        product.watchers.append(self)

    def look(self, product: Product, asking: "Future[Any] | None") -> None:
        if any(rule["hits"] for rule in product.stripe_control("GET", "faults")["data"]):
            product.watchers.remove(self)
            self.strike(product)

    def strike(self, product: Product) -> None:
        raise NotImplementedError


# --- Redis --------------------------------------------------------------------------------------


class Flusher:
    """Loses every task that is queued when a person has asked for something: the fast path never comes."""

    def look(self, product: Product, asking: "Future[Any] | None") -> None:
        if asking is not None:
            product.flush_redis()


def test_redis_flushed_again_and_again(product: Product, undisturbed: Undisturbed) -> None:
    product.watchers.append(Flusher())
    Story(product).tell()

    state.assert_sound(product)
    assert state.state(product) == undisturbed.state


def test_redis_stopped_while_sessions_go_on(product: Product) -> None:
    story = Story(product)
    story.onboard()
    booking = story.book(hour=10)
    story.pay(booking)
    product.redis.kill()
    story.teacher.post(f"/teach/sessions/{booking.pk}/accept/")
    product.set_clock(booking.ends_at)
    story.teacher.post(f"/teach/sessions/{booking.pk}/complete/")

    taken = Booking.objects.get(pk=booking.pk)
    assert (taken.status, taken.payment and taken.payment.status) == (Status.COMPLETED, Payment.Status.CAPTURING)
    assert product.stripe_list("charges")[0]["captured"] is False

    product.redis.start()
    story.until(booking, Status.COMPLETED, Payment.Status.CAPTURED)
    story.turn_the_month()
    product.until_quiet()
    state.assert_sound(product)
    assert [charge["captured"] for charge in product.stripe_list("charges")] == [True]
    assert [transfer["amount"] for transfer in product.stripe_list("transfers")] == [8_000]


# --- the web process ----------------------------------------------------------------------------


class KillWeb(Once):
    def strike(self, product: Product) -> None:
        product.web.kill()
        product.web.start()


def test_gunicorn_killed_while_a_student_books(product: Product) -> None:
    """Killed whole, and the student presses again at once, while the dead process still holds its lease."""
    story = Story(product)
    story.onboard()
    KillWeb(product, "/v1/checkout/sessions")
    with pytest.raises(requests.ConnectionError):
        story.book(hour=10)
    product.await_web()
    booking = Booking.objects.get()
    assert (booking.status, booking.payment and booking.payment.checkout_session_id) == (Status.AWAITING_PAYMENT, None)
    assert story.press_book(hour=10) == f"/sessions/{booking.pk}/"
    assert "can&#x27;t reach our payment provider" in story.student.get(f"/sessions/{booking.pk}/").text

    let_the_leases_run_out()
    product.let_pass(timedelta(minutes=1))
    story.book(hour=10)
    story.pay(booking)

    product.until_quiet()
    assert Booking.objects.get() == booking
    assert len(product.stripe_list("checkout/sessions")) == len(product.stripe_list("payment_intents")) == 1
    assert Operation.objects.filter(kind=Operation.Kind.CHECKOUT).count() == 1


# --- workers and beats --------------------------------------------------------------------------


class KillPoolProcess(Once):
    def strike(self, product: Product) -> None:
        product.worker.kill_children()
        let_the_leases_run_out()
        product.let_pass(timedelta(minutes=1))


def test_a_pool_process_killed_while_its_worker_lives_on(product: Product, undisturbed: Undisturbed) -> None:
    """As by a machine that is out of memory: the worker hands the task out again, to a new process."""
    KillPoolProcess(product, "/v1/payment_intents/*/capture")
    Story(product).tell()

    assert product.watchers == []
    state.assert_sound(product)
    assert state.state(product) == undisturbed.state


def test_two_beats_and_two_workers(product: Product, undisturbed: Undisturbed) -> None:
    """By the product's own schedule, doubled: nothing is helped on."""
    product.ticks = ()
    helpers = [product.worker_named("second"), product.beat_named("beat-1"), product.beat_named("beat-2")]
    try:
        for helper in helpers:
            helper.start()
        Story(product).tell()
        assert all(helper.running for helper in helpers)
    finally:
        _end(helpers)

    state.assert_sound(product)
    assert state.state(product) == undisturbed.state


def _end(helpers: list[Process]) -> None:
    for helper in helpers:
        helper.end()


@pytest.mark.skipif(os.environ.get("FULL_SWEEP") != "true", reason="waits for real leases; FULL_SWEEP=true runs it")
def test_a_lease_runs_out_by_itself(product: Product) -> None:
    """The other tests end leases by hand. Here a killed worker's own one is waited for, a minute long."""
    story = Story(product)
    story.onboard()
    booking = story.book(hour=10)
    story.pay(booking)
    story.answer(booking, "accept", Status.ACCEPTED)

    class KillWorker(Once):
        def strike(self, product: Product) -> None:
            product.worker.kill()
            product.worker.start()

    KillWorker(product, "/v1/payment_intents/*/capture", "timeout_before")
    begun = time.monotonic()
    story.complete(booking)

    assert time.monotonic() - begun > LEASE.total_seconds()
    assert product.watchers == []
    state.assert_sound(product)
