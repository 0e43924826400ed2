"""What a page with free times is asked for, and what it shows."""

from datetime import date
from typing import Any

from django.http import HttpRequest

from bookings import picker
from bookings.forms import ZoneForm
from coaches.models import Weekday
from marketplace.lib.zones import is_zone, viewer_zone


def chosen_zone(request: HttpRequest) -> str:
    """The zone of the address, where it is one."""
    zone = request.GET.get("zone", "")
    return zone if is_zone(zone) else viewer_zone(request)


def is_zone_unknown(request: HttpRequest) -> bool:
    """Whether nothing has said yet where the viewer is: not they, nor their browser."""
    return not (request.user.is_authenticated or "zone" in request.GET or "zone" in request.COOKIES)


def context(request: HttpRequest, wanted: picker.Wanted) -> dict[str, Any]:
    """For `bookings/_picker.html`, by `?month=2026-12` or `?day=2026-12-31`; what is neither counts as nothing."""
    month, day = request.GET.get("month", ""), request.GET.get("day", "")
    return {
        "picker": picker.picker_of(wanted, month=_date(f"{month}-01"), day=_date(day)),
        "weekdays": Weekday.labels,
        "zone_form": ZoneForm(initial={"zone": wanted.zone}),
        "zone": wanted.zone,
        "zone_is_unknown": is_zone_unknown(request),
    }


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
