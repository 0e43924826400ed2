"""Signing up, signing in, codes and passwords, as people meet them."""

import re

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import (
    TOTP,
    format_hotp_value,
    generate_totp_secret,
    hotp_value,
    yield_hotp_counters_from_time,
)
from django.core import mail
from django.test import Client
from django.urls import reverse

from marketplace.models import User
from marketplace.tests.factories import UserFactory
from marketplace.tests.staff import sign_in_with_second_step

pytestmark = pytest.mark.django_db

PASSWORD = "a-long-enough-password"
SIGN_UP = {
    "name": "Nora New",
    "email": "Nora@Example.com",
    "password1": PASSWORD,
    "time_zone": "America/Sao_Paulo",
}


def confirmed(**facts: object) -> User:
    user = UserFactory.create(password=PASSWORD, **facts)
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


def front_door(client: Client, staff: User) -> None:
    """The member of staff, who may do everything, is in the admin."""
    User.objects.filter(pk=staff.pk).update(is_superuser=True)
    sign_in_with_second_step(client, staff)


def html_of(message: object) -> str:
    ((content, kind),) = message.alternatives  # type: ignore[attr-defined]  # every mail of ours has two parts
    assert kind == "text/html"
    return str(content)


# --- sign-up ------------------------------------------------------------------------------------


def test_a_new_person_confirms_by_a_code_and_is_signed_in(client: Client) -> None:
    answer = client.post(reverse("account_signup"), SIGN_UP, follow=True)
    assert "Confirm your e-mail" in answer.content.decode()

    (message,) = mail.outbox
    code = message.subject.split(" ")[0]
    assert message.to == ["nora@example.com"]
    assert code in message.body
    assert code in html_of(message)

    answer = client.post(reverse("account_email_verification_sent"), {"code": code}, follow=True)
    user = User.objects.get(email="nora@example.com")
    assert (user.name, user.time_zone) == ("Nora New", "America/Sao_Paulo")
    assert "Signed in as Nora New" in answer.content.decode()


def test_a_wrong_code_is_said_beside_the_field_and_lets_nobody_in(client: Client) -> None:
    client.post(reverse("account_signup"), SIGN_UP)
    page = client.post(reverse("account_email_verification_sent"), {"code": "WRONG1"}).content.decode()
    assert re.search(r'<input[^>]*name="code"[^>]*aria-invalid="true"', page)
    assert 'id="id_code_error"' in page
    assert "Signed in as" not in page


def test_what_was_typed_is_kept_when_something_is_wrong(client: Client) -> None:
    page = client.post(reverse("account_signup"), {**SIGN_UP, "password1": "short"}).content.decode()
    assert 'value="Nora New"' in page
    assert 'value="Nora@Example.com"' in page
    assert 'value="America/Sao_Paulo"' in page
    assert "short" not in page.replace("too short", "")
    assert not User.objects.exists()


def test_an_unknown_zone_from_the_browser_is_no_reason_to_refuse(client: Client) -> None:
    client.post(reverse("account_signup"), {**SIGN_UP, "time_zone": "Mars/Olympus"})
    assert User.objects.get().time_zone == "UTC"


def test_signing_up_twice_does_not_tell_who_has_an_account(client: Client) -> None:
    confirmed(email="nora@example.com")
    answer = client.post(reverse("account_signup"), SIGN_UP, follow=True)
    assert "Confirm your e-mail" in answer.content.decode()
    (message,) = mail.outbox
    assert message.subject == "You already have an account"
    assert User.objects.count() == 1


# --- sign-in ------------------------------------------------------------------------------------


def test_a_person_signs_in_whatever_the_case_of_the_address(client: Client) -> None:
    confirmed(email="nora@example.com", name="Nora New")
    page = client.post(reverse("account_login"), {"login": "NORA@example.com", "password": PASSWORD}, follow=True)
    assert "Signed in as Nora New" in page.content.decode()


def test_a_wrong_password_says_so_and_keeps_the_address(client: Client) -> None:
    confirmed(email="nora@example.com")
    page = client.post(reverse("account_login"), {"login": "nora@example.com", "password": "wrong"}).content.decode()
    assert 'role="alert"' in page
    assert 'value="nora@example.com"' in page
    assert "Signed in as" not in page


def test_guessing_is_stopped(client: Client) -> None:
    confirmed(email="nora@example.com")
    guess = {"login": "nora@example.com", "password": "wrong"}
    for _ in range(10):
        client.post(reverse("account_login"), guess)
    page = client.post(reverse("account_login"), {**guess, "password": PASSWORD}, follow=True).content.decode()
    assert "Too many failed login attempts" in page
    assert "Signed in as" not in page


def test_the_demos_logins_are_told_in_the_demo_alone(client: Client, settings: object) -> None:
    assert "demo-password" not in client.get(reverse("account_login")).content.decode()
    settings.DEMO = True  # type: ignore[attr-defined]  # the plugin's wrapper
    assert "demo-password" in client.get(reverse("account_login")).content.decode()


def test_signing_out_takes_a_post(client: Client, student: User) -> None:
    client.force_login(student)
    assert "Sign out?" in client.get(reverse("account_logout")).content.decode()
    assert "Signed in as" in client.get("/").content.decode()
    client.post(reverse("account_logout"))
    assert "Signed in as" not in client.get("/").content.decode()


# --- passwords and addresses --------------------------------------------------------------------


def test_a_forgotten_password_is_replaced_by_the_link_in_the_mail(client: Client) -> None:
    user = confirmed(email="nora@example.com")
    answer = client.post(reverse("account_reset_password"), {"email": "nora@example.com"}, follow=True)
    assert "Look in your mail" in answer.content.decode()
    (message,) = mail.outbox
    (link,) = re.findall(r"http://testserver(/accounts/password/reset/key/\S+)", str(message.body))
    assert link in html_of(message)

    form = client.get(link, follow=True)
    answer = client.post(
        form.redirect_chain[-1][0], {"password1": "another-long-password", "password2": "another-long-password"}
    )
    user.refresh_from_db()
    assert user.check_password("another-long-password")
    assert "no longer works" in client.get(link, follow=True).content.decode()


def test_asking_for_a_strangers_password_tells_nothing(client: Client) -> None:
    answer = client.post(reverse("account_reset_password"), {"email": "nobody@example.com"}, follow=True)
    assert "Look in your mail" in answer.content.decode()
    assert [message.subject for message in mail.outbox] == ["There is no account with this address"]


def test_a_changed_password_is_reported_by_mail(client: Client) -> None:
    client.force_login(confirmed(email="nora@example.com"))
    new = "another-long-password"
    client.post(reverse("account_change_password"), {"oldpassword": PASSWORD, "password1": new, "password2": new})
    (message,) = mail.outbox
    assert message.subject == "Your password was changed"
    assert "127.0.0.1" in message.body
    assert "127.0.0.1" in html_of(message)


def test_a_new_address_takes_the_old_ones_place_once_it_is_confirmed(client: Client) -> None:
    user = confirmed(email="nora@example.com")
    client.post(reverse("account_login"), {"login": user.email, "password": PASSWORD})
    client.post(reverse("account_email"), {"email": "new@example.com", "action_add": ""})
    user.refresh_from_db()
    assert user.email == "nora@example.com"

    code = mail.outbox[-1].subject.split(" ")[0]
    client.post(reverse("account_email_verification_sent"), {"code": code})
    user.refresh_from_db()
    assert user.email == "new@example.com"
    assert [address.email for address in EmailAddress.objects.filter(user=user)] == ["new@example.com"]


# --- details ------------------------------------------------------------------------------------


def test_a_person_changes_their_name_and_zone_and_nothing_else(client: Client, student: User) -> None:
    client.force_login(student)
    client.post(
        reverse("account_details"),
        {"name": "Sam Changed", "time_zone": "Asia/Tokyo", "is_staff": "on", "email": "x@x.x"},
    )
    student.refresh_from_db()
    assert (student.name, student.time_zone) == ("Sam Changed", "Asia/Tokyo")
    assert not student.is_staff
    assert student.email == "student@example.com"


def test_an_unknown_zone_is_refused_beside_its_field(client: Client, student: User) -> None:
    client.force_login(student)
    page = client.post(reverse("account_details"), {"name": "Sam", "time_zone": "Mars/Olympus"}).content.decode()
    assert 'id="id_time_zone_error"' in page
    student.refresh_from_db()
    assert student.name == "Sam Student"


def test_details_are_for_those_who_are_signed_in(client: Client) -> None:
    answer = client.get(reverse("account_details"))
    assert answer.status_code == 302
    assert answer["Location"].startswith(reverse("account_login"))


# --- the second step ----------------------------------------------------------------------------


def test_staff_without_a_second_step_are_sent_to_set_one_up(client: Client, staff: User) -> None:
    client.force_login(staff)
    answer = client.get(reverse("admin:index"), follow=True)
    assert answer.redirect_chain[-1][0] == reverse("mfa_index")
    assert "Staff need a second step" in answer.content.decode()


def test_a_session_from_before_the_second_step_is_asked_for_it(client: Client, staff: User) -> None:
    client.force_login(staff)
    Authenticator.objects.create(user=staff, type=Authenticator.Type.TOTP, data={})
    answer = client.get(reverse("admin:index"))
    assert answer.status_code == 302
    assert answer.headers["Location"] == reverse("mfa_reauthenticate") + "?next=%2Fadmin%2F"


def test_staff_who_give_their_code_go_on_to_where_they_were_going(client: Client, staff: User) -> None:
    client.force_login(staff)
    secret = generate_totp_secret()
    TOTP.activate(staff, secret)
    asked = client.get(reverse("admin:index"), follow=True)
    code = format_hotp_value(hotp_value(secret, next(yield_hotp_counters_from_time())))
    answer = client.post(asked.redirect_chain[-1][0], {"code": code, "next": "/admin/"})
    assert answer.headers["Location"] == "/admin/"
    assert client.get(reverse("admin:index")).status_code == 200


def test_staff_with_a_second_step_reach_their_front_page(client: Client, staff: User) -> None:
    sign_in_with_second_step(client, staff)
    page = client.get(reverse("admin:index")).content.decode()
    assert reverse("admin:bookings_booking_changelist") in page
    assert reverse("admin:marketplace_user_changelist") in page


def test_a_token_does_not_lead_staff_around_the_second_step(client: Client, staff: User) -> None:
    client.force_login(staff)
    token = {"HTTP_X_SESSION_TOKEN": client.session.session_key}
    answer = Client().get(reverse("api_bookings-list"), **token)  # type: ignore[arg-type]  # a header
    assert answer.status_code == 403
    assert "Staff need a second step" in answer.content.decode()
    Authenticator.objects.create(user=staff, type=Authenticator.Type.TOTP, data={})
    assert Client().get(reverse("api_bookings-list"), **token).status_code == 403  # type: ignore[arg-type]


def test_a_token_with_the_second_step_opens_the_api(client: Client, staff: User) -> None:
    sign_in_with_second_step(client, staff)
    token = {"HTTP_X_SESSION_TOKEN": client.session.session_key}
    assert Client().get(reverse("api_bookings-list"), **token).status_code == 200  # type: ignore[arg-type]  # a header


def test_a_person_whom_staff_add_can_sign_in_whatever_the_case_of_their_address(client: Client, staff: User) -> None:
    front_door(client, staff)
    new = {"email": "Nora@Example.COM", "name": "Nora", "usable_password": "true"}
    client.post(reverse("admin:marketplace_user_add"), {**new, "password1": PASSWORD, "password2": PASSWORD})
    assert User.objects.exclude(pk=staff.pk).get().email == "nora@example.com"
    answer = Client().post(reverse("account_login"), {"login": "nora@example.com", "password": PASSWORD})
    assert answer.status_code == 302


def test_staff_do_not_change_the_address_by_which_a_person_signs_in(client: Client, staff: User) -> None:
    front_door(client, staff)
    user = confirmed(email="nora@example.com")
    changed = {"email": "other@example.com", "name": "Nora Nova", "time_zone": "UTC", "is_active": "on"}
    client.post(reverse("admin:marketplace_user_change", args=[user.pk]), changed)
    user.refresh_from_db()
    assert (user.email, user.name) == ("nora@example.com", "Nora Nova")


def test_the_admin_has_no_door_of_its_own(client: Client) -> None:
    answer = client.get(reverse("admin:login"))
    assert answer.status_code == 302
    assert answer["Location"].startswith(reverse("account_login"))


def test_changing_how_one_signs_in_asks_for_the_password_first(client: Client) -> None:
    user = confirmed(email="nora@example.com")
    client.force_login(user)
    page = client.get(reverse("mfa_activate_totp"), follow=True)
    assert "Confirm it is you" in page.content.decode()
    wrong = client.post(page.request["PATH_INFO"], {"password": "wrong"})
    assert 'id="id_password_error"' in wrong.content.decode()


def test_the_pages_of_the_second_step_speak_for_themselves(client: Client) -> None:
    client.force_login(confirmed(email="nora@example.com"))
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    for name, words in [
        ("mfa_index", "Authenticator app"),
        ("mfa_activate_totp", "Set up your app"),
        ("mfa_list_webauthn", "You have not added a key yet"),
        ("mfa_add_webauthn", "Add a security key"),
    ]:
        answer = client.get(reverse(name))
        assert answer.status_code == 200, name
        assert words in answer.content.decode()
