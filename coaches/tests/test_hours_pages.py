"""The week as a coach types it: several windows a day, over midnight, and what is wrong with them in words."""

from datetime import time

import pytest
from django.test import Client
from django.urls import reverse

from coaches import selectors
from coaches.models import Offering, WeeklyHours
from coaches.slots import Window
from marketplace.models import User
from marketplace.tests.factories import CoachFactory, WeeklyHoursFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def beginner(client: Client, student: User) -> Client:
    """A signed-in person with a profile, and nothing else."""
    CoachFactory.create(user=student, payable=False)
    client.force_login(student)
    return client


def week(**rows: str) -> dict[str, str]:
    """`monday="09:00-12:00 22:00-02:00+"` as the page sends it; the plus ticks "Next day"."""
    data = {}
    for day, spans in rows.items():
        for index, span in enumerate(spans.split(" ")):
            data[f"{day}-{index}-starts"], _, data[f"{day}-{index}-ends"] = span.removesuffix("+").partition("-")
            if span.endswith("+"):
                data[f"{day}-{index}-ends_next_day"] = "on"
    return data


def test_a_day_takes_several_windows_and_empty_rows_are_no_windows(beginner: Client, student: User) -> None:
    beginner.post(reverse("coaches:hours"), week(monday="09:00-12:00 - 14:00-16:00", sunday="-"))
    assert selectors.windows_of(student.coach) == [Window(0, time(9), time(12)), Window(0, time(14), time(16))]


def test_the_saved_week_is_shown_again(beginner: Client, student: User) -> None:
    beginner.post(reverse("coaches:hours"), week(tuesday="09:30-12:00"))
    page = beginner.get(reverse("coaches:hours")).content.decode()
    assert 'name="tuesday-0-starts" value="09:30"' in page
    assert 'name="monday-0-starts"' in page


def test_an_empty_week_closes_the_coach(client: Client, offering: Offering) -> None:
    client.force_login(offering.coach.user)
    client.post(reverse("coaches:hours"), week(monday="-"))
    assert not selectors.is_bookable(offering.coach)


@pytest.mark.everyday(4)
@pytest.mark.parametrize(
    ("rows", "wrong", "words"),
    [
        ("09:00-12:00 11:00-13:00", "monday-1-starts", "On Monday, 11:00 to 13:00 overlaps 09:00 to 12:00"),
        ("09:00-12:00 09:00-12:00", "monday-1-starts", "overlaps"),
        ("11:00-13:00 09:00-12:00", "monday-0-starts", "overlaps"),
        (
            "22:00-02:00+ 23:00-23:30",
            "monday-1-starts",
            "On Monday, 23:00 to 23:30 overlaps 22:00 to 02:00 the next day",
        ),
        ("09:00-12:00 00:00-00:00+", "monday-0-starts", "On Monday, 09:00 to 12:00 overlaps 00:00 to midnight"),
        ("12:00-09:00", "monday-0-ends", "If it ends on the next day, tick “Next day”"),
        ("09:00-09:00", "monday-0-ends", "If it ends on the next day, tick “Next day”"),
        ("20:00-00:00", "monday-0-ends", "If it ends on the next day, tick “Next day”"),
        ("09:00-17:00+", "monday-0-ends", "longer than 24 hours"),
        ("09:00-09:01+", "monday-0-ends", "longer than 24 hours"),
        ("-+", "monday-0-starts", "Say when it begins"),
        ("09:00-", "monday-0-ends", "Say when it ends"),
        ("-12:00", "monday-0-starts", "Say when it begins"),
        ("25:61-26:00", "monday-0-starts", "valid time"),
        ("9am-noon", "monday-0-starts", "valid time"),
    ],
)
def test_it_refuses_hours_with_words_beside_the_row(
    beginner: Client, student: User, rows: str, wrong: str, words: str
) -> None:
    WeeklyHoursFactory.create(coach=student.coach)
    answer = beginner.post(reverse("coaches:hours"), week(monday=rows))
    errors = {
        f"{form.prefix}-{name}": " ".join(told)
        for forms in answer.context["week"].days.values()
        for form in forms
        for name, told in form.errors.items()
    }
    assert words in errors[wrong]
    assert f'name="monday-0-starts" value="{rows.partition("-")[0]}"' in answer.content.decode() or rows[0] == "-"
    assert selectors.windows_of(student.coach) == [Window(0, time(9), time(17))]


@pytest.mark.parametrize(
    ("rows", "window"),
    [
        ("22:00-02:00+", Window(0, time(22), time(2), ends_next_day=True)),
        ("20:00-00:00+", Window(0, time(20), time(0), ends_next_day=True)),
        ("09:00-09:00+", Window(0, time(9), time(9), ends_next_day=True)),
        ("00:00-00:00+", Window(0, time(0), time(0), ends_next_day=True)),
    ],
)
def test_hours_run_over_midnight_or_up_to_it(beginner: Client, student: User, rows: str, window: Window) -> None:
    beginner.post(reverse("coaches:hours"), week(monday=rows))
    assert selectors.windows_of(student.coach) == [window]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (
            {"sunday": "22:00-02:00+", "monday": "01:00-03:00"},
            "On Monday, 01:00 to 03:00 overlaps Sunday&#x27;s 22:00 to 02:00 the next day.",
        ),
        (
            {"tuesday": "22:00-06:00+", "wednesday": "05:59-08:00"},
            "On Wednesday, 05:59 to 08:00 overlaps Tuesday&#x27;s 22:00 to 06:00 the next day.",
        ),
    ],
)
def test_it_refuses_hours_that_overlap_those_of_the_evening_before(
    beginner: Client, student: User, rows: dict[str, str], words: str
) -> None:
    page = beginner.post(reverse("coaches:hours"), week(**rows)).content.decode()
    assert words in page
    assert page.count(" checked") == 1  # the tick is kept
    assert selectors.windows_of(student.coach) == []


def test_hours_that_touch_those_of_the_evening_before_are_welcome(beginner: Client, student: User) -> None:
    beginner.post(reverse("coaches:hours"), week(sunday="22:00-02:00+", monday="02:00-03:00"))
    assert len(selectors.windows_of(student.coach)) == 2


def test_the_saved_tick_is_shown_again(beginner: Client) -> None:
    beginner.post(reverse("coaches:hours"), week(sunday="22:00-02:00+", monday="09:00-10:00"))
    assert beginner.get(reverse("coaches:hours")).content.decode().count(" checked") == 1


def test_everything_that_is_wrong_is_said_at_once(beginner: Client) -> None:
    answer = beginner.post(reverse("coaches:hours"), week(monday="09:00-12:00 11:00-13:00", tuesday="10:00-"))
    page = answer.content.decode()
    assert "On Monday, 11:00 to 13:00 overlaps 09:00 to 12:00." in page
    assert "Say when it ends." in page


def test_asking_for_another_row_keeps_what_was_typed_and_saves_nothing(beginner: Client, student: User) -> None:
    typed = {**week(monday="09:00-12:00", friday="10:00-", sunday="22:00-02:00+"), "another": "0"}
    page = beginner.post(reverse("coaches:hours"), typed).content.decode()
    assert 'name="monday-0-starts" value="09:00"' in page
    assert 'name="monday-1-starts"' in page
    assert 'name="friday-0-starts" value="10:00"' in page
    assert page.count(" checked") == 1
    assert selectors.windows_of(student.coach) == []


@pytest.mark.parametrize("another", ["9", "-1", "monday", "\x00", "", "9" * 50])
def test_asking_for_a_row_on_no_day_changes_nothing(beginner: Client, another: str) -> None:
    answer = beginner.post(reverse("coaches:hours"), {**week(monday="09:00-12:00"), "another": another})
    assert [len(forms) for forms in answer.context["week"].days.values()] == [1] * 7


def test_rows_without_end_are_cut(beginner: Client, student: User) -> None:
    many = week(monday=" ".join(f"{hour:02}:00-{hour:02}:30" for hour in range(24)))
    beginner.post(reverse("coaches:hours"), many)
    assert WeeklyHours.objects.filter(coach=student.coach).count() == 8
