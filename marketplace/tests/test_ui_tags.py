"""The words that templates are made of."""

from datetime import UTC, datetime, timedelta

import pytest

from marketplace.lib.money import Money
from marketplace.lib.zones import zone_label, zones_by_region
from marketplace.templatetags import ui
from payments.selectors import TimelineStep

WHEN = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


def test_a_time_is_told_with_its_date_and_whose_clock_it_is() -> None:
    assert ui.local_time(WHEN, "Europe/Berlin") == (
        '<time datetime="2026-11-20T15:00:00+00:00">Fri 20 Nov 2026, 16:00 <span class="zone">Berlin time</span></time>'
    )


def test_a_zone_far_away_has_its_own_date() -> None:
    assert ui.plain_time(WHEN, "Pacific/Auckland") == "Sat 21 Nov 2026, 04:00 Auckland time"


def test_a_span_within_a_day_says_the_day_once() -> None:
    assert ui.plain_span(WHEN, WHEN + timedelta(hours=1), "UTC") == "Fri 20 Nov 2026, 15:00 to 16:00 UTC"


def test_a_span_over_midnight_says_both_days() -> None:
    assert ui.plain_span(WHEN, WHEN + timedelta(hours=10), "UTC") == (
        "Fri 20 Nov 2026, 15:00 to Sat 21 Nov 2026, 01:00 UTC"
    )


def test_a_time_that_the_clock_shows_twice_is_told_apart() -> None:
    # New York sets its clocks back at 6:00 UTC: 1:30 comes at 5:30 and at 6:30 UTC.
    starts = [datetime(2026, 11, 1, hour, 30, tzinfo=UTC) for hour in (4, 5, 6, 7)]
    zone = "America/New_York"
    assert [ui.plain_time(start, zone) for start in starts] == [
        "Sun 1 Nov 2026, 00:30 New York time",
        "Sun 1 Nov 2026, 01:30 (UTC-0400) New York time",
        "Sun 1 Nov 2026, 01:30 (UTC-0500) New York time",
        "Sun 1 Nov 2026, 02:30 New York time",
    ]
    assert ui.plain_span(starts[1], starts[2], zone) == (
        "Sun 1 Nov 2026, 01:30 (UTC-0400) to 01:30 (UTC-0500) New York time"
    )
    assert ui.local_clock(starts[1], zone) != ui.local_clock(starts[2], zone)
    assert "01:30 (UTC-0500)</time>" in ui.local_clock(starts[2], zone)


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        ("America/Argentina/Buenos_Aires", "Buenos Aires time"),
        ("Asia/Ho_Chi_Minh", "Ho Chi Minh time"),
        ("UTC", "UTC"),
    ],
)
def test_a_zone_is_named_as_people_say_it(zone: str, words: str) -> None:
    assert zone_label(zone) == words


def test_every_zone_can_be_chosen_once() -> None:
    first, *regions = zones_by_region()
    chosen = [value for _, places in regions if not isinstance(places, str) for value, _ in places]
    assert first == ("UTC", "UTC")
    assert len(chosen) == len(set(chosen))
    assert "Europe/Berlin" in chosen


def test_a_badge_escapes_what_it_is_given() -> None:
    badge = ui.status_badge("requested", "<b>Requested</b>")
    assert badge == '<span class="badge badge-wait">&lt;b&gt;Requested&lt;/b&gt;</span>'


def test_an_unknown_state_is_quiet() -> None:
    assert "badge-quiet" in ui.status_badge("something_new", "Something")


@pytest.mark.parametrize(
    ("name", "letters"),
    [("Mara Lindqvist", "ML"), ("Kenji", "K"), ("Ana de la Cruz", "AC"), ("", ""), ("élodie", "É")],
)
def test_initials_are_of_the_first_and_the_last_name(name: str, letters: str) -> None:
    assert ui.initials(name) == letters


def _step(label: str, state: str) -> TimelineStep:
    return TimelineStep(label, None, state, Money(100, "usd"), "")  # type: ignore[arg-type]  # as a test writes it


@pytest.mark.parametrize(
    ("states", "present"),
    [
        (["done", "now", "next"], 1),
        (["done", "done", "undone"], 1),
        (["next", "next"], 0),
    ],
)
def test_the_line_tells_the_step_under_way_or_else_the_last_one_done(states: list[str], present: int) -> None:
    steps = [_step(str(index), state) for index, state in enumerate(states)]
    assert ui.present_step(steps) is steps[present]
