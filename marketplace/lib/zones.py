"""Time zones by their IANA names."""

from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from django.core.exceptions import ValidationError


@cache
def zone_names() -> frozenset[str]:
    """Every zone a person may choose: region/city names and UTC."""
    return frozenset(name for name in available_timezones() if "/" in name) | {"UTC"}


def is_zone(name: str) -> bool:
    return name in zone_names()


def validate_zone(name: str) -> None:
    if not is_zone(name):
        raise ValidationError("Choose a time zone from the list.", code="unknown_time_zone")


def in_zone(instant: datetime, zone: str) -> datetime:
    """The instant as the wall clock of that zone shows it."""
    return instant.astimezone(ZoneInfo(zone))
