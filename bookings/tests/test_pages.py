"""The pages, over the real sandbox: the way through, what is refused with nothing lost, and what is not one's own."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bookings import selectors, services
from bookings.models import Booking
from bookings.tests.factories import fresh, hold_lost, payment_of
from coaches.models import Coach, Offering
from marketplace import clock
from marketplace.models import User
from marketplace.tests.factories import UserFactory
from marketplace.tests.sandbox import Sandbox
from payments import services as payment_services
from payments.models import Customer, Operation, Payment

pytestmark = pytest.mark.django_db

Status = Booking.Status


@pytest.fixture
def student(sandbox: Sandbox, db: None) -> User:
    """A first-time buyer: their customer is made at the sandbox."""
    return UserFactory.create(email="student@example.com", name="Sam Student")


@pytest.fixture
def browser_of_student(client: Client, student: User) -> Client:
    client.force_login(student)
    return client


def free(offering: Offering, index: int = 5) -> datetime:
    return selectors.open_slots(offering=offering, now=clock.now())[index]


def form_of(offering: Offering, starts_at: datetime | str, **changes: Any) -> dict[str, Any]:
    start = starts_at if isinstance(starts_at, str) else starts_at.isoformat()
    sent = {"start": start, "zone": "Europe/Berlin", "price_amount": 10_000, "currency": "usd", "note": "Scales."}
    return {**sent, **changes}


def post_booking(client: Client, offering: Offering, starts_at: datetime | str, **changes: Any) -> Any:
    return client.post(reverse("bookings:book", args=[offering.pk]), form_of(offering, starts_at, **changes))


def pay(sandbox: Sandbox, booking: Booking) -> None:
    payment = payment_of(booking)
    sandbox.post(f"/_sandbox/checkout/{payment.checkout_session_id}/pay", {"payment_method": "pm_card_visa"})


def learn(booking: Booking) -> Booking:
    payment_services.refresh_payment(payment=payment_of(booking), now=clock.now())
    return fresh(booking)


def seconds_until(instant: datetime) -> int:
    return int((instant - clock.now()).total_seconds()) + 2


def text(answer: Any) -> str:
    return str(answer.content.decode())


# --- the way through ----------------------------------------------------------------------------


def test_a_student_chooses_agrees_pays_and_sees_it_confirmed(
    browser_of_student: Client, offering: Offering, sandbox: Sandbox
) -> None:
    client, start = browser_of_student, free(offering)
    page = text(client.get(reverse("bookings:choose_slot", args=[offering.pk])))
    assert "Free times, in Berlin time" in page
    link = f"{reverse('bookings:review', args=[offering.pk])}?start={quote(start.isoformat(), safe='')}"
    assert link in page

    page = text(client.get(f"{link}&zone=Europe/Berlin"))
    assert "$100.00" in page
    assert "$20.00" in page
    assert "$80.00" in page
    assert "Held on your card" in page

    answer = post_booking(client, offering, start)
    booking = Booking.objects.get()
    assert answer.status_code == 302
    assert answer["Location"].startswith(f"{sandbox.url}/c/pay/")
    assert (booking.starts_at, booking.note, booking.agreed_zone) == (start, "Scales.", "Europe/Berlin")

    returned = text(client.get(reverse("bookings:paid", args=[booking.pk])))
    assert "We are confirming your payment" in returned
    assert f'hx-get="/sessions/{booking.pk}/state/"' in returned
    assert fresh(booking).status == Status.AWAITING_PAYMENT

    pay(sandbox, booking)
    client.get(reverse("bookings:paid", args=[booking.pk]))
    assert fresh(booking).status == Status.AWAITING_PAYMENT  # to come back proves nothing
    assert learn(booking).status == Status.REQUESTED

    followed = text(client.get(reverse("bookings:state", args=[booking.pk])))
    assert "Your request is with Carla Coach" in followed
    assert "hx-get" not in followed
    assert "<html" not in followed


def test_the_coach_accepts_and_completes(
    browser_of_student: Client, coach: Coach, offering: Offering, sandbox: Sandbox
) -> None:
    booking = request_session(browser_of_student, offering, sandbox)
    client = Client()
    client.force_login(coach.user)
    page = reverse("bookings:teaching_session", args=[booking.pk])
    assert "1 request waiting for your answer" in text(client.get(reverse("bookings:teaching")))
    assert buttons(client.get(page)) == {"Accept", "Decline", "Cancel the session"}

    answer = client.post(reverse("bookings:accept", args=[booking.pk]), follow=True)
    assert "The session is: accepted." in text(answer)
    assert buttons(answer) == {"Cancel the session"}
    assert fresh(booking).live_session.meeting_url in text(answer)

    early = client.post(reverse("bookings:complete", args=[booking.pk]), follow=True)
    assert "This can only be done once the session has ended." in text(early)
    sandbox.advance(seconds_until(booking.ends_at))
    assert buttons(client.get(page)) == {"Mark as complete"}
    client.post(reverse("bookings:complete", args=[booking.pk]))
    assert fresh(booking).status == Status.COMPLETED
    assert payment_of(booking).status == Payment.Status.CAPTURING


def request_session(client: Client, offering: Offering, sandbox: Sandbox, index: int = 5) -> Booking:
    post_booking(client, offering, free(offering, index))
    booking = Booking.objects.latest("pk")
    pay(sandbox, booking)
    return learn(booking)


def buttons(answer: Any) -> set[str]:
    return {transition.button.label for transition in answer.context["possible"]}


def test_the_unpaid_can_go_on_paying_or_let_go(browser_of_student: Client, offering: Offering) -> None:
    client = browser_of_student
    first = post_booking(client, offering, free(offering))
    booking = Booking.objects.get()
    page = client.get(reverse("bookings:session", args=[booking.pk]))
    assert buttons(page) == {"Let the time go"}
    assert client.post(reverse("bookings:continue_paying", args=[booking.pk]))["Location"] == first["Location"]

    answer = client.post(reverse("bookings:let_go", args=[booking.pk]), follow=True)
    assert "The session is: not paid." in text(answer)
    assert fresh(booking).status == Status.ABANDONED
    assert buttons(answer) == set()
    again = client.post(reverse("bookings:continue_paying", args=[booking.pk]), follow=True)
    assert "There is nothing to pay here. The session is: not paid." in text(again)


def test_letting_go_after_paying_keeps_the_session(
    browser_of_student: Client, offering: Offering, sandbox: Sandbox
) -> None:
    post_booking(browser_of_student, offering, free(offering))
    booking = Booking.objects.get()
    pay(sandbox, booking)
    answer = browser_of_student.post(reverse("bookings:let_go", args=[booking.pk]), follow=True)
    assert fresh(booking).status == Status.REQUESTED
    assert "The session is: requested." in text(answer)


def test_the_timer_closes_the_checkout_at_stripe_before_the_time_is_free(
    browser_of_student: Client, offering: Offering, sandbox: Sandbox
) -> None:
    post_booking(browser_of_student, offering, free(offering))
    booking = Booking.objects.get()
    sandbox.advance(29 * 60)
    assert services.run_due_transitions(now=clock.now()) == 0
    sandbox.advance(61)
    assert services.run_due_transitions(now=clock.now()) == 1
    assert fresh(booking).status == Status.ABANDONED
    paths = [row["path"] for row in sandbox.get("/_sandbox/requests")["data"]]
    assert f"/v1/checkout/sessions/{payment_of(booking).checkout_session_id}/expire" in paths


def test_a_student_cancels(browser_of_student: Client, offering: Offering, sandbox: Sandbox) -> None:
    booking = request_session(browser_of_student, offering, sandbox)
    answer = browser_of_student.post(reverse("bookings:cancel", args=[booking.pk]), follow=True)
    assert "The session is: cancelled." in text(answer)
    again = browser_of_student.post(reverse("bookings:cancel", args=[booking.pk]), follow=True)
    assert "This can&#x27;t be done any more. The session is: cancelled." in text(again)
    assert Operation.objects.filter(kind="release").count() == 1


def test_declining_passes_the_reason_on_and_a_long_one_is_kept_for_mending(
    browser_of_student: Client, coach: Coach, offering: Offering, sandbox: Sandbox
) -> None:
    booking = request_session(browser_of_student, offering, sandbox)
    client = Client()
    client.force_login(coach.user)
    too_long = client.post(reverse("bookings:decline", args=[booking.pk]), {"reason": "a" * 501})
    assert too_long.status_code == 400
    assert "a" * 501 in text(too_long)
    assert fresh(booking).status == Status.REQUESTED
    client.post(reverse("bookings:decline", args=[booking.pk]), {"reason": "I am away."})
    assert fresh(booking).status == Status.DECLINED
    assert "I am away." in text(browser_of_student.get(reverse("bookings:session", args=[booking.pk])))


# --- refused, with nothing lost -----------------------------------------------------------------


def test_a_time_just_taken_keeps_the_words_and_offers_the_nearest(
    browser_of_student: Client, offering: Offering, stranger: User
) -> None:
    start = free(offering)
    services.book(
        student_user=stranger,
        offering=offering,
        starts_at=start,
        expected_price=offering.price,
        agreed_zone="UTC",
        note="",
        now=clock.now(),
    )
    answer = post_booking(browser_of_student, offering, start, note="My own words")
    assert answer.status_code == 409
    assert "This time has just been taken. Nothing was charged." in text(answer)
    assert "My own words" in text(answer)
    assert len(answer.context["nearest"]) == 3
    assert Booking.objects.count() == 1


def test_a_changed_price_is_shown_before_it_is_agreed_to(browser_of_student: Client, offering: Offering) -> None:
    start = free(offering)
    Offering.objects.update(price_amount=12_000)
    answer = post_booking(browser_of_student, offering, start)
    assert answer.status_code == 409
    assert "The price has changed since you saw it." in text(answer)
    assert "$120.00" in text(answer)
    assert 'value="12000"' in text(answer)
    assert not Booking.objects.exists()
    assert post_booking(browser_of_student, offering, start, price_amount=12_000).status_code == 302


def test_stripe_being_down_at_the_first_step_loses_nothing(
    browser_of_student: Client, offering: Offering, sandbox: Sandbox
) -> None:
    start = free(offering)
    sandbox.post("/_sandbox/faults", {"method": "POST", "path": "/v1/customers", "action": "refuse", "times": 0})
    answer = post_booking(browser_of_student, offering, start)
    assert answer.status_code == 503
    assert "You have not been charged." in text(answer)
    assert "Scales." in text(answer)
    assert not Booking.objects.exists()


def test_stripe_being_down_at_the_checkout_keeps_the_time(
    browser_of_student: Client, student: User, offering: Offering, sandbox: Sandbox
) -> None:
    start = free(offering)
    payment_services.ensure_customer(user=student, now=clock.now())
    sandbox.post(
        "/_sandbox/faults", {"method": "POST", "path": "/v1/checkout/sessions", "action": "refuse", "times": 0}
    )
    answer = browser_of_student.post(
        reverse("bookings:book", args=[offering.pk]), form_of(offering, start), follow=True
    )
    booking = Booking.objects.get()
    assert answer.redirect_chain == [(f"/sessions/{booking.pk}/", 302)]
    assert "We can&#x27;t reach our payment provider just now." in text(answer)
    assert "The time is kept for you" in text(answer)
    assert (booking.status, booking.note) == (Status.AWAITING_PAYMENT, "Scales.")


def test_a_click_sent_twice_goes_to_one_checkout(
    browser_of_student: Client, offering: Offering, sandbox: Sandbox
) -> None:
    start = free(offering)
    first = post_booking(browser_of_student, offering, start)
    second = post_booking(browser_of_student, offering, start)
    assert first["Location"] == second["Location"]
    made = [row for row in sandbox.get("/_sandbox/requests")["data"] if row["method"] == "POST"]
    assert sorted(row["path"] for row in made) == ["/v1/checkout/sessions", "/v1/customers"]


@pytest.mark.parametrize(
    "start",
    [
        "", "now", "2026-11-25T10:00:00", "2026-11-25", "2026-02-30T10:00:00+00:00", "2026-11-25T25:61:00+00:00",
        "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0000-01-01T00:00:00+00:00", "10000-01-01T00:00:00Z",
        "2026-11-25T10:00:00+00:00\x00", "'; DROP TABLE bookings_booking; --", "{{7*7}}", "9" * 5000,
    ],
)  # fmt: skip
def test_a_start_that_is_no_instant_leads_back_to_the_times(
    browser_of_student: Client, offering: Offering, start: str
) -> None:
    answer = post_booking(browser_of_student, offering, start)
    assert answer.status_code == 400
    assert "Please choose a time from the list." in text(answer)
    looked = browser_of_student.get(reverse("bookings:review", args=[offering.pk]), {"start": start})
    assert looked.status_code == 400
    assert not Booking.objects.exists()


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"zone": "Mars/Olympus"}, 400),
        ({"zone": "../../etc/passwd"}, 400),
        ({"price_amount": "-1"}, 409),
        ({"price_amount": "1e12"}, 400),
        ({"price_amount": "10,00"}, 400),
        ({"price_amount": "NaN"}, 400),
        ({"price_amount": "9" * 40}, 409),
        ({"currency": "USD"}, 400),
        ({"currency": "us"}, 400),
        ({"currency": "eur"}, 409),
        ({"note": "a" * 1001}, 400),
        ({"note": "a\x00b"}, 400),
        ({"note": "My card is 4242 4242 4242 4242."}, 400),
    ],
)
def test_bad_fields_are_refused_and_nothing_is_made(
    browser_of_student: Client, offering: Offering, change: dict[str, str], status: int
) -> None:
    answer = post_booking(browser_of_student, offering, free(offering), **change)
    assert answer.status_code == status
    assert not Booking.objects.exists()
    assert not Customer.objects.filter(user__email="student@example.com").exists()


def test_what_the_browser_adds_is_not_read(browser_of_student: Client, offering: Offering) -> None:
    extra = {"amount": 1, "platform_fee": 0, "coach_share": 99_999, "status": "accepted", "student": 1, "minutes": 600}
    post_booking(browser_of_student, offering, free(offering), **extra)
    booking = Booking.objects.select_related("payment").get()
    assert booking.payment
    assert (booking.status, booking.price_amount, booking.payment.platform_fee) == ("awaiting_payment", 10_000, 2_000)
    assert booking.ends_at - booking.starts_at == timedelta(hours=1)


def test_a_note_is_shown_as_it_was_written(browser_of_student: Client, offering: Offering) -> None:
    note = "<script>alert(1)</script> {{7*7}} \u202eabc 🎹 Z̷͎a̸lgo 1234 5678"
    post_booking(browser_of_student, offering, free(offering), note=note)
    booking = Booking.objects.get()
    assert booking.note == note
    page = text(browser_of_student.get(reverse("bookings:session", args=[booking.pk])))
    assert "&lt;script&gt;alert(1)&lt;/script&gt; {{7*7}}" in page
    assert "<script>alert" not in page


# --- not one's own ------------------------------------------------------------------------------

STUDENT_PAGES = ["session", "paid", "state", "continue_paying", "let_go", "cancel"]
COACH_PAGES = ["teaching_session", "accept", "decline", "cancel_by_coach", "complete"]
POST_ONLY = ["continue_paying", "let_go", "cancel", "accept", "decline", "cancel_by_coach", "complete"]


@pytest.mark.parametrize("name", [*STUDENT_PAGES, *COACH_PAGES])
def test_what_is_not_ones_own_does_not_exist(
    name: str,
    browser_of_student: Client,
    coach: Coach,
    stranger: User,
    staff: User,
    offering: Offering,
    sandbox: Sandbox,
) -> None:
    booking = request_session(browser_of_student, offering, sandbox)
    own = coach.user if name in COACH_PAGES else booking.student.user
    other_coach = Coach.objects.create(
        user=stranger, slug="x", display_name="X", headline="x", bio="x", subject="x", time_zone="UTC"
    )
    for user in {booking.student.user, coach.user, other_coach.user, staff} - {own}:
        client = Client()
        client.force_login(user)
        for pk in (booking.pk, 10**40, 0):
            method = client.post if name in POST_ONLY else client.get
            assert method(f"/{'teach/' if name in COACH_PAGES else ''}sessions/{pk}/{_tail(name)}").status_code == 404
    assert fresh(booking).status == Status.REQUESTED


def _tail(name: str) -> str:
    return reverse(f"bookings:{name}", args=[1]).split("/1/")[1]


@pytest.mark.parametrize("name", [*STUDENT_PAGES, *COACH_PAGES])
def test_without_a_login_there_is_only_the_login(name: str, client: Client, db: None) -> None:
    address = reverse(f"bookings:{name}", args=[1])
    answer = client.post(address) if name in POST_ONLY else client.get(address)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/login/")


@pytest.mark.parametrize("name", POST_ONLY)
def test_a_get_changes_nothing(name: str, browser_of_student: Client) -> None:
    assert browser_of_student.get(reverse(f"bookings:{name}", args=[1])).status_code == 405


def test_a_post_from_elsewhere_is_refused(student: User, offering: Offering) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(student)
    assert post_booking(client, offering, free(offering)).status_code == 403
    assert not Booking.objects.exists()


def test_a_coach_does_not_see_what_was_never_paid(browser_of_student: Client, coach: Coach, offering: Offering) -> None:
    post_booking(browser_of_student, offering, free(offering))
    booking = Booking.objects.get()
    client = Client()
    client.force_login(coach.user)
    assert list(client.get(reverse("bookings:teaching")).context["entries"]) == []
    assert client.get(reverse("bookings:teaching_session", args=[booking.pk])).status_code == 404


def test_a_coach_is_told_that_they_cannot_book_themselves(
    client: Client, coach: Coach, offering: Offering, sandbox: Sandbox
) -> None:
    client.force_login(coach.user)
    answer = post_booking(client, offering, free(offering))
    assert answer.status_code == 409
    assert "You can&#x27;t book yourself." in text(answer)


def test_an_offering_that_cannot_be_booked_is_not_found(browser_of_student: Client, offering: Offering) -> None:
    Coach.objects.update(payable=False)
    for name in ("choose_slot", "review", "book"):
        address = reverse(f"bookings:{name}", args=[offering.pk])
        answer = browser_of_student.post(address) if name == "book" else browser_of_student.get(address)
        assert answer.status_code == 404


# --- looking ------------------------------------------------------------------------------------


def test_times_are_shown_in_the_zone_one_asks_for(client: Client, offering: Offering) -> None:
    address = reverse("bookings:choose_slot", args=[offering.pk])
    assert "in Tokyo time" in text(client.get(address, {"zone": "Asia/Tokyo"}))
    assert "in UTC" in text(client.get(address, {"zone": "Mars/Olympus"}))


def test_the_lists_cost_the_same_however_long(
    browser_of_student: Client, coach: Coach, offering: Offering, sandbox: Sandbox
) -> None:
    teaching = Client()
    teaching.force_login(coach.user)
    counts = []
    for number in (1, 4):
        while Booking.objects.count() < number:
            request_session(browser_of_student, offering, sandbox)
        with CaptureQueriesContext(connection) as queries:
            assert len(browser_of_student.get(reverse("bookings:sessions")).context["entries"]) == number
            assert len(teaching.get(reverse("bookings:teaching")).context["entries"]) == number
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_settled_sessions_are_on_their_own_page(
    browser_of_student: Client, offering: Offering, sandbox: Sandbox
) -> None:
    booking = request_session(browser_of_student, offering, sandbox)
    address = reverse("bookings:sessions")
    assert len(browser_of_student.get(address).context["entries"]) == 1
    browser_of_student.post(reverse("bookings:cancel", args=[booking.pk]))
    assert len(browser_of_student.get(address).context["entries"]) == 0
    assert len(browser_of_student.get(f"{address}?earlier&page=-1").context["entries"]) == 1


def test_a_lost_hold_is_shown_in_plain_words(browser_of_student: Client, offering: Offering, sandbox: Sandbox) -> None:
    booking = request_session(browser_of_student, offering, sandbox)
    hold_lost(booking, now=clock.now())
    page = text(browser_of_student.get(reverse("bookings:session", args=[booking.pk])))
    assert "Payment failed" in page
    assert "nothing was taken" in page
