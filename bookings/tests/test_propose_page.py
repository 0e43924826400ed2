"""Proposing another time on the page: either side, by the same picker, with nothing typed lost."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bookings import selectors, services
from bookings.models import Booking
from bookings.tests.factories import book, fresh, known_student, paid, payable, payment_of
from bookings.tests.pages import free, text
from coaches.models import Coach, DateOverride, Offering
from marketplace import clock
from marketplace.lib.zones import in_zone
from marketplace.models import User
from marketplace.tests.factories import CoachFactory, OfferingFactory, UserFactory, open_all_week
from marketplace.tests.sandbox import Sandbox
from payments.models import Payment

pytestmark = pytest.mark.django_db

LATER = timedelta(hours=30)


@pytest.fixture
def booking(student: User, coach: Coach, offering: Offering, sandbox: Sandbox) -> Booking:
    """Accepted, for tomorrow, by the clock of the sandbox."""
    now = clock.now()
    start = selectors.open_slots(offering=offering, now=now + timedelta(days=1))[0]
    made = paid(book(student, offering, starts_at=start, now=now), now=now)
    services.accept(booking=made, actor=coach.user, now=now)
    return fresh(made)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def address(booking: Booking, **query: str) -> str:
    return reverse("bookings:propose", args=[booking.pk], query=query or None)


def other_time(booking: Booking) -> datetime:
    return selectors.open_slots(
        offering=booking.offering, now=booking.starts_at + LATER, user=booking.student.user, but=booking
    )[0]


def send(client: Client, booking: Booking, start: datetime | str, /, **changes: Any) -> Any:
    sent = {"start": start if isinstance(start, str) else start.isoformat(), "zone": "Europe/Berlin"}
    return client.post(address(booking), {**sent, "reason": "My train is late.", **changes})


@pytest.mark.parametrize("side", ["student", "coach"])
def test_either_side_chooses_looks_it_over_and_proposes(side: str, booking: Booking) -> None:
    user = booking.student.user if side == "student" else booking.coach.user
    client, start = signed_in(user), other_time(booking)
    day = in_zone(start, "Europe/Berlin").date().isoformat()
    chosen = client.get(address(booking, day=day, zone="Europe/Berlin"))
    assert start in chosen.context["picker"].times
    assert "Free times, in Berlin time" in text(chosen)

    shown = text(client.get(address(booking, start=start.isoformat(), zone="Europe/Berlin")))
    for each in (booking.starts_at, start):
        assert f"{in_zone(each, 'Europe/Berlin'):%H:%M} to" in shown
    assert "Propose this time" in shown
    assert fresh(booking).proposed_starts_at is None

    answer = send(client, booking, start)
    page = "session" if side == "student" else "teaching_session"
    assert answer["Location"] == reverse(f"bookings:{page}", args=[booking.pk])
    booking = fresh(booking)
    assert (booking.proposed_starts_at, booking.proposed_by) == (start, side)
    event = booking.events.latest("pk")
    assert (event.transition, event.reason) == ("propose", "My train is late.")
    assert payment_of(booking).status == Payment.Status.HELD


def test_a_session_is_not_in_its_own_way_and_not_offered_its_own_time(booking: Booking) -> None:
    """Half an hour later overlaps the session as it is, and nothing else."""
    near = booking.starts_at + timedelta(minutes=30)
    day = in_zone(near, "Europe/Berlin").date().isoformat()
    answer = signed_in(booking.student.user).get(address(booking, day=day, zone="Europe/Berlin"))
    times = answer.context["picker"].times
    assert near in times
    assert booking.starts_at not in times


def test_a_coach_sees_the_times_that_the_student_has(booking: Booking, student: User) -> None:
    elsewhere = OfferingFactory.create(coach=CoachFactory.create(slug="other"))
    open_all_week(payable(elsewhere.coach))
    start = other_time(booking)
    book(student, elsewhere, starts_at=start, now=clock.now())
    day = in_zone(start, "Europe/Berlin").date().isoformat()
    answer = signed_in(booking.coach.user).get(address(booking, day=day, zone="Europe/Berlin"))
    times = answer.context["picker"].times
    assert times
    assert start not in times


def test_what_is_agreed_can_move_after_the_offering_is_withdrawn(booking: Booking) -> None:
    Offering.objects.update(active=False)
    Coach.objects.update(payable=False)
    client, start = signed_in(booking.student.user), other_time(booking)
    assert client.get(address(booking)).context["picker"].soonest
    assert send(client, booking, start).status_code == 302
    assert fresh(booking).proposed_starts_at == start


# --- refusals -----------------------------------------------------------------------------------


def test_a_time_that_was_taken_meanwhile_keeps_the_words_and_offers_others(booking: Booking) -> None:
    client, start = signed_in(booking.student.user), other_time(booking)
    book(known_student(UserFactory.create()), booking.offering, starts_at=start, now=clock.now())
    answer = send(client, booking, start)
    assert answer.status_code == 409
    assert "This time has just been taken." in text(answer)
    assert "My train is late." in text(answer)
    instead = answer.context["instead"]
    assert len(instead) == 3
    assert fresh(booking).proposed_starts_at is None

    # Its button sends the other time after the one in the form, and the words along with it.
    send(client, booking, start, start=[start.isoformat(), instead[0].isoformat()])
    assert fresh(booking).proposed_starts_at == instead[0]
    assert booking.events.latest("pk").reason == "My train is late."


def test_a_hold_that_does_not_reach_is_told_in_words(booking: Booking) -> None:
    payment = payment_of(booking)
    payment.capture_before = booking.ends_at + timedelta(hours=1)
    payment.save(update_fields=["capture_before"])
    soon = clock.now() + timedelta(hours=40)
    start = selectors.open_slots(offering=booking.offering, now=soon - timedelta(hours=3), but=booking)[0]
    answer = send(signed_in(booking.student.user), booking, start)
    assert answer.status_code == 409
    assert "The hold on the card does not reach this time." in text(answer)
    assert "My train is late." in text(answer)


def test_a_wrong_time_is_refused_by_name_with_the_words_kept(booking: Booking, coach: Coach) -> None:
    now = clock.now()
    off_day = in_zone(now, coach.time_zone).date() + timedelta(days=3)
    DateOverride.objects.create(coach=coach, first_day=off_day, last_day=off_day, windows=[])
    wrong = {
        "agreed already": booking.starts_at,
        "time is over": now - timedelta(days=1),
        "short notice": now + timedelta(minutes=5),
        "too far ahead": now + timedelta(days=3650),
        "does not offer": booking.starts_at + timedelta(minutes=7),
        "not offer this": datetime(off_day.year, off_day.month, off_day.day, 17, tzinfo=now.tzinfo),
    }
    client = signed_in(booking.student.user)
    for words, start in wrong.items():
        answer = send(client, booking, start)
        assert answer.status_code in (400, 409)
        assert words in text(answer)
        assert "My train is late." in text(answer)
        assert len(answer.context["instead"]) == 5
    assert fresh(booking).proposed_starts_at is None


@pytest.mark.everyday(2)
@pytest.mark.parametrize(
    "start",
    ["", "x", "2026-12-01T10:00", "2026-11-01T01:30", "2027-03-14T02:30", "2026-12-01T25:61:00Z", "0000-01-01", "\x00"],
)
def test_a_time_that_means_no_instant_is_asked_for_again(start: str, booking: Booking) -> None:
    client = signed_in(booking.student.user)
    for answer in (client.get(address(booking), {"start": start}), send(client, booking, start)):
        assert answer.status_code == 400
        assert "Please choose a time from the list." in text(answer)
        assert len(answer.context["instead"]) == 5
    assert "My train is late." in text(answer)
    assert fresh(booking).proposed_starts_at is None


def test_a_reason_that_is_too_long_is_kept_for_mending(booking: Booking) -> None:
    start = other_time(booking)
    answer = send(signed_in(booking.student.user), booking, start, reason="a" * 501)
    assert answer.status_code == 400
    assert "a" * 501 in text(answer)
    assert f'value="{start.isoformat()}"' in text(answer)
    assert "Propose this time</button>" in text(answer)
    assert fresh(booking).proposed_starts_at is None


def test_a_second_proposal_is_refused_with_the_words_kept(booking: Booking) -> None:
    first, client = other_time(booking), signed_in(booking.student.user)
    send(signed_in(booking.coach.user), booking, first)
    answer = send(client, booking, first + timedelta(hours=2))
    assert answer.status_code == 409
    assert "My train is late." in text(answer)
    assert fresh(booking).proposed_starts_at == first
    assert client.get(address(booking))["Location"] == reverse("bookings:session", args=[booking.pk])


def test_an_older_page_does_not_withdraw_a_newer_proposal(booking: Booking) -> None:
    first, client = other_time(booking), signed_in(booking.student.user)
    send(client, booking, first)
    page, keep = reverse("bookings:session", args=[booking.pk]), reverse("bookings:withdraw", args=[booking.pk])
    shown = client.get(page).content.decode()
    assert f'name="start" value="{first.isoformat()}"' in shown.partition(f'action="{keep}"')[2].partition("</form>")[0]
    read = {"start": first.isoformat()}
    assert "stays where it is" in text(client.post(keep, read, follow=True))

    newer = first + timedelta(hours=2)
    send(signed_in(booking.coach.user), booking, newer)
    assert "This time is not proposed any more" in text(client.post(keep, read, follow=True))
    assert "Please look at the proposal again" in text(client.post(keep, follow=True))
    assert fresh(booking).proposed_starts_at == newer


def test_it_is_not_there_for_anyone_else(booking: Booking, stranger: User, staff: User) -> None:
    for user in (stranger, staff):
        assert signed_in(user).get(address(booking)).status_code == 404
        assert send(signed_in(user), booking, other_time(booking)).status_code == 404
    assert Client().get(address(booking))["Location"].startswith("/accounts/login/")
    assert fresh(booking).proposed_starts_at is None


def test_the_cost_does_not_grow_with_the_bookings(booking: Booking) -> None:
    client, counts = signed_in(booking.student.user), []
    for index in (60, 64, 68):
        with CaptureQueriesContext(connection) as queries:
            client.get(address(booking))
        counts.append(len(queries))
        book(
            known_student(UserFactory.create()),
            booking.offering,
            starts_at=free(booking.offering, index),
            now=clock.now(),
        )
    assert counts[0] == counts[1] == counts[2]
