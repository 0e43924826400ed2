"""How all of a coach's time is offered: what they choose, and what is refused."""

import pytest
from django.test import Client
from django.urls import reverse

from coaches.models import Coach
from marketplace.tests.factories import CoachFactory

pytestmark = pytest.mark.django_db

RULES = {
    "buffer_before_minutes": "10",
    "buffer_after_minutes": "90",
    "notice_minutes": "2880",
    "furthest_days": "60",
    "step_minutes": "15",
    "most_a_day": "4",
    "most_a_week": "",
}


@pytest.fixture
def own(client: Client, coach: Coach) -> Client:
    """The coach, signed in."""
    client.force_login(coach.user)
    return client


def rules_of(coach: Coach) -> dict[str, int | None]:
    coach.refresh_from_db()
    return {name: getattr(coach, name) for name in RULES}


def test_rules_are_saved_in_minutes_and_shown_in_words(own: Client, coach: Coach) -> None:
    answer = own.post(reverse("coaches:rules"), RULES)
    assert answer["Location"] == reverse("coaches:rules")
    assert rules_of(coach) == {
        "buffer_before_minutes": 10,
        "buffer_after_minutes": 90,
        "notice_minutes": 2880,
        "furthest_days": 60,
        "step_minutes": 15,
        "most_a_day": 4,
        "most_a_week": None,
    }
    page = own.get(reverse("coaches:rules")).content.decode()
    assert '<option value="90" selected>1 hour 30 minutes</option>' in page
    assert '<option value="2880" selected>2 days</option>' in page
    assert '<option value="15" selected>every 15 minutes</option>' in page


def test_rules_of_another_coach_are_left_alone(own: Client) -> None:
    other = CoachFactory.create()
    before = rules_of(other)
    own.post(reverse("coaches:rules"), RULES)
    assert rules_of(other) == before


def test_a_length_that_is_not_offered_any_more_can_stay(own: Client, coach: Coach) -> None:
    Coach.objects.update(buffer_before_minutes=7)
    assert '<option value="7" selected>7 minutes</option>' in own.get(reverse("coaches:rules")).content.decode()
    own.post(reverse("coaches:rules"), {**RULES, "buffer_before_minutes": "7"})
    assert rules_of(coach)["buffer_before_minutes"] == 7


@pytest.mark.everyday(4)
@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("buffer_before_minutes", "241", "Select a valid choice"),
        ("buffer_after_minutes", "-5", "Select a valid choice"),
        ("buffer_after_minutes", "", "required"),
        ("notice_minutes", "20161", "Select a valid choice"),
        ("notice_minutes", "soon", "Select a valid choice"),
        ("furthest_days", "0", "at least 1 day ahead"),
        ("furthest_days", "366", "at most 365 days ahead"),
        ("furthest_days", "1.5", "whole number"),
        ("furthest_days", "9" * 5000, "365"),
        ("step_minutes", "7", "Select a valid choice"),
        ("most_a_day", "0", "leave it empty for no limit"),
        ("most_a_day", "-1", "leave it empty for no limit"),
        ("most_a_day", "49", "less than or equal to 48"),
        ("most_a_week", "0", "leave it empty for no limit"),
        ("most_a_week", "3", "You allow 4 on one day: allow at least as many in the week."),
        ("most_a_week", "201", "less than or equal to 200"),
    ],
    ids=lambda value: value[:20],
)
def test_it_refuses_a_rule_with_words_beside_it(own: Client, coach: Coach, field: str, value: str, words: str) -> None:
    before = rules_of(coach)
    answer = own.post(reverse("coaches:rules"), {**RULES, field: value})
    errors = answer.context["form"].errors
    assert list(errors) == [field]
    assert words in " ".join(errors[field]) or value.startswith("999")
    assert rules_of(coach) == before


def test_the_page_says_that_no_booking_is_moved(own: Client) -> None:
    assert "What is booked stays as it is" in own.get(reverse("coaches:rules")).content.decode()
