"""What no part of the product can read is refused before it gets anywhere."""

import pytest
from django.test import Client
from django.urls import reverse

from marketplace.models import User
from marketplace.tests.staff import sign_in_with_second_step

LOGIN = "/_allauth/app/v1/auth/login"

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"email": "a@example.com", "password": "\\ud800"}',
        b'{"email": "a@example.com", "password": "\xff"}',
        b'{"email": ',
    ],
    ids=["nested too deep", "half a character", "not UTF-8", "cut off"],
)
def test_a_body_that_cannot_be_read_is_a_bad_request(client: Client, body: bytes) -> None:
    assert client.post(LOGIN, body, content_type="application/json").status_code == 400


def test_a_body_that_can_be_read_reaches_the_login(client: Client) -> None:
    body = {"email": "nobody@example.com", "password": "wrong-password"}

    answer = client.post(LOGIN, body, content_type="application/json")

    assert answer.json()["errors"][0]["code"] == "email_password_mismatch"


def test_a_nul_in_a_filter_of_the_admin_is_a_bad_request(client: Client, staff: User) -> None:
    User.objects.filter(pk=staff.pk).update(is_superuser=True)
    sign_in_with_second_step(client, staff)
    bookings = reverse("admin:bookings_booking_changelist")

    assert client.get(f"{bookings}?status=%00").status_code == 400
    assert client.get(f"{bookings}?q=%00").status_code == 200


@pytest.mark.parametrize("address", ["/", "/accounts/login/", "/api/v1/bookings/"])
def test_a_nul_in_a_cookie_is_a_bad_request(client: Client, address: str) -> None:
    # Quoted as in RFC 2109: browsers don't, and Django unquotes it.
    assert client.get(address, headers={"Cookie": 'sessionid="\\000aaaaaaaa"'}).status_code == 400


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_there_are_no_telephone_numbers_here(client: Client, student: User, method: str) -> None:
    address = "/_allauth/app/v1/account/phone"

    assert client.generic(method, address).status_code == 404
    client.force_login(student)
    assert client.generic(method, address).status_code == 404
