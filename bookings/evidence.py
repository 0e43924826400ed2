"""What we know of a booking, for a claim or for the student's bank. Reads only; what it makes is kept by payments."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from django.conf import settings

from bookings.models import Attendance, Booking, BookingEvent, Notice
from marketplace.lib.pdf import Heading, Rows, Text, document
from payments.evidence import LONGEST_FIELD
from payments.models import Payment
from payments.receipts import receipt_of, receipt_pdf

# Of each side, in what the bank reads: both together fit into one field.
MOST_STAYS = 40


@dataclass(frozen=True, slots=True)
class Packet:
    """Text by Stripe's evidence field; PDF files by Stripe's file field."""

    fields: dict[str, str]
    files: dict[str, bytes]


def packet_of(booking: Booking, payment: Payment) -> Packet:
    """Everything at once, with the receipt of the payment in question; the same facts give the same bytes."""
    fields = {name: text[:LONGEST_FIELD] for name, text in _fields(booking).items() if text}
    return Packet(fields, _files(booking, payment))


def attendance_lines(booking: Booking) -> list[str]:
    """Who came and went, and when (UTC), in order. Who comes and goes without end pushes out no stay of the other."""
    known = Attendance.objects.filter(booking=booking).order_by("joined_at", "pk")
    shown = [stay for side in ("student", "coach") for stay in known.filter(side=side)[:MOST_STAYS]]
    lines = [
        f"{_when(stay.joined_at)}: {_name(booking, stay.side)} joined; "
        + (f"left at {_when(stay.left_at)}" if stay.left_at else f"last seen at {_when(stay.seen_at)}")
        for stay in sorted(shown, key=lambda stay: (stay.joined_at, stay.pk))
    ]
    more = known.count() - len(shown)
    if more:
        lines.append(f"{more} later stays are not listed.")
    return lines or ["Nobody's arrival was recorded."]


def _fields(booking: Booking) -> dict[str, str]:
    agreed = f"Agreed to on {_when(booking.created_at)}" + (
        f" from the network address {booking.agreed_from}." if booking.agreed_from else "."
    )
    policy = f"{booking.policy_text}\n({booking.get_policy_display()}, version {booking.policy_version}.) {agreed}"
    return {
        "customer_name": booking.student.user.name,
        "customer_email_address": booking.student.user.email,
        "customer_purchase_ip": booking.agreed_from or "",
        "product_description": _product(booking),
        "service_date": f"{booking.starts_at.astimezone(UTC):%Y-%m-%d}",
        "access_activity_log": "\n".join(attendance_lines(booking)),
        "cancellation_policy_disclosure": policy,
        "refund_policy_disclosure": policy,
        "uncategorized_text": _story(booking),
    }


def _product(booking: Booking) -> str:
    return (
        f"{booking.title}: a live one-to-one session by video with {booking.coach.display_name}, {booking.minutes} "
        f"minutes, from {_when(booking.starts_at)} to {_when(booking.ends_at)}, for {booking.price}.\n"
        f"{booking.offering.description}"
    ).strip()


def _story(booking: Booking) -> str:
    parts = (
        ("What happened", _history(booking)),
        ("Mails that were sent", _mails(booking)),
        ("Earlier sessions of the same two people", _earlier(booking)),
    )
    return "\n\n".join(f"{title}\n" + "\n".join(lines) for title, lines in parts if lines)


def _history(booking: Booking) -> list[str]:
    events = BookingEvent.objects.filter(booking=booking).order_by("at", "pk")
    return [f"{_when(event.at)}: {event.transition.replace('_', ' ')} ({event.actor_role})" for event in events]


def _mails(booking: Booking) -> list[str]:
    sent = Notice.objects.filter(event__booking=booking, sent_at__isnull=False).order_by("sent_at", "pk")
    return [f"{_when(mail.sent_at)}: {_mail_name(mail)}" for mail in sent if mail.sent_at]


def _mail_name(mail: Notice) -> str:
    name = mail.template.rpartition("-")[0].replace("_", " ")
    return f"“{name}” to the {mail.recipient}"


def _earlier(booking: Booking) -> list[str]:
    others = Booking.objects.filter(
        student=booking.student, coach=booking.coach, starts_at__lt=booking.starts_at
    ).exclude(pk=booking.pk)
    return [
        f"{_when(other.starts_at)}: {other.title}, {other.get_status_display().lower()}"
        for other in others.order_by("-starts_at")[:20]
    ]


def _files(booking: Booking, payment: Payment) -> dict[str, bytes]:
    files = {"service_documentation": _service_pdf(booking), "cancellation_policy": _policy_pdf(booking)}
    receipt = receipt_of(payment)
    if receipt:
        files["receipt"] = receipt_pdf(receipt, zone="UTC")
    return files


def _service_pdf(booking: Booking) -> bytes:
    return document(
        title="Record of the session",
        author=settings.SITE_NAME,
        blocks=[
            Text(_product(booking)),
            Heading("Who was there"),
            *(Text(line) for line in attendance_lines(booking)),
            Heading("What happened"),
            Rows(_pairs(_history(booking))),
            Heading("Mails that were sent"),
            Rows(_pairs(_mails(booking))),
            Heading("Earlier sessions of the same two people"),
            Rows(_pairs(_earlier(booking))),
        ],
    )


def _policy_pdf(booking: Booking) -> bytes:
    return document(
        title="Cancellation policy",
        author=settings.SITE_NAME,
        blocks=[Text(_fields(booking)["cancellation_policy_disclosure"])],
    )


def _pairs(lines: Iterable[str]) -> list[tuple[str, str]]:
    """Each line as a row: what happened at the left, when at the right."""
    return [(what, when) for when, _, what in (line.partition(" UTC: ") for line in lines)]


def _name(booking: Booking, side: str) -> str:
    return (
        f"the student ({booking.student.user.name})"
        if side == "student"
        else (f"the coach ({booking.coach.display_name})")
    )


def _when(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
