"""The room, reports and answers as people see and do them: each side its own, nothing changed by looking."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bookings import services
from bookings.models import Attendance, Booking, BookingEvent, Claim
from bookings.tests.factories import START, accepted, fresh
from bookings.tests.pages import text
from bookings.tests.reporting import MINUTE, student_reports, wait_in_the_room
from bookings.tests.test_api import error_of
from coaches.models import Coach, Offering
from marketplace import clock
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox

pytestmark = pytest.mark.django_db

Kind, State = Claim.Kind, Claim.State


@pytest.fixture
def booking(student: User, offering: Offering, sandbox: Sandbox) -> Booking:
    """Agreed; it begins just now by the clock of the sandbox."""
    booking = accepted(student, offering)
    sandbox.post("/_sandbox/clock", {"set": int(START.timestamp())})
    clock.forget_offset()
    return fresh(booking)


@pytest.fixture
def as_student(student: User) -> Client:
    return signed_in(student)


@pytest.fixture
def as_coach(coach: Coach) -> Client:
    return signed_in(coach.user)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def url(name: str, booking: Booking) -> str:
    return reverse(f"bookings:{name}", args=[booking.pk])


def leave_to_staff(booking: Booking) -> None:
    """The student says that the coach did not come, who was there."""
    wait_in_the_room(booking)
    claim = student_reports(booking, now=START + 10 * MINUTE)
    assert services.settle_due_claims(now=claim.answer_due_at) == 1


def post(client: Client, name: str, booking: Booking, **sent: str) -> Any:
    return client.post(url(name, booking), sent, follow=True)


# --- the room -----------------------------------------------------------------------------------


def test_both_join_by_the_sessions_page_and_see_each_other(
    booking: Booking, as_student: Client, as_coach: Client
) -> None:
    link = booking.live_session.meeting_url
    assert url("room", booking) in text(as_student.get(url("session", booking)))
    before = text(as_student.get(url("room", booking)))
    assert "Carla Coach is not here yet." in before
    assert link not in before

    assert link in text(post(as_student, "room", booking))
    assert "Sam Student is here." in text(post(as_coach, "room", booking))
    assert "Carla Coach is here." in text(as_student.get(url("room", booking)))
    assert set(Attendance.objects.values_list("side", flat=True)) == {"student", "coach"}


def test_no_page_leads_to_the_call_past_the_room(booking: Booking, as_student: Client, as_coach: Client) -> None:
    shown = [text(as_student.get(url(name, booking))) for name in ("paid", "state", "session")]
    for page in (*shown, text(as_coach.get(url("teaching_session", booking)))):
        assert url("room", booking) in page
        assert booking.live_session.meeting_url not in page


def test_looking_changes_nothing(booking: Booking, as_student: Client) -> None:
    events = BookingEvent.objects.count()
    for name in ("room", "report", "session"):
        assert as_student.get(url(name, booking)).status_code == 200
    for name in ("room_seen", "room_leave", "contradict", "take_back_report"):
        assert as_student.get(url(name, booking)).status_code == 405
    assert not Attendance.objects.exists()
    assert not Claim.objects.exists()
    assert BookingEvent.objects.count() == events


def test_a_sign_of_life_answers_with_who_is_there(
    booking: Booking, as_student: Client, as_coach: Client, sandbox: Sandbox
) -> None:
    post(as_student, "room", booking)
    post(as_coach, "room", booking)
    sandbox.advance(30)
    answer = as_student.post(url("room_seen", booking), headers={"HX-Request": "true"})
    assert text(answer).strip() == '<p id="who" role="status" class="soft">Carla Coach is here.</p>'
    stay = Attendance.objects.get(side="student")
    assert (stay.seen_at - stay.joined_at).total_seconds() >= 30
    # Without scripts it is a button, and the page again.
    assert "I am still here" in text(post(as_student, "room_seen", booking))


def test_another_window_of_whoever_has_left_is_told_so(booking: Booking, as_student: Client) -> None:
    post(as_student, "room", booking)
    post(as_student, "room_leave", booking)
    answer = as_student.post(url("room_seen", booking), headers={"HX-Request": "true"})
    assert answer["HX-Refresh"] == "true"
    assert "Join" in text(as_student.get(url("room", booking)))


def test_who_leaves_is_back_on_the_sessions_page(booking: Booking, as_student: Client) -> None:
    post(as_student, "room", booking)
    assert "You have left the room." in text(post(as_student, "room_leave", booking))
    assert Attendance.objects.get().left_at is not None


def test_a_room_that_is_not_open_says_when_it_is(booking: Booking, as_student: Client) -> None:
    Booking.objects.update(status="requested")
    answer = post(as_student, "room", booking)
    assert "The room opens 15 minutes before the session" in text(answer)
    assert not Attendance.objects.exists()


def test_a_strangers_session_does_not_exist(booking: Booking, stranger: User) -> None:
    client = signed_in(stranger)
    for name in ("room", "report"):
        assert client.get(url(name, booking)).status_code == 404
    for name in ("room", "room_seen", "room_leave", "report", "contradict", "take_back_report"):
        assert client.post(url(name, booking)).status_code == 404
        assert Client().post(url(name, booking)).status_code == 302
    assert not Attendance.objects.exists()


# --- reports ------------------------------------------------------------------------------------


def test_the_student_reports_and_the_coach_contradicts(booking: Booking, as_student: Client, as_coach: Client) -> None:
    page = text(as_student.get(url("report", booking)))
    assert "The coach did not come" in page
    assert "The student did not come" not in page
    told = text(post(as_student, "report", booking, kind="coach_missing", words="Nobody <b>came</b>."))
    assert "You reported this session" in told
    assert "Carla Coach has until" in told
    assert "Take the report back" in told
    assert "Contradict" not in told

    theirs = text(as_coach.get(url("teaching_session", booking)))
    assert "Sam Student reported this session" in theirs
    assert "Nobody &lt;b&gt;came&lt;/b&gt;." in theirs
    assert "report counts as true, unless our record of the session" in theirs

    heard = text(post(as_coach, "contradict", booking, words="I was there."))
    assert "Our team decides, and writes to you both." in heard
    assert Claim.objects.get().state == State.CONTRADICTED
    assert "I was there." in text(as_student.get(url("session", booking)))


def test_the_coach_reports_after_waiting_and_keeps_the_words_before(
    booking: Booking, as_coach: Client, sandbox: Sandbox
) -> None:
    refused = as_coach.post(url("report", booking), {"kind": "student_missing", "words": "Ten minutes alone."})
    assert refused.status_code == 409
    assert "once you have been in the room for 10 minutes" in text(refused)
    assert "Ten minutes alone." in text(refused)
    assert not Claim.objects.exists()

    sandbox.advance(11 * 60)
    wait_in_the_room(booking, start=booking.starts_at)
    told = text(post(as_coach, "report", booking, kind="student_missing", words=""))
    assert "You reported this session" in told
    assert Claim.objects.get().kind == Kind.STUDENT_MISSING


def test_a_kind_of_the_other_side_is_refused(booking: Booking, as_student: Client) -> None:
    assert as_student.post(url("report", booking), {"kind": "student_missing"}).status_code == 400
    assert as_student.post(url("report", booking), {"kind": "problem", "words": " "}).status_code == 400
    assert not Claim.objects.exists()


def test_a_report_is_taken_back_on_the_page(booking: Booking, as_student: Client) -> None:
    student_reports(booking, now=clock.now())
    assert "A report was taken back" in text(post(as_student, "take_back_report", booking))
    assert Claim.objects.get().state == State.WITHDRAWN


def test_who_may_not_answer_is_told_so(booking: Booking, as_student: Client, as_coach: Client) -> None:
    assert "Nothing is reported." in text(post(as_coach, "take_back_report", booking))
    student_reports(booking, now=clock.now())
    assert "This is for the other side of the session to say." in text(post(as_coach, "take_back_report", booking))
    assert "in a few words" in text(post(as_coach, "contradict", booking, words=" "))
    assert "This is for the other side" in text(post(as_student, "contradict", booking, words="Me, too."))
    assert Claim.objects.get().state == State.OPEN


def test_both_read_what_was_decided_and_what_it_does_to_their_money(
    booking: Booking, as_student: Client, as_coach: Client, staff: User
) -> None:
    claim = student_reports(booking, now=clock.now())
    services.decide(
        claim=claim, actor=staff, outcome=Claim.Outcome.NO_SHOW_COACH, reason="The log shows it.", back=None,
        version=claim.version, now=clock.now() + MINUTE,
    )  # fmt: skip
    mine, theirs = text(as_student.get(url("session", booking))), text(as_coach.get(url("teaching_session", booking)))
    for page in (mine, theirs):
        assert "The report is decided" in page
        assert "The log shows it." in page
    assert "The hold of $100.00 on your card is released, and you pay nothing." in mine
    assert "nothing of it is yours" in theirs


def test_a_report_that_the_room_speaks_against_is_left_to_our_team(
    booking: Booking, as_student: Client, as_coach: Client
) -> None:
    leave_to_staff(booking)
    theirs, ours = text(as_student.get(url("session", booking))), text(as_coach.get(url("teaching_session", booking)))
    decides = "there, so our team decides, and writes to you both."
    assert f"Our record of the session's room says that Carla Coach was {decides}" in theirs
    assert f"Our record of the session's room says that you were {decides}" in ours
    for page in (theirs, ours):
        assert "The report was not contradicted, but left to our team" in page
        assert "answered" not in page
        assert "until then. Should the hold on the card end before" in page
    assert "Take the report back" in theirs
    assert "contradict/" not in ours


# --- the API ------------------------------------------------------------------------------------


def send(client: Client, address: str, sent: dict[str, str]) -> Any:
    return client.post(address, sent, content_type="application/json")


def test_a_phone_reports_contradicts_and_takes_back(booking: Booking, as_student: Client, as_coach: Client) -> None:
    base = f"/api/v1/bookings/{booking.pk}"
    made = send(as_student, f"{base}/report/", {"kind": "coach_missing", "words": "Nobody came."})
    assert made.status_code == 201
    assert made.json()["state"] == "open"
    assert made.json()["side"] == "student"
    assert error_of(send(as_student, f"{base}/contradict/", {"words": "No."})) == (403, "not_yours_to_say")
    answered = send(as_coach, f"{base}/contradict/", {"words": "I was there."})
    assert (answered.status_code, answered.json()["state"]) == (200, "contradicted")
    assert [row["answer"] for row in as_student.get(f"{base}/reports/").json()] == ["I was there."]
    assert as_student.post(f"{base}/take_back_report/").json()["state"] == "withdrawn"
    assert error_of(as_student.post(f"{base}/take_back_report/")) == (409, "invalid_state")


def test_a_phone_is_told_why_staff_decide_what_nobody_has_contradicted(booking: Booking, as_coach: Client) -> None:
    leave_to_staff(booking)
    (row,) = as_coach.get(f"/api/v1/bookings/{booking.pk}/reports/").json()
    assert (row["state"], row["answer"], row["answered_at"]) == ("contradicted", "", None)
    assert row["note"] == "Our record of the session's room says that the coach was there, so our team decides."


def test_a_phone_asks_the_room_of_no_single_report(booking: Booking, as_student: Client) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert as_student.get(f"/api/v1/bookings/{booking.pk}/reports/").status_code == 200
        return len(queries)

    leave_to_staff(booking)
    asked()
    one = asked()
    for _ in range(3):
        services.take_back(claim=Claim.objects.latest("pk"), actor=booking.student.user, now=clock.now())
        student_reports(booking, now=clock.now())
    assert asked() == one


def test_a_phone_is_refused_as_a_page_is(booking: Booking, as_coach: Client, stranger: User) -> None:
    base = f"/api/v1/bookings/{booking.pk}"
    assert error_of(send(as_coach, f"{base}/report/", {"kind": "student_missing"})) == (409, "coach_did_not_wait")
    assert error_of(send(as_coach, f"{base}/report/", {"kind": "problem", "words": "So."})) == (403, "not_yours_to_say")
    assert error_of(send(as_coach, f"{base}/report/", {"kind": "nonsense"})) == (400, "invalid_choice")
    assert error_of(send(as_coach, f"{base}/contradict/", {"words": "No."})) == (409, "nothing_reported")
    assert send(signed_in(stranger), f"{base}/report/", {"kind": "problem", "words": "So."}).status_code == 404
    assert send(Client(), f"{base}/report/", {}).status_code in (401, 403)
    assert not Claim.objects.exists()


def test_a_phone_is_in_the_room_as_a_page_is(
    booking: Booking, as_student: Client, as_coach: Client, stranger: User
) -> None:
    base = f"/api/v1/bookings/{booking.pk}"
    joined = send(as_student, f"{base}/join/", {})
    assert joined.json() == {"meeting_url": booking.live_session.meeting_url, "here": ["student"]}
    assert send(as_coach, f"{base}/join/", {}).json()["here"] == ["coach", "student"]
    assert send(as_student, f"{base}/seen/", {}).json() == {"here": ["coach", "student"]}
    assert send(as_student, f"{base}/leave/", {}).json() == {"here": ["coach"]}
    assert send(signed_in(stranger), f"{base}/join/", {}).status_code == 404
    assert as_student.get(f"{base}/join/").status_code == 405

    Booking.objects.update(status="completed")
    assert error_of(send(as_student, f"{base}/join/", {})) == (409, "room_closed")
    assert Attendance.objects.count() == 2
