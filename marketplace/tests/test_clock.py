"""A worker whose clock is wrong does nothing by time, and says so."""

from collections.abc import Callable
from datetime import timedelta
from threading import Thread
from typing import Any
from urllib.request import urlopen

import pytest
from django.db import connection
from structlog.testing import capture_logs

from bookings import tasks as booking_tasks
from bookings.tests.factories import accepted, fresh, known_student, payable
from coaches.models import Coach, Offering
from marketplace import clock
from marketplace.clock import WrongClockError
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import tasks as payment_tasks

pytestmark = pytest.mark.django_db

needs_two_clocks = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has no clock of its own")
TIMED: list[Callable[[], Any]] = [
    booking_tasks.run_due_transitions,
    booking_tasks.send_notices,
    payment_tasks.sweep_operations,
    payment_tasks.poll_open_payments,
    payment_tasks.close_overdue_pages,
    payment_tasks.run_due_payouts,
]


def set_wall(monkeypatch: pytest.MonkeyPatch, ahead: timedelta) -> None:
    right = clock.wall
    monkeypatch.setattr(clock, "wall", lambda: right() + ahead)


@needs_two_clocks
@pytest.mark.parametrize("ahead", [timedelta(seconds=65), timedelta(seconds=-65), timedelta(days=400)])
@pytest.mark.parametrize("task", TIMED, ids=lambda task: task.__name__)
def test_a_worker_whose_clock_is_wrong_refuses_to_work(
    task: Callable[[], Any], ahead: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_wall(monkeypatch, ahead)
    with capture_logs() as logs, pytest.raises(WrongClockError):
        task()
    assert [line["event"] for line in logs if line["log_level"] == "critical"] == ["clock_differs_from_the_database"]


@needs_two_clocks
def test_a_worker_a_year_ahead_completes_and_captures_nothing(
    student: User, coach: Coach, offering: Offering, monkeypatch: pytest.MonkeyPatch
) -> None:
    payable(coach)
    booking = accepted(known_student(student), offering)
    set_wall(monkeypatch, timedelta(days=400))
    with pytest.raises(WrongClockError):
        booking_tasks.run_due_transitions()
    assert fresh(booking).status == "accepted"
    assert fresh(booking).version == booking.version


def test_a_clock_that_is_a_little_off_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    set_wall(monkeypatch, timedelta(seconds=50))
    before = clock.wall()
    assert before <= clock.for_timers() <= clock.wall()


def test_the_answer_costs_one_query(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1 if connection.vendor == "postgresql" else 0):
        clock.for_timers()


def test_an_answer_from_before_the_sandboxs_clock_was_moved_is_not_believed(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = clock.now()
    movers: list[Thread] = []

    def meanwhile_moved(*asked: Any, **options: Any) -> Any:
        answer = urlopen(*asked, **options)
        monkeypatch.setattr(clock, "urlopen", urlopen)
        sandbox.post("/_sandbox/clock", {"advance": 3600})
        movers.append(Thread(target=clock.forget_offset))
        movers[0].start()
        movers[0].join(0.5)
        return answer

    clock.forget_offset()
    monkeypatch.setattr(clock, "urlopen", meanwhile_moved)
    clock.now()
    movers[0].join()
    assert clock.now() - before >= timedelta(hours=1)
