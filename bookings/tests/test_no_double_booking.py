"""Two live bookings never share time: what PostgreSQL itself refuses, whichever code writes the row."""

from importlib import import_module
from threading import Barrier
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction

from bookings.models import Booking, Student
from bookings.tests.at_once import at_once
from bookings.tests.factories import END, HOUR, NOW, START, book, many_students
from coaches.models import Offering
from marketplace.models import User
from marketplace.tests.factories import CoachFactory

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has no exclusion constraints"),
]

Status = Booking.Status


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


@pytest.mark.parametrize("protected", [True, False])
def test_the_constraint_is_what_protects_where_a_check_is_blind(offering: Offering, protected: bool) -> None:
    """Transactions that all look before any of them writes see a free time: the constraint alone is left to say no."""
    if not protected:
        _drop_the_constraints()
    rows = [Student.objects.create(user=user) for user in many_students(2)]
    gate = Barrier(2)
    outcomes = at_once(*[lambda row=row: _look_then_write(row, offering, gate) for row in rows])
    assert sorted(outcomes) == ([False, True] if protected else [True, True])
    assert Booking.objects.count() == (1 if protected else 2)


def _look_then_write(student: Student, offering: Offering, gate: Barrier) -> bool:
    try:
        with transaction.atomic():
            assert not Booking.objects.filter(status__in=Booking.LIVE).exists()
            gate.wait()
            Booking.objects.create(
                student=student,
                coach=offering.coach,
                offering=offering,
                title=offering.title,
                starts_at=START,
                ends_at=END,
                blocked_from=START,
                blocked_until=END,
                agreed_zone="UTC",
                price_amount=1,
                currency="usd",
                instant=False,
                payment_due_at=NOW,
                created_at=NOW,
            )
    except (IntegrityError, OperationalError):
        return False  # PostgreSQL may also call the meeting of the two a deadlock
    return True


def _drop_the_constraints() -> None:
    """The next test gets a new copy of the database, with them."""
    migration = import_module("bookings.migrations.0004_no_double_booking")
    with connection.schema_editor() as editor:
        for person, _, _ in migration.TAKEN:
            editor.execute(migration.DROP.format(person=person))
