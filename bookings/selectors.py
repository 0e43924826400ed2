"""What may be read about bookings, and by whom: ownership is in the query. Nothing here changes anything."""

from dataclasses import replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q, QuerySet
from django.urls import reverse

from bookings import policy
from bookings.models import Booking, LiveSession, Student
from bookings.policy import Consequence, Policy
from bookings.process import (
    AGREE,
    ANSWER_BEFORE_START,
    ANSWER_WITHIN,
    AUTHORISE_BEFORE,
    COMPLETES_AFTER,
    HOLD_AFTER_END,
    HOLD_LIFE,
    PROCESS,
    Role,
    Transition,
)
from bookings.taken import taken_time
from coaches import selectors as coach_selectors
from coaches.models import Coach, Offering
from coaches.slots import Range, Rules, free_slots, offered_starts
from marketplace.lib.money import Money
from marketplace.lib.zones import in_zone
from marketplace.models import User
from payments.models import Payment
from payments.selectors import TimelineStep

NOTICE = timedelta(hours=3)
INSTANT_NOTICE = timedelta(hours=1)
_MOMENT = timedelta(seconds=1)
# Between the first place to reach a date and the last to leave it.
_ZONES_APART = timedelta(days=2)
# The nearest free times are looked for this far around the wished one, before all that is open is.
_NEAR = timedelta(days=3)


def notice_of(offering: Offering) -> timedelta:
    """The platform's own least notice, or the coach's where that is longer."""
    own = offering.coach.notice_minutes if offering.notice_minutes is None else offering.notice_minutes
    return max(INSTANT_NOTICE if offering.instant else NOTICE, timedelta(minutes=own))


def is_too_far(*, offering: Offering, starts_at: datetime, now: datetime) -> bool:
    """Whether it is after the last day of the coach's calendar that can be booked."""
    coach = offering.coach
    days = timedelta(days=coach.furthest_days)
    # The last days of year 9999 have no local date in the east.
    if starts_at > now + days + _ZONES_APART:
        return True
    return in_zone(starts_at, coach.time_zone).date() > in_zone(now, coach.time_zone).date() + days


def open_slots(
    *,
    offering: Offering,
    now: datetime,
    user: User | None = None,
    within: Range | None = None,
    but: Booking | None = None,
) -> list[datetime]:
    """Every start (UTC, sorted) that can be booked now, of those in `within`. At most three queries.

    With `user`, without what collides with their own sessions. With `but`, these are the times to which that booking
    can move: it is not in its own way, and keeps its length and its buffers.
    """
    coach, notice = offering.coach, notice_of(offering)
    start, end = now + notice, now + timedelta(days=coach.furthest_days) + _ZONES_APART
    if within is not None:
        start, end = max(within.start, start), min(within.end, end)
    if start >= end:
        return []
    rules = replace(coach_selectors.rules_of(offering=offering, since=start.date()), notice=notice)
    duration = offering.duration
    if but is not None:
        duration, rules = but.ends_at - but.starts_at, _with_buffers_of(but, rules)
    around = Range(start - rules.buffer_before, end + duration + rules.buffer_after)
    taken = taken_time(coach=coach, user=user, around=around, now=now, but=but)
    return free_slots(
        rules=rules,
        duration=duration,
        busy=taken.busy,
        elsewhere=taken.elsewhere,
        booked=taken.booked,
        within=Range(start, end),
        now=now,
    )


def _with_buffers_of(booking: Booking, rules: Rules) -> Rules:
    before, after = booking.starts_at - booking.blocked_from, booking.blocked_until - booking.ends_at
    return replace(rules, buffer_before=before, buffer_after=after)


def is_open(
    *, offering: Offering, starts_at: datetime, now: datetime, user: User | None = None, but: Booking | None = None
) -> bool:
    """Whether this start can be booked now. Asked under `lock_calendars`, the answer holds until the end of it."""
    moment = Range(starts_at, starts_at + _MOMENT)
    return starts_at in open_slots(offering=offering, now=now, user=user, within=moment, but=but)


def is_on_grid(*, offering: Offering, starts_at: datetime, minutes: int | None = None) -> bool:
    """Whether the coach's hours offer this start at all, taken or not: for the offering's length, or another."""
    rules = coach_selectors.rules_of(offering=offering, since=starts_at.date())
    duration = offering.duration if minutes is None else timedelta(minutes=minutes)
    return starts_at in offered_starts(rules=rules, duration=duration, within=Range(starts_at, starts_at + _MOMENT))


def nearest_free(
    *,
    offering: Offering,
    starts_at: datetime,
    now: datetime,
    user: User | None = None,
    but: Booking | None = None,
    count: int = 3,
) -> list[datetime]:
    """The free starts closest to the wished one, in order of time."""
    near = Range(starts_at - _NEAR, starts_at + _NEAR + _MOMENT)
    free = open_slots(offering=offering, now=now, user=user, within=near, but=but)
    if len(free) < count:
        free = open_slots(offering=offering, now=now, user=user, but=but)
    return sorted(sorted(free, key=lambda start: abs(start - starts_at))[:count])


def is_taken(
    *,
    student: Student,
    coach: Coach,
    starts_at: datetime,
    ends_at: datetime,
    blocked_from: datetime,
    blocked_until: datetime,
    now: datetime,
    but: Booking | None = None,
) -> bool:
    """Whether something else has this time, which no booking keeps: a session or proposal of either, on whichever
    side, or an entry in the coach's outside calendars. Hours, notice and the most in a day are not asked."""
    taken = taken_time(coach=coach, user=student.user, around=Range(blocked_from, blocked_until), now=now, but=but)
    return any(each.start < blocked_until and each.end > blocked_from for each in taken.busy) or any(
        each.start < ends_at and each.end > starts_at for each in taken.elsewhere
    )


def due(transition: Transition, now: datetime) -> QuerySet[Booking]:
    """The bookings that the timer takes through this transition now, without those pushed back."""
    assert transition.due is not None  # only timed transitions are asked for
    rested = Q(retry_at=None) | Q(retry_at__lte=now)
    # What the guard would refuse is not due: pushed back again and again, it would keep the booking from all else.
    return Booking.objects.filter(transition.due(now), transition.guard(now), rested, status__in=transition.sources)


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
    # Nobody agrees with themselves.
    others = [each for each in candidates if each is not AGREE or booking.proposed_by != role]
    return [transition for transition in others if can(transition, booking=booking, now=now)]


def can(transition: Transition, *, booking: Booking, now: datetime) -> bool:
    """Whether the booking's state and time allow it now."""
    here = Booking.objects.filter(transition.guard(now), pk=booking.pk, status__in=transition.sources)
    return here.exists()


def meeting_url(booking: Booking) -> str:
    """Empty where the session was never accepted."""
    try:
        return booking.live_session.meeting_url
    except LiveSession.DoesNotExist:
        return ""


def room_url(booking: Booking) -> str:
    """Where both meet: the page that knows who was there, and leads on to the call. Empty likewise."""
    return settings.SITE_URL + reverse("bookings:room", args=[booking.pk]) if meeting_url(booking) else ""


def opening_of(ends_at: datetime, now: datetime) -> Payment.Opening:
    """Held in Checkout where a hold of today outlives the session; else the card is saved, and held later."""
    lasts = ends_at + HOLD_AFTER_END <= now + HOLD_LIFE
    return Payment.Opening.HOLD if lasts else Payment.Opening.SAVE


def money_ahead(*, offering: Offering, starts_at: datetime, now: datetime) -> list[TimelineStep]:
    """What will happen to the money, for a person who has not paid yet, in order of time."""
    ends_at, price = starts_at + offering.duration, offering.price
    answer_by = min(now + ANSWER_WITHIN, starts_at - ANSWER_BEFORE_START)
    answer = TimelineStep(
        f"{offering.coach.display_name} answers",
        answer_by,
        "next",
        None,
        "By then at the latest. Declined or not answered, you pay nothing.",
    )
    terms = policy.current(offering.cancellation)
    steps = [
        *([] if offering.instant else [answer]),
        *_hold_ahead(price, opening_of(ends_at, now), starts_at, now),
        *_costs_ahead(terms, price, starts_at, now),
        TimelineStep("The session takes place", starts_at, "next", None, "" if terms.tiers else terms.text),
        TimelineStep("Taken", ends_at + COMPLETES_AFTER, "next", price, "After the session, by then at the latest."),
    ]
    return sorted(steps, key=lambda step: step.at or now)


def _hold_ahead(price: Money, opening: Payment.Opening, starts_at: datetime, now: datetime) -> list[TimelineStep]:
    if opening == Payment.Opening.HOLD:
        return [TimelineStep("Held on your card", now, "now", price, "Reserved when you pay, not taken.")]
    held_at = starts_at - AUTHORISE_BEFORE
    return [
        TimelineStep("Your card is saved", now, "now", None, "Nothing is held or taken yet."),
        TimelineStep("Held on your card", held_at, "next", price, "Reserved without asking you again, not taken."),
    ]


def _costs_ahead(terms: Policy, price: Money, starts_at: datetime, now: datetime) -> list[TimelineStep]:
    """What a cancellation costs from when on. Of what is reached already, the last counts."""
    instants = {max(now, starts_at - tier.before_start) for tier in terms.tiers}
    kept_from = {
        at: policy.consequence(terms, price=price, starts_at=starts_at, now=at, held=True).kept for at in instants
    }
    return [
        TimelineStep("Cancelling costs from here on", at, "next", kept, "Before the start; the rest is released.")
        for at, kept in sorted(kept_from.items())
        if kept.amount
    ]


def if_cancelled(*, booking: Booking, payment: Payment, now: datetime) -> Consequence:
    """What a cancellation by the student would cost now, by the terms of this booking."""
    terms = policy.agreed(booking.policy, booking.policy_version)
    held = payment.status == Payment.Status.HELD
    return policy.consequence(terms, price=booking.price, starts_at=booking.starts_at, now=now, held=held)


# A calendar keeps what is over for this long.
IN_CALENDAR_FOR = timedelta(days=31)


def calendar_of(user: User, *, now: datetime) -> list[Booking]:
    """What a person's own calendar program gets to see: all that is agreed, asked for or called off."""
    unseen = (Booking.Status.AWAITING_PAYMENT, Booking.Status.ABANDONED)
    rows = _whole().filter(Q(student__user=user) | Q(coach__user=user), ends_at__gt=now - IN_CALENDAR_FOR)
    return list(rows.exclude(status__in=unseen).order_by("starts_at", "pk"))
