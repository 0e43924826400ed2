"""Reports of sessions that did not go as agreed: who may, when to the second, and what a decision does."""

from datetime import datetime, timedelta

import pytest

from bookings import process, selectors, services
from bookings.models import Booking, Claim
from bookings.services.deciding import RESTS
from bookings.services.refusals import MOST_REPORTS, TooManyReports
from bookings.tests.factories import (
    END,
    HOUR,
    SECOND,
    START,
    fresh,
    payment_of,
    requested,
)
from bookings.tests.reporting import (
    MINUTE,
    capture_params,
    coach_reports,
    decide,
    read,
    student_reports,
    the_claim,
    wait_in_the_room,
)
from bookings.tests.test_life import last_event, mails, operations
from bookings.transition import InvalidState, NotAllowed
from coaches.models import Coach, Offering
from marketplace.models import StaffDecision, User
from payments.models import Payment

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

Status, Kind, State, Outcome = Booking.Status, Claim.Kind, Claim.State, Claim.Outcome
DAY = timedelta(days=1)


def assert_nothing_said(booking: Booking) -> None:
    assert not Claim.objects.exists()
    assert fresh(booking).version == booking.version
    assert payment_of(booking).status == Payment.Status.HELD


# --- who may report what, and when --------------------------------------------------------------


def test_a_report_changes_neither_state_nor_money(booking: Booking) -> None:
    claim = student_reports(booking, now=START)
    assert (claim.kind, claim.side, claim.state, claim.words) == ("coach_missing", "student", "open", "Nobody came.")
    assert (claim.opened_at, claim.answer_due_at) == (START, START + DAY)
    assert fresh(booking).status == Status.ACCEPTED
    assert payment_of(booking).status == Payment.Status.HELD
    assert operations(booking) == []
    assert {"reported-student", "reported-coach"} <= mails(booking)
    assert last_event(booking).reason == "Nobody came."


@pytest.mark.parametrize(
    ("now", "refused"),
    [(START - SECOND, True), (START, False), (END + DAY - SECOND, False), (END + DAY, True)],
)
def test_it_is_reported_from_the_start_until_a_day_after_the_end(
    booking: Booking, now: datetime, refused: bool
) -> None:
    if refused:
        with pytest.raises(InvalidState):
            student_reports(booking, now=now)
        assert_nothing_said(booking)
    else:
        student_reports(booking, now=now)
        assert the_claim().opened_at == now


def test_each_side_reports_what_is_its_own(booking: Booking) -> None:
    with pytest.raises(services.NotYours):
        student_reports(booking, now=END, kind=Kind.STUDENT_MISSING)
    for kind in (Kind.COACH_MISSING, Kind.PROBLEM):
        with pytest.raises(services.NotYours):
            services.report(booking=booking, actor=booking.coach.user, kind=kind, words="So.", now=END)
    assert_nothing_said(booking)


def test_nobody_else_reports(booking: Booking, stranger: User, staff: User) -> None:
    for nobody in (stranger, staff):
        with pytest.raises(NotAllowed):
            services.report(booking=booking, actor=nobody, kind=Kind.PROBLEM, words="So.", now=END)
    assert_nothing_said(booking)


def test_a_problem_needs_words(booking: Booking) -> None:
    with pytest.raises(services.WordsMissing):
        student_reports(booking, now=END, kind=Kind.PROBLEM, words=" \n")
    assert_nothing_said(booking)


def test_the_coach_must_have_come_and_waited_ten_minutes(booking: Booking) -> None:
    with pytest.raises(services.CoachDidNotWait):
        coach_reports(booking, now=END)
    wait_in_the_room(booking, minutes=9)
    services.seen(booking=booking, user=booking.coach.user, now=START + 10 * MINUTE - SECOND)
    with pytest.raises(services.CoachDidNotWait):
        coach_reports(booking, now=END)
    assert_nothing_said(booking)

    services.seen(booking=booking, user=booking.coach.user, now=START + 10 * MINUTE)
    assert coach_reports(booking, now=START + 10 * MINUTE).kind == Kind.STUDENT_MISSING


def test_a_session_is_reported_once_at_a_time(booking: Booking) -> None:
    wait_in_the_room(booking)
    student_reports(booking, now=END)
    with pytest.raises(InvalidState):
        coach_reports(booking, now=END)
    with pytest.raises(InvalidState):
        student_reports(booking, now=END, kind=Kind.PROBLEM)
    assert Claim.objects.count() == 1


def test_what_is_decided_is_not_asked_again(booking: Booking, staff: User) -> None:
    claim = student_reports(booking, now=END)
    decide(claim, staff, Outcome.NOTHING, now=END)
    with pytest.raises(InvalidState):
        student_reports(booking, now=END + HOUR)
    assert Claim.objects.count() == 1


def test_a_session_that_is_only_asked_for_is_not_reported(student: User, offering: Offering) -> None:
    with pytest.raises(InvalidState):
        student_reports(requested(student, offering), now=START)


def test_a_completed_session_can_still_be_reported(booking: Booking, coach: Coach) -> None:
    services.complete(booking=booking, actor=coach.user, now=END)
    student_reports(booking, now=END + HOUR)
    assert fresh(booking).status == Status.COMPLETED


# --- the other side -----------------------------------------------------------------------------


def test_the_other_side_contradicts_and_then_staff_decide(booking: Booking, coach: Coach) -> None:
    claim = student_reports(booking, now=END)
    services.contradict(claim=read(claim), actor=coach.user, words="I was there.", now=END + HOUR)
    row = the_claim()
    assert (row.state, row.answer, row.answered_at) == (State.CONTRADICTED, "I was there.", END + HOUR)
    assert {"contradicted-student", "contradicted-coach"} <= mails(booking)
    assert services.settle_due_claims(now=END + 30 * DAY) == 0
    assert fresh(booking).status == Status.ACCEPTED


@pytest.mark.parametrize(("late", "refused"), [(DAY - SECOND, False), (DAY, True)])
def test_it_is_contradicted_within_a_day(booking: Booking, coach: Coach, late: timedelta, refused: bool) -> None:
    claim = student_reports(booking, now=END)
    if refused:
        with pytest.raises(InvalidState):
            services.contradict(claim=read(claim), actor=coach.user, words="I was there.", now=END + late)
        assert the_claim().state == State.OPEN
    else:
        services.contradict(claim=read(claim), actor=coach.user, words="I was there.", now=END + late)
        assert the_claim().state == State.CONTRADICTED


def test_nobody_contradicts_themselves_or_without_words_or_twice(booking: Booking, coach: Coach, student: User) -> None:
    claim = student_reports(booking, now=END)
    with pytest.raises(services.NotYours):
        services.contradict(claim=read(claim), actor=student, words="Or not.", now=END)
    with pytest.raises(services.WordsMissing):
        services.contradict(claim=read(claim), actor=coach.user, words="  ", now=END)
    services.contradict(claim=read(claim), actor=coach.user, words="I was there.", now=END)
    with pytest.raises(InvalidState):
        services.contradict(claim=read(claim), actor=coach.user, words="Again.", now=END)
    assert the_claim().answer == "I was there."


def test_who_reported_takes_it_back_and_all_goes_on(booking: Booking, student: User, coach: Coach) -> None:
    claim = student_reports(booking, now=END)
    with pytest.raises(services.NotYours):
        services.take_back(claim=read(claim), actor=coach.user, now=END)
    services.take_back(claim=read(claim), actor=student, now=END + HOUR)
    assert (the_claim().state, the_claim().decided_at) == (State.WITHDRAWN, END + HOUR)
    assert {"report_taken_back-student", "report_taken_back-coach"} <= mails(booking)
    services.complete(booking=fresh(booking), actor=coach.user, now=END + HOUR)
    with pytest.raises(InvalidState):
        services.take_back(claim=read(claim), actor=student, now=END + HOUR)


def test_nobody_fills_the_others_mailbox_with_reports(booking: Booking, student: User) -> None:
    wait_in_the_room(booking)
    for _ in range(MOST_REPORTS):
        services.take_back(claim=student_reports(booking, now=END), actor=student, now=END)
    with pytest.raises(TooManyReports):
        student_reports(booking, now=END)
    assert booking.claims.exclude(state=State.WITHDRAWN).count() == 0
    assert coach_reports(booking, now=END).state == State.OPEN


def test_what_was_taken_back_may_be_reported_again(booking: Booking, student: User) -> None:
    services.take_back(claim=student_reports(booking, now=END), actor=student, now=END)
    assert student_reports(booking, now=END + HOUR).state == State.OPEN


# --- time ---------------------------------------------------------------------------------------


def test_a_missing_coach_that_nobody_contradicts_costs_the_student_nothing(booking: Booking) -> None:
    student_reports(booking, now=START)
    assert services.settle_due_claims(now=START + DAY - SECOND) == 0
    assert services.settle_due_claims(now=START + DAY) == 1
    now, claim = fresh(booking), the_claim()
    assert (now.status, claim.state, claim.outcome, claim.decided_by) == (
        Status.NO_SHOW_COACH, State.DECIDED, Outcome.NO_SHOW_COACH, None,
    )  # fmt: skip
    assert claim.decided_at == START + DAY
    assert payment_of(booking).status == Payment.Status.RELEASING
    assert operations(booking) == ["release"]
    assert {"no_show_coach-student", "no_show_coach-coach"} <= mails(booking)
    assert not StaffDecision.objects.exists()


def test_a_missing_student_that_nobody_contradicts_pays_half(booking: Booking) -> None:
    wait_in_the_room(booking)
    coach_reports(booking, now=END)
    assert services.settle_due_claims(now=END + DAY) == 1
    assert fresh(booking).status == Status.NO_SHOW_STUDENT
    assert operations(booking) == ["capture"]
    assert capture_params(booking)["amount_to_capture"] == 5_000


def test_a_problem_never_decides_itself(booking: Booking) -> None:
    student_reports(booking, now=END, kind=Kind.PROBLEM, words="No sound.")
    assert services.settle_due_claims(now=END + 30 * DAY) == 0
    assert the_claim().state == State.OPEN


def test_an_undecided_report_stops_the_coach_and_the_timer_from_completing(booking: Booking, coach: Coach) -> None:
    student_reports(booking, now=END, kind=Kind.PROBLEM, words="No sound.")
    with pytest.raises(InvalidState):
        services.complete(booking=fresh(booking), actor=coach.user, now=END)
    services.run_due_transitions(now=END + DAY)
    assert fresh(booking).status == Status.ACCEPTED
    assert payment_of(booking).status == Payment.Status.HELD
    labels = {each.name for each in selectors.possible(booking=booking, role=process.Role.COACH, now=END)}
    assert "complete" not in labels


def test_six_hours_before_the_hold_ends_it_is_taken_and_kept_back(booking: Booking) -> None:
    student_reports(booking, now=END, kind=Kind.PROBLEM, words="No sound.")
    ends = payment_of(booking).capture_before
    assert ends is not None
    services.run_due_transitions(now=ends - 6 * HOUR - SECOND)
    assert fresh(booking).status == Status.ACCEPTED
    services.run_due_transitions(now=ends - 6 * HOUR)
    assert fresh(booking).status == Status.COMPLETED
    assert last_event(booking).transition == "complete_undecided"
    assert operations(booking) == ["capture"]
    assert "amount_to_capture" not in capture_params(booking)
    assert the_claim().state == State.OPEN


def test_a_report_that_cant_be_decided_now_rests_and_holds_up_nothing_else(booking: Booking, coach: Coach) -> None:
    services.complete(booking=booking, actor=coach.user, now=END)
    student_reports(booking, now=END)
    assert payment_of(booking).status == Payment.Status.CAPTURING
    assert services.settle_due_claims(now=END + DAY) == 0
    assert (the_claim().state, the_claim().retry_at) == (State.OPEN, END + DAY + RESTS)


# --- out of order -------------------------------------------------------------------------------


def test_after_a_decision_nothing_else_happens_to_the_session(booking: Booking, staff: User, coach: Coach) -> None:
    claim = student_reports(booking, now=END)
    decide(claim, staff, Outcome.NO_SHOW_COACH, now=END)
    later = fresh(booking)
    for act in (services.complete, services.cancel_by_coach, services.accept):
        with pytest.raises(InvalidState):
            act(booking=later, actor=coach.user, now=END)
    services.run_due_transitions(now=END + 30 * DAY)
    assert fresh(booking).version == later.version
    assert operations(booking) == ["release"]


def test_a_session_is_not_completed_before_its_end(booking: Booking, coach: Coach) -> None:
    with pytest.raises(InvalidState):
        services.complete(booking=booking, actor=coach.user, now=END - SECOND)
    assert_nothing_said(booking)


def test_a_session_that_may_be_missed_is_not_written_off_meanwhile(booking: Booking) -> None:
    student_reports(booking, now=END)
    Booking.objects.filter(pk=booking.pk).update(status=Status.COMPLETED, pay_due_at=END + 7 * DAY)
    Payment.objects.filter(booking=booking).update(status=Payment.Status.LOST)
    assert not selectors.due(process.WRITE_OFF, END + 8 * DAY).exists()
