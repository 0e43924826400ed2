"""What no part of the product can read is refused before it gets anywhere."""

import io
from typing import Any

import pytest
from django.contrib import admin
from django.db.models import AutoField, DateField, Model
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


@pytest.mark.parametrize("key", ["-", "--", "-abc", " -1-abc", "-1"])
def test_a_key_to_a_new_password_that_names_nobody_is_a_bad_request(client: Client, key: str) -> None:
    address = "/_allauth/app/v1/auth/password/reset"
    for told in (key, int(key) if key == "-1" else key):
        body = {"key": told, "password": "a-new-pass-phrase"}
        assert client.post(address, body, content_type="application/json").status_code == 400
    assert client.get(address, headers={"X-Password-Reset-Key": key}).status_code == 400


WHEN = ("year=0", "year=99999", "year=9999", f"year={'9' * 30}", f"year=2026&{{0}}__month={'9' * 30}", "range=1")
ROW = ("p=-1", f"p={10**30}", "o=9.9", "e=1", "no__such=1", "id__regex=(", "id__range=1", "_popup=1", "_to_field=no")


@pytest.fixture
def desk(client: Client, staff: User) -> Client:
    User.objects.filter(pk=staff.pk).update(is_superuser=True)
    sign_in_with_second_step(client, staff)
    return client


@pytest.mark.everyday(5)
@pytest.mark.parametrize("model", admin.site._registry, ids=lambda model: model._meta.label)
def test_no_list_of_the_admin_fails_on_an_odd_question(desk: Client, model: type[Model]) -> None:
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    dates = [field.name for field in model._meta.fields if isinstance(field, DateField)]
    odd = [*ROW, *(f"{name}__{when.format(name)}" for name in dates for when in WHEN)]

    answers = {query: desk.get(f"{address}?{query}").status_code for query in odd}

    assert set(answers.values()) <= {200, 302, 400}, answers


@pytest.mark.everyday(5)
@pytest.mark.parametrize("model", admin.site._registry, ids=lambda model: model._meta.label)
def test_no_action_of_the_admin_fails_on_a_row_without_a_number(desk: Client, model: type[Model]) -> None:
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    actions = [
        action if isinstance(action, str) else action.__name__ for action in admin.site._registry[model].actions or ()
    ]

    assert not actions or isinstance(model._meta.pk, AutoField)  # else none of them could be done
    for action in ("delete_selected", *actions):
        answer = desk.post(address, {"action": action, "index": "0", "_selected_action": "x"})
        assert answer.status_code == 400
        assert "That request made no sense" in answer.content.decode()


def test_a_year_that_there_is_is_asked_for(desk: Client) -> None:
    assert (
        desk.get(f"{reverse('admin:marketplace_staffdecision_changelist')}?at__year=2026&at__month=2").status_code
        == 200
    )


class BrokenOff(io.RawIOBase):
    """What is left of a form whose sender has gone."""

    def read(self, _size: int = -1) -> bytes:
        raise OSError


@pytest.mark.parametrize("address", [reverse("admin:payments_payment_changelist"), LOGIN])
def test_a_form_that_is_broken_off_is_no_failure_of_ours(desk: Client, address: str) -> None:
    cut_off: Any = {"wsgi.input": BrokenOff()}
    assert desk.post(address, {"action": "let_stand"}, **cut_off).status_code == 400
