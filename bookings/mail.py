"""What a mail about a booking is made of, and whether it is still true."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.urls import reverse

from bookings import policy, process, selectors, words
from bookings.history import kept_because
from bookings.models import Notice
from bookings.policy import Consequence
from bookings.process import Transition
from marketplace.lib.money import Money
from payments import selectors as payment_selectors
from payments.models import Payment, Refund

REMINDERS = (process.REMIND_DAY_BEFORE, process.REMIND_HOUR_BEFORE)
DECISIONS = (process.NO_SHOW_STUDENT, process.NO_SHOW_COACH, process.DISMISS_REPORT, process.COMPLETE_REDUCED)
# Mails that stay true in whatever state the session is: a report, say, while time completes it.
TRUE_IN_ANY_STATE = {
    process.REPORT,
    process.CONTRADICT,
    process.LEAVE_TO_STAFF,
    process.TAKE_BACK_REPORT,
    process.DISMISS_REPORT,
    process.REFUNDED,
    process.PAID_OTHERWISE,
}
# Mails that a later transition makes untrue while the session stays in its state.
OVERTAKEN_BY: dict[Transition, tuple[Transition, ...]] = {
    process.PROPOSE: (process.PROPOSE, process.AGREE, process.WITHDRAW),
    process.WITHDRAW: (process.AGREE,),
    process.ASK_FOR_PAYMENT: (process.ASK_FOR_PAYMENT, process.PAYMENT_ARRANGED, process.WRITE_OFF),
    process.REMIND_TO_PAY: (process.ASK_FOR_PAYMENT, process.PAYMENT_ARRANGED, process.WRITE_OFF),
    process.PAYMENT_ARRANGED: (process.ASK_FOR_PAYMENT,),
    process.REMIND_DAY_BEFORE: (process.AGREE, process.REMIND_HOUR_BEFORE),
    process.REMIND_HOUR_BEFORE: (process.AGREE,),
    process.REPORT: (process.CONTRADICT, process.LEAVE_TO_STAFF, process.TAKE_BACK_REPORT, *DECISIONS),
    process.CONTRADICT: (process.TAKE_BACK_REPORT, *DECISIONS),
    process.LEAVE_TO_STAFF: (process.TAKE_BACK_REPORT, *DECISIONS),
    process.TAKE_BACK_REPORT: (process.REPORT,),
}


def is_overtaken(notice: Notice, *, now: datetime) -> bool:
    """Whether the booking has moved on since, so that the mail would say what holds no more.

    Whoever was told of a state is told of the next one, too: the process sees to that.
    """
    event, booking = notice.event, notice.event.booking
    stays_true = event.transition in {each.name for each in TRUE_IN_ANY_STATE}
    if event.status_after != booking.status and not stays_true:
        return True
    if event.transition in {each.name for each in REMINDERS} and booking.starts_at <= now:
        return True
    by = next((later for first, later in OVERTAKEN_BY.items() if first.name == event.transition), ())
    return booking.events.filter(pk__gt=event.pk, transition__in=[each.name for each in by]).exists()


def context(notice: Notice) -> dict[str, Any]:
    """`other` is the other side's name; `zone` is the recipient's, in which all times are told."""
    event, booking = notice.event, notice.event.booking
    to_student = notice.recipient == Notice.Recipient.STUDENT
    user = booking.student.user if to_student else booking.coach.user
    page = "bookings:session" if to_student else "bookings:teaching_session"
    return {
        "email": user.email,
        "name": user.get_short_name(),
        "other": booking.coach.display_name if to_student else booking.student.user.name,
        "to_student": to_student,
        "booking": booking,
        "zone": user.time_zone,
        "reason": event.reason,
        "at": event.at,
        "proposed_by_you": event.actor_role == notice.recipient,
        "kept_because": kept_because(event, notice.recipient),
        "begun": booking.starts_at <= event.at,
        **_money(notice, booking.payment),
        "steps": payment_selectors.timeline(booking.payment),
        **_report(notice),
        "refunded": _refunded(notice),
        "paid_otherwise": _paid_otherwise(notice),
        "link": settings.SITE_URL + reverse(page, args=[booking.pk]),
        "book_again": settings.SITE_URL + reverse("bookings:choose_slot", args=[booking.offering_id]),
        "meeting_url": selectors.room_url(booking),
        "SITE_NAME": settings.SITE_NAME,
        "SITE_URL": settings.SITE_URL,
        "SUPPORT_EMAIL": settings.SUPPORT_EMAIL,
    }


def _report(notice: Notice) -> dict[str, Any]:
    """What the latest report on the session says, if there is one, and what becomes of the money by the decision."""
    booking = notice.event.booking
    claim, payment = booking.claims.order_by("pk").last(), booking.payment
    if claim is None or payment is None:
        return {}
    return {
        "reported_by_you": claim.side == notice.recipient,
        "claim": claim,
        "decided": words.decided(
            booking, payment, to_student=notice.recipient == Notice.Recipient.STUDENT, at=notice.event.at
        ),
    }


def _refunded(notice: Notice) -> str:
    payment = notice.event.booking.payment
    if payment is None or notice.event.transition != process.REFUNDED.name:
        return ""
    if notice.recipient == Notice.Recipient.STUDENT:
        return words.refunded_for_student(payment)
    return words.refunded_for_coach(payment)


def _paid_otherwise(notice: Notice) -> str:
    """Of the one refund that the event is about: both have their time from the same decision."""
    event = notice.event
    if event.transition != process.PAID_OTHERWISE.name:
        return ""
    paid = Refund.objects.filter(payment__reference=event.booking.reference, status=Refund.Status.OTHERWISE)
    return words.paid_otherwise_to_student(paid.filter(settled_at=event.at).latest("pk"))


def _money(notice: Notice, payment: Payment | None) -> dict[str, Any]:
    """`money`: how the price is arranged; `collected`: how it is taken; `ended`: what becomes of it when it is off."""
    if payment is None:
        return {}
    booking, costs = notice.event.booking, _costs(notice, payment)
    if notice.recipient == Notice.Recipient.STUDENT:
        return {
            "money": words.arranged_for_student(booking, payment),
            "collected": words.collected_from_student(booking, payment),
            "ended": words.ended_for_student(booking, payment, costs),
        }
    return {
        "coach_share": Money(payment.coach_share, payment.currency),
        "money": words.arranged_for_coach(booking, payment),
        "collected": words.collected_for_coach(booking, payment),
        "ended": words.ended_for_coach(payment, costs),
    }


def _costs(notice: Notice, payment: Payment) -> Consequence:
    """Of a cancellation by the student at the time of the event; any other end costs nothing."""
    booking, by_student = notice.event.booking, notice.event.transition == process.CANCEL_BY_STUDENT.name
    taken = payment.status in (Payment.Status.CAPTURING, Payment.Status.CAPTURED)
    return policy.consequence(
        policy.agreed(booking.policy, booking.policy_version),
        price=booking.price,
        starts_at=booking.starts_at,
        now=notice.event.at,
        held=by_student and taken and _taken_since(notice, payment),
    )


def _taken_since(notice: Notice, payment: Payment) -> bool:
    """Not by a hand at Stripe before it, which is given back."""
    return payment.captured_at is None or payment.captured_at >= notice.event.at
