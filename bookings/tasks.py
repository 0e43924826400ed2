"""What the worker does for bookings."""

from celery import shared_task

from bookings import notices, packets, services
from marketplace import clock
from payments import lookout


@shared_task(name="bookings.tasks.run_due_transitions")
def run_due_transitions() -> None:
    now = clock.for_timers()
    # Decided by what the database says of the money: not while Stripe knows more of it than we do.
    if lookout.may_record(now):
        services.run_due_transitions(now=now)
    elif not lookout.is_behind():
        # Stripe does not answer: nobody should miss their session for that.
        services.remind(now=now)


@shared_task(name="bookings.tasks.send_notices")
def send_notices() -> None:
    notices.send_due(now=clock.for_timers())


@shared_task(name="bookings.tasks.build_packets")
def build_packets() -> None:
    packets.build_due(now=clock.for_timers())
