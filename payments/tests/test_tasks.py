"""Every tick of the schedule has its task, and each tick does nothing wrong in an empty house."""

import pytest
from celery import current_app
from django.conf import settings as configured

from marketplace import clock
from payments import tasks
from payments.models import Operation, Payment
from payments.tests import stage

pytestmark = pytest.mark.django_db(transaction=True)

OURS = sorted(
    entry["task"].removeprefix("payments.tasks.")
    for entry in configured.CELERY_BEAT_SCHEDULE.values()
    if entry["task"].startswith("payments.")
)


@pytest.mark.parametrize("name", OURS)
def test_each_tick_runs_in_an_empty_house(name, sandbox):
    assert f"payments.tasks.{name}" in current_app.tasks
    getattr(tasks, name)()


@pytest.mark.parametrize("name", OURS)
def test_no_tick_does_anything_by_a_clock_that_is_wrong(name, sandbox, settings, monkeypatch):
    def differ():
        raise clock.WrongClockError

    settings.STRIPE_LOOK_OUT_SECONDS = 120
    monkeypatch.setattr(clock, "for_timers", differ)
    with pytest.raises(clock.WrongClockError):
        getattr(tasks, name)()


def test_the_fast_path_carries_an_operation_out(sandbox, held):
    stage.request_capture(held, clock.now())
    tasks.run_operation(str(Operation.objects.get(kind=Operation.Kind.CAPTURE).pk))
    held.refresh_from_db()
    assert held.status == Payment.Status.CAPTURED
