"""What may be read about bookings, and by whom: ownership is in the query. Nothing here changes anything."""

from datetime import datetime

from django.db.models import Q, QuerySet

from bookings import policy
from bookings.models import Booking, LiveSession
from bookings.policy import Consequence
from bookings.process import (
    ANSWER_BEFORE_START,
    ANSWER_WITHIN,
    COMPLETES_AFTER,
    PROCESS,
    Role,
    Transition,
)
from coaches.models import Coach, Offering
from marketplace.models import User
from payments.models import Payment
from payments.selectors import TimelineStep


def due(transition: Transition, now: datetime) -> QuerySet[Booking]:
    """The bookings that the timer takes through this transition now, without those pushed back."""
    assert transition.due is not None  # only timed transitions are asked for
    rested = Q(retry_at=None) | Q(retry_at__lte=now)
    return Booking.objects.filter(transition.due(now), rested, status__in=transition.sources)


def _whole() -> QuerySet[Booking]:
    return Booking.objects.select_related("student__user", "coach__user", "offering", "payment", "live_session")


def bookings_of_student(user: User) -> QuerySet[Booking]:
    """The person's own sessions as a student, the next ones last."""
    return _whole().filter(student__user=user).order_by("-starts_at", "-pk")


def bookings_of_coach(coach: Coach) -> QuerySet[Booking]:
    """What the coach gets to see: not what was never paid for."""
    unseen = (Booking.Status.AWAITING_PAYMENT, Booking.Status.ABANDONED)
    return _whole().filter(coach=coach).exclude(status__in=unseen).order_by("-starts_at", "-pk")


def bookings_of(user: User) -> QuerySet[Booking]:
    """Both: sessions the person takes and sessions they give."""
    unseen = Q(status__in=(Booking.Status.AWAITING_PAYMENT, Booking.Status.ABANDONED))
    return _whole().filter(Q(student__user=user) | (Q(coach__user=user) & ~unseen)).order_by("-starts_at", "-pk")


def get_for_student(user: User, pk: int) -> Booking:
    """Raises Booking.DoesNotExist for what is not this student's, whether it exists or not."""
    return bookings_of_student(user).get(pk=pk)


def get_for_coach(coach: Coach, pk: int) -> Booking:
    """Raises Booking.DoesNotExist for what is not this coach's, whether it exists or not."""
    return bookings_of_coach(coach).get(pk=pk)


def possible(*, booking: Booking, role: Role, now: datetime) -> list[Transition]:
    """The transitions with a button that this side can make right now, for pages and the admin."""
    candidates = [transition for transition in PROCESS if transition.shows_button(role=role, status=booking.status)]
    this = Booking.objects.filter(pk=booking.pk)
    return [transition for transition in candidates if this.filter(transition.guard(now)).exists()]


def meeting_url(booking: Booking) -> str:
    """Empty where the session was never accepted."""
    return LiveSession.objects.filter(booking=booking).values_list("meeting_url", flat=True).first() or ""


def money_ahead(*, offering: Offering, starts_at: datetime, now: datetime) -> list[TimelineStep]:
    """What will happen to the money, for a person who has not paid yet."""
    answer_by = min(now + ANSWER_WITHIN, starts_at - ANSWER_BEFORE_START)
    answer = TimelineStep(
        f"{offering.coach.display_name} answers",
        answer_by,
        "next",
        None,
        "By then at the latest. Declined or not answered, the hold is released and you pay nothing.",
    )
    taken_by = starts_at + offering.duration + COMPLETES_AFTER
    return [
        TimelineStep("Held on your card", now, "now", offering.price, "Reserved when you pay, not taken."),
        *([] if offering.instant else [answer]),
        TimelineStep("The session takes place", starts_at, "next", None, "Cancelled before that, you pay nothing."),
        TimelineStep("Taken", taken_by, "next", offering.price, "After the session, by then at the latest."),
    ]


def if_cancelled(*, booking: Booking, payment: Payment, now: datetime) -> Consequence:
    """What a cancellation by the student would cost now, by the terms of this booking."""
    terms = policy.agreed(booking.policy, booking.policy_version)
    held = payment.status == Payment.Status.HELD
    return policy.consequence(terms, price=booking.price, starts_at=booking.starts_at, now=now, held=held)


def calendar_of(user: User, *, now: datetime) -> list[Booking]:
    """What a person's own calendar program gets to see: everything agreed, asked for or called off, from a month ago."""
    unseen = (Booking.Status.AWAITING_PAYMENT, Booking.Status.ABANDONED)
    rows = _whole().filter(Q(student__user=user) | Q(coach__user=user), ends_at__gt=now - IN_CALENDAR_FOR)
    return list(rows.exclude(status__in=unseen).order_by("starts_at", "pk"))
