"""What staff decide on a report: what happens to the money, who may, and what the log tells."""

from datetime import timedelta

import pytest

from bookings import services
from bookings.models import Booking, Claim
from bookings.tests.factories import (
    END,
    HOUR,
    SECOND,
    START,
    fresh,
    payment_of,
)
from bookings.tests.reporting import (
    capture_params,
    coach_reports,
    decide,
    read,
    student_reports,
    the_claim,
    wait_in_the_room,
)
from bookings.tests.test_life import mails, operations
from bookings.transition import InvalidState, NotAllowed
from coaches.models import Coach
from marketplace.lib.errors import DomainError
from marketplace.lib.money import Money
from marketplace.models import StaffDecision, User
from payments.models import Payment
from payments.refunds import NothingToRefund, RefundAmountWrong, RefundTooHigh

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

Status, Kind, State, Outcome = Booking.Status, Claim.Kind, Claim.State, Claim.Outcome
DAY = timedelta(days=1)


def test_staff_dismiss_a_report_and_the_session_is_completed_as_ever(booking: Booking, staff: User) -> None:
    claim = student_reports(booking, now=END)
    decide(claim, staff, Outcome.NOTHING, now=END + HOUR, reason="Both were there.")
    row = the_claim()
    assert (row.outcome, row.decided_by, row.decision) == (Outcome.NOTHING, staff, "Both were there.")
    assert fresh(booking).status == Status.ACCEPTED
    assert payment_of(booking).status == Payment.Status.HELD
    assert "report_dismissed-student" in mails(booking)
    services.run_due_transitions(now=END + DAY)
    assert fresh(booking).status == Status.COMPLETED
    assert "amount_to_capture" not in capture_params(booking)


def test_staff_give_a_part_back_before_it_is_taken(booking: Booking, staff: User) -> None:
    claim = student_reports(booking, now=END, kind=Kind.PROBLEM, words="No sound.")
    decide(claim, staff, Outcome.REFUNDED, back=Money(2_500, "usd"), now=END + HOUR, reason="Half an hour was lost.")
    assert fresh(booking).status == Status.COMPLETED
    assert capture_params(booking)["amount_to_capture"] == 7_500
    assert the_claim().decision == "Half an hour was lost. $25.00 of the price goes back."
    assert "report_dismissed-student" in mails(booking)
    assert "completed-student" not in mails(booking)


def test_staff_give_all_of_it_back_before_it_is_taken(booking: Booking, staff: User) -> None:
    claim = student_reports(booking, now=END, kind=Kind.PROBLEM, words="No sound.")
    decide(claim, staff, Outcome.REFUNDED, back=booking.price, now=END + HOUR)
    assert fresh(booking).status == Status.COMPLETED
    assert operations(booking) == ["release"]


def test_a_part_is_given_back_only_once_the_session_has_ended(booking: Booking, staff: User) -> None:
    claim = student_reports(booking, now=START, kind=Kind.PROBLEM, words="No sound.")
    with pytest.raises(InvalidState):
        decide(claim, staff, Outcome.REFUNDED, back=Money(100, "usd"), now=END - SECOND)
    assert the_claim().state == State.OPEN
    assert operations(booking) == []


@pytest.mark.parametrize(
    ("outcome", "back", "error"),
    [
        (Outcome.REFUNDED, None, RefundAmountWrong),
        (Outcome.REFUNDED, Money(0, "usd"), RefundAmountWrong),
        (Outcome.REFUNDED, Money(-100, "usd"), RefundAmountWrong),
        (Outcome.REFUNDED, Money(100, "jpy"), RefundAmountWrong),
        (Outcome.REFUNDED, Money(10_001, "usd"), RefundTooHigh),
        (Outcome.NO_SHOW_COACH, Money(100, "usd"), RefundAmountWrong),
        (Outcome.NOTHING, Money(100, "usd"), RefundAmountWrong),
    ],
)
def test_a_wrong_amount_decides_nothing(
    booking: Booking, staff: User, outcome: Claim.Outcome, back: Money | None, error: type[DomainError]
) -> None:
    claim = student_reports(booking, now=END)
    with pytest.raises(error):
        decide(claim, staff, outcome, back=back, now=END)
    assert (the_claim().state, fresh(booking).status) == (State.OPEN, Status.ACCEPTED)
    assert operations(booking) == []


def test_nothing_is_given_back_of_what_nobody_holds(booking: Booking, staff: User) -> None:
    claim = student_reports(booking, now=END)
    Payment.objects.filter(booking=booking).update(status=Payment.Status.REFUSED)
    with pytest.raises(NothingToRefund):
        decide(claim, staff, Outcome.REFUNDED, back=Money(100, "usd"), now=END)


def test_a_missing_student_pays_nothing_where_nothing_is_held(booking: Booking) -> None:
    wait_in_the_room(booking)
    coach_reports(booking, now=END)
    Payment.objects.filter(booking=booking).update(status=Payment.Status.LOST)
    assert services.settle_due_claims(now=END + DAY) == 1
    assert fresh(booking).status == Status.NO_SHOW_STUDENT
    assert payment_of(booking).status == Payment.Status.RELEASED
    assert operations(booking) == []


def test_the_log_tells_what_was_decided_and_what_it_was_before(booking: Booking, staff: User) -> None:
    claim = student_reports(booking, now=END)
    decide(claim, staff, Outcome.NO_SHOW_COACH, now=END + HOUR, reason="The log shows it.")
    row = StaffDecision.objects.get(decision="claim_decided")
    assert (row.actor, row.reason, row.subject_id) == (staff, "The log shows it.", str(claim.pk))
    assert row.before == {"state": "open", "kind": "coach_missing", "side": "student"}
    assert row.after == {"state": "decided", "outcome": "no_show_coach", "back": ""}


def test_staff_decide_nothing_about_a_session_of_their_own(booking: Booking, coach: Coach, student: User) -> None:
    claim = student_reports(booking, now=END)
    User.objects.filter(pk__in=[coach.user_id, student.pk]).update(is_staff=True)
    for own in User.objects.filter(pk__in=[coach.user_id, student.pk]):
        with pytest.raises(NotAllowed):
            decide(claim, own, Outcome.NO_SHOW_COACH, now=END)
    assert the_claim().state == State.OPEN


def test_nobody_but_staff_decides(booking: Booking, stranger: User) -> None:
    claim = student_reports(booking, now=END)
    with pytest.raises(NotAllowed):
        decide(claim, stranger, Outcome.NO_SHOW_COACH, now=END)
    assert (the_claim().state, operations(booking)) == (State.OPEN, [])


def test_who_has_read_an_older_state_decides_nothing(booking: Booking, staff: User, coach: Coach) -> None:
    seen = read(student_reports(booking, now=END))
    services.contradict(claim=read(seen), actor=coach.user, words="I was there.", now=END)
    with pytest.raises(services.StaleClaim):
        services.decide(
            claim=seen, actor=staff, outcome=Outcome.NO_SHOW_COACH, reason="So.", back=None, version=seen.version,
            now=END,
        )  # fmt: skip
    assert the_claim().state == State.CONTRADICTED


def test_while_the_money_is_on_its_way_nothing_is_decided(booking: Booking, staff: User, coach: Coach) -> None:
    services.complete(booking=booking, actor=coach.user, now=END)
    claim = student_reports(booking, now=END)
    with pytest.raises(services.StillBeingTaken):
        decide(claim, staff, Outcome.NO_SHOW_COACH, now=END)
    assert (the_claim().state, fresh(booking).status) == (State.OPEN, Status.COMPLETED)
