"""Sessions after a backup was restored: nobody is charged for what they had cancelled, nor twice for what they had."""

from datetime import timedelta

import pytest

from bookings import services
from bookings import tasks as bookings_tasks
from bookings.demo.stage import settle
from bookings.models import Booking
from bookings.tests.factories import fresh
from bookings.tests.far_ahead import book_and_pay, holds_at_stripe, move_to
from coaches.models import Offering
from marketplace import clock
from marketplace.lib.money import Money
from marketplace.tests.sandbox import Sandbox
from payments import reconcile, tasks
from payments.models import Payment, Reconciliation
from payments.services import standstill
from payments.tests import stage
from payments.tests.backups import Backup

DAY = timedelta(days=1)


def timers() -> None:
    for _ in range(3):
        bookings_tasks.run_due_transitions()
        tasks.poll_open_payments()
        tasks.sweep_events()
        tasks.sweep_operations()


@pytest.mark.django_db(transaction=True)
def test_a_cancelled_one_is_not_held_anew_and_one_that_took_place_is_taken_once(
    sandbox: Sandbox, bookable: Offering
) -> None:
    cancelled = book_and_pay(bookable, from_=clock.now() + DAY, card="pm_card_visa")
    held = book_and_pay(bookable, from_=cancelled.ends_at, card="pm_card_visa")
    settle()
    backup = Backup()
    backup.take()
    nothing = Money(0, bookable.currency)
    services.cancel_by_student(
        booking=fresh(cancelled), actor=cancelled.student.user, expected_kept=nothing, now=clock.now()
    )
    settle()
    move_to(held.ends_at)
    services.complete(booking=fresh(held), actor=bookable.coach.user, now=clock.now())
    settle()
    before = sorted((each["id"], each["status"]) for each in holds_at_stripe(sandbox))
    assert [status for _, status in before].count("succeeded") == 1
    done = stage.calls(sandbox, "/v1/")
    backup.restore()
    backup.drop()

    standstill.begin_after_restore(reason="The disk broke.", actor=None, now=clock.now())
    timers()
    assert {each.status for each in Booking.objects.all()} == {Booking.Status.ACCEPTED}
    reconcile.reconcile(scope=Reconciliation.Scope.FULL, now=clock.now())
    standstill.end(reason="All of it is taken over.", actor=None, now=clock.now())
    move_to(held.ends_at + 2 * DAY)
    timers()

    assert sorted((each["id"], each["status"]) for each in holds_at_stripe(sandbox)) == before
    assert stage.calls(sandbox, "/v1/") == done
    states = dict(Payment.objects.values_list("reference", "status"))
    assert states == {cancelled.reference: "released", held.reference: "captured"}
    assert fresh(held).status == Booking.Status.COMPLETED
