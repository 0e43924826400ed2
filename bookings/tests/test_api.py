"""The API: the same services, one's own rows only, one envelope for every refusal."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.throttling import SimpleRateThrottle

from bookings import selectors, services
from bookings.api.serializers import BookingSerializer
from bookings.models import Booking
from bookings.tests.factories import book, fresh, paid, payment_of, unpaid
from coaches.models import Coach, Offering
from marketplace import clock
from marketplace.models import User
from marketplace.tests.factories import CoachFactory
from marketplace.tests.sandbox import Sandbox
from payments.models import Payment

pytestmark = pytest.mark.django_db

Status = Booking.Status
LIST = "/api/v1/bookings/"


@pytest.fixture
def booking(student: User, offering: Offering, sandbox: Sandbox) -> Booking:
    """A request, by the clock of the sandbox."""
    return make(student, offering)


def make(student: User, offering: Offering, index: int = 0) -> Booking:
    now = clock.now()
    start = selectors.open_slots(offering=offering, now=now)[index]
    return paid(book(student, offering, starts_at=start, now=now), now=now)


def as_user(user: User | None) -> Client:
    client = Client()
    if user:
        client.force_login(user)
    return client


def error_of(answer: Any) -> tuple[int, str]:
    body = answer.json()
    assert set(body) == {"type", "errors"}
    assert set(body["errors"][0]) == {"code", "detail", "attr"}
    return answer.status_code, body["errors"][0]["code"]


def test_a_booking_as_its_two_sides_see_it(student: User, coach: Coach, booking: Booking) -> None:
    seen = as_user(student).get(f"{LIST}{booking.pk}/").json()
    assert seen == {
        "id": booking.pk,
        "status": "requested",
        "role": "student",
        "title": "One hour of piano",
        "coach": {"slug": "carla-coach", "display_name": "Carla Coach"},
        "student_name": "Sam Student",
        "starts_at": booking.starts_at.isoformat().replace("+00:00", "Z"),
        "ends_at": booking.ends_at.isoformat().replace("+00:00", "Z"),
        "agreed_zone": "Europe/Berlin",
        "note": "",
        "price_amount": 10_000,
        "currency": "usd",
        "payment_status": "PENDING",
        "payment_due_at": booking.payment_due_at.isoformat().replace("+00:00", "Z"),
        "pay_due_at": None,
        "answer_due_at": booking.answer_due_at.isoformat().replace("+00:00", "Z") if booking.answer_due_at else None,
        "policy": "flexible",
        "policy_text": "You can cancel at any time before the start and pay nothing.",
        "proposal": None,
        "meeting_url": "",
        "created_at": booking.created_at.isoformat().replace("+00:00", "Z"),
    }
    assert as_user(coach.user).get(f"{LIST}{booking.pk}/").json()["role"] == "coach"


def test_a_coach_accepts_and_completes(coach: Coach, booking: Booking, sandbox: Sandbox) -> None:
    client = as_user(coach.user)
    answer = client.post(f"{LIST}{booking.pk}/accept/")
    assert (answer.status_code, answer.json()["status"]) == (200, "accepted")
    assert answer.json()["meeting_url"] == fresh(booking).live_session.meeting_url

    assert error_of(client.post(f"{LIST}{booking.pk}/complete/")) == (409, "invalid_state")
    sandbox.advance(int((booking.ends_at - clock.now()).total_seconds()) + 2)
    answer = client.post(f"{LIST}{booking.pk}/complete/")
    assert (answer.status_code, answer.json()["status"], answer.json()["meeting_url"]) == (200, "completed", "")
    assert payment_of(booking).status == Payment.Status.CAPTURING


def test_out_of_order_is_told_with_the_state(coach: Coach, booking: Booking) -> None:
    client = as_user(coach.user)
    client.post(f"{LIST}{booking.pk}/accept/")
    answer = client.post(f"{LIST}{booking.pk}/accept/")
    assert error_of(answer) == (409, "invalid_state")
    assert answer.json()["errors"][0]["detail"] == "This can't be done any more. The session is: accepted."
    assert booking.events.count() == 3


@pytest.mark.parametrize("action", ["accept", "complete"])
def test_a_student_may_not_do_what_is_the_coachs(action: str, student: User, booking: Booking) -> None:
    assert error_of(as_user(student).post(f"{LIST}{booking.pk}/{action}/")) == (403, "not_allowed")
    assert fresh(booking).status == Status.REQUESTED


@pytest.mark.parametrize("path", ["", "accept/", "complete/"])
def test_what_is_not_ones_own_does_not_exist(path: str, stranger: User, booking: Booking) -> None:
    for user in (stranger, CoachFactory.create().user):
        client = as_user(user)
        for pk in (booking.pk, booking.pk + 1, 10**17):
            answer = client.post(f"{LIST}{pk}/{path}") if path else client.get(f"{LIST}{pk}/")
            assert error_of(answer)[0] == 404
    assert fresh(booking).status == Status.REQUESTED


def test_without_a_login_there_is_nothing(booking: Booking) -> None:
    for answer in (as_user(None).get(LIST), as_user(None).post(f"{LIST}{booking.pk}/accept/")):
        assert error_of(answer) in {(401, "not_authenticated"), (403, "not_authenticated")}


def test_a_disabled_person_is_out_at_once(student: User, booking: Booking) -> None:
    client = as_user(student)
    User.objects.filter(pk=student.pk).update(is_active=False)
    assert error_of(client.get(LIST))[0] in (401, 403)


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_nothing_can_be_written_directly(method: str, student: User, booking: Booking) -> None:
    client = as_user(student)
    target = LIST if method == "post" else f"{LIST}{booking.pk}/"
    answer = getattr(client, method)(target, {"status": "accepted", "price_amount": 1}, content_type="application/json")
    assert error_of(answer) == (405, "method_not_allowed")
    assert fresh(booking).status == Status.REQUESTED


def test_a_post_by_session_needs_the_csrf_token(coach: Coach, booking: Booking) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(coach.user)
    assert error_of(client.post(f"{LIST}{booking.pk}/accept/"))[0] == 403
    assert fresh(booking).status == Status.REQUESTED


def test_lists_are_filtered(student: User, coach: Coach, offering: Offering, booking: Booking) -> None:
    services.accept(booking=booking, actor=coach.user, now=clock.now())
    other = make(student, offering, 1)
    client = as_user(student)

    def ids(query: str) -> list[int]:
        return [row["id"] for row in client.get(f"{LIST}?{query}").json()["results"]]

    assert ids("") == [other.pk, booking.pk]
    assert ids("status=accepted") == [booking.pk]
    assert ids("status=accepted&status=requested") == [other.pk, booking.pk]
    assert ids("role=student&status=requested") == [other.pk]
    assert ids("role=coach") == []
    assert [row["role"] for row in as_user(coach.user).get(f"{LIST}?role=coach").json()["results"]] == ["coach"] * 2


@pytest.mark.parametrize("query", ["status=nonsense", "role=staff"])
def test_a_bad_filter_is_refused(query: str, student: User) -> None:
    assert error_of(as_user(student).get(f"{LIST}?{query}")) == (400, "invalid_choice")


@pytest.mark.parametrize(
    ("query", "status"),
    [("page=-1", 404), ("page=x", 404), ("page_size=1000000000", 200), ("ordering=student__user__password", 200)],
)
def test_bad_paging_is_bounded(query: str, status: int, student: User) -> None:
    assert as_user(student).get(f"{LIST}?{query}").status_code == status


def test_a_coach_does_not_see_what_was_never_paid(
    student: User, coach: Coach, offering: Offering, sandbox: Sandbox
) -> None:
    now = clock.now()
    waiting = book(student, offering, starts_at=selectors.open_slots(offering=offering, now=now)[0], now=now)
    assert as_user(coach.user).get(LIST).json()["count"] == 0
    assert as_user(student).get(LIST).json()["count"] == 1
    unpaid(waiting, now=now)
    assert as_user(coach.user).get(LIST).json()["count"] == 0
    assert as_user(student).get(LIST).json()["results"][0]["payment_status"] == "FAILED"


def test_a_list_costs_the_same_however_long(student: User, coach: Coach, offering: Offering, booking: Booking) -> None:
    client, counts = as_user(student), []
    for number in (1, 5):
        while Booking.objects.count() < number:
            made = make(student, offering, Booking.objects.count())
            services.accept(booking=made, actor=coach.user, now=clock.now())
        with CaptureQueriesContext(connection) as queries:
            assert client.get(LIST).json()["count"] == number
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 12


@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000 + b"]" * 100_000, b'{"kind": "\\ud800"}', b'{"kind": "problem", "words": "\\ud800"}', b'{"kind": '],
    ids=["nested too deep", "half a character that is quoted back", "half a character that is kept", "cut off"],
)
def test_a_body_that_cannot_be_read_is_a_bad_request(student: User, booking: Booking, body: bytes) -> None:
    answer = as_user(student).post(f"{LIST}{booking.pk}/report/", body, content_type="application/json")

    assert error_of(answer) == (400, "parse_error")


def test_a_body_larger_than_any_of_ours_is_not_read(student: User, booking: Booking) -> None:
    body = b'{"reason": "%s"}' % (b"x" * 3_000_000)

    answer = as_user(student).post(f"{LIST}{booking.pk}/cancel/", body, content_type="application/json")

    assert error_of(answer) == (413, "body_too_large")


def test_a_hasty_client_is_slowed_down(student: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SimpleRateThrottle.THROTTLE_RATES, "user", "3/minute")
    client = as_user(student)
    answers = [client.get(LIST) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert error_of(answers[-1]) == (429, "throttled")
    assert int(answers[-1]["Retry-After"]) > 0


def test_the_schema_names_every_endpoint(client: Client, student: User) -> None:
    client.force_login(student)
    schema = client.get("/api/v1/schema/?format=json").json()
    for path in ("bookings/", "bookings/{id}/", "bookings/{id}/accept/", "bookings/{id}/complete/"):
        assert f"/api/v1/{path}" in schema["paths"]
    fields = schema["components"]["schemas"]["Booking"]["properties"]
    assert set(fields) == set(BookingSerializer.Meta.fields)
