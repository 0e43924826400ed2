"""The free times for programs: the same as on the page, for anyone, a month at most."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.throttling import SimpleRateThrottle

from bookings import selectors
from bookings.tests.factories import book, known_student
from bookings.tests.pages import free
from coaches.models import Coach, DateOverride, Offering
from coaches.slots import Range
from marketplace import clock
from marketplace.lib.zones import in_zone
from marketplace.models import User
from marketplace.tests.factories import CoachFactory, OfferingFactory, UserFactory, open_all_week

pytestmark = pytest.mark.django_db

ADDRESS = "/api/v1/coaches/carla-coach/slots"


def ask(client: Client, offering: Offering, /, *, address: str = ADDRESS, **query: Any) -> Any:
    today = clock.now().date()
    default = {"offering": offering.pk, "from": today.isoformat(), "to": (today + timedelta(days=3)).isoformat()}
    return client.get(address, {**default, **{name.rstrip("_"): value for name, value in query.items()}})


def refusal(answer: Any) -> tuple[int, str, str | None]:
    (error,) = answer.json()["errors"]
    return answer.status_code, error["code"], error["attr"]


def test_anyone_reads_when_a_coach_can_be_booked(client: Client, offering: Offering) -> None:
    first, last = free(offering, 1), free(offering, 8)
    answer = ask(client, offering, from_=first.isoformat(), to=last.isoformat(), zone="Europe/Berlin")
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"zone", "offering", "minutes", "slots"}
    assert (body["zone"], body["offering"], body["minutes"]) == ("Europe/Berlin", offering.pk, 60)
    assert len(body["slots"]) == 7  # the last is at the end of the window, which is open
    assert body["slots"][0] == {
        "starts_at": f"{first:%Y-%m-%dT%H:%M:%SZ}",
        "ends_at": f"{first + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
        "local": in_zone(first, "Europe/Berlin").isoformat(),
    }


def test_it_also_answers_with_a_slash_at_the_end(client: Client, offering: Offering) -> None:
    assert ask(client, offering, address=f"{ADDRESS}/").json() == ask(client, offering).json()


def test_dates_begin_at_midnight_in_the_zone_that_is_asked_for(client: Client, offering: Offering) -> None:
    day = clock.now().date() + timedelta(days=10)
    zone = "Pacific/Auckland"
    answer = ask(client, offering, from_=day.isoformat(), to=(day + timedelta(days=1)).isoformat(), zone=zone)
    local = [slot["local"] for slot in answer.json()["slots"]]
    assert local
    assert {each[:10] for each in local} == {day.isoformat()}
    whole = selectors.open_slots(offering=offering, now=clock.now())
    assert len(local) == sum(in_zone(start, zone).date() == day for start in whole)


def test_the_zone_is_utc_unless_it_is_named(client: Client, offering: Offering) -> None:
    assert ask(client, offering).json()["zone"] == "UTC"


def test_what_is_taken_is_left_out_and_so_are_ones_own_sessions(
    client: Client, offering: Offering, student: User
) -> None:
    start = free(offering)
    elsewhere = OfferingFactory.create(coach=CoachFactory.create(slug="other"), minutes=60)
    open_all_week(elsewhere.coach)
    book(student, offering, starts_at=start, now=clock.now())
    window = {"from_": (start - timedelta(minutes=1)).isoformat(), "to": (start + timedelta(minutes=1)).isoformat()}
    assert ask(client, offering, **window).json()["slots"] == []
    of_other = {"address": "/api/v1/coaches/other/slots", **window}
    assert len(ask(client, elsewhere, **of_other).json()["slots"]) == 1
    client.force_login(student)
    assert ask(client, elsewhere, **of_other).json()["slots"] == []


def test_a_day_off_has_none(client: Client, offering: Offering, coach: Coach) -> None:
    day = clock.now().date() + timedelta(days=10)
    DateOverride.objects.create(coach=coach, first_day=day, last_day=day, windows=[])
    window = {"from_": day.isoformat(), "to": (day + timedelta(days=1)).isoformat(), "zone": coach.time_zone}
    assert ask(client, offering, **window).json()["slots"] == []


@pytest.mark.parametrize(("first", "last"), [("2001-01-01", "2001-01-31"), ("2036-12-01", "2036-12-31")])
def test_what_is_over_or_years_ahead_is_empty(first: str, last: str, client: Client, offering: Offering) -> None:
    answer = ask(client, offering, from_=first, to=last)
    assert (answer.status_code, answer.json()["slots"]) == (200, [])


def test_what_cannot_be_booked_does_not_exist(client: Client, offering: Offering, coach: Coach) -> None:
    other = OfferingFactory.create()
    assert ask(client, other).status_code == 404  # somebody else's
    assert ask(client, offering, offering=2**63 - 1).status_code == 404
    assert ask(client, offering, address="/api/v1/coaches/nobody/slots").status_code == 404
    Offering.objects.filter(pk=offering.pk).update(active=False)
    assert ask(client, offering).status_code == 404
    Offering.objects.filter(pk=offering.pk).update(active=True)
    Coach.objects.filter(pk=coach.pk).update(payable=False)
    answer = ask(client, offering)
    assert refusal(answer) == (404, "not_found", None)


# --- hostile and broken questions ---------------------------------------------------------------


@pytest.mark.everyday(4)
@pytest.mark.parametrize(
    ("query", "code", "attr"),
    [
        ({"offering": "x"}, "invalid", "offering"),
        ({"offering": "-1"}, "min_value", "offering"),
        ({"offering": str(10**40)}, "max_value", "offering"),
        ({"zone": "../../"}, "unknown_time_zone", "zone"),
        ({"zone": "Mars/Olympus"}, "unknown_time_zone", "zone"),
        ({"from_": ""}, "blank", "from"),
        ({"from_": "x"}, "invalid_time", "from"),
        ({"from_": "2026-12-01T25:61:00Z"}, "invalid_time", "from"),
        ({"from_": "2026-02-30"}, "invalid_time", "from"),
        ({"from_": "0000-01-01"}, "invalid_time", "from"),
        ({"from_": "0001-01-01", "zone": "Asia/Tokyo"}, "invalid_time", "from"),
        ({"to": "9999-12-31T23:59:59-12:00"}, "invalid_time", "to"),
        ({"to": "9999-12-31"}, "invalid_time", "to"),
        ({"to": "10000-01-01"}, "invalid_time", "to"),
        ({"to": "2026-12-01T10:00"}, "offset_missing", "to"),
        ({"from_": "2026-12-01", "to": "2026-11-30"}, "window_empty", "to"),
        ({"from_": "2026-12-01", "to": "2026-12-01"}, "window_empty", "to"),
        ({"from_": "2026-12-01", "to": "2027-01-02"}, "window_too_long", "to"),
        ({"from_": "2026-12-01T00:00:00Z", "to": "2027-01-01T00:00:01Z"}, "window_too_long", "to"),
        ({"from_": "2001-01-01", "to": "8999-01-01"}, "window_too_long", "to"),
    ],
)
def test_a_broken_question_is_refused_by_name(
    query: dict[str, str], code: str, attr: str, client: Client, offering: Offering
) -> None:
    assert refusal(ask(client, offering, **query)) == (400, code, attr)


@pytest.mark.parametrize("missing", ["offering", "from", "to"])
def test_what_is_missing_is_named(missing: str, client: Client, offering: Offering) -> None:
    query = {"offering": str(offering.pk), "from": "2026-12-01", "to": "2026-12-02"}
    answer = client.get(ADDRESS, {name: value for name, value in query.items() if name != missing})
    assert refusal(answer) == (400, "required", missing)


@pytest.mark.parametrize(
    ("local", "words"),
    [
        ("2026-12-01T10:00", "Please add the offset: 2026-12-01T10:00:00-05:00."),
        (
            "2026-11-01T01:30",
            (
                "In New York time this time comes twice. Please choose: "
                "2026-11-01T01:30:00-04:00 or 2026-11-01T01:30:00-05:00."
            ),
        ),
        (
            "2027-03-14T02:30",
            "In New York time clocks jump over this time. Please choose another one, with its offset.",
        ),
    ],
)
def test_a_time_without_offset_is_never_guessed_at(local: str, words: str, client: Client, offering: Offering) -> None:
    answer = ask(client, offering, from_=local, to="2027-03-15", zone="America/New_York")
    assert refusal(answer) == (400, "offset_missing", "from")
    assert answer.json()["errors"][0]["detail"] == words


def test_a_month_in_which_clocks_are_set_back_is_not_too_long(client: Client, offering: Offering) -> None:
    answer = ask(client, offering, from_="2026-10-01", to="2026-11-01", zone="Europe/Berlin")
    assert answer.status_code == 200


def test_it_costs_the_same_however_much_is_booked(client: Client, offering: Offering) -> None:
    counts = []
    for index in (3, 9, 15):
        with CaptureQueriesContext(connection) as queries:
            ask(client, offering)
        counts.append(len(queries))
        book(known_student(UserFactory.create()), offering, starts_at=free(offering, index), now=clock.now())
    assert counts[0] == counts[1] == counts[2] <= 6


def test_a_hasty_reader_is_slowed_down(client: Client, offering: Offering, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SimpleRateThrottle.THROTTLE_RATES, "user", "3/minute")
    answers = [ask(client, offering) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert int(answers[-1]["Retry-After"]) > 0


def test_nobody_escapes_the_limit_by_naming_other_addresses(
    client: Client, offering: Offering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SimpleRateThrottle.THROTTLE_RATES, "user", "3/minute")
    answers = [client.get(ADDRESS, headers={"X-Forwarded-For": f"203.0.113.{number}"}) for number in range(4)]
    assert [answer.status_code for answer in answers] == [400, 400, 400, 429]


def test_nothing_can_be_written(client: Client, offering: Offering) -> None:
    for method in (client.post, client.put, client.patch, client.delete):
        assert method(ADDRESS).status_code in (403, 405)


def test_the_schema_names_it_once_with_all_it_takes(client: Client, student: User) -> None:
    client.force_login(student)
    paths = client.get("/api/v1/schema/?format=json").json()["paths"]
    assert [path for path in paths if "slots" in path] == ["/api/v1/coaches/{slug}/slots"]
    described = paths["/api/v1/coaches/{slug}/slots"]["get"]
    assert {each["name"] for each in described["parameters"]} == {"slug", "offering", "from", "to", "zone"}


def test_the_page_and_the_api_agree(client: Client, offering: Offering) -> None:
    now = clock.now()
    window = Range(now, now + timedelta(days=30))
    answer = ask(client, offering, from_=window.start.isoformat(), to=window.end.isoformat())
    told = [datetime.fromisoformat(slot["starts_at"]) for slot in answer.json()["slots"]]
    assert told == selectors.open_slots(offering=offering, now=now, within=window)
