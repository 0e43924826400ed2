"""The lines as they are written, and what monitoring hears: no address of a calendar is in them."""

import io
import logging
from typing import Any

import pytest
import structlog
from django.conf import settings
from django.test import Client

from marketplace.logs import report_without_secrets

TOKEN = "a-token_that-nobody-may-read-in-a-log-0123456789"
ADDRESS = f"/calendar/{TOKEN}.ics"


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the console gets, by the formatter of the settings."""
    kept = io.StringIO()
    handler = logging.StreamHandler(kept)
    logging_settings: Any = settings.LOGGING
    formatter = dict(logging_settings["formatters"]["structured"])
    handler.setFormatter(formatter.pop("()")(**formatter))
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    return kept


@pytest.mark.django_db
def test_a_request_for_a_calendar_is_logged_without_its_token(written: io.StringIO) -> None:
    assert Client().get(ADDRESS).status_code == 404
    lines = written.getvalue()
    # Ours, and Django's own.
    assert "GET /calendar/….ics" in lines
    assert "Not Found: /calendar/….ics" in lines
    assert TOKEN not in lines


def test_an_error_is_logged_without_the_token(written: io.StringIO) -> None:
    error = ValueError(f"nothing at {ADDRESS}?page=1")
    logger = structlog.stdlib.get_logger("calendars")
    logger.error("feed_failed", tried=[ADDRESS, {"address": ADDRESS}], exc_info=error)
    assert "feed_failed" in written.getvalue()
    assert TOKEN not in written.getvalue()


def test_a_report_holds_no_token_and_all_else() -> None:
    event: dict[str, Any] = {
        "level": "error",
        "request": {"url": f"https://coaching.example.com{ADDRESS}", "headers": {}},
        "breadcrumbs": {"values": [{"message": f"GET {ADDRESS}", "number": 1}]},
    }
    assert report_without_secrets(event, None) == {
        "level": "error",
        "request": {"url": "https://coaching.example.com/calendar/….ics", "headers": {}},
        "breadcrumbs": {"values": [{"message": "GET /calendar/….ics", "number": 1}]},
    }
