"""Where a coach adds outside calendars: what may be typed, how fresh they are, and that no address is ever shown."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from coaches.models import BusyTime, CalendarFeed, Coach
from coaches.tests.calendars import SECRET
from marketplace import clock
from marketplace.models import User
from marketplace.tests.factories import CoachFactory

pytestmark = pytest.mark.django_db

PAGE = reverse("coaches:calendars")
ADDRESS = f"https://calendar.example/{SECRET}/basic.ics"
TYPED = {"name": "Family", "address": ADDRESS}
MINUTE = timedelta(minutes=1)


@pytest.fixture
def teacher(client: Client, coach: Coach) -> Client:
    client.force_login(coach.user)
    return client


def make_feed(coach: Coach, *, name: str = "Family", now: datetime | None = None, **facts: object) -> CalendarFeed:
    now = now or clock.now()
    return CalendarFeed.objects.create(
        **{
            "coach": coach,
            "name": name,
            "address": f"{ADDRESS}?of={name}",
            "next_read_at": now + 10 * MINUTE,
            "created_at": now - timedelta(days=30),
            "tried_at": now - 12 * MINUTE,
            "read_at": now - 12 * MINUTE,
            **facts,
        }
    )


def words(page: Any) -> str:
    """The page, which never has the secret."""
    text: str = page.content.decode()
    assert SECRET not in text
    return text.replace("\N{NO-BREAK SPACE}", " ")


# --- adding -------------------------------------------------------------------------------------


def test_a_coach_adds_a_calendar(teacher: Client, coach: Coach) -> None:
    assert "No outside calendar yet" in words(teacher.get(PAGE))
    answer = teacher.post(PAGE, {"name": "Family", "address": ADDRESS.replace("https:", "webcal:")})
    assert answer["Location"] == PAGE
    feed = CalendarFeed.objects.get()
    assert (feed.coach, feed.name, feed.address) == (coach, "Family", ADDRESS)
    page = words(teacher.get(PAGE))
    assert "Family is added, and is read in a moment." in page
    assert "calendar.example/…" in page
    assert "Not read yet" in page
    assert "Being read" in page


@pytest.mark.everyday(3)
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 61),
        ("name", "a\x00b"),
        ("address", ""),
        ("address", "not an address"),
        ("address", "ftp://calendar.example/a.ics"),
        ("address", "http://127.0.0.1/a.ics"),
        ("address", "http://169.254.169.254/latest"),
        ("address", "https://calendar.example:22/a.ics"),
        ("address", "https://me:password@calendar.example/a.ics"),
        ("address", "https://calendar.example/" + "x" * 1000),
    ],
)
def test_it_refuses_with_words_beside_the_field(teacher: Client, field: str, value: str) -> None:
    answer = teacher.post(PAGE, {**TYPED, field: value})
    assert list(answer.context["form"].errors) == [field]
    assert CalendarFeed.objects.count() == 0


def test_an_address_twice_is_refused_in_words(teacher: Client) -> None:
    teacher.post(PAGE, TYPED)
    answer = teacher.post(PAGE, {**TYPED, "name": "Again"})
    assert "You have added this address already." in answer.content.decode()
    assert CalendarFeed.objects.count() == 1


def test_there_is_room_for_five(teacher: Client, coach: Coach) -> None:
    for number in range(5):
        make_feed(coach, name=str(number))
    page = words(teacher.get(PAGE))
    assert "You have 5 calendars here, the most there can be." in page
    assert "Add the calendar" not in page
    answer = teacher.post(PAGE, TYPED)
    assert answer.status_code == 200
    assert CalendarFeed.objects.count() == 5


# --- how fresh ----------------------------------------------------------------------------------


def test_it_shows_how_fresh_a_calendar_is(teacher: Client, coach: Coach) -> None:
    feed, now = make_feed(coach), clock.now()
    for days in (-1, 1, 2, 89, 91):
        start = now + timedelta(days=days)
        BusyTime.objects.create(feed=feed, coach=coach, starts_at=start, ends_at=start + timedelta(hours=1))
    page = words(teacher.get(PAGE))
    assert "Read 12 minutes ago; 3 busy times in the next 90 days" in page
    assert "Read now" in page
    assert "Being read" not in page
    assert "out of date" not in page


def test_trouble_is_told_beside_what_is_known(teacher: Client, coach: Coach) -> None:
    make_feed(coach, trouble="There is no calendar at this address any more.", failures=1)
    page = words(teacher.get(PAGE))
    assert "There is no calendar at this address any more." in page
    assert "Read 12 minutes ago; no busy times in the next 90 days" in page


def test_a_calendar_that_was_not_read_for_a_day_warns_and_keeps_what_it_said(teacher: Client, coach: Coach) -> None:
    now = clock.now()
    feed = make_feed(coach, read_at=now - timedelta(days=3), failures=9)
    BusyTime.objects.create(feed=feed, coach=coach, starts_at=now, ends_at=now + timedelta(hours=1))
    page = words(teacher.get(PAGE))
    assert "What we know of it may be out of date" in page
    assert "Read 3 days ago; 1 busy time in the next 90 days" in page


def test_a_calendar_that_was_never_read_says_that_it_closes_nothing(teacher: Client, coach: Coach) -> None:
    make_feed(coach, read_at=None, failures=9, trouble="There is no calendar at this address any more.")
    page = words(teacher.get(PAGE))
    assert "Not read yet; it closes no time so far" in page
    assert "There is no calendar at this address any more." in page
    assert "stay closed" not in page


def test_the_page_asks_as_often_for_many_calendars_as_for_one(
    teacher: Client, coach: Coach, django_assert_max_num_queries: Any
) -> None:
    for number in range(5):
        make_feed(coach, name=str(number))
    with django_assert_max_num_queries(6):
        teacher.get(PAGE)


# --- one calendar -------------------------------------------------------------------------------


def test_it_is_read_when_asked_for_but_not_twice_in_a_minute(teacher: Client, coach: Coach) -> None:
    feed = make_feed(coach)
    answer = teacher.post(reverse("coaches:read_calendar", args=[feed.pk]), follow=True)
    assert "Family is read in a moment." in words(answer)
    feed.refresh_from_db()
    assert feed.next_read_at <= clock.now()
    CalendarFeed.objects.update(tried_at=clock.now())
    answer = teacher.post(reverse("coaches:read_calendar", args=[feed.pk]), follow=True)
    assert "Family was read less than a minute ago." in words(answer)


def test_it_is_renamed(teacher: Client, coach: Coach) -> None:
    feed = make_feed(coach)
    url = reverse("coaches:edit_calendar", args=[feed.pk])
    assert 'value="Family"' in words(teacher.get(url))
    refused = teacher.post(url, {"name": "x" * 61})
    assert list(refused.context["form"].errors) == ["name"]
    assert words(refused)
    assert teacher.post(url, {"name": "<b>Home</b>", "address": "http://10.0.0.1/"})["Location"] == PAGE
    feed.refresh_from_db()
    assert (feed.name, feed.address) == ("<b>Home</b>", f"{ADDRESS}?of=Family")
    assert "&lt;b&gt;Home&lt;/b&gt;" in words(teacher.get(PAGE))


def test_it_is_removed_with_its_busy_times(teacher: Client, coach: Coach) -> None:
    feed, now = make_feed(coach), clock.now()
    BusyTime.objects.create(feed=feed, coach=coach, starts_at=now, ends_at=now + timedelta(hours=1))
    answer = teacher.post(reverse("coaches:remove_calendar", args=[feed.pk]), follow=True)
    assert "Family is removed, and its busy times with it." in words(answer)
    assert (CalendarFeed.objects.count(), BusyTime.objects.count()) == (0, 0)
    again = teacher.post(reverse("coaches:remove_calendar", args=[feed.pk]))
    assert again.status_code == 404


# --- who may ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["edit_calendar", "read_calendar", "remove_calendar"])
def test_nobody_reaches_the_calendar_of_another(client: Client, coach: Coach, stranger: User, name: str) -> None:
    feed = make_feed(coach)
    url = reverse(f"coaches:{name}", args=[feed.pk])
    assert client.post(url)["Location"] == f"{reverse('account_login')}?next={url}"
    client.force_login(CoachFactory.create(user=stranger).user)
    assert client.post(url, {"name": "Mine"}).status_code == 404
    assert SECRET not in client.get(PAGE).content.decode()
    kept = CalendarFeed.objects.get()
    assert (kept.name, kept.next_read_at) == (feed.name, feed.next_read_at)


@pytest.mark.parametrize("name", ["read_calendar", "remove_calendar"])
def test_looking_changes_nothing(teacher: Client, coach: Coach, name: str) -> None:
    feed = make_feed(coach)
    assert teacher.get(reverse(f"coaches:{name}", args=[feed.pk])).status_code == 405
    assert CalendarFeed.objects.filter(next_read_at=feed.next_read_at).exists()


def test_without_a_profile_the_profile_comes_first(client: Client, student: User) -> None:
    client.force_login(student)
    for answer in (client.get(PAGE), client.post(PAGE, TYPED)):
        assert answer["Location"] == reverse("coaches:edit_profile")
    assert CalendarFeed.objects.count() == 0
