"""The table of events that people read is the one that the code follows."""

import re
from pathlib import Path

from django.conf import settings

from payments import webhooks


def documented(heading: str) -> list[str]:
    text = (Path(settings.BASE_DIR) / "docs" / "stripe-events.md").read_text()
    [section] = re.findall(rf"^## {heading}.*?$(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL)
    return re.findall(r"^\| `([a-z_.]+)` \|", section, re.MULTILINE)


def test_the_platforms_events_are_those_in_the_table() -> None:
    assert documented("The platform's own objects") == list(webhooks.PLATFORM_HANDLERS)


def test_the_connected_accounts_events_are_those_in_the_table() -> None:
    assert documented("Connected accounts") == list(webhooks.CONNECT_HANDLERS)
