"""The page of one session, to both of its sides, in each state that it can be in."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from bookings import process, selectors, services
from bookings.history import WORDS, line_of
from bookings.models import Booking, BookingEvent, Notice
from bookings.tests.factories import book, fresh, payment_of
from bookings.tests.pages import learn, pay
from coaches.models import Coach, Offering
from marketplace import clock
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments.models import Payment

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture
def booking(buyer: User, offering: Offering, sandbox: Sandbox) -> Booking:
    """Paid and accepted, some days ahead by the sandbox's clock."""
    now = clock.now()
    start = next(start for start in selectors.open_slots(offering=offering, now=now) if start > now + 60 * HOUR)
    made = book(buyer, offering, starts_at=start, now=now)
    services.pay(booking=made, now=now)
    pay(sandbox, made)
    services.accept(booking=learn(made), actor=offering.coach.user, now=clock.now())
    return fresh(made)


def payment_is(booking: Booking, **facts: Any) -> None:
    """As if Stripe had said so."""
    Payment.objects.filter(pk=payment_of(booking).pk).update(**facts)


def seen(user: User, name: str, booking: Booking) -> Any:
    client = Client()
    client.force_login(user)
    answer: Any = client.get(reverse(name, args=[booking.pk]))
    assert answer.status_code == 200
    answer.page = " ".join(answer.content.decode().split())
    return answer


def by_student(booking: Booking) -> Any:
    return seen(booking.student.user, "bookings:session", booking)


def by_coach(booking: Booking) -> Any:
    return seen(booking.coach.user, "bookings:teaching_session", booking)


def line(answer: Any) -> list[tuple[str, str]]:
    return [(step.label, step.state) for step in answer.context["steps"]]


AHEAD = [("The session ends", "next"), ("Taken", "next")]


def test_a_card_that_is_only_saved_is_not_said_to_be_held(booking: Booking) -> None:
    payment_is(booking, status=Payment.Status.SAVED, held_at=None)
    answer = by_student(booking)
    assert line(answer) == [("Card saved", "now"), *AHEAD]
    assert "Pay $" not in answer.page
    words = seen(booking.student.user, "bookings:paid", booking).page
    assert "Your card is saved, and nothing is held yet." in words
    assert "$100.00 is held on your card, not taken" not in words


def test_each_side_reads_of_a_cancellation_whose_it_is(booking: Booking) -> None:
    terms = "You can cancel at any time before the start and pay nothing."
    Booking.objects.filter(pk=booking.pk).update(policy_text=terms)
    own = by_student(booking).page
    assert f"<dt>If you cancel</dt><dd>{terms}</dd>" in own
    assert "If the student cancels" not in own
    others = by_coach(booking).page
    assert f"<dt>If the student cancels</dt><dd>They have agreed to this: “{terms}”</dd>" in others
    assert "If you cancel" not in others


def test_a_hold_that_is_being_asked_for_is_shown_as_such(booking: Booking) -> None:
    payment_is(booking, status=Payment.Status.AUTHORISING, held_at=None)
    assert line(by_student(booking)) == [("Being held", "now"), *AHEAD]
    assert "We are asking your bank to hold $100.00" in seen(booking.student.user, "bookings:paid", booking).page


@pytest.fixture
def asked(booking: Booking) -> Booking:
    """The bank has refused, and the student is asked to pay by link."""
    payment_is(booking, status=Payment.Status.REFUSED, held_at=None)
    services.ask_for_payment(booking=booking, now=clock.now())
    return fresh(booking)


def test_who_is_refused_can_pay_by_link(asked: Booking) -> None:
    answer = by_student(asked)
    assert "Please pay to keep your session" in answer.page
    assert "Unpaid by then, the session is off, and you pay nothing." in answer.page
    assert '<button class="button">Pay $100.00</button>' in answer.page
    assert line(answer) == [("Not held", "now"), *AHEAD]


def test_the_coach_hears_that_a_session_is_not_paid(asked: Booking) -> None:
    answer = by_coach(asked)
    assert "They have been asked to pay until" in answer.page
    assert "Unpaid by then, the session is off, and we tell you both." in answer.page
    assert reverse("bookings:continue_paying", args=[asked.pk]) not in answer.page


def test_a_link_that_is_open_can_be_gone_on_with(asked: Booking) -> None:
    address = services.pay(booking=asked, now=clock.now())
    answer = by_student(asked)
    assert '<button class="button">Continue paying</button>' in answer.page
    assert "Pay $100.00" not in answer.page
    client = Client()
    client.force_login(asked.student.user)
    assert client.post(reverse("bookings:continue_paying", args=[asked.pk]))["Location"] == address
    paid_page = seen(asked.student.user, "bookings:paid", asked).page
    assert "We are confirming your payment" in paid_page
    assert ">continue paying</a>" in paid_page


def test_a_new_hold_that_is_under_way_is_waited_for(asked: Booking) -> None:
    services.pay(booking=asked, now=clock.now())
    Payment.objects.filter(reference=asked.reference, status="open").update(status=Payment.Status.AUTHORISING)
    answer = by_student(asked)
    assert "We are asking your bank for it right now." in answer.page
    assert reverse("bookings:continue_paying", args=[asked.pk]) not in answer.page


def test_a_hold_that_is_gone_is_not_said_to_end_the_matter(booking: Booking) -> None:
    payment_is(booking, status=Payment.Status.LOST)
    assert line(by_student(booking)) == [("Held on the card", "done"), ("Hold ended", "now"), *AHEAD]


def test_what_took_place_unpaid_is_still_to_be_paid(booking: Booking, sandbox: Sandbox) -> None:
    payment_is(booking, status=Payment.Status.REFUSED, held_at=None)
    sandbox.advance(int((booking.ends_at - clock.now()).total_seconds()) + 2)
    services.complete(booking=fresh(booking), actor=booking.coach.user, now=clock.now())
    answer = by_student(booking)
    assert "Still to be paid" in answer.page
    assert "the session is off" not in answer.page
    assert '<button class="button">Pay $100.00</button>' in answer.page
    assert line(answer) == [("The session ends", "done"), ("Not held", "now"), ("Taken", "next")]
    assert "if the student does not pay by then, we do" in by_coach(booking).page


def test_each_side_sees_a_proposal_from_where_it_stands(booking: Booking) -> None:
    coach, now = booking.coach.user, clock.now()
    other = next(start for start in selectors.open_slots(offering=booking.offering, now=now) if start > now + 80 * HOUR)
    services.propose(booking=booking, actor=coach, starts_at=other, now=now)
    theirs, mine = by_student(booking), by_coach(booking)
    assert "Carla Coach proposes another time" in theirs.page
    assert f'name="start" value="{other.isoformat()}"' in theirs.page
    assert "Agree to the new time" in theirs.page
    assert "You proposed another time" in mine.page
    assert "Agree to the new time" not in mine.page
    assert "Keep the time as it is" in mine.page
    services.agree(booking=fresh(booking), actor=booking.student.user, expected_starts_at=other, now=now)
    moved = by_student(booking)
    assert "another time" not in moved.page.split("What has happened so far")[0].replace("Propose another time", "")
    assert "Carla Coach proposed another time" in moved.page
    assert "Sam Student agreed to the new time, and the session moved" in moved.page


def test_a_late_cancellation_shows_what_was_kept_and_what_was_not(booking: Booking) -> None:
    Booking.objects.update(status=Booking.Status.CANCELLED)
    payment_is(booking, status=Payment.Status.CAPTURED, captured_amount=5_000, captured_at=clock.now())
    answer = by_student(booking)
    assert [(step.label, str(step.money)) for step in answer.context["steps"]] == [
        ("Held on the card", "$100.00"),
        ("Taken", "$50.00"),
        ("Released", "$50.00"),
    ]
    assert [(step.label, str(step.money)) for step in by_coach(booking).context["steps"]] == [("Taken", "$50.00")]


def test_a_list_says_what_is_unpaid_and_what_is_proposed(asked: Booking) -> None:
    client = Client()
    client.force_login(asked.student.user)
    page = client.get(reverse("bookings:sessions")).content.decode()
    assert "Not paid yet" in page
    assert "Another time is proposed" not in page


# --- what has happened so far -------------------------------------------------------------------


def test_every_transition_has_words_of_its_own() -> None:
    assert set(WORDS) == set(process.PROCESS)
    assert len(set(WORDS.values()) - {WORDS[process.CANCEL_BY_COACH]}) == len(WORDS) - 2


def test_the_history_says_who_did_what(booking: Booking, coach: Coach) -> None:
    answer = by_student(booking)
    for words in ("Sam Student chose the time", "The payment was arranged", "Carla Coach accepted"):
        assert words in answer.page


@pytest.mark.parametrize(
    ("transition", "role", "words"),
    [
        (process.ACCEPT, "staff", "Our team accepted"),
        (process.COMPLETE, "coach", "Carla Coach marked the session as complete"),
        (process.COMPLETE, "timer", "The session counted as complete, some time after its end"),
        (process.WITHDRAW, "timer", "The proposal was not answered, and the session stayed where it was"),
        (process.WITHDRAW, "student", "Sam Student kept the time as it was"),
    ],
)
def test_the_words_follow_who_acted(transition: Any, role: str, words: str, booking: Booking) -> None:
    event = BookingEvent(booking=booking, transition=transition.name, actor_role=role, at=clock.now())
    assert line_of(event) == words


def test_whoever_is_told_of_a_state_is_told_of_its_end() -> None:
    """A mail that is overtaken is not sent, since the next one says what is so."""
    for recipient in Notice.Recipient:
        tells = [row for row in process.PROCESS if recipient in {mail.recipient for mail in row.tell}]
        told_of = {state for row in tells for state in ((row.to, row.to_if_instant) if row.to else row.sources)}
        for row in process.PROCESS:
            if row.to and told_of.intersection(row.sources) - {row.to}:
                assert row in tells, f"{row.name} leaves a state that the {recipient} was told of"
