"""What the worker does for coaches."""

from celery import shared_task

from coaches.feeds import keeping
from marketplace import clock


@shared_task(name=keeping.READ_TASK)
def read_calendars() -> None:
    keeping.read_due(now=clock.for_timers())
