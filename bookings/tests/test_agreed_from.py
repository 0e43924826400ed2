"""The network address from which terms are agreed to: past trusted proxies, and never a reason to refuse."""

from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from bookings.models import Booking
from bookings.tests.pages import form_of, free
from coaches.models import Offering
from marketplace.models import User

pytestmark = pytest.mark.django_db


@pytest.mark.everyday(4)
@pytest.mark.parametrize(
    ("proxies", "headers", "kept"),
    [
        (0, {"REMOTE_ADDR": "203.0.113.7"}, "203.0.113.7"),
        # Nobody's word is taken for it where no proxy is trusted.
        (0, {"REMOTE_ADDR": "203.0.113.7", "HTTP_X_FORWARDED_FOR": "198.51.100.1"}, "203.0.113.7"),
        (1, {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "198.51.100.1, 203.0.113.7"}, "203.0.113.7"),
        (2, {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "6.6.6.6, 203.0.113.7, 10.0.0.2"}, "203.0.113.7"),
        (1, {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "2001:db8::7"}, "2001:db8::7"),
        (0, {"REMOTE_ADDR": "fe80::1%eth0"}, "fe80::1"),
        (1, {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "nonsense"}, None),
        (3, {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "203.0.113.7"}, None),
        (0, {"REMOTE_ADDR": ""}, None),
    ],
)
def test_the_address_of_whoever_agrees_is_kept(
    browser_of_student: Client,
    offering: Offering,
    coach: object,
    buyer: User,
    settings: Settings,
    proxies: int,
    headers: dict[str, Any],
    kept: str | None,
) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = proxies
    browser_of_student.post(f"/book/{offering.pk}/confirm/", form_of(offering, free(offering)), **headers)
    booking = Booking.objects.get()
    assert (booking.agreed_from, booking.student.user) == (kept, buyer)
