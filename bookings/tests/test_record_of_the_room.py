"""A report that our own record of the room speaks against does not decide itself: staff do."""

from datetime import timedelta
from functools import partial

import pytest
from django.core import mail

from bookings import at_risk, notices, services
from bookings.history import line_of
from bookings.models import Booking, Claim, Notice
from bookings.process import Role
from bookings.tests.at_once import at_once, refusals
from bookings.tests.factories import END, HOUR, SECOND, START, fresh, payment_of
from bookings.tests.reporting import (
    MINUTE,
    coach_reports,
    decide,
    read,
    stay_in_the_room,
    student_reports,
    the_claim,
    wait_in_the_room,
)
from bookings.tests.test_life import last_event, mails, operations
from bookings.transition import InvalidState
from coaches.models import Coach
from marketplace.models import StaffDecision, User
from payments.models import Payment

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

Status, Kind, State, Outcome = Booking.Status, Claim.Kind, Claim.State, Claim.Outcome
DAY = timedelta(days=1)
ROOM_SAYS = "Our record of the session's room says that the {} was there, so our team decides."
DUE = END + DAY


@pytest.fixture
def left(booking: Booking) -> Claim:
    """The coach was there, though it is said that they did not come."""
    wait_in_the_room(booking)
    student_reports(booking, now=END)
    services.settle_due_claims(now=DUE)
    return the_claim()


def assert_decided_itself(booking: Booking, outcome: Claim.Outcome) -> None:
    assert (the_claim().state, the_claim().outcome, fresh(booking).status) == (State.DECIDED, outcome, outcome)
    assert not booking.events.filter(transition="leave_to_staff").exists()


# --- when, to the second ------------------------------------------------------------------------


def test_a_coach_who_was_there_is_not_said_to_have_missed_the_session(booking: Booking) -> None:
    wait_in_the_room(booking)
    student_reports(booking, now=END)
    assert services.settle_due_claims(now=DUE - SECOND) == 0
    assert the_claim().state == State.OPEN

    assert services.settle_due_claims(now=DUE) == 1
    claim = the_claim()
    assert (claim.state, claim.outcome, claim.answer, claim.answered_at) == (State.CONTRADICTED, "", "", None)
    assert (fresh(booking).status, payment_of(booking).status) == (Status.ACCEPTED, Payment.Status.HELD)
    assert operations(booking) == []
    assert not mails(booking) & {"no_show_coach-student", "no_show_coach-coach", "contradicted-student"}
    assert not StaffDecision.objects.exists()


def test_a_student_who_was_there_is_not_said_to_have_missed_the_session(booking: Booking, student: User) -> None:
    wait_in_the_room(booking)
    stay_in_the_room(booking, student, start=START + 30 * MINUTE)
    coach_reports(booking, now=END)
    assert services.settle_due_claims(now=DUE) == 1
    assert (the_claim().state, the_claim().answered_at) == (State.CONTRADICTED, None)
    assert (fresh(booking).status, payment_of(booking).status) == (Status.ACCEPTED, Payment.Status.HELD)
    assert operations(booking) == []
    assert last_event(booking).reason == ROOM_SAYS.format("student")


@pytest.mark.parametrize(("short_by", "left_to_staff"), [(SECOND, False), (0 * SECOND, True)])
def test_it_takes_ten_minutes_over_all_stays(
    booking: Booking, coach: Coach, short_by: timedelta, left_to_staff: bool
) -> None:
    stay_in_the_room(booking, coach.user, minutes=5)
    services.leave(booking=booking, user=coach.user, now=START + 5 * MINUTE)
    again = START + 20 * MINUTE
    stay_in_the_room(booking, coach.user, minutes=4, start=again)
    services.leave(booking=booking, user=coach.user, now=again + 5 * MINUTE - short_by)
    student_reports(booking, now=END)
    assert services.settle_due_claims(now=DUE) == 1
    if left_to_staff:
        assert the_claim().state == State.CONTRADICTED
    else:
        assert_decided_itself(booking, Outcome.NO_SHOW_COACH)


def test_a_student_who_was_there_for_a_minute_less_has_missed_it(booking: Booking, student: User) -> None:
    wait_in_the_room(booking)
    stay_in_the_room(booking, student, minutes=9)
    coach_reports(booking, now=END)
    assert services.settle_due_claims(now=DUE) == 1
    assert_decided_itself(booking, Outcome.NO_SHOW_STUDENT)


def test_who_was_there_before_and_after_the_session_alone_has_missed_it(booking: Booking, coach: Coach) -> None:
    stay_in_the_room(booking, coach.user, minutes=14, start=START - 14 * MINUTE)
    stay_in_the_room(booking, coach.user, minutes=30, start=END)
    student_reports(booking, now=END + HOUR)
    assert services.settle_due_claims(now=DUE + HOUR) == 1
    assert_decided_itself(booking, Outcome.NO_SHOW_COACH)


def test_that_whoever_reports_was_there_says_nothing_against_it(booking: Booking, student: User) -> None:
    stay_in_the_room(booking, student, minutes=30)
    student_reports(booking, now=END)
    assert services.settle_due_claims(now=DUE) == 1
    assert_decided_itself(booking, Outcome.NO_SHOW_COACH)


def test_who_comes_after_the_report_was_there(booking: Booking) -> None:
    student_reports(booking, now=START)
    wait_in_the_room(booking, start=START + 10 * MINUTE)
    assert services.settle_due_claims(now=START + DAY) == 1
    assert the_claim().state == State.CONTRADICTED


# --- what follows, as where it is contradicted --------------------------------------------------


def test_the_event_tells_who_did_it_and_why(left: Claim) -> None:
    event = last_event(left.booking)
    assert (event.transition, event.actor, event.actor_role) == ("leave_to_staff", None, Role.TIMER)
    assert (event.status_before, event.status_after, event.at) == (Status.ACCEPTED, Status.ACCEPTED, DUE)
    assert event.reason == ROOM_SAYS.format("coach")
    assert line_of(event) == "The report was not contradicted, but left to our team"


def test_time_does_nothing_more_about_it(left: Claim, coach: Coach) -> None:
    assert services.settle_due_claims(now=DUE + 30 * DAY) == 0
    with pytest.raises(InvalidState):
        services.contradict(claim=read(left), actor=coach.user, words="I was there.", now=DUE)
    with pytest.raises(InvalidState):
        services.complete(booking=fresh(left.booking), actor=coach.user, now=DUE)
    assert (the_claim().state, the_claim().version) == (State.CONTRADICTED, left.version)


def test_its_money_is_taken_before_the_hold_ends_and_kept_back(left: Claim) -> None:
    ends = payment_of(left.booking).capture_before
    assert ends is not None
    services.run_due_transitions(now=ends - 6 * HOUR - SECOND)
    assert fresh(left.booking).status == Status.ACCEPTED
    services.run_due_transitions(now=ends - 6 * HOUR)
    assert last_event(left.booking).transition == "complete_undecided"
    assert operations(left.booking) == ["capture"]
    assert the_claim().state == State.CONTRADICTED


def test_money_on_its_way_keeps_no_report_from_staff(booking: Booking, coach: Coach) -> None:
    wait_in_the_room(booking)
    services.complete(booking=fresh(booking), actor=coach.user, now=END)
    student_reports(booking, now=END)
    assert payment_of(booking).status == Payment.Status.CAPTURING
    assert services.settle_due_claims(now=DUE) == 1
    assert (the_claim().state, fresh(booking).status) == (State.CONTRADICTED, Status.COMPLETED)


def test_the_queue_of_money_at_risk_shows_it(booking: Booking) -> None:
    wait_in_the_room(booking)
    student_reports(booking, now=END)
    assert at_risk.queue(kinds=["claim_to_decide"], now=DUE) == []
    services.settle_due_claims(now=DUE)
    assert [row.subject for row in at_risk.queue(kinds=["claim_to_decide"], now=DUE)] == [the_claim()]


def test_staff_decide_it_as_they_see_it(left: Claim, staff: User) -> None:
    decide(left, staff, Outcome.NO_SHOW_COACH, now=DUE + HOUR)
    assert (the_claim().decided_by, fresh(left.booking).status) == (staff, Status.NO_SHOW_COACH)
    assert operations(left.booking) == ["release"]


def test_who_reported_can_still_take_it_back(left: Claim, student: User, coach: Coach) -> None:
    services.take_back(claim=read(left), actor=student, now=DUE)
    services.complete(booking=fresh(left.booking), actor=coach.user, now=DUE)
    assert (the_claim().state, fresh(left.booking).status) == (State.WITHDRAWN, Status.COMPLETED)


# --- what both are told -------------------------------------------------------------------------


def sent() -> dict[str, str]:
    mail.outbox.clear()
    notices.send_due(now=DUE)
    return {message.to[0].partition("@")[0]: " ".join(str(message.body).split()) for message in mail.outbox}


def assert_told(told: dict[str, str], *, missing: str, other: str, name: str) -> None:
    """`missing` is said not to have come; `name` is theirs."""
    rest = "so our team decides, with the report and the times at which each of you was in the room"
    assert f"Our record of the session's room says that you were there, {rest}" in told[missing]
    assert f"Our record of the session's room says that {name} was there, {rest}" in told[other]
    for text in told.values():
        assert "“" not in text
        assert "contradict" not in text


def test_both_are_told_that_the_coach_was_there(booking: Booking) -> None:
    wait_in_the_room(booking)
    student_reports(booking, now=END)
    sent()
    services.settle_due_claims(now=DUE)
    assert_told(sent(), missing="coach", other="student", name="Carla Coach")


def test_both_are_told_that_the_student_was_there(booking: Booking, student: User) -> None:
    wait_in_the_room(booking)
    stay_in_the_room(booking, student)
    coach_reports(booking, now=END)
    sent()
    services.settle_due_claims(now=DUE)
    assert_told(sent(), missing="student", other="coach", name="Sam Student")


def test_once_it_is_decided_nobody_is_told_that_it_is_open(left: Claim, staff: User) -> None:
    decide(left, staff, Outcome.NOTHING, now=DUE)
    assert set(sent()) == {"student", "coach"}
    assert not Notice.objects.filter(event__transition__in=["report", "leave_to_staff"]).exists()


# --- two at once --------------------------------------------------------------------------------


@pytest.mark.thorough
@pytest.mark.django_db(transaction=True)
def test_many_timers_leave_it_to_staff_once(booking: Booking) -> None:
    wait_in_the_room(booking)
    student_reports(booking, now=END)
    outcomes = at_once(*[partial(services.settle_due_claims, now=DUE)] * 8)
    assert sum(outcomes) == 1
    assert booking.events.filter(transition="leave_to_staff").count() == 1
    assert (the_claim().state, the_claim().version, operations(booking)) == (State.CONTRADICTED, 2, [])


@pytest.mark.thorough
@pytest.mark.django_db(transaction=True)
def test_contradicted_in_the_moment_in_which_it_is_left_to_staff(booking: Booking, coach: Coach) -> None:
    wait_in_the_room(booking)
    claim = student_reports(booking, now=END)
    answer = partial(services.contradict, claim=read(claim), actor=coach.user, words="I was there.", now=DUE - SECOND)
    refused = refusals(at_once(answer, *[partial(services.settle_due_claims, now=DUE)] * 5))
    came = set(booking.events.values_list("transition", flat=True)) & {"contradict", "leave_to_staff"}
    assert (the_claim().state, the_claim().version, operations(booking)) == (State.CONTRADICTED, 2, [])
    if refused:
        assert refused == [InvalidState]
        assert (came, the_claim().answered_at) == ({"leave_to_staff"}, None)
    else:
        assert (came, the_claim().answer) == ({"contradict"}, "I was there.")


@pytest.mark.thorough
@pytest.mark.django_db(transaction=True)
def test_taken_back_in_the_moment_in_which_it_is_left_to_staff(booking: Booking, student: User) -> None:
    wait_in_the_room(booking)
    claim = student_reports(booking, now=END)
    taken = partial(services.take_back, claim=read(claim), actor=student, now=DUE)
    assert refusals(at_once(taken, *[partial(services.settle_due_claims, now=DUE)] * 5)) == []
    assert (the_claim().state, fresh(booking).status, operations(booking)) == (State.WITHDRAWN, Status.ACCEPTED, [])
