"""How a member of staff signs in for a test: with the second step, as everybody on staff has to."""

from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Group
from django.test import Client

from marketplace.models import User
from marketplace.tests.factories import UserFactory


def sign_in_with_second_step(client: Client, staff: User) -> None:
    Authenticator.objects.create(user=staff, type=Authenticator.Type.TOTP, data={})
    client.force_login(staff)
    session = client.session
    session[AUTHENTICATION_METHODS_SESSION_KEY] = [{"method": "password"}, {"method": "mfa"}]
    session.save()


def member_of(*roles: str) -> User:
    """A person on the staff with these roles' rights, and no others."""
    user = UserFactory.create(is_staff=True)
    user.groups.set(Group.objects.filter(name__in=roles))
    assert user.groups.count() == len(roles)
    return user


def browser_of(user: User) -> Client:
    client = Client()
    sign_in_with_second_step(client, user)
    return client


def as_role(*roles: str) -> Client:
    return browser_of(member_of(*roles))
