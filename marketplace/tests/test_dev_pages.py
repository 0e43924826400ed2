"""The pages of development: all mail, and the clock that product and sandbox share."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.mail import EmailMultiAlternatives, get_connection
from django.test import Client
from django.urls import reverse

from bookings.models import Booking
from bookings.selectors import open_slots
from bookings.tests.factories import book, payable, payment_of
from coaches.models import Offering
from marketplace import clock
from marketplace.dev_mail import newest_first
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments.models import Payment
from payments.pollers import poll_open_payments
from payments.services import start_checkout

pytestmark = pytest.mark.django_db
FILES = "django.core.mail.backends.filebased.EmailBackend"


@pytest.fixture
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.EMAIL_FILE_PATH = tmp_path / "mail"
    return tmp_path / "mail"


def write(folder: Path, *subjects: str) -> None:
    """Mails as Django itself writes them, all through one connection and so into one file."""
    connection = get_connection(FILES, file_path=str(folder))
    messages = []
    for subject in subjects:
        message = EmailMultiAlternatives(
            subject, "Grüße,\n-- \nus https://example.com/x", "us@example.com", ["you@example.com"]
        )
        message.attach_alternative(f"<html><head></head><body><h1>{subject}</h1></body></html>", "text/html")
        message.attach("session.ics", b"BEGIN:VCALENDAR", "text/calendar")
        messages.append(message)
    connection.send_messages(messages)


# --- mail ---------------------------------------------------------------------------------------


def test_mails_of_one_file_are_told_apart_newest_first(folder: Path) -> None:
    write(folder, "First", "Second <b>")
    mails = newest_first(folder)
    assert [mail.subject for mail in mails] == ["Second <b>", "First"]
    assert mails[0].text.startswith("Grüße,")
    assert "<h1>Second <b></h1>" in mails[0].html
    assert mails[0].attachments == ["session.ics"]


def test_no_folder_is_an_empty_mailbox(client: Client, folder: Path) -> None:
    assert "No mail yet" in client.get(reverse("dev:mailbox")).content.decode()


def test_a_mail_is_read_as_text_and_in_a_frame_that_may_do_nothing(client: Client, folder: Path) -> None:
    write(folder, "Your code")
    (mail,) = newest_first(folder)
    page = client.get(reverse("dev:mail", args=[mail.key]))
    frame = client.get(reverse("dev:mail_html", args=[mail.key]))
    assert "Grüße," in page.content.decode()
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page.content.decode()
    assert "frame-src 'self'" in page["Content-Security-Policy"]
    assert "<h1>Your code</h1>" in frame.content.decode()
    assert "sandbox allow-popups allow-popups-to-escape-sandbox" in frame["Content-Security-Policy"]
    assert "script-src 'none'" in frame["Content-Security-Policy"]
    assert "default-src 'none'" in frame["Content-Security-Policy"]
    assert frame["X-Frame-Options"] == "SAMEORIGIN"


@pytest.mark.parametrize("key", ["nothing-000", "..%2F..%2Fetc%2Fpasswd"])
def test_there_is_no_other_file_to_be_read(client: Client, folder: Path, key: str) -> None:
    assert client.get(f"/dev/mail/{key}/").status_code == 404


# --- the clock ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("field", "moved"), [("hours", timedelta(hours=1)), ("days", timedelta(days=1))])
def test_a_jump_moves_sandbox_and_product_together(
    client: Client, sandbox: Sandbox, field: str, moved: timedelta
) -> None:
    before = clock.now()
    answer = client.post(reverse("dev:clock"), {field: "1", "next": "/coaches/"})
    assert answer["Location"] == "/coaches/"
    assert abs(clock.now() - before - moved) < timedelta(seconds=10)
    assert abs(sandbox.get("/_sandbox/clock")["now"] - clock.now().timestamp()) < 5


def test_the_months_end_is_the_first_instant_of_the_next(client: Client, sandbox: Sandbox) -> None:
    sandbox.post("/_sandbox/clock", {"set": int(datetime(2031, 12, 31, 22, 59, tzinfo=UTC).timestamp())})
    clock.forget_offset()
    client.post(reverse("dev:clock"), {"month": "1"})
    assert datetime(2032, 1, 1, tzinfo=UTC) <= clock.now() < datetime(2032, 1, 1, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize("jump", [{}, {"hours": "-1"}, {"hours": "x"}, {"days": "99999"}, {"days": "²"}])
def test_what_is_no_jump_moves_nothing(client: Client, sandbox: Sandbox, jump: dict[str, str]) -> None:
    before = clock.now()
    assert client.post(reverse("dev:clock"), jump).status_code == 400
    assert clock.now() - before < timedelta(seconds=10)


def test_a_jump_leads_nowhere_else(client: Client, sandbox: Sandbox) -> None:
    answer = client.post(reverse("dev:clock"), {"hours": "1", "next": "https://elsewhere.example/"})
    assert answer["Location"] == "/"


def test_a_jump_takes_a_post(client: Client) -> None:
    assert client.get(reverse("dev:clock")).status_code == 405


def test_a_long_jump_captures_what_is_held_before_the_hold_lapses(
    client: Client, sandbox: Sandbox, student: User, offering: Offering
) -> None:
    booking = _booked_and_paid(sandbox, student, offering)
    client.post(reverse("dev:clock"), {"days": "9"})
    booking.refresh_from_db()
    payment = payment_of(booking)
    assert booking.status == Booking.Status.COMPLETED
    assert payment.status == Payment.Status.CAPTURED
    assert payment.captured_at is not None
    # By itself 24 hours after its end, and at the next step at the latest.
    assert timedelta(hours=24) <= payment.captured_at - booking.ends_at <= timedelta(hours=31)


def _booked_and_paid(sandbox: Sandbox, student: User, offering: Offering) -> Booking:
    payable(offering.coach)
    Offering.objects.update(instant=True)
    offering.refresh_from_db()
    now = clock.now()
    booking = book(student, offering, starts_at=open_slots(offering=offering, now=now)[0], now=now)
    start_checkout(payment=payment_of(booking), now=now)
    sandbox.post(
        f"/_sandbox/checkout/{payment_of(booking).checkout_session_id}/pay", {"payment_method": "pm_card_visa"}
    )
    poll_open_payments(now=clock.now())
    return booking


def test_development_shows_the_time_and_the_jumps_under_every_page(
    client: Client, sandbox: Sandbox, settings: Any
) -> None:
    assert "dev-bar" not in client.get("/").content.decode()
    settings.DEBUG = True
    page = client.get("/").content.decode()
    assert "dev-bar" in page
    assert reverse("dev:mailbox") in page
    assert sandbox.url in page
