"""What no log and no report may keep."""

import re
from collections.abc import MutableMapping
from typing import Any

# A person's calendar (bookings.calendar_views): whoever has its address can read it.
_CALENDAR = re.compile(r"/calendar/[^/\s?]+\.ics")


def without_secrets(value: Any) -> Any:
    """The same, with the token of each calendar's address left out; looks into dictionaries and lists, too."""
    if isinstance(value, str):
        return _CALENDAR.sub("/calendar/….ics", value)
    if isinstance(value, MutableMapping):
        return {name: without_secrets(each) for name, each in value.items()}
    if isinstance(value, list):
        return [without_secrets(each) for each in value]
    return value


def log_without_secrets(_logger: Any, _name: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A processor of structlog: for every line, whoever writes it, Django's own warnings included."""
    cleaned: dict[str, Any] = without_secrets(line)
    return cleaned


def report_without_secrets(event: Any, _hint: Any) -> Any:
    """Sentry's `before_send`: an event has the address of its request, and what was logged before."""
    return without_secrets(event)
