"""Staff see what happened, and act through the process, with a reason; nothing is edited by hand."""

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from bookings import selectors
from bookings.models import Booking
from bookings.tests.factories import book, fresh, paid
from coaches.models import Offering
from marketplace import clock
from marketplace.models import User
from marketplace.tests.factories import UserFactory
from marketplace.tests.sandbox import Sandbox
from marketplace.tests.staff import as_role, sign_in_with_second_step

pytestmark = pytest.mark.django_db

Status = Booking.Status


@pytest.fixture
def booking(student: User, offering: Offering, sandbox: Sandbox) -> Booking:
    now = clock.now()
    start = selectors.open_slots(offering=offering, now=now)[0]
    return paid(book(student, offering, starts_at=start, now=now), now=now)


def as_staff(staff: User) -> Client:
    client = Client()
    sign_in_with_second_step(client, staff)
    return client


def test_a_booking_shows_its_story_its_mails_and_its_payment(staff: User, booking: Booking) -> None:
    page = as_staff(staff).get(reverse("admin:bookings_booking_change", args=[booking.pk])).content.decode()
    for words in (
        "confirm_payment",
        "requested-student to student",
        f"payment {booking.payment_id} for booking:{booking.pk}",
    ):
        assert words in page
    assert "Accept</a>" in page
    assert 'name="_save"' not in page


@pytest.mark.parametrize("name", ["booking", "student", "notice"])
def test_the_lists_open_and_offer_no_adding(name: str, staff: User, booking: Booking) -> None:
    client = as_staff(staff)
    assert client.get(reverse(f"admin:bookings_{name}_changelist")).status_code == 200
    assert client.get(reverse(f"admin:bookings_{name}_add")).status_code == 403


def test_staff_decline_with_a_reason_that_is_kept(staff: User, booking: Booking) -> None:
    client, address = as_staff(staff), reverse("admin:bookings_booking_do", args=[booking.pk, "decline"])
    assert client.get(address).status_code == 200
    assert client.post(address, {"reason": ""}).status_code == 200
    assert fresh(booking).status == Status.REQUESTED

    client.post(address, {"reason": "The coach asked us to."})
    assert fresh(booking).status == Status.DECLINED
    event = booking.events.latest("pk")
    assert (event.actor, event.actor_role, event.reason) == (staff, "staff", "The coach asked us to.")
    assert client.post(address, {"reason": "Again."}).status_code == 404


@pytest.mark.parametrize("name", ["complete", "abandon", "confirm_payment", "nonsense"])
def test_staff_do_only_what_the_process_allows_them(name: str, staff: User, booking: Booking) -> None:
    address = reverse("admin:bookings_booking_do", args=[booking.pk, name])
    assert as_staff(staff).post(address, {"reason": "x"}).status_code == 404
    assert fresh(booking).status == Status.REQUESTED


def test_staff_without_the_right_may_only_look(booking: Booking) -> None:
    looker = UserFactory.create(is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_booking"))
    client = as_staff(looker)
    assert client.get(reverse("admin:bookings_booking_change", args=[booking.pk])).status_code == 200
    address = reverse("admin:bookings_booking_do", args=[booking.pk, "decline"])
    assert client.post(address, {"reason": "x"}).status_code == 403
    assert fresh(booking).status == Status.REQUESTED


def test_a_student_does_not_get_in(student: User, booking: Booking) -> None:
    client = Client()
    client.force_login(student)
    address = reverse("admin:bookings_booking_do", args=[booking.pk, "decline"])
    assert client.post(address, {"reason": "x"}).status_code == 302
    assert fresh(booking).status == Status.REQUESTED


def test_where_nothing_is_at_risk_it_says_what_was_looked_for() -> None:
    shown = as_role("finance").get(reverse("admin:bookings_at_risk")).content.decode()
    assert "Nothing is at risk." in shown
    assert "payout waits, reversed at Stripe, correction to approve." in shown
