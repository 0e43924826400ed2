"""What more than one of the services does."""

import secrets
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils.text import slugify

from bookings.models import Booking, Claim, LiveSession, Student
from coaches.models import Coach
from marketplace.models import User
from payments import services as payment_services
from payments.models import Payment

DAY_BEFORE = timedelta(hours=24)
HOUR_BEFORE = timedelta(hours=1)
NO_PROPOSAL: dict[str, Any] = {
    "proposed_starts_at": None,
    "proposed_ends_at": None,
    "proposed_blocked_from": None,
    "proposed_blocked_until": None,
    "proposed_by": "",
    "proposal_due_at": None,
}
# Nothing more to be said, paid or moved: what a booking loses when it ends.
SETTLED: dict[str, Any] = {
    **NO_PROPOSAL,
    "answer_reminder_at": None,
    "pay_due_at": None,
    "pay_reminder_at": None,
    "day_reminder_at": None,
    "hour_reminder_at": None,
}


def lock_calendars(student: Student, coach: Coach) -> None:
    """Whoever else takes time of these two people, on either side, waits here and then sees ours.

    The exclusion constraints alone would do for most of it, but two inserts that meet in them end in a deadlock
    that PostgreSQL takes a second to find. SQLite has one writer at a time anyway.
    """
    people = User.objects.filter(pk__in=[student.user_id, coach.user_id]).order_by("pk")
    list(people.select_for_update(no_key=True).values_list("pk"))


def open_room(booking: Booking, now: datetime) -> None:
    """A room whose name can't be guessed: to know it is to be let in."""
    room = f"{slugify(settings.SITE_NAME)}-{secrets.token_urlsafe(24)}"
    LiveSession.objects.get_or_create(
        booking=booking, defaults={"meeting_url": f"{settings.MEETING_URL.rstrip('/')}/{room}", "created_at": now}
    )


def reminders(starts_at: datetime, now: datetime) -> dict[str, Any]:
    """When each side is reminded of a session at that time; what is past already is not said any more."""
    day, hour = starts_at - DAY_BEFORE, starts_at - HOUR_BEFORE
    return {
        "day_reminder_at": day if day > now else None,
        "hour_reminder_at": hour if hour > now else None,
    }


def open_payment(
    booking: Booking, *, opening: Payment.Opening, now: datetime, replaces: Payment | None = None
) -> Payment:
    """In the caller's transaction: one more attempt to pay for this session, by a Checkout of its own."""
    return payment_services.open_payment(
        reference=booking.reference,
        description=f"{booking.title} with {booking.coach.display_name}"[:200],
        payer=booking.student.user,
        coach=booking.coach,
        price=booking.price,
        service_ends_at=booking.ends_at,
        metadata={"booking_id": str(booking.pk)},
        return_url=settings.SITE_URL + reverse("bookings:paid", args=[booking.pk]),
        cancel_url=settings.SITE_URL + reverse("bookings:session", args=[booking.pk]),
        opening=opening,
        replaces=replaces,
        now=now,
    )


def locked_payment(booking: Booking) -> Payment:
    """The current one; the booking is brought up to date.

    All payments of the booking are locked before the booking itself, as the recorders of facts lock them: one order,
    no deadlock. Whoever ends or moves a booking comes this way, so what is read here holds until the end of the
    transaction, but for an acceptance.
    """
    locked = payment_services.lock_payments(booking.reference)
    booking.refresh_from_db()
    assert booking.payment_id is not None  # it is made with the booking
    return locked[booking.payment_id]


def take_all(booking: Booking, payment: Payment, now: datetime) -> None:
    """In the caller's transaction: all that is held is taken; while a report is undecided, the coach's share waits."""
    if booking.claims.filter(state__in=Claim.UNDECIDED).exists():
        payment_services.request_capture_kept_back(payment=payment, now=now)
    else:
        payment_services.request_capture(payment=payment, now=now)


def under_way(booking: Booking) -> Payment | None:
    """The attempt to pay that is not decided yet: a page that is open, or a hold that is asked for. At most one."""
    undecided = (Payment.Status.OPEN, Payment.Status.AUTHORISING)
    return Payment.objects.filter(reference=booking.reference, status__in=undecided).first()


def give_money_back(booking: Booking, payment: Payment, now: datetime) -> None:
    """In the caller's transaction, when the booking ends without being paid: nothing stays held, no page stays open."""
    payment_services.give_back(payment=payment, now=now)
    close_page(booking, now)


def close_page(booking: Booking, now: datetime) -> None:
    """In the caller's transaction: nobody can pay any more. A hold that is asked for goes back once it is there."""
    page = under_way(booking)
    if page is not None:
        payment_services.request_close(payment=page, now=now)
