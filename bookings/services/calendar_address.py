"""The private address of a person's calendar."""

import secrets
from datetime import datetime

from django.db import transaction

from bookings.models import CalendarAddress
from marketplace.models import User


def calendar_address(*, user: User, now: datetime) -> CalendarAddress:
    """The person's address, made when it is first asked for."""
    address, _ = CalendarAddress.objects.get_or_create(user=user, defaults={"token": _token(), "created_at": now})
    return address


@transaction.atomic
def renew_calendar_address(*, user: User, now: datetime) -> CalendarAddress:
    """Another address; the one before stops working at once, wherever it has got to."""
    address, _ = CalendarAddress.objects.update_or_create(user=user, defaults={"token": _token(), "created_at": now})
    return address


def _token() -> str:
    return secrets.token_urlsafe(32)
