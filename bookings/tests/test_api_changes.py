"""The API: another time for a session, and its cancellation at the price that was told."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from bookings import selectors, services
from bookings.models import Booking
from bookings.tests.factories import HOUR, NOW, book, fresh, paid, payment_of
from coaches.models import Coach, Offering
from marketplace import clock
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments.models import Payment

pytestmark = pytest.mark.django_db

Status = Booking.Status
ACTIONS = ["propose", "agree", "withdraw", "cancel"]


@pytest.fixture
def booking(student: User, offering: Offering, sandbox: Sandbox) -> Booking:
    """Accepted, by the clock of the sandbox: in less than a day."""
    made = request(student, offering)
    services.accept(booking=made, actor=offering.coach.user, now=clock.now())
    return fresh(made)


def request(student: User, offering: Offering) -> Booking:
    now = clock.now()
    made = book(student, offering, starts_at=free(offering, now + 6 * HOUR), now=now)
    return paid(made, now=now)


def free(offering: Offering, since: datetime) -> datetime:
    return next(start for start in selectors.open_slots(offering=offering, now=clock.now()) if start >= since)


def moderate(booking: Booking) -> None:
    Booking.objects.filter(pk=booking.pk).update(policy="moderate", policy_version=1)


def iso(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def send(user: User, booking: Booking, action: str, **facts: Any) -> Any:
    client = Client()
    client.force_login(user)
    return client.post(f"/api/v1/bookings/{booking.pk}/{action}/", facts, content_type="application/json")


def costs(user: User, booking: Booking) -> Any:
    client = Client()
    client.force_login(user)
    return client.get(f"/api/v1/bookings/{booking.pk}/costs/")


def refused(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["errors"][0]["code"]


# --- another time -------------------------------------------------------------------------------


def test_one_side_proposes_and_the_other_agrees(student: User, coach: Coach, booking: Booking) -> None:
    other = free(booking.offering, booking.starts_at + 24 * HOUR)
    answer = send(coach.user, booking, "propose", starts_at=iso(other), reason="A train.")
    assert answer.status_code == 200
    assert answer.json()["starts_at"] == iso(booking.starts_at)
    assert answer.json()["proposal"] == {
        "starts_at": iso(other),
        "ends_at": iso(other + HOUR),
        "proposed_by": "coach",
        "answer_by": iso(fresh(booking).proposal_due_at or NOW),
    }
    answer = send(student, booking, "agree", starts_at=iso(other))
    assert (answer.status_code, answer.json()["starts_at"], answer.json()["proposal"]) == (200, iso(other), None)
    assert fresh(booking).starts_at == other


def test_nobody_agrees_to_their_own_proposal_or_to_another_than_they_read(
    student: User, coach: Coach, booking: Booking
) -> None:
    other = free(booking.offering, booking.starts_at + 24 * HOUR)
    send(coach.user, booking, "propose", starts_at=iso(other))
    assert refused(send(coach.user, booking, "agree", starts_at=iso(other))) == (403, "not_allowed")
    assert refused(send(student, booking, "agree", starts_at=iso(other + HOUR))) == (409, "invalid_state")
    assert fresh(booking).starts_at == booking.starts_at


def test_a_proposal_is_withdrawn(student: User, coach: Coach, booking: Booking) -> None:
    other = free(booking.offering, booking.starts_at + 24 * HOUR)
    send(student, booking, "propose", starts_at=iso(other))
    answer = send(coach.user, booking, "withdraw", starts_at=iso(other), reason="I can't.")
    assert (answer.status_code, answer.json()["proposal"]) == (200, None)
    assert booking.events.latest("pk").reason == "I can't."
    assert refused(send(coach.user, booking, "withdraw", starts_at=iso(other))) == (409, "invalid_state")


def test_a_newer_proposal_than_the_one_that_was_read_stays(student: User, coach: Coach, booking: Booking) -> None:
    other = free(booking.offering, booking.starts_at + 24 * HOUR)
    newer = free(booking.offering, other + HOUR)
    send(student, booking, "propose", starts_at=iso(newer))
    assert refused(send(coach.user, booking, "withdraw", starts_at=iso(other))) == (409, "invalid_state")
    assert send(coach.user, booking, "withdraw").status_code == 400
    assert fresh(booking).proposed_starts_at == newer


@pytest.mark.everyday(4)
@pytest.mark.parametrize("sent", ["", "soon", "2026-12-01T10:00:00", "9999-12-31T23:59:59Z", None, 5, ["x"], {"a": 1}])
@pytest.mark.parametrize("action", ["propose", "agree", "withdraw"])
def test_what_is_no_instant_is_refused(action: str, sent: Any, student: User, booking: Booking) -> None:
    answer = send(student, booking, action, starts_at=sent)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["attr"] == "starts_at"
    assert fresh(booking).proposed_starts_at is None


def test_a_time_that_is_agreed_already_is_refused_by_its_name(student: User, booking: Booking) -> None:
    assert refused(send(student, booking, "propose", starts_at=iso(booking.starts_at))) == (400, "same_time")


def test_a_reason_has_a_length(student: User, booking: Booking) -> None:
    other = free(booking.offering, booking.starts_at + 24 * HOUR)
    answer = send(student, booking, "propose", starts_at=iso(other), reason="x" * 501)
    assert refused(answer) == (400, "max_length")
    assert fresh(booking).proposed_starts_at is None


# --- cancelling ---------------------------------------------------------------------------------


def test_a_student_cancels_at_the_price_that_was_told(student: User, booking: Booking) -> None:
    moderate(booking)
    told = costs(student, booking).json()
    assert told == {"kept_amount": 5_000, "returned_amount": 5_000, "currency": "usd", "changes_at": None}
    answer = send(student, booking, "cancel", kept_amount=told["kept_amount"])
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert payment_of(booking).status == Payment.Status.CAPTURING


def test_other_costs_than_were_told_cancel_nothing(student: User, booking: Booking) -> None:
    moderate(booking)
    for facts in ({}, {"kept_amount": 4_999}, {"kept_amount": 10_000}):
        assert refused(send(student, booking, "cancel", **facts)) == (409, "costs_changed")
    assert (fresh(booking).status, payment_of(booking).status) == (Status.ACCEPTED, Payment.Status.HELD)


@pytest.mark.parametrize("amount", [-1, "much", 10**30, 0.5, None])
def test_what_is_no_amount_is_refused(amount: Any, student: User, booking: Booking) -> None:
    answer = send(student, booking, "cancel", kept_amount=amount)
    assert (answer.status_code, answer.json()["errors"][0]["attr"]) == (400, "kept_amount")
    assert fresh(booking).status == Status.ACCEPTED


def test_a_request_costs_nothing_to_cancel(student: User, offering: Offering, sandbox: Sandbox) -> None:
    made = request(student, offering)
    assert costs(student, made).json()["kept_amount"] == 0
    assert send(student, made, "cancel").json()["status"] == "cancelled"


def test_a_coach_cancels_and_the_student_pays_nothing(coach: Coach, booking: Booking) -> None:
    moderate(booking)
    assert refused(costs(coach.user, booking)) == (403, "not_allowed")
    answer = send(coach.user, booking, "cancel", reason="I am ill.")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert payment_of(booking).status == Payment.Status.RELEASING
    assert booking.events.latest("pk").reason == "I am ill."


def test_what_is_over_costs_nothing_that_could_be_told(student: User, booking: Booking, sandbox: Sandbox) -> None:
    sandbox.advance(int((booking.starts_at - clock.now()).total_seconds()) + 2)
    assert refused(costs(student, booking)) == (409, "invalid_state")
    assert refused(send(student, booking, "cancel")) == (409, "invalid_state")


# --- whose it is --------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ACTIONS)
def test_what_is_not_ones_own_does_not_exist(action: str, stranger: User, booking: Booking) -> None:
    answer = send(stranger, booking, action, starts_at=iso(booking.starts_at + timedelta(days=1)))
    assert answer.status_code == 404
    assert costs(stranger, booking).status_code == 404
    assert fresh(booking).version == booking.version


@pytest.mark.parametrize("action", [*ACTIONS, "costs"])
def test_without_a_login_there_is_nothing(action: str, booking: Booking) -> None:
    client = Client()
    path = f"/api/v1/bookings/{booking.pk}/{action}/"
    answer = client.get(path) if action == "costs" else client.post(path, {}, content_type="application/json")
    assert answer.status_code in (401, 403)
    assert fresh(booking).version == booking.version


def test_the_schema_names_what_is_sent_and_answered(client: Client, student: User) -> None:
    client.force_login(student)
    schema = client.get("/api/v1/schema/?format=json").json()
    for action in (*ACTIONS, "costs"):
        assert f"/api/v1/bookings/{{id}}/{action}/" in schema["paths"]
    parts = schema["components"]["schemas"]
    assert parts["Propose"]["properties"]["starts_at"]["format"] == "date-time"
    assert set(parts["Costs"]["properties"]) == {"kept_amount", "returned_amount", "currency", "changes_at"}
    assert set(parts["Proposal"]["properties"]) == {"starts_at", "ends_at", "proposed_by", "answer_by"}
