"""What the tests of the pages do again and again."""

from datetime import datetime
from typing import Any

from django.test import Client
from django.urls import reverse

from bookings import selectors
from bookings.models import Booking
from bookings.tests.factories import fresh, payment_of
from coaches.models import Offering
from marketplace import clock
from marketplace.tests.sandbox import Sandbox
from payments import services as payment_services


def free(offering: Offering, index: int = 5) -> datetime:
    return selectors.open_slots(offering=offering, now=clock.now())[index]


def form_of(offering: Offering, starts_at: datetime | str, **changes: Any) -> dict[str, Any]:
    start = starts_at if isinstance(starts_at, str) else starts_at.isoformat()
    sent = {
        "start": start,
        "zone": "Europe/Berlin",
        "price_amount": 10_000,
        "currency": "usd",
        "minutes": 60,
        "policy": "flexible",
        "policy_version": 1,
        "note": "Scales.",
    }
    return {**sent, **changes}


def post_booking(client: Client, offering: Offering, starts_at: datetime | str, **changes: Any) -> Any:
    return client.post(reverse("bookings:book", args=[offering.pk]), form_of(offering, starts_at, **changes))


def pay(sandbox: Sandbox, booking: Booking) -> None:
    payment = payment_of(booking)
    sandbox.post(f"/_sandbox/checkout/{payment.checkout_session_id}/pay", {"payment_method": "pm_card_visa"})


def learn(booking: Booking) -> Booking:
    payment_services.refresh_payment(payment=payment_of(booking), now=clock.now())
    return fresh(booking)


def seconds_until(instant: datetime) -> int:
    return int((instant - clock.now()).total_seconds()) + 2


def text(answer: Any) -> str:
    return str(answer.content.decode())


def request_session(client: Client, offering: Offering, sandbox: Sandbox, index: int = 5) -> Booking:
    post_booking(client, offering, free(offering, index))
    booking = Booking.objects.latest("pk")
    pay(sandbox, booking)
    return learn(booking)


def buttons(answer: Any) -> set[str]:
    return {transition.button.label for transition in answer.context["possible"]}
