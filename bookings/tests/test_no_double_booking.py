"""Two live bookings never share time: what PostgreSQL itself refuses, whichever code writes the row."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from importlib import import_module
from threading import Barrier
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction

from bookings.models import Booking, Student
from bookings.tests.at_once import at_once
from bookings.tests.factories import END, HOUR, NOW, START, book, many_students
from coaches.models import Coach, Offering
from marketplace.models import User
from marketplace.tests.factories import CoachFactory

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has no exclusion constraints"),
]

Status = Booking.Status
MIGRATION = import_module("bookings.migrations.0004_no_double_booking")
DROP, CONSTRAINT = MIGRATION.DROP, MIGRATION.CONSTRAINT


def second_booking(first: Booking, **changes: Any) -> Booking:
    """A row that no service has looked at."""
    fields = {field.attname: getattr(first, field.attname) for field in Booking._meta.concrete_fields}
    return Booking.objects.create(**{**fields, "id": None, "payment_id": None, **changes})


def test_postgresql_itself_refuses_a_double_booking_of_the_coach(
    student: User, stranger: User, offering: Offering
) -> None:
    first = book(student, offering)
    other = Student.objects.create(user=stranger)
    for status in Booking.LIVE:
        with pytest.raises(IntegrityError, match="booking_coach_no_overlap"), transaction.atomic():
            second_booking(first, student_id=other.pk, status=status)
    assert second_booking(first, student_id=other.pk, status=Status.CANCELLED)
    later = {"starts_at": END, "ends_at": END + HOUR, "blocked_from": END, "blocked_until": END + HOUR}
    assert second_booking(first, student_id=other.pk, **later)


def test_postgresql_itself_refuses_a_student_in_two_places(student: User, offering: Offering, stranger: User) -> None:
    first = book(student, offering)
    with pytest.raises(IntegrityError, match="booking_student_no_overlap"), transaction.atomic():
        second_booking(first, coach_id=CoachFactory.create(user=stranger).pk)


def test_the_constraints_are_what_protects_where_every_check_is_blind(offering: Offering, coach: Coach) -> None:
    """Each meets another in one time, and nobody looks: first with the constraints taken away, to show it."""
    cast = Cast(offering, [Student.objects.create(user=user) for user in many_students(2)])
    _each_constraint(DROP)
    for meeting in MEETINGS:
        assert _meet(meeting, cast) == [True, True], meeting.__name__
    Booking.objects.all().delete()
    _each_constraint(CONSTRAINT)
    for meeting in MEETINGS:
        assert _meet(meeting, cast) == [False, True], meeting.__name__


@dataclass(frozen=True)
class Cast:
    offering: Offering
    students: list[Student]


Write = Callable[[], object]
LATER = START + 3 * HOUR
BUFFER = HOUR / 4


def new_bookings(cast: Cast) -> tuple[Write, Write]:
    first, second = cast.students
    return partial(_row, cast, first, START), partial(_row, cast, second, START)


def a_buffer_and_a_session(cast: Cast) -> tuple[Write, Write]:
    """They touch; the time after the first is the coach's own."""
    first, second = cast.students
    return partial(_row, cast, first, START, blocked_until=END + BUFFER), partial(_row, cast, second, END)


def a_proposal_and_a_new_booking(cast: Cast) -> tuple[Write, Write]:
    first, second = cast.students
    return partial(_propose, _row(cast, first, START), LATER), partial(_row, cast, second, LATER)


def two_proposals(cast: Cast) -> tuple[Write, Write]:
    first, second = cast.students
    return (
        partial(_propose, _row(cast, first, START), LATER),
        partial(_propose, _row(cast, second, END), LATER + HOUR / 2),
    )


def the_buffer_of_a_proposal(cast: Cast) -> tuple[Write, Write]:
    first, second = cast.students
    return partial(_propose, _row(cast, first, START), LATER, BUFFER), partial(_row, cast, second, LATER + HOUR)


def a_student_who_moves_and_books_elsewhere(cast: Cast) -> tuple[Write, Write]:
    student, other = cast.students[0], CoachFactory.create()
    return partial(_propose, _row(cast, student, START), LATER), partial(_row, cast, student, LATER, coach=other)


MEETINGS = (
    new_bookings,
    a_buffer_and_a_session,
    a_proposal_and_a_new_booking,
    two_proposals,
    the_buffer_of_a_proposal,
    a_student_who_moves_and_books_elsewhere,
)


def test_a_session_is_not_in_the_way_of_its_own_proposal(student: User, offering: Offering) -> None:
    booking = book(student, offering)
    _propose(booking, START + HOUR / 2, BUFFER)
    assert Booking.objects.get().proposed_starts_at == START + HOUR / 2


def _meet(meeting: Callable[[Cast], tuple[Write, Write]], cast: Cast) -> list[bool]:
    """Whether each was written, sorted. Nobody looks at what there is: the constraint alone is left to say no."""
    Booking.objects.all().delete()
    gate = Barrier(2)
    return sorted(at_once(*[partial(_write, write, gate) for write in meeting(cast)]))


def _write(write: Write, gate: Barrier) -> bool:
    try:
        with transaction.atomic():
            gate.wait()
            write()
    except (IntegrityError, OperationalError):
        return False  # PostgreSQL may also call the meeting of the two a deadlock
    return True


def _row(cast: Cast, student: Student, starts_at: datetime, **changes: Any) -> Booking:
    ends_at = starts_at + HOUR
    fields = {
        "student": student,
        "coach": cast.offering.coach,
        "offering": cast.offering,
        "title": cast.offering.title,
        "starts_at": starts_at,
        "ends_at": ends_at,
        "blocked_from": starts_at,
        "blocked_until": ends_at,
        "agreed_zone": "UTC",
        "price_amount": 1,
        "currency": "usd",
        "instant": False,
        "payment_due_at": NOW,
        "created_at": NOW,
    }
    return Booking.objects.create(**{**fields, **changes})


def _propose(booking: Booking, starts_at: datetime, buffer: timedelta = timedelta()) -> None:
    ends_at = starts_at + HOUR
    Booking.objects.filter(pk=booking.pk).update(
        proposed_starts_at=starts_at,
        proposed_ends_at=ends_at,
        proposed_blocked_from=starts_at - buffer,
        proposed_blocked_until=ends_at + buffer,
        proposed_by="student",
        proposal_due_at=START,
    )


def _each_constraint(statement: str) -> None:
    with connection.schema_editor() as editor:
        for person, start, end in MIGRATION.TAKEN:
            editor.execute(statement.format(person=person, start=start, end=end))
