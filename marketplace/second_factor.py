"""Who still needs a second step to sign in, and the API's answer to them. Pages ask in `marketplace.middleware`."""

from typing import Any

from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from marketplace.models import User


def must_have_second_factor(user: User) -> bool:
    """Staff; the demo's excepted."""
    return user.is_staff and user.email != settings.DEMO_STAFF_EMAIL


def has_second_factor(user: User) -> bool:
    return bool(Authenticator.objects.filter(user=user).exists())


def has_confirmed(session: SessionBase) -> bool:
    """Whether the second step was taken in this session: one from before it was set up proves a password alone."""
    records: list[dict[str, Any]] = session.get(AUTHENTICATION_METHODS_SESSION_KEY) or []
    return any(record.get("method") == "mfa" for record in records)


class StaffHaveSecondFactor(BasePermission):
    """For those who come with a token: the middleware knows only whom a cookie names."""

    message = "Staff need a second step to sign in. Please set one up first, and sign in with it."

    def has_permission(self, request: Request, _view: object) -> bool:
        user = request.user
        if not isinstance(user, User) or not must_have_second_factor(user):
            return True
        # By token, allauth hands the token's session over in `auth`.
        session = request.auth if isinstance(request.auth, SessionBase) else request.session
        return has_second_factor(user) and has_confirmed(session)
