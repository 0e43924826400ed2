"""What mails say in each situation: held, only saved, late, unpaid, moved; in text and in HTML, and in whose zone."""

from datetime import datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.core import mail

from bookings import notices, services
from bookings.models import Booking
from bookings.services import moving
from bookings.tests.factories import HOUR, NOW, START, accepted, book, fresh, paid, payment_of, requested, unpaid
from coaches.models import Coach, Offering
from marketplace.lib.money import Money
from marketplace.models import User
from payments.models import Payment

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
LATER = START + 3 * HOUR
Status = Payment.Status


def sent(now: datetime = NOW) -> dict[str, Any]:
    """What goes out now, by "student" and "coach"."""
    mail.outbox.clear()
    notices.send_due(now=now)
    return {message.to[0].partition("@")[0]: message for message in mail.outbox}


def assert_says(message: Any, *sentences: str) -> None:
    """In the text and in the HTML alike."""
    html = next(part.content for part in message.alternatives if part.mimetype == "text/html")
    for words in (message.body, unescape(html)):
        flat = " ".join(words.split())
        for sentence in sentences:
            assert sentence in flat
        assert "None" not in flat


def assert_nowhere(message: Any, *sentences: str) -> None:
    html = next(part.content for part in message.alternatives if part.mimetype == "text/html")
    for sentence in sentences:
        assert sentence not in message.body
        assert sentence not in unescape(html)


def payment_is(booking: Booking, **facts: Any) -> None:
    """As if Stripe had said so."""
    Payment.objects.filter(pk=payment_of(booking).pk).update(**facts)


def only_saved(booking: Booking) -> Booking:
    payment_is(booking, status=Status.SAVED, held_at=None)
    return fresh(booking)


def agreed(student: User, offering: Offering, starts_at: datetime = START) -> Booking:
    """Accepted, and all that was said about it is read."""
    booking = accepted(student, offering, starts_at=starts_at)
    sent()
    return fresh(booking)


# --- held, or only saved ------------------------------------------------------------------------


def test_a_request_whose_card_is_only_saved_says_so_to_both(student: User, offering: Offering) -> None:
    only_saved(requested(student, offering))
    messages = sent()
    assert_says(
        messages["student"],
        "Your card is saved, and nothing is held yet. $100.00 is held on it at most two days before the session, and "
        "taken only after the session has taken place.",
        "If Carla Coach can't take the session, you pay nothing.",
    )
    assert_says(
        messages["coach"],
        "The student's card is saved; $100.00 is held on it at most two days before the session, and your share of it "
        "is $80.00. It is taken once the session has taken place.",
    )
    assert_nowhere(messages["student"], "is held on your card, not taken")


def test_an_acceptance_while_the_bank_is_asked_promises_no_hold(
    student: User, coach: Coach, offering: Offering
) -> None:
    booking = requested(student, offering)
    sent()
    services.accept(booking=booking, actor=coach.user, now=NOW)
    payment_is(booking, status=Status.AUTHORISING, held_at=None)
    messages = sent()
    assert_says(messages["student"], "We are asking your bank to hold $100.00 on your card.")
    assert_says(messages["coach"], "$100.00 is being held on the student's card, and your share of it is $80.00.")


# --- another time -------------------------------------------------------------------------------


def test_a_proposal_tells_both_times_and_who_is_to_answer(student: User, coach: Coach, offering: Offering) -> None:
    booking = agreed(student, offering)
    services.propose(booking=booking, actor=coach.user, starts_at=LATER, now=NOW, reason="A train.")
    messages = sent()
    assert messages["student"].subject == "Carla Coach proposes another time"
    assert messages["coach"].subject == "You proposed another time"
    assert_says(
        messages["student"],
        "Carla Coach would like to move this session to another time. Until you agree, it stays where it is:",
        "Sat 21 Nov 2026, 16:00 to 17:00 Berlin time",
        "The new time would be Sat 21 Nov 2026, 19:00 to 20:00 Berlin time. Both times are kept until Sat 21 Nov 2026, "
        "15:00 Berlin time.",
        "Carla Coach writes: “A train.”",
        "Answer the proposal",
    )
    assert_says(messages["coach"], "Sam Student has been asked to move this session", "You wrote: “A train.”")
    assert_nowhere(messages["coach"], "Answer the proposal")


def test_a_move_tells_the_new_time_and_how_it_is_paid(student: User, coach: Coach, offering: Offering) -> None:
    booking = agreed(student, offering)
    services.propose(booking=booking, actor=coach.user, starts_at=LATER, now=NOW)
    services.agree(booking=fresh(booking), actor=student, expected_starts_at=LATER, now=NOW)
    messages = sent()
    assert len(mail.outbox) == 2  # the proposal itself is not told any more
    assert (
        messages["student"].subject == "Your session with Carla Coach has moved to Sat 21 Nov 2026, 19:00 Berlin time"
    )
    assert_says(
        messages["student"],
        "Both of you have agreed to the new time.",
        "Sat 21 Nov 2026, 19:00 to 20:00 Berlin time",
        "$100.00 is held on your card, not taken",
        f"/sessions/{booking.pk}/room/",
    )
    assert_nowhere(messages["student"], "16:00 to 17:00")


@pytest.mark.parametrize(
    ("by", "to_student", "to_coach"),
    [
        ("student", "You have turned down the proposal", "Sam Student has turned down the proposal"),
        ("coach", "Carla Coach has taken back the proposal", "You have taken back the proposal"),
        ("timer", "was not answered in time.", "was not answered in time."),
    ],
)
def test_a_session_that_stays_says_why(
    by: str, to_student: str, to_coach: str, student: User, coach: Coach, offering: Offering
) -> None:
    booking = agreed(student, offering)
    services.propose(booking=booking, actor=coach.user, starts_at=LATER, now=NOW)
    sent()
    if by == "timer":
        Booking.objects.filter(pk=booking.pk).update(proposal_due_at=NOW)
        moving.lapse(booking=fresh(booking), actor=None, now=NOW)
    else:
        who = student if by == "student" else coach.user
        services.withdraw(booking=fresh(booking), actor=who, expected_starts_at=LATER, now=NOW)
    messages = sent()
    assert_says(messages["student"], to_student, "The session takes place as it was agreed:")
    assert_says(messages["coach"], to_coach, "Sat 21 Nov 2026, 16:00 to 17:00 Berlin time")


# --- the end ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ahead", "kept", "to_student", "to_coach"),
    [
        (
            12 * HOUR,
            5_000,
            (
                "By the cancellation policy that you agreed to, $50.00 is taken from your card. The rest, $50.00, is "
                "released."
            ),
            "By the cancellation policy, $50.00 of the price is taken; your share of it is $40.00.",
        ),
        (
            25 * HOUR,
            0,
            (
                "The hold of $100.00 on your card is released, and you pay nothing. If your bank shows the amount as "
                "pending for some days more, that is the hold running out; it is not a charge."
            ),
            "The hold on the student's card is released in full.",
        ),
    ],
)
def test_a_cancellation_says_what_is_kept(
    ahead: timedelta, kept: int, to_student: str, to_coach: str, student: User, offering: Offering
) -> None:
    offering.cancellation = "moderate"
    offering.save(update_fields=["cancellation"])
    booking, now = agreed(student, offering), START - ahead
    services.cancel_by_student(booking=booking, actor=student, expected_kept=Money(kept, "usd"), now=now)
    messages = sent(now)
    assert_says(messages["student"], to_student)
    assert_says(messages["coach"], to_coach)


def test_a_late_cancellation_without_a_hold_says_that_nothing_was_held(student: User, offering: Offering) -> None:
    offering.cancellation = "moderate"
    offering.save(update_fields=["cancellation"])
    booking, now = only_saved(agreed(student, offering)), START - 12 * HOUR
    services.cancel_by_student(booking=booking, actor=student, expected_kept=Money(0, "usd"), now=now)
    messages = sent(now)
    assert_says(messages["student"], "Nothing was held on your card, and you pay nothing.")
    assert_nowhere(messages["student"], "is taken from your card", "pending")
    assert_says(messages["coach"], "Nothing was held on the student's card.")


def test_what_was_paid_too_late_is_told_as_it_is(student: User, coach: Coach, offering: Offering) -> None:
    late = unpaid(book(student, offering))
    services.decline(booking=requested(student, offering, starts_at=LATER), actor=coach.user, now=NOW)
    sent()
    paid(late, now=START)
    (message,) = sent(START).values()
    assert message.subject == "Your payment came too late"
    assert_says(
        message,
        "Your payment reached us after the time for it was over, and the session could not be given to you any more. "
        "The hold of $100.00 on your card is released, and you pay nothing.",
    )


def test_a_session_that_could_not_be_paid_is_off_for_both(student: User, offering: Offering) -> None:
    booking = agreed(student, offering)
    payment_is(booking, status=Status.REFUSED, held_at=None)
    now = START - 90 * timedelta(minutes=1)
    services.ask_for_payment(booking=fresh(booking), now=now)
    messages = sent(now)
    assert_says(
        messages["student"], "The price of $100.00 could not be held on your card in time. So the session is off"
    )
    assert_says(messages["coach"], "so the session is not paid for and does not take place. The student knows.")


# --- after the session --------------------------------------------------------------------------


def test_a_session_that_is_paid_says_that_it_is_taken(student: User, coach: Coach, offering: Offering) -> None:
    booking, now = agreed(student, offering), START + HOUR
    services.complete(booking=booking, actor=coach.user, now=now)
    messages = sent(now)
    assert_says(messages["student"], "We hope it went well. $100.00 is now taken from your card.")
    assert_says(messages["coach"], "The student's $100.00 is now taken. Your share of it, $80.00, goes to your payout")


def test_a_session_that_is_not_paid_says_nothing_else(student: User, coach: Coach, offering: Offering) -> None:
    booking, now = agreed(student, offering), START + HOUR
    payment_is(booking, status=Status.REFUSED, held_at=None)
    services.complete(booking=fresh(booking), actor=coach.user, now=now)
    sent(now)
    done, asked = (message for message in mail.outbox if message.to == ["student@example.com"])
    (to_coach,) = (message for message in mail.outbox if message.to == ["coach@example.com"])
    assert_says(done, "We hope it went well. $100.00 is still to be paid; another mail tells you how.")
    assert_says(
        asked,
        "The price of your session could not be taken from your card",
        "$100.00 is still to be paid. Please do this by Sat 28 Nov 2026, 17:00 Berlin time.",
    )
    assert_nowhere(asked, "the session is off")
    assert to_coach.subject == "Session complete: your share is $80.00"
    assert_says(to_coach, "is yours in any case: if the student does not pay within a week, we do.")
    assert_nowhere(to_coach, "is now taken")


def test_a_session_whose_bank_is_still_asked_is_not_said_to_be_taken(
    student: User, coach: Coach, offering: Offering
) -> None:
    booking, now = agreed(student, offering), START + HOUR
    payment_is(booking, status=Status.AUTHORISING, held_at=None)
    services.complete(booking=fresh(booking), actor=coach.user, now=now)
    assert_says(sent(now)["student"], "We are asking your bank for $100.00 now.")


# --- whose clock --------------------------------------------------------------------------------


def test_a_mail_is_told_by_the_readers_clock_and_names_the_one_it_was_booked_by(
    student: User, offering: Offering
) -> None:
    booking = requested(student, offering)
    student.time_zone = "Asia/Tokyo"
    student.save(update_fields=["time_zone"])
    messages = sent()
    assert_says(
        messages["student"],
        "Sun 22 Nov 2026, 00:00 to 01:00 Tokyo time",
        "(booked as Sat 21 Nov 2026, 16:00 to 17:00 Berlin time)",
    )
    assert_nowhere(messages["coach"], "booked as", "Tokyo")
    assert booking.agreed_zone == "Europe/Berlin"
