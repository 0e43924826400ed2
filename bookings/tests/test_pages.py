"""The pages, over the real sandbox: the way through, what is refused with nothing lost, and what is not one's own."""

from datetime import timedelta
from urllib.parse import quote

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bookings import services
from bookings.models import Booking
from bookings.tests.factories import fresh, hold_lost, payment_of
from bookings.tests.pages import buttons, free, learn, pay, post_booking, request_session, seconds_until, text
from coaches.models import Coach, Offering
from marketplace import clock
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import operations
from payments.models import Operation, Payment

pytestmark = pytest.mark.django_db

Status = Booking.Status


# --- the way through ----------------------------------------------------------------------------


def test_a_student_chooses_agrees_pays_and_sees_it_confirmed(
    browser_of_student: Client, offering: Offering, sandbox: Sandbox
) -> None:
    # Among the next few, which the page shows at any time of the day.
    client, start = browser_of_student, free(offering, 1)
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
    assert buttons(client.get(page)) == {"Accept", "Decline"}

    answer = client.post(reverse("bookings:accept", args=[booking.pk]), follow=True)
    assert "The session is now accepted." in text(answer)
    assert buttons(answer) == {"Cancel the session", "Propose another time"}
    assert reverse("bookings:room", args=[booking.pk]) in text(answer)
    assert fresh(booking).live_session.meeting_url not in text(answer)

    early = client.post(reverse("bookings:complete", args=[booking.pk]), follow=True)
    assert "This can only be done once the session has ended" in text(early)
    sandbox.advance(seconds_until(booking.ends_at))
    assert buttons(client.get(page)) == {"Mark as complete", "Report a problem"}
    client.post(reverse("bookings:complete", args=[booking.pk]))
    assert fresh(booking).status == Status.COMPLETED
    assert payment_of(booking).status == Payment.Status.CAPTURING

    operations.sweep(now=clock.now())
    settled = text(client.get(page))
    assert "Taken" in settled
    assert "Released a week after the session." in settled
    assert "$80.00" in settled


def test_the_unpaid_can_go_on_paying_or_let_go(browser_of_student: Client, offering: Offering) -> None:
    client = browser_of_student
    first = post_booking(client, offering, free(offering))
    booking = Booking.objects.get()
    page = client.get(reverse("bookings:session", args=[booking.pk]))
    assert buttons(page) == {"Let the time go"}
    assert client.post(reverse("bookings:continue_paying", args=[booking.pk]))["Location"] == first["Location"]

    answer = client.post(reverse("bookings:let_go", args=[booking.pk]), follow=True)
    assert "The session is now not paid." in text(answer)
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
    assert "The session is now requested." in text(answer)


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
    address = reverse("bookings:cancel", args=[booking.pk])
    answer = browser_of_student.post(address, {"kept_amount": 0}, follow=True)
    assert "The session is cancelled." in text(answer)
    again = browser_of_student.post(address, {"kept_amount": 0}, follow=True)
    assert "This session can&#x27;t be cancelled any more." in text(again)
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


# --- not one's own ------------------------------------------------------------------------------

STUDENT_PAGES = ["session", "paid", "state", "continue_paying", "let_go", "cancel"]
COACH_PAGES = ["teaching_session", "accept", "decline", "cancel_by_coach", "complete"]
POST_ONLY = ["continue_paying", "let_go", "accept", "decline", "cancel_by_coach", "complete"]


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


def test_a_post_from_elsewhere_is_refused(buyer: User, offering: Offering) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(buyer)
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
    for name in ("choose_slot", "review"):
        assert browser_of_student.get(reverse(f"bookings:{name}", args=[offering.pk])).status_code == 404
    assert browser_of_student.post(reverse("bookings:book", args=[offering.pk])).status_code == 404


def test_an_offering_withdrawn_before_the_click_is_refused_with_nothing_lost(
    browser_of_student: Client, offering: Offering
) -> None:
    start = free(offering)
    Offering.objects.update(active=False)

    answer = post_booking(browser_of_student, offering, start, note="My scales.")

    assert answer.status_code == 409
    assert "can&#x27;t be booked at the moment" in text(answer)
    assert "My scales." in text(answer)
    assert not Booking.objects.exists()


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
    browser_of_student.post(reverse("bookings:cancel", args=[booking.pk]), {"kept_amount": 0})
    assert len(browser_of_student.get(address).context["entries"]) == 0
    assert len(browser_of_student.get(f"{address}?earlier&page=-1").context["entries"]) == 1


def test_a_lost_hold_is_shown_in_plain_words(browser_of_student: Client, offering: Offering, sandbox: Sandbox) -> None:
    booking = request_session(browser_of_student, offering, sandbox)
    Payment.objects.update(card=None)
    hold_lost(booking, now=booking.starts_at - timedelta(minutes=90))
    page = text(browser_of_student.get(reverse("bookings:session", args=[booking.pk])))
    assert "Payment failed" in page
    assert "Nothing was taken" in page
