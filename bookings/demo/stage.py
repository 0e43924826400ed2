"""Plays the demo's story on the sandbox's clock: each act through the same services that pages and timers call."""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

from allauth.account.models import EmailAddress
from django.conf import settings
from django.utils.text import slugify

from bookings import policy, selectors, services
from bookings.demo.people import COACHES, PASSWORD, STAFF, STUDENTS, DemoCoach, DemoDays, DemoStudent
from bookings.demo.story import SCENES, Scene
from bookings.models import Booking
from bookings.tasks import send_notices
from coaches import services as coach_services
from coaches.models import Coach, Offering, Weekday
from coaches.slots import Window
from marketplace import clock
from marketplace.lib import sandbox
from marketplace.lib.zones import in_zone
from marketplace.models import User
from payments import bank_mails, operations, payout_mails, payout_pollers, payouts, pollers, statements
from payments import services as payment_services

# Long enough for a month's earnings to be released and paid before the demo opens.
STORY_BEGINS = timedelta(days=46)

Act = Callable[[], None]


@dataclass
class Stage:
    """What is still to happen, by time; acts at one time keep their order."""

    queue: list[tuple[datetime, int, Act]] = field(default_factory=list)
    order: Iterator[int] = field(default_factory=count)

    def at(self, when: datetime, act: Act) -> None:
        heapq.heappush(self.queue, (when, next(self.order), act))

    def play(self) -> None:
        while self.queue:
            when, _, act = heapq.heappop(self.queue)
            move_to(when)
            act()
            settle()


def play(*, opens_at: datetime) -> None:
    """Tell the whole story up to `opens_at`, and leave the clock there."""
    begins = opens_at - STORY_BEGINS
    sandbox.set_clock(int(begins.timestamp()))
    make_people(opens_at=opens_at)
    stage = Stage()
    for month_start in _month_starts(begins, opens_at):
        stage.at(month_start + timedelta(hours=1), settle)
    for scene in SCENES:
        stage.at(_made_at(scene, opens_at), _act(stage, scene))
    stage.play()
    move_to(opens_at)
    settle()


def move_to(when: datetime) -> None:
    now = clock.now()
    if when > now:
        sandbox.advance_clock(int((when - now).total_seconds()))


def settle() -> None:
    """What worker and timers would do by now."""
    now = clock.now()
    operations.sweep(now=now)
    pollers.poll_open_payments(now=now)
    services.run_due_transitions(now=now)
    payouts.run_due(now)
    payout_pollers.poll_balances(now=now)
    payout_pollers.poll_payouts(now=now)
    operations.sweep(now=now)
    pollers.poll_open_payments(now=now)
    statements.close_due_months(now)
    send_notices()
    payout_mails.send_due(now=now)
    bank_mails.send_due(now=now)
    statements.tell_coaches(now)


def make_people(*, opens_at: datetime) -> None:
    for student in STUDENTS:
        _make_user(student.email, student.name, student.time_zone)
    _make_staff(STAFF)
    for coach in COACHES:
        _make_coach(coach, opens_at)


def _make_user(email: str, name: str, time_zone: str) -> User:
    user = User.objects.create_user(email, PASSWORD, name=name, time_zone=time_zone)
    EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
    return user


def _make_staff(staff: DemoStudent) -> None:
    user = _make_user(staff.email, staff.name, staff.time_zone)
    user.is_staff = user.is_superuser = True
    user.save(update_fields=["is_staff", "is_superuser"])


def _make_coach(demo: DemoCoach, opens_at: datetime) -> None:
    coach = Coach.objects.create(
        user=_make_user(demo.email, demo.name, demo.time_zone),
        slug=slugify(demo.name),
        display_name=demo.name,
        headline=demo.headline,
        bio=demo.bio,
        subject=demo.subject,
        time_zone=demo.time_zone,
        buffer_after_minutes=demo.buffer_after_minutes,
    )
    for offering in demo.offerings:
        Offering.objects.create(coach=coach, currency=demo.currency, **vars(offering))
    week = [Window(day, each.starts, each.ends, each.ends_next_day) for day in Weekday for each in demo.hours]
    coach_services.save_hours(coach=coach, windows=week)
    for days in demo.other_days:
        _plan(coach, days, opens_at)
    _onboard(coach, demo)


def _plan(coach: Coach, days: DemoDays, opens_at: datetime) -> None:
    opens_on = in_zone(opens_at, coach.time_zone).date()
    coach_services.save_override(
        coach=coach,
        override=None,
        first_day=opens_on + timedelta(days=days.first),
        last_day=opens_on + timedelta(days=days.last),
        windows=days.hours,
        note=days.note,
        now=clock.now(),
    )


def _onboard(coach: Coach, demo: DemoCoach) -> None:
    now = clock.now()
    account = payment_services.create_payout_account(coach=coach, country=demo.country, now=now)
    payment_services.choose_settlement_mode(coach=coach, mode=demo.settlement_mode, now=now)
    sandbox.post(f"/accounts/{account.stripe_account_id}/onboard", {"outcome": demo.onboarding})
    payment_services.refresh_payout_account(account=account, now=now)


def _month_starts(begins: datetime, ends: datetime) -> list[datetime]:
    day = datetime(begins.year, begins.month, 1, tzinfo=UTC)
    starts = []
    while day <= ends:
        starts.append(day)
        day = (day + timedelta(days=32)).replace(day=1)
    return [start for start in starts if start > begins]


def _made_at(scene: Scene, opens_at: datetime) -> datetime:
    # Today's scenes lie just before the demo opens: the unpaid one must still be open then.
    return opens_at - (timedelta(days=scene.days_ago) if scene.days_ago else timedelta(minutes=5))


def _act(stage: Stage, scene: Scene) -> Act:
    def act() -> None:
        booking = _book(scene)
        ENDINGS[scene.ending](stage, booking)

    return act


def _book(scene: Scene) -> Booking:
    now = clock.now()
    student = User.objects.get(email=scene.student)
    offering = Offering.objects.filter(coach__user__email=scene.coach).order_by("pk")[scene.offering]
    earliest = now + timedelta(hours=scene.ahead_hours)
    free = selectors.open_slots(offering=offering, now=now, user=student)
    starts_at = next(slot for slot in free if slot >= earliest)
    booking = services.book(
        student_user=student,
        offering=offering,
        starts_at=starts_at,
        expected_price=offering.price,
        expected_minutes=offering.minutes,
        expected_policy=policy.current(offering.cancellation),
        agreed_zone=student.time_zone,
        note=scene.note,
        now=now,
    )
    assert booking.payment is not None
    payment_services.start_checkout(payment=booking.payment, now=now)
    return booking


def _pay(booking: Booking) -> None:
    assert booking.payment is not None
    booking.payment.refresh_from_db()
    sandbox.post(f"/checkout/{booking.payment.checkout_session_id}/pay", {"payment_method": "pm_card_visa"})
    settle()
    booking.refresh_from_db()


def _accept_later(stage: Stage, booking: Booking) -> None:
    if booking.status == Booking.Status.REQUESTED:
        stage.at(
            clock.now() + timedelta(hours=4),
            lambda: _as_coach(services.accept, booking),
        )


def _as_coach(service: Callable[..., object], booking: Booking) -> None:
    service(booking=booking, actor=booking.coach.user, now=clock.now())


def _completed(stage: Stage, booking: Booking) -> None:
    _accepted(stage, booking)
    stage.at(booking.ends_at + timedelta(minutes=20), lambda: _as_coach(services.complete, booking))


def _completed_by_timer(stage: Stage, booking: Booking) -> None:
    _accepted(stage, booking)
    stage.at(booking.ends_at + timedelta(hours=24, minutes=1), settle)


def _accepted(stage: Stage, booking: Booking) -> None:
    _pay(booking)
    _accept_later(stage, booking)


def _requested(_stage: Stage, booking: Booking) -> None:
    _pay(booking)


def _declined(stage: Stage, booking: Booking) -> None:
    _pay(booking)
    stage.at(clock.now() + timedelta(hours=5), lambda: _as_coach(services.decline, booking))


def _expired(stage: Stage, booking: Booking) -> None:
    _pay(booking)
    assert booking.answer_due_at is not None
    stage.at(booking.answer_due_at + timedelta(minutes=1), settle)


def _cancelled_by_student(stage: Stage, booking: Booking) -> None:
    _accepted(stage, booking)
    stage.at(booking.starts_at - timedelta(hours=5), lambda: _cancel(booking))


def _cancel(booking: Booking) -> None:
    """As a person does who has read what it costs."""
    now = clock.now()
    booking.refresh_from_db()
    assert booking.payment is not None
    costs = selectors.if_cancelled(booking=booking, payment=booking.payment, now=now)
    services.cancel_by_student(booking=booking, actor=booking.student.user, expected_kept=costs.kept, now=now)


def _cancelled_by_coach(stage: Stage, booking: Booking) -> None:
    _accepted(stage, booking)
    stage.at(booking.starts_at - timedelta(hours=5), lambda: _as_coach(services.cancel_by_coach, booking))


def _proposed(stage: Stage, booking: Booking) -> None:
    """Left open: the demo's student may agree to the other time, or not."""
    _accepted(stage, booking)
    stage.at(clock.now() + timedelta(hours=6), lambda: _propose_a_day_later(booking))


def _propose_a_day_later(booking: Booking) -> None:
    now, later = clock.now(), booking.starts_at + timedelta(days=1)
    open_slots = selectors.open_slots(offering=booking.offering, now=now, but=booking)
    services.propose(
        booking=booking,
        actor=booking.coach.user,
        starts_at=next(slot for slot in open_slots if slot >= later),
        now=now,
        reason="My club plays an away match that day.",
    )


def _abandoned(stage: Stage, booking: Booking) -> None:
    stage.at(booking.payment_due_at + timedelta(minutes=1), settle)


def _awaiting_payment(stage: Stage, booking: Booking) -> None:
    """Left open: the demo's student may continue paying."""


ENDINGS: dict[str, Callable[[Stage, Booking], None]] = {
    "completed": _completed,
    "completed_by_timer": _completed_by_timer,
    "accepted": _accepted,
    "requested": _requested,
    "declined": _declined,
    "expired": _expired,
    "cancelled_by_student": _cancelled_by_student,
    "cancelled_by_coach": _cancelled_by_coach,
    "proposed": _proposed,
    "abandoned": _abandoned,
    "awaiting_payment": _awaiting_payment,
}


def demo_is_allowed() -> bool:
    """The demo's logins exist nowhere else: DEMO needs DEBUG, and the sandbox."""
    return bool(settings.DEMO and settings.DEBUG and settings.STRIPE_SANDBOX_URL)
