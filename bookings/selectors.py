"""What may be read about bookings, and by whom: ownership is in the query. Nothing here changes anything."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from bookings import policy
from bookings.models import Booking, LiveSession, Student
from bookings.policy import Consequence
from bookings.process import (
    ANSWER_BEFORE_START,
    ANSWER_WITHIN,
    COMPLETES_AFTER,
    HOLD_AFTER_END,
    HOLD_LIFE,
    PROCESS,
    Role,
    Transition,
)
from coaches import selectors as coach_selectors
from coaches.models import Coach, Offering
from coaches.slots import Range, free_slots
from marketplace.models import User
from payments.models import Payment
from payments.selectors import TimelineStep

NOTICE = timedelta(hours=3)
INSTANT_NOTICE = timedelta(hours=1)

_MOMENT = timedelta(seconds=1)


def notice_of(offering: Offering) -> timedelta:
    return INSTANT_NOTICE if offering.instant else NOTICE


def latest_start(offering: Offering, now: datetime) -> datetime:
    return now + HOLD_LIFE - HOLD_AFTER_END - offering.duration


def open_slots(*, offering: Offering, now: datetime, user: User | None = None) -> list[datetime]:
    """Every start (UTC, sorted) that can be booked now; with `user`, without what collides with their own sessions."""
    within = Range(now + notice_of(offering), latest_start(offering, now) + _MOMENT)
    return _slots(offering, within, _busy(offering.coach, user, within.start, within.end + offering.duration))


def is_on_grid(*, offering: Offering, starts_at: datetime) -> bool:
    """Whether the coach's hours offer this start at all, taken or not."""
    return starts_at in _slots(offering, Range(starts_at, starts_at + _MOMENT), [])


def nearest_free(
    *, offering: Offering, starts_at: datetime, now: datetime, user: User | None = None, count: int = 3
) -> list[datetime]:
    """The free starts closest to the wished one, in order of time."""
    free = open_slots(offering=offering, now=now, user=user)
    return sorted(sorted(free, key=lambda start: abs(start - starts_at))[:count])


def _slots(offering: Offering, within: Range, busy: Sequence[Range]) -> list[datetime]:
    return free_slots(
        windows=coach_selectors.windows_of(offering.coach),
        zone=offering.coach.time_zone,
        duration=offering.duration,
        busy=busy,
        within=within,
        step=timedelta(minutes=30 if offering.minutes >= 30 else 15),
    )


def _busy(coach: Coach, user: User | None, start: datetime, end: datetime) -> list[Range]:
    # A person who teaches and learns is in one place at a time, whichever side they are on.
    people = [coach.user_id] if user is None else [coach.user_id, user.pk]
    rows = overlapping(start, end).filter(Q(coach__user__in=people) | Q(student__user__in=people))
    return [Range(*row) for row in rows.values_list("starts_at", "ends_at")]


def overlapping(start: datetime, end: datetime) -> QuerySet[Booking]:
    """Bookings that take any of the time from start up to end."""
    return Booking.objects.filter(status__in=Booking.LIVE, starts_at__lt=end, ends_at__gt=start)


def is_taken(
    *, student: Student, coach: Coach, starts_at: datetime, ends_at: datetime, but: Booking | None = None
) -> bool:
    """Whether either of the two has another session in this time, on whichever side."""
    people = [student.user_id, coach.user_id]
    others = overlapping(starts_at, ends_at).filter(Q(coach__user__in=people) | Q(student__user__in=people))
    return (others.exclude(pk=but.pk) if but else others).exists()


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
