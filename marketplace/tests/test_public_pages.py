"""The home page, the frame around every page, and the pages that say something went wrong."""

import re

import pytest
from django.conf import settings
from django.test import Client, RequestFactory
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from coaches.models import Coach, Offering
from marketplace import views
from marketplace.lib.zones import viewer_zone
from marketplace.models import User

pytestmark = pytest.mark.django_db


def text(client: Client, address: str, status: int = 200) -> str:
    page = client.get(address)
    assert page.status_code == status
    return page.content.decode()


# --- the home page ------------------------------------------------------------------------------


def test_the_home_page_shows_coaches_who_can_be_booked(client: Client, offering: Offering) -> None:
    page = text(client, "/")
    assert offering.coach.display_name in page
    assert reverse("coaches:profile", args=[offering.coach.slug]) in page


def test_the_home_page_hides_a_coach_who_cannot_be_paid(client: Client, offering: Offering) -> None:
    Coach.objects.update(payable=False)
    page = text(client, "/")
    assert offering.coach.display_name not in page
    assert "Coaches you can book now" not in page


def test_the_home_page_asks_the_database_as_often_for_many_coaches(
    client: Client, offering: Offering, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(2):
        text(client, "/")


def test_the_home_page_tells_the_money_as_an_ordered_list(client: Client) -> None:
    page = text(client, "/")
    assert page.count('aria-label="What happens to the money"') == 2
    assert '<span class="visually-hidden">Will not happen: </span>Taken' in page


# --- the frame ----------------------------------------------------------------------------------


def test_a_visitor_is_offered_to_sign_in(client: Client) -> None:
    page = text(client, "/")
    assert reverse("account_login") in page
    assert reverse("bookings:sessions") not in page


def test_a_student_is_offered_their_sessions_and_to_become_a_coach(client: Client, student: User) -> None:
    client.force_login(student)
    page = text(client, "/")
    assert reverse("bookings:sessions") in page
    assert "Become a coach" in page
    assert reverse("bookings:teaching") not in page
    assert reverse("admin:index") not in page


def test_a_coach_is_offered_their_teaching(client: Client, coach: Coach) -> None:
    client.force_login(coach.user)
    assert reverse("bookings:teaching") in text(client, "/")


def test_staff_are_offered_the_admin(client: Client, staff: User) -> None:
    client.force_login(staff)
    assert f'href="{reverse("admin:index")}"' in text(client, "/")


def test_no_page_carries_a_style_or_a_script_of_its_own(client: Client, student: User) -> None:
    client.force_login(student)
    for address in ("/", reverse("account_details"), reverse("account_email"), reverse("mfa_index")):
        page = text(client, address)
        assert "<style" not in page
        assert " style=" not in page
        assert "<script>" not in page
        assert " onclick=" not in page


def test_a_pages_policy_allows_nothing_from_elsewhere(client: Client) -> None:
    policy = client.get("/")["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "style-src 'self';" in f"{policy};"  # the directives come in any order
    assert "unsafe" not in policy


def test_the_apis_own_page_may_have_its_style_and_no_script_of_others(client: Client) -> None:
    policy = client.get(reverse("api_docs"))["Content-Security-Policy"]
    assert "style-src 'self' 'unsafe-inline';" in f"{policy};"
    assert "unsafe-eval" not in policy
    assert policy.count("unsafe") == 1


@pytest.mark.parametrize(
    ("cookie", "zone"), [("Europe%2FBerlin", "Europe/Berlin"), ("Mars/Olympus", "UTC"), ("../../etc/passwd", "UTC")]
)
def test_a_visitors_zone_is_what_the_browser_says_if_there_is_such_a_zone(cookie: str, zone: str) -> None:
    request = RequestFactory().get("/")
    request.COOKIES["zone"] = cookie
    assert viewer_zone(request) == zone


def test_a_persons_own_zone_goes_before_the_browsers(student: User) -> None:
    request = RequestFactory().get("/")
    request.COOKIES["zone"] = "Europe/Berlin"
    student.time_zone = "Asia/Tokyo"
    request.user = student
    assert viewer_zone(request) == "Asia/Tokyo"


# --- what went wrong ----------------------------------------------------------------------------


def test_an_address_that_leads_nowhere_says_so_in_our_own_page(client: Client) -> None:
    page = text(client, "/nowhere/", status=404)
    assert "There is nothing here" in page
    assert reverse("coaches:browse") in page


def test_a_forged_form_is_refused_in_our_own_page() -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.post(reverse("account_login"), {"login": "a@example.com", "password": "x"})
    assert answer.status_code == 403
    assert settings.SITE_NAME in answer.content.decode()


def test_the_page_of_an_error_of_ours_needs_no_database(
    rf: RequestFactory, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        answer = views.server_error(rf.get("/"))
    assert answer.status_code == 500
    assert "Something went wrong on our side" in answer.content.decode()


def test_the_page_of_an_error_of_ours_names_the_request() -> None:
    client = Client(raise_request_exception=False)
    with pytest.MonkeyPatch.context() as patch, capture_logs(processors=[merge_contextvars]) as logs:
        patch.setattr("marketplace.views.selectors.bookable_coaches", lambda: 1 / 0)
        answer = client.get("/")
    (reference,) = re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", answer.content.decode())
    assert answer.status_code == 500
    assert any(line.get("request_id") == reference for line in logs)
