"""What everyone sees: the list of coaches and a coach's profile."""

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from coaches import services
from coaches.models import Coach, Offering
from marketplace.models import User
from marketplace.tests.factories import CoachFactory, OfferingFactory, WeeklyHoursFactory

pytestmark = pytest.mark.django_db


def bookable(**facts: object) -> Coach:
    coach = CoachFactory.create(**facts)
    OfferingFactory.create(coach=coach)
    WeeklyHoursFactory.create(coach=coach)
    return coach


def names(client: Client, **query: str | int) -> list[str]:
    page = client.get(reverse("coaches:browse"), query)
    assert page.status_code == 200
    return [coach.display_name for coach in page.context["page"]]


# --- the list -----------------------------------------------------------------------------------


def test_the_list_shows_bookable_coaches_with_their_lowest_price(client: Client, offering: Offering) -> None:
    OfferingFactory.create(coach=offering.coach, price_amount=2_550, minutes=30)
    page = client.get(reverse("coaches:browse")).content.decode()
    assert offering.coach.display_name in page
    assert "$25.50" in page
    assert "$100.00" not in page


def test_the_list_leaves_out_who_cannot_be_booked(client: Client) -> None:
    bookable(display_name="Can")
    bookable(display_name="Not payable", payable=False)
    CoachFactory.create(display_name="Nothing to sell")
    OfferingFactory.create(coach__display_name="No hours")
    assert names(client) == ["Can"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["Ada", "Berta"]),
        ("piano", ["Ada"]),
        ("BERT", ["Berta"]),
        ("plain spanish", ["Berta"]),
        ("piano spanish", []),
        ("%", []),
        ("' OR 1=1 --", []),
        ("{{7*7}}", []),
        ("\x00", ["Ada", "Berta"]),
        pytest.param("x" * 5000, ["Ada", "Berta"], id="long"),
    ],
)
def test_the_search_wants_each_word_somewhere(client: Client, text: str, expected: list[str]) -> None:
    bookable(display_name="Ada", subject="Piano", headline="Scales and songs")
    bookable(display_name="Berta", subject="Spanish", headline="Plain talk")
    assert names(client, q=text) == expected


@pytest.mark.parametrize("page", ["-1", "0", "99999999999999999999", "two", "1e3", "٢", ""])
def test_any_page_number_is_answered(client: Client, page: str) -> None:
    bookable(display_name="Ada")
    assert names(client, page=page) == ["Ada"]


def test_the_list_comes_in_pages_that_keep_the_search(client: Client) -> None:
    for number in range(14):
        bookable(display_name=f"Coach {number:02}", subject="Chess")
    first = client.get(reverse("coaches:browse"), {"q": "chess"})
    assert len(first.context["page"]) == 12
    assert "q=chess&amp;page=2" in first.content.decode()
    assert names(client, q="chess", page=2) == ["Coach 12", "Coach 13"]


def test_more_coaches_take_no_more_queries(client: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for _ in range(2):
        bookable()
    with django_assert_num_queries(4):  # the page's count, its coaches, their offerings; the subjects
        client.get(reverse("coaches:browse"))
    for _ in range(8):
        bookable()
    with django_assert_num_queries(4):
        client.get(reverse("coaches:browse"))


def test_the_list_only_reads(client: Client) -> None:
    assert client.post(reverse("coaches:browse")).status_code == 405


# --- a profile ----------------------------------------------------------------------------------


def test_a_profile_leads_to_the_times_of_each_offering(client: Client, offering: Offering) -> None:
    page = client.get(reverse("coaches:profile", args=[offering.coach.slug])).content.decode()
    assert reverse("bookings:choose_slot", args=[offering.pk]) in page
    assert "$100.00" in page


def test_a_profile_of_a_coach_who_cannot_be_paid_leads_nowhere(client: Client, offering: Offering) -> None:
    services.set_payable(coach=offering.coach, payable=False)
    page = client.get(reverse("coaches:profile", args=[offering.coach.slug])).content.decode()
    assert "can&#x27;t be booked at the moment" in page or "can't be booked at the moment" in page
    assert reverse("bookings:choose_slot", args=[offering.pk]) not in page


def test_an_inactive_offering_is_not_shown(client: Client, offering: Offering) -> None:
    OfferingFactory.create(coach=offering.coach, title="Old one", active=False)
    page = client.get(reverse("coaches:profile", args=[offering.coach.slug])).content.decode()
    assert "Old one" not in page


def test_coaches_are_not_offered_their_own_times(client: Client, offering: Offering) -> None:
    client.force_login(offering.coach.user)
    page = client.get(reverse("coaches:profile", args=[offering.coach.slug])).content.decode()
    assert reverse("bookings:choose_slot", args=[offering.pk]) not in page
    assert reverse("coaches:edit_profile") in page


def test_a_stranger_is_not_told_what_is_missing(client: Client, stranger: User) -> None:
    coach = CoachFactory.create(payable=False)
    client.force_login(stranger)
    page = client.get(reverse("coaches:profile", args=[coach.slug])).content.decode()
    assert "See what is missing" not in page


@pytest.mark.parametrize("path", ["/coaches/nobody/", "/coaches/%00/", "/coaches/../", "/coaches/a%2Fb/"])
def test_an_unknown_profile_is_not_found(client: Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_a_disabled_persons_profile_is_not_found(client: Client, offering: Offering) -> None:
    User.objects.filter(pk=offering.coach.user_id).update(is_active=False)
    assert client.get(reverse("coaches:profile", args=[offering.coach.slug])).status_code == 404


def test_what_coaches_write_is_shown_literally(client: Client) -> None:
    evil = '<script>alert(1)</script>{{ 7|add:"7" }}'
    coach = bookable(display_name=evil, headline=evil, bio=evil, subject="<b>x</b>")
    for url in (reverse("coaches:profile", args=[coach.slug]), reverse("coaches:browse")):
        page = client.get(url).content.decode()
        assert "<script>alert(1)" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;{{ 7|add" in page
