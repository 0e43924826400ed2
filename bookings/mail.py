"""What a mail about a booking is made of."""

from typing import Any

from django.conf import settings
from django.urls import reverse

from bookings import policy, process, selectors, words
from bookings.models import Booking, Notice
from bookings.policy import Consequence
from marketplace.lib.money import Money
from payments import selectors as payment_selectors
from payments.models import Payment


def context(notice: Notice) -> dict[str, Any]:
    """`other` is the other side's name; `zone` is the recipient's, in which all times are told."""
    booking = notice.event.booking
    to_student = notice.recipient == Notice.Recipient.STUDENT
    user = booking.student.user if to_student else booking.coach.user
    page = "bookings:session" if to_student else "bookings:teaching_session"
    payment = booking.payment
    return {
        "email": user.email,
        "name": user.get_short_name(),
        "other": booking.coach.display_name if to_student else booking.student.user.name,
        "booking": booking,
        "zone": booking.agreed_zone if to_student else booking.coach.time_zone,
        "coach_share": Money(payment.coach_share, payment.currency) if payment else None,
        "reason": notice.event.reason,
        "proposed_by_you": booking.proposed_by == notice.recipient,
        "over": booking.status == Booking.Status.COMPLETED,
        **_money(notice, payment),
        **_report(notice),
        "refunded": Money(payment.refunded_amount, payment.currency) if payment else None,
        "steps": payment_selectors.timeline(payment),
        "link": settings.SITE_URL + reverse(page, args=[booking.pk]),
        "book_again": settings.SITE_URL + reverse("bookings:choose_slot", args=[booking.offering_id]),
        "meeting_url": selectors.meeting_url(booking),
        "SITE_NAME": settings.SITE_NAME,
        "SITE_URL": settings.SITE_URL,
        "SUPPORT_EMAIL": settings.SUPPORT_EMAIL,
    }


def _report(notice: Notice) -> dict[str, Any]:
    """What the latest report on the session says, if there is one."""
    claim = notice.event.booking.claims.order_by("pk").last()
    if claim is None:
        return {}
    return {
        "reported_by_you": claim.side == notice.recipient,
        "claim_words": claim.get_kind_display().lower(),
        "claim_due_at": claim.answer_due_at,
    }


def _money(notice: Notice, payment: Payment | None) -> dict[str, str]:
    """`money`: how the price is arranged; `ended`: what becomes of it now that the session is off."""
    if payment is None:
        return {}
    booking, costs = notice.event.booking, _costs(notice, payment)
    if notice.recipient == Notice.Recipient.STUDENT:
        return {
            "money": words.arranged_for_student(booking, payment),
            "ended": words.ended_for_student(booking, payment, costs),
        }
    return {
        "money": words.arranged_for_coach(booking, payment),
        "ended": words.ended_for_coach(payment, costs),
    }


def _costs(notice: Notice, payment: Payment) -> Consequence:
    """Of a cancellation by the student at the time of the event; any other end costs nothing."""
    booking, by_student = notice.event.booking, notice.event.transition == process.CANCEL_BY_STUDENT.name
    return policy.consequence(
        policy.agreed(booking.policy, booking.policy_version),
        price=booking.price,
        starts_at=booking.starts_at,
        now=notice.event.at,
        held=by_student and payment.held_at is not None,
    )
