"""What is said before it is too late, each thing once."""

from datetime import datetime
from typing import Any

from bookings import process
from bookings.models import Booking
from bookings.transition import apply
from marketplace.models import User


def remind_to_answer(*, booking: Booking, actor: User | None, now: datetime) -> None:
    """Raises InvalidState."""
    apply(process.REMIND_TO_ANSWER, booking=booking, actor=actor, now=now, answer_reminder_at=None)


def remind_to_pay(*, booking: Booking, actor: User | None, now: datetime) -> None:
    """Raises InvalidState."""
    apply(process.REMIND_TO_PAY, booking=booking, actor=actor, now=now, pay_reminder_at=None)


def remind_day_before(*, booking: Booking, actor: User | None, now: datetime) -> None:
    """Raises InvalidState."""
    apply(process.REMIND_DAY_BEFORE, booking=booking, actor=actor, now=now, day_reminder_at=None)


def remind_hour_before(*, booking: Booking, actor: User | None, now: datetime) -> None:
    """Says the other's part, too, where a timer was late. Raises InvalidState."""
    said: dict[str, Any] = {"hour_reminder_at": None, "day_reminder_at": None}
    apply(process.REMIND_HOUR_BEFORE, booking=booking, actor=actor, now=now, **said)
