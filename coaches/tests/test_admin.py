"""Staff look at coaches; what belongs to others is not theirs to rewrite."""

from datetime import date, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from coaches.models import BusyTime, CalendarFeed, Coach, DateOverride, Offering
from marketplace import clock
from marketplace.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(client: Client, staff: User, settings: Settings) -> Client:
    """Staff, excused from the second factor."""
    settings.DEMO_STAFF_EMAIL = staff.email
    client.force_login(staff)
    return client


def test_staff_find_a_coach_and_see_what_they_sell(desk: Client, offering: Offering) -> None:
    found = desk.get(reverse("admin:coaches_coach_changelist"), {"q": offering.coach.user.email})
    assert offering.coach.display_name in found.content.decode()
    page = desk.get(reverse("admin:coaches_coach_change", args=[offering.coach.pk])).content.decode()
    assert offering.title in page
    assert "Monday" in page


def test_staff_see_who_changed_a_coach(desk: Client, coach: Coach) -> None:
    assert desk.get(reverse("admin:coaches_coach_history", args=[coach.pk])).status_code == 200


def test_staff_can_neither_declare_a_coach_payable_nor_change_a_price(desk: Client, offering: Offering) -> None:
    Coach.objects.update(payable=False)
    page = desk.get(reverse("admin:coaches_coach_change", args=[offering.coach.pk])).content.decode()
    assert 'name="payable"' not in page
    page = desk.get(reverse("admin:coaches_offering_change", args=[offering.pk])).content.decode()
    assert 'name="title"' in page
    assert 'name="price_amount"' not in page


def test_nobody_deletes_a_coach(desk: Client, coach: Coach) -> None:
    answer = desk.post(reverse("admin:coaches_coach_delete", args=[coach.pk]), {"post": "yes"})
    assert answer.status_code == 403
    assert Coach.objects.filter(pk=coach.pk).exists()


def test_a_coach_has_no_desk(client: Client, coach: Coach) -> None:
    client.force_login(coach.user)
    assert client.get(reverse("admin:coaches_coach_changelist")).status_code == 302


# --- their time ---------------------------------------------------------------------------------


@pytest.fixture
def feed(coach: Coach) -> CalendarFeed:
    now = clock.now()
    return CalendarFeed.objects.create(
        coach=coach,
        name="Family",
        address="https://calendar.example/s3cr3t-t0k3n/basic.ics",
        next_read_at=now,
        created_at=now,
    )


def test_staff_see_how_a_coachs_time_is_offered(desk: Client, coach: Coach) -> None:
    page = desk.get(reverse("admin:coaches_coach_change", args=[coach.pk])).content.decode()
    assert 'name="buffer_before_minutes"' in page
    assert 'name="most_a_week"' in page


def test_staff_read_dates_with_other_hours_and_change_none(desk: Client, coach: Coach) -> None:
    night = {"starts": "22:00", "ends": "02:00", "ends_next_day": True}
    day = date(2030, 1, 1)
    override = DateOverride.objects.create(coach=coach, first_day=day, last_day=day, windows=[night], note="Clinic")
    address = reverse("admin:coaches_dateoverride_change", args=[override.pk])
    for url in (reverse("admin:coaches_dateoverride_changelist"), address):
        page = desk.get(url).content.decode()
        assert "Tue 1 Jan 2030" in page
        assert "22:00 to 02:00 the next day" in page
        assert "Clinic" not in page  # the note is for the coach alone
    assert desk.post(address, {"first_day": "2031-01-01"}).status_code == 403
    assert desk.get(reverse("admin:coaches_dateoverride_add")).status_code == 403


def test_staff_see_how_fresh_a_calendar_is_and_never_its_address(desk: Client, feed: CalendarFeed) -> None:
    now = clock.now()
    busy = BusyTime.objects.create(feed=feed, coach=feed.coach, starts_at=now, ends_at=now + timedelta(hours=1))
    for url in (
        reverse("admin:coaches_calendarfeed_changelist"),
        reverse("admin:coaches_calendarfeed_change", args=[feed.pk]),
        reverse("admin:coaches_busytime_changelist"),
        reverse("admin:coaches_busytime_change", args=[busy.pk]),
    ):
        page = desk.get(url).content.decode()
        assert "Family" in page
        assert "s3cr3t" not in page


def test_an_address_can_be_neither_searched_for_nor_changed(desk: Client, feed: CalendarFeed) -> None:
    found = desk.get(reverse("admin:coaches_calendarfeed_changelist"), {"q": "s3cr3t"}).content.decode()
    assert "Family" not in found
    url = reverse("admin:coaches_calendarfeed_change", args=[feed.pk])
    assert desk.post(url, {"address": "https://elsewhere.example/"}).status_code == 403
    assert desk.get(reverse("admin:coaches_calendarfeed_add")).status_code == 403
    assert desk.post(reverse("admin:coaches_calendarfeed_delete", args=[feed.pk]), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize(
    ("model", "lookup"),
    [
        ("calendarfeed", "address__startswith"),
        ("calendarfeed", "address"),
        ("busytime", "feed__address__startswith"),
        ("coach", "calendar_feeds__address__startswith"),
    ],
)
def test_an_address_cannot_be_guessed_letter_by_letter(
    desk: Client, feed: CalendarFeed, model: str, lookup: str
) -> None:
    url = reverse(f"admin:coaches_{model}_changelist")
    guesses = ("https://calendar.example/s3cr3t-t0k3n/basic.ics", "https://calendar.example/wrong")
    answers = [desk.get(url, {lookup: guess}) for guess in guesses]
    assert [answer.status_code for answer in answers] == [400, 400]
