"""Time zones by their IANA names."""

from collections import defaultdict
from datetime import datetime
from functools import cache
from urllib.parse import unquote
from zoneinfo import ZoneInfo, available_timezones

from django.core.exceptions import ValidationError
from django.http import HttpRequest


@cache
def zone_names() -> frozenset[str]:
    """Every zone a person may choose: region/city names and UTC."""
    return frozenset(name for name in available_timezones() if "/" in name) | {"UTC"}


def zones_by_region() -> list[tuple[str, str | list[tuple[str, str]]]]:
    """Every zone as choices for a form, grouped by region."""
    regions: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for name in sorted(zone_names() - {"UTC"}):
        region, _, place = name.partition("/")
        regions[region].append((name, place.replace("_", " ").replace("/", ", ")))
    return [("UTC", "UTC"), *regions.items()]


def is_zone(name: str) -> bool:
    return name in zone_names()


def validate_zone(name: str) -> None:
    if not is_zone(name):
        raise ValidationError("Choose a time zone from the list.", code="unknown_time_zone")


def zone_label(zone: str) -> str:
    """As people say it: `Berlin time`, `Buenos Aires time`, `UTC`."""
    return zone if "/" not in zone else f"{zone.rsplit('/', 1)[-1].replace('_', ' ')} time"


def in_zone(instant: datetime, zone: str) -> datetime:
    """The instant as the wall clock of that zone shows it."""
    return instant.astimezone(ZoneInfo(zone))


def viewer_zone(request: HttpRequest) -> str:
    """The zone to show times in: the person's own, else what their browser says (static/js/page.js), else UTC."""
    user = getattr(request, "user", None)  # an error page may be answered before there is one
    if user is not None and user.is_authenticated:
        return str(user.time_zone)
    zone = unquote(request.COOKIES.get("zone", ""))
    return zone if is_zone(zone) else "UTC"
