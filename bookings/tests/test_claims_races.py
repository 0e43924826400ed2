"""Two at once about one report: exactly one wins, the other is told, and the money follows the winner."""

from datetime import timedelta
from functools import partial

import pytest

from bookings import services
from bookings.demo.stage import settle
from bookings.models import Booking, Claim
from bookings.services import StaleClaim
from bookings.tests.at_once import at_once, refusals
from bookings.tests.factories import END, HOUR, fresh, payment_of
from bookings.tests.far_ahead import book_and_pay, move_to
from bookings.tests.reporting import decide, read, student_reports
from bookings.tests.test_life import operations
from bookings.transition import InvalidState
from coaches.models import Coach, Offering
from marketplace import clock
from marketplace.models import StaffDecision, User
from marketplace.tests.factories import UserFactory
from marketplace.tests.sandbox import Sandbox
from payments.models import Earning, Operation, Payment, Refund
from payments.tests.money_back import assert_agreed, fund, sweep

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.thorough]

Status, State, Outcome = Booking.Status, Claim.State, Claim.Outcome
DAY = timedelta(days=1)


def test_two_of_staff_decide_at_once_and_one_is_told(booking: Booking, staff: User) -> None:
    other = UserFactory.create(is_staff=True)
    claim = student_reports(booking, now=END)
    acts = [
        partial(
            services.decide,
            claim=read(claim),
            actor=who,
            outcome=outcome,
            reason="So.",
            back=None,
            version=claim.version,
            now=END,
        )
        for who, outcome in ((staff, Outcome.NO_SHOW_COACH), (other, Outcome.NO_SHOW_STUDENT))
    ]
    assert refusals(at_once(*acts)) == [StaleClaim]
    row = Claim.objects.get()
    assert StaffDecision.objects.get(decision="claim_decided").actor == row.decided_by
    assert fresh(booking).status == row.outcome
    assert operations(booking) == ["release" if row.outcome == Outcome.NO_SHOW_COACH else "capture"]


def test_contradicted_in_the_moment_in_which_it_decides_itself(booking: Booking, coach: Coach) -> None:
    claim = student_reports(booking, now=END)
    last = END + DAY
    contradict = partial(
        services.contradict, claim=read(claim), actor=coach.user, words="I was there.", now=last - timedelta(seconds=1)
    )
    refused = refusals(at_once(contradict, *[partial(services.settle_due_claims, now=last)] * 5))
    row = Claim.objects.get()
    if refused:
        assert refused == [InvalidState]
        assert (row.state, fresh(booking).status) == (State.DECIDED, Status.NO_SHOW_COACH)
        assert operations(booking) == ["release"]
    else:
        assert (row.state, fresh(booking).status) == (State.CONTRADICTED, Status.ACCEPTED)
        assert operations(booking) == []


def test_many_timers_decide_a_report_once(booking: Booking) -> None:
    student_reports(booking, now=END)
    outcomes = at_once(*[partial(services.settle_due_claims, now=END + DAY)] * 8)
    assert sum(outcomes) == 1
    assert operations(booking) == ["release"]
    assert booking.events.filter(transition="no_show_coach").count() == 1


def test_reported_in_the_moment_in_which_the_coach_completes(booking: Booking, coach: Coach) -> None:
    outcomes = at_once(
        partial(services.complete, booking=fresh(booking), actor=coach.user, now=END),
        partial(student_reports, booking, now=END),
    )
    assert Claim.objects.get().state == State.OPEN
    if refusals(outcomes):
        assert refusals(outcomes) == [InvalidState]
        assert (fresh(booking).status, operations(booking)) == (Status.ACCEPTED, [])
    else:
        assert (fresh(booking).status, operations(booking)) == (Status.COMPLETED, ["capture"])


def test_both_sides_of_a_session_report_at_once(booking: Booking) -> None:
    outcomes = at_once(*[partial(student_reports, booking, now=END)] * 6)
    assert refusals(outcomes) == [InvalidState] * 5
    assert Claim.objects.count() == 1


def test_taken_back_in_the_moment_of_the_decision(booking: Booking, student: User, staff: User) -> None:
    claim = student_reports(booking, now=END)
    outcomes = at_once(
        partial(services.take_back, claim=read(claim), actor=student, now=END + HOUR),
        partial(decide, claim, staff, Outcome.NO_SHOW_COACH, now=END + HOUR),
    )
    assert len(refusals(outcomes)) == 1
    row = Claim.objects.get()
    if row.state == State.DECIDED:
        assert operations(booking) == ["release"]
    else:
        assert (row.state, fresh(booking).status, operations(booking)) == (State.WITHDRAWN, Status.ACCEPTED, [])


def test_decided_in_the_moment_in_which_the_capture_is_recorded(
    sandbox: Sandbox, bookable: Offering, staff: User
) -> None:
    fund(sandbox, "usd")
    booking = book_and_pay(bookable, from_=clock.now() + DAY, card="pm_card_visa")
    settle()
    move_to(booking.ends_at)
    now = clock.now()
    services.complete(booking=fresh(booking), actor=bookable.coach.user, now=now)
    claim = student_reports(booking, now=now)
    outcomes = at_once(sweep, partial(decide, claim, staff, Outcome.NO_SHOW_COACH, now=now))
    if refusals(outcomes):
        assert refusals(outcomes) == [services.StillBeingTaken]
        assert Claim.objects.get().state == State.OPEN
        decide(claim, staff, Outcome.NO_SHOW_COACH, now=now)
    sweep()
    payment = payment_of(booking)
    assert (payment.status, payment.refunded_amount) == (Payment.Status.CAPTURED, 10_000)
    assert Refund.objects.get().status == Refund.Status.SUCCEEDED
    assert Operation.objects.filter(payment=payment, kind=Operation.Kind.REFUND).count() == 1
    assert not Earning.objects.filter(frozen=True).exists()
    assert_agreed(sandbox)
