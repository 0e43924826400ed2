"""The table itself: whole, and the one place from which others derive."""

from django.urls import reverse

from bookings import process
from bookings.models import Booking
from bookings.process import Role


def test_the_table_for_people_has_every_transition() -> None:
    lines = process.process_table().splitlines()
    assert len(lines) == 2 + len(process.PROCESS)
    assert {line.count("|") for line in lines} == {8}
    assert (
        "| `accept` | coach, staff | `requested` -> `accepted` | before the time to answer is over |  | stays as it is"
        " | student, coach |"
    ) in lines
    assert any(
        line.startswith("| `confirm_payment` | fact | `awaiting_payment` -> `requested` (`accepted`") for line in lines
    )


def test_every_state_is_reached_and_every_live_state_is_left() -> None:
    reached = {row.to for row in process.PROCESS} | {row.to_if_instant for row in process.PROCESS}
    left = {source for row in process.PROCESS for source in row.sources}
    assert reached - {None} == set(Booking.Status)
    assert set(Booking.LIVE) <= left


def test_every_button_leads_somewhere_and_is_for_a_person() -> None:
    for row in process.PROCESS:
        if row.button:
            assert reverse(row.button.url_name, args=[1])
            assert set(row.who) & {Role.STUDENT, Role.COACH, Role.STAFF}


def test_what_time_brings_about_says_so_in_words() -> None:
    assert [row.name for row in process.PROCESS if row.due] == [
        "abandon",
        "remind_to_answer",
        "expire",
        "withdraw",
        "authorise",
        "renew",
        "remind_to_pay",
        "payment_lost",
        "remind_day_before",
        "remind_hour_before",
        "complete",
        "write_off",
        "complete_undecided",
    ]
    assert all(bool(row.due) == bool(row.due_words) for row in process.PROCESS)
